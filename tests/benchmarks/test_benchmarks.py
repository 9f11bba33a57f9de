"""Speed is measured right: windows, rates, operations, lines and the page of them."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf
from helpers.processes import ROOT, end, start

import ram_tf.benchmark
from ram_tf.benchmarks import image_size, machine, page, throughput
from ram_tf.benchmarks.isolated import MEASURES, run_fresh
from ram_tf.benchmarks.page import BEGIN, END, markdown
from ram_tf.benchmarks.stopwatch import QUICK, Budget, Stopwatch, call_times
from ram_tf.benchmarks.suite import CLUTTERED, INCEPTION, LSTM, RNN, ROWS
from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.models.cost import forward_operations
from ram_tf.models.factory import build_model
from ram_tf.models.recurrent_attention import RecurrentAttentionModel

EXPERIMENTS = str(pathlib.Path(__file__).parents[2] / "experiments")
TINY = Config(
    glimpse_units=8,
    core="rnn",
    core_units=8,
    num_glimpses=2,
    batch_size=4,
    steps_per_call=2,
    jit_compile="off",
)
# As flags; the learning rate keeps a run of any length sound.
TINY_FLAGS = [
    f"--{name}={value}"
    for name, value in TINY.identity().items()
    if name != "steps_per_call"
] + ["--steps_per_call=2", "--learning_rate=1e-5"]


class FakeClock:
    """Seconds that only pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


def lapped(budget: Budget, laps: list[tuple[float, int]]) -> Stopwatch:
    clock = FakeClock()
    stopwatch = Stopwatch(budget, clock)
    for seconds, items in laps:
        clock.pass_(seconds)
        stopwatch.lap(items)
    return stopwatch


def test_stopwatch_takes_the_median_window_behind_the_warm_up():
    budget = Budget(warmup_seconds=2.0, warmup_laps=2, window_seconds=1.0, windows=3)
    laps = [(7.0, 10), (1.0, 50), (1.0, 50)]  # Compiling, then two seconds of warm-up.
    laps += [(0.5, 50), (0.5, 50)]  # A window of two laps: 100 a second.
    laps += [(2.0, 60)]  # 30 a second.
    laps += [(1.0, 80)]  # 80 a second.
    stopwatch = lapped(budget, laps)
    assert stopwatch.window_rates == pytest.approx([100.0, 30.0, 80.0])
    assert stopwatch.done
    assert stopwatch.rate == pytest.approx(80.0)
    # 7 s for the first 10 items, which take 10 / 80 s when all is warm.
    assert stopwatch.compile_seconds == pytest.approx(7.0 - 0.125)


def test_stopwatch_is_not_done_before_its_last_window():
    budget = Budget(warmup_seconds=0.0, warmup_laps=1, window_seconds=1.0, windows=2)
    assert not lapped(budget, [(1.0, 1), (1.0, 1), (0.9, 1)]).done


def test_stopwatch_waits_for_its_warm_up_laps():
    budget = Budget(warmup_seconds=0.0, warmup_laps=3, window_seconds=1.0, windows=1)
    stopwatch = lapped(budget, [(1.0, 1), (1.0, 1), (1.0, 1), (1.0, 4)])
    assert stopwatch.window_rates == [4.0]


def test_call_times_goes_round_and_stops_at_its_limit():
    clock = FakeClock()
    order = []

    def call(name: str, seconds: float) -> None:
        order.append(name)
        clock.pass_(seconds)

    calls = [lambda: call("a", 1.0), lambda: call("b", 2.0)]
    assert call_times(calls, 2, clock) == [[1.0, 1.0], [2.0, 2.0]]
    assert order == ["a", "b", "a", "b"]
    assert call_times(calls, 9, clock, limit_seconds=5.0) == [[1.0, 1.0], [2.0, 2.0]]


def test_matmul_gflops_counts_the_fastest_product():
    # Two products, of 4 s and 2 s; a clock is read before and after each.
    readings = iter([0.0, 4.0, 10.0, 12.0])
    budget = Budget(matmul_size=100, matmul_repeats=2)
    found = machine.matmul_gflops(budget, lambda: next(readings))
    assert found == pytest.approx(2 * 100**3 / 2.0 / 1e9)


def test_mfu_is_the_share_of_the_machines_rate():
    # 3 million operations an image, 10,000 images: 30 of 120 GFLOP/s.
    assert machine.mfu(3e6, 10_000, 120.0) == pytest.approx(0.25)
    fields = machine.rate_fields(3_000_000, 10_000.0, before=100.0, after=140.0)
    assert fields == pytest.approx(
        {
            "images_per_second": 10_000.0,
            "images_per_gflop": 10_000 / 120,
            "mfu": 0.25,
            "matmul_gflops": 120.0,
        }
    )


def test_training_operations_are_three_forward_passes_a_rollout():
    one = build_model(TINY, 10, (28, 28, 1))
    two = build_model(dataclasses.replace(TINY, num_rollouts=2), 10, (28, 28, 1))
    assert machine.training_operations(one) == 3 * forward_operations(one)
    assert machine.training_operations(two) == 6 * forward_operations(two)


SHORT = {"num_glimpses": 2}
MAPS = {"glimpse_network": "inception", **SHORT}
CONV = {"glimpse_network": "conv", **SHORT}
MODELS = {
    "fc": (Config(model="fc"), (28, 28, 1)),
    "conv": (Config(model="conv"), (60, 60, 1)),
    "fc + rnn": (Config(core="rnn", location_hidden_units=128), (28, 28, 1)),
    "fc + lstm": (Config(core="lstm", num_scales=2, **SHORT), (28, 28, 1)),
    "fc + none": (Config(core="none", **SHORT), (28, 28, 1)),
    "conv + rnn": (Config(core="rnn", **CONV), (28, 28, 1)),
    "conv + lstm": (Config(core="lstm", **CONV), (32, 32, 3)),
    "inception + rnn": (Config(core="rnn", **MAPS), (32, 32, 3)),
    "inception + lstm": (Config(core="lstm", **MAPS), (32, 32, 3)),
    "inception + conv_lstm": (
        Config(core="conv_lstm", patch_size=12, num_scales=3, **MAPS),
        (32, 32, 3),
    ),
}
PRODUCTS = ("MatMul", "BatchMatMulV2", "Conv2D", "Conv2DBackpropInput")


def profiled_operations(model, image_shape) -> int:
    """Returns the operations of the products that TensorFlow's profiler counts."""

    def forward(images):
        if not hasattr(model, "rollout"):
            return [model.logits(images)]
        rollout = model.rollout(images, tf.zeros([1, 2]))
        return [rollout.logits, rollout.means, rollout.baselines]

    spec = tf.TensorSpec([1, *image_shape], tf.float32)
    function = tf.compat.v1.wrap_function(forward, [spec])
    # Without what nobody asked for: the answers after the first glimpses.
    function = function.prune(function.inputs[:1], function.structured_outputs)
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(
        profiler.ProfileOptionBuilder.float_operation()
    )
    root = profiler.profile(
        function.graph, cmd="op", options=options.with_empty_output().build()
    )
    total, nodes = 0, [root]
    while nodes:
        node = nodes.pop()
        nodes += node.children
        total += node.float_ops if node.name in PRODUCTS else 0
    return total


@pytest.mark.parametrize("name", MODELS)
def test_forward_operations_agree_with_the_profiler(name):
    config, image_shape = MODELS[name]
    model = build_model(config, 10, image_shape)
    expected = profiled_operations(model, image_shape)
    assert expected > 10_000
    assert forward_operations(model) == pytest.approx(expected, rel=0.02)


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK),
    reason="this kernel keeps a process's peak for good",
)
def test_peak_mb_follows_an_allocation_and_starts_again():
    # In a process of its own: TensorFlow's threads of other tests allocate too.
    program = """
import numpy as np
from ram_tf.benchmarks import machine

machine.reset_peak()
before = machine.resident_mb()
block = np.ones([64, 2**20], np.uint8)
print(machine.peak_mb() - before)
del block
machine.reset_peak()
print(machine.peak_mb() - before)
"""
    words = [sys.executable, "-c", program]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    with_block, without = map(float, found.stdout.split())
    assert with_block >= 60
    assert without < 30


def test_pipeline_and_evaluation_are_measured():
    found = throughput.pipeline(TINY, QUICK)
    assert found["images_per_second"] > 0 and "mfu" not in found
    found = throughput.evaluation(TINY, QUICK)
    assert found["images_per_second"] > 0 and found["mfu"] > 0
    assert found["batch_size"] == 250 and found["jit_compile"] == "off"


def test_evaluation_is_in_parts_where_train_splits_the_batch(monkeypatch):
    # What use_cores would say where TensorFlow has not run yet.
    monkeypatch.setattr("ram_tf.runs.setup.use_cores", lambda config: 2)
    parts = []
    whole = RecurrentAttentionModel._rollout

    def noted(self, images, *rest):
        parts.append(images.shape[0])
        return whole(self, images, *rest)

    monkeypatch.setattr(RecurrentAttentionModel, "_rollout", noted)
    found = throughput.evaluation(TINY, QUICK)
    assert found["num_parts"] == 2
    assert parts == [125, 125]


def test_image_size_times_both_sides(monkeypatch):
    monkeypatch.setattr(image_size, "LARGE", 56)
    found = image_size.image_size(TINY, QUICK)
    assert found["sides"] == [28, 56]
    assert found["ratio"] == pytest.approx(found["p50_ms"] / found["small_p50_ms"])
    memory = image_size.image_memory(TINY, QUICK, side=1024)
    assert memory["image_mb"] == 1.0
    assert memory["beyond_image_mb"] == pytest.approx(memory["peak_mb"] - 1.0)
    curve = image_size.image_curve(TINY, QUICK, sides=(28, 56))
    assert len(curve["ram_ms"]) == len(curve["conv_ms"]) == 2


def test_command_prints_a_json_line_of_real_training(capsys):
    words = ["--quick", "--json", "--measure=training", *TINY_FLAGS]
    assert ram_tf.benchmark.main(words) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    figures = ("images_per_second", "images_per_gflop", "mfu", "matmul_gflops")
    assert all(line[name] > 0 for name in (*figures, "peak_mb"))
    assert line["compile_s"] >= 0
    model = build_model(TINY, 10, (28, 28, 1))
    assert line["mfu"] == pytest.approx(
        3
        * forward_operations(model)
        * line["images_per_second"]
        / (line["matmul_gflops"] * 1e9),
        rel=1e-4,
    )
    known = {"measure": "training", "model": "ram", "core": "rnn", "batch_size": 4}
    known |= {"jit_compile": "off", "precision": "float32", "quick": True}
    known |= {"jit_update": "off", "num_parts": 1}
    assert line.items() >= known.items()


@pytest.mark.parametrize("with_flagfile", [True, False])
def test_line_of_one_measurement_has_the_command_that_repeats_it(
    with_flagfile, monkeypatch, tmp_path, capsys
):
    seen = []

    def answer(measure, config, budget, **options):
        seen.append(config)
        return {}

    monkeypatch.setattr(ram_tf.benchmark, "run_fresh", answer)
    words = ["--json", "--measure=training", "--batch_size=4", "--seed=1"]
    expected = "python -m ram_tf.benchmark"
    if with_flagfile:
        flagfile = tmp_path / "my own.cfg"
        flagfile.write_text("--num_glimpses=3\n--seed=1\n")
        words.insert(0, f"--flagfile={flagfile}")
        # The seed is the flagfile's, so it need not be said again.
        expected += f" '--flagfile={flagfile}' --batch_size=4 --measure=training"
    else:
        expected += " --batch_size=4 --seed=1 --measure=training"
    assert ram_tf.benchmark.main([*words, "--data_dir=here"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["command"] == expected
    again = shlex.split(line["command"])[3:]
    assert ram_tf.benchmark.main(again) == 0
    first, second = (dataclasses.replace(config, data_dir="") for config in seen)
    assert first == second


@pytest.mark.slow
def test_command_measures_all_of_a_flagfile(capsys):
    assert ram_tf.benchmark.main(["--quick", "--json", *TINY_FLAGS]) == 0
    lines = list(map(json.loads, capsys.readouterr().out.splitlines()))
    found = {line["measure"]: line for line in lines}
    assert tuple(found) == ram_tf.benchmark.MEASURES
    latency = found["serving_latency"]
    assert latency["batch_size"] == 1
    assert 0 < latency["p50_ms"] <= latency["p99_ms"]
    assert found["serving_throughput"]["batch_size"] == 256
    assert found["serving_throughput"]["images_per_second"] > 0
    assert 0 < found["first_step"]["seconds"] < 300


def test_fresh_process_passes_a_fault_on():
    config = dataclasses.replace(TINY, dataset="folder:nowhere")
    with pytest.raises(RamError, match="ram_tf.train: .*nowhere"):
        run_fresh("first_step", config, QUICK)


@pytest.mark.faults
def test_stopped_measure_leaves_no_training_and_no_folder(tmp_path):
    words = ["-m", "ram_tf.benchmark", "--measure=first_step", *TINY_FLAGS]
    process = start(words, {"TMPDIR": str(tmp_path)})

    def trainings() -> list[str]:
        return [words for words in running() if f"--run_dir={tmp_path}" in words]

    while not trainings():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    status, errors = end(process)
    assert status == 128 + signal.SIGTERM, errors
    assert not trainings()
    assert list(tmp_path.iterdir()) == []


def running() -> list[str]:
    """Returns the command of every process."""
    commands = []
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # It may have ended.
            commands.append(file.read_bytes().replace(b"\0", b" ").decode())
    return commands


def test_command_goes_on_behind_a_failure_and_names_it(monkeypatch, capsys):
    def answer(measure, config, budget, **options):
        if measure == "training":
            raise RamError("no images")
        return {"images_per_second": 1 / 3}

    monkeypatch.setattr(ram_tf.benchmark, "run_fresh", answer)
    assert ram_tf.benchmark.main(["--json"]) == 1
    printed = capsys.readouterr()
    assert printed.err == "error: 1 measurements failed; training defaults: no images\n"
    lines = list(map(json.loads, printed.out.splitlines()))
    assert len(lines) == len(ram_tf.benchmark.MEASURES) - 1
    assert lines[0]["images_per_second"] == 0.333333


def test_suite_rows_are_the_stated_models():
    wanted = {
        RNN: dict(core="rnn", core_units=256, num_glimpses=6, patch_size=8),
        LSTM: dict(core="lstm", core_units=256, num_glimpses=6, patch_size=8),
        INCEPTION: dict(
            core="conv_lstm",
            core_units=24,
            glimpse_network="inception",
            glimpse_units=24,
            num_glimpses=4,
            patch_size=12,
            num_scales=3,
        ),
        CLUTTERED: dict(task="cluttered", canvas_size=60),
    }
    seen = set()
    for row in ROWS:
        assert row.measure in MEASURES
        config = row.config(EXPERIMENTS)
        seen.add((row.measure, row.experiment, config.batch_size))
        for name, value in wanted.get(row.experiment, {}).items():
            assert getattr(config, name) == value, (row, name)
        # One rollout per image: what MFU is defined for.
        assert config.num_rollouts == 1
    for experiment, batch_size in ((RNN, 20), (RNN, 128), (LSTM, 20), (LSTM, 512)):
        assert ("training", experiment, batch_size) in seen


def test_suite_measures_convolutional_models_as_they_train():
    as_trained = {
        (config.batch_size, config.precision)
        for row in ROWS
        if (row.measure, row.experiment) == ("training", INCEPTION)
        for config in [row.config(EXPERIMENTS)]
        if config.jit_compile == "auto"
    }
    assert as_trained == {
        (batch_size, precision)
        for batch_size in (20, 128)
        for precision in ("float32", "mixed_bfloat16")
    }


def test_suite_without_experiments_is_one_line(capsys):
    words = ["--suite=dense", "--experiments_dir=nowhere"]
    assert ram_tf.benchmark.main(words) == 1
    assert capsys.readouterr().err == (
        "error: --experiments_dir=nowhere: expected the flagfile mnih/mnist_6g.cfg in "
        "it, found none\n"
    )


def line_of(measure, experiment, batch_size, rate, mfu=0.5, precision="float32"):
    return {
        "measure": measure,
        "experiment": experiment,
        "batch_size": batch_size,
        "precision": precision,
        "images_per_second": rate,
        "mfu": mfu,
    }


LINES = [
    {
        "measure": "machine",
        "cores": 2,
        "processor": "a processor",
        "versions": {"tensorflow": "2.21.0"},
        "matmul_gflops": 190.4,
    },
    {
        **line_of("training", LSTM, 20, 9000.4),
        "command": "python -m ram_tf.benchmark --measure=training",
        "setting": "--batch_size=20",
    },
    {
        "measure": "image_curve",
        "experiment": RNN,
        "sides": [28, 2048],
        "ram_ms": [0.3, 0.3],
        "conv_ms": [0.2, 90.0],
    },
]


def test_lines_of_one_kind_have_a_table_together():
    help_line = {"measure": "train_help", "seconds": 0.08}
    latency = {"measure": "serving_latency", "experiment": RNN, "p50_ms": 0.7}
    first = {"measure": "first_step", "experiment": RNN, "seconds": 11.0, "setting": ""}
    text = markdown({"mine": [help_line, LINES[1], first, latency]})
    # A setting that no row of a table has is no column of it.
    tables = [table for table in text.split("\n\n") if table.startswith("|")]
    assert tables[0].splitlines() == [
        "| Measure | Experiment | Seconds |",
        "| --- | --- | --- |",
        "| train_help |  | 0.08 |",
        f"| first_step | {RNN} | 11.00 |",
    ]
    assert tables[1].startswith("| Measure | Experiment | Setting | Images/s | MFU |")
    assert tables[2].startswith("| Measure | Experiment | p50 ms |")
    assert len(tables) == 3


def test_markdown_has_one_table_a_machine_and_the_command_that_made_it():
    stale = {"measure": "comparison", "name": "of an earlier version", "value": 1.0}
    text = markdown({"some_machine": [*LINES, stale], "bare": LINES[1:2]})
    assert (
        "2 cores of a processor; tensorflow 2.21.0." in text and "190 GFLOP/s" in text
    )
    rows = text.splitlines()
    assert (
        rows.count("| training | " + LSTM + " | --batch_size=20 | 9,000 | 0.500 |") == 2
    )
    assert rows.count("| Measure | Experiment | Setting | Images/s | MFU |") == 2
    assert "earlier version" not in text
    command = "python -m ram_tf.benchmark --suite=all --json > docs/performance/"
    assert [row for row in rows if row.startswith(command)] == [
        f"{command}some_machine.jsonl",
        f"{command}bare.jsonl",
    ]


def test_plot_of_time_against_side_has_plain_numbers():
    pytest.importorskip("matplotlib")
    (axes,) = page.plot(LINES[-1], "a processor").axes
    said = {tick.get_text() for tick in axes.get_yticklabels()}
    assert {"1", "10", "50"} <= said
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["28", "2048"]


@pytest.fixture
def pages(tmp_path):
    """Writes runs and a page; calls the command on them."""

    class Pages:
        page, figure = tmp_path / "page.md", tmp_path / "figure.png"

        def add(self, name, lines):
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (tmp_path / f"{name}.jsonl").write_text(text)

        def write(self):
            words = {"runs_dir": tmp_path, "page": self.page, "figure": self.figure}
            assert page.main([f"--{key}={value}" for key, value in words.items()]) == 0
            return self.page.read_text()

    Pages.page.write_text(f"head\n{BEGIN}\nold\n{END}\ntail\n")
    return Pages()


def test_page_command_replaces_what_stands_between_the_marks(pages, capsys):
    pages.add("b", LINES)
    pages.add("a", LINES[:2])
    text = pages.write()
    figures = markdown({"a": LINES[:2], "b": LINES})
    assert text == f"head\n{BEGIN}\n\n{figures}\n\n{END}\ntail\n"
    assert pages.figure.read_bytes().startswith(b"\x89PNG")
    assert pages.write() == text
    capsys.readouterr()


def test_page_of_the_docs_has_the_figures_of_its_runs(tmp_path, capsys):
    docs = pathlib.Path(ROOT) / "docs"
    written = tmp_path / "page"
    written.write_text((docs / "performance.md").read_text())
    words = [f"--runs_dir={docs / 'performance'}", f"--page={written}", "--figure="]
    assert page.main(words) == 0
    assert written.read_text() == (docs / "performance.md").read_text()
    capsys.readouterr()


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "expected *.jsonl of ram_tf.benchmark, found none"),
        (
            b"\xff\n",
            "run.jsonl: expected output of ram_tf.benchmark, found: ",
        ),
        (b"nonsense\n", "run.jsonl:1: expected a line of ram_tf.benchmark --json"),
        (
            b'{"measure": "training", "quick": true}\n',
            "run.jsonl:1: expected measured figures",
        ),
    ],
)
def test_page_command_refuses_what_was_not_measured(tmp_path, capsys, content, message):
    if content is not None:
        (tmp_path / "run.jsonl").write_bytes(content)
    assert page.main([f"--runs_dir={tmp_path}", "--page=nowhere"]) == 1
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


def test_page_command_needs_both_marks(pages, capsys):
    pages.add("a", LINES[:2])
    pages.page.write_text("a page without")
    words = [f"--runs_dir={pages.page.parent}", f"--page={pages.page}"]
    assert page.main(words) == 1
    said = f"--page={pages.page}: expected the marks {BEGIN} and {END}"
    assert said in capsys.readouterr().err
