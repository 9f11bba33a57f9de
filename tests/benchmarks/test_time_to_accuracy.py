"""The time to an accuracy is that of the first evaluation that lasts, by the clock."""

import contextlib
import json
import pathlib
import shutil
import signal
import subprocess

import pytest
from helpers.processes import ROOT

import ram_tf.benchmark
from ram_tf.benchmarks import page, startup
from ram_tf.benchmarks.time_to_accuracy import (
    TARGETS,
    Evaluation,
    first_lasting,
    of_results,
    summarise,
)
from ram_tf.errors import RamError
from ram_tf.runs.curves import read_curve

_POPEN = subprocess.Popen


def run_of(*accuracies: float, pace: float = 2.0) -> list[Evaluation]:
    """Returns evaluations every 10 steps, `pace` seconds a step."""
    steps = [10 * (i + 1) for i in range(len(accuracies))]
    return [
        Evaluation(step, accuracy, pace * step)
        for step, accuracy in zip(steps, accuracies, strict=True)
    ]


@pytest.mark.parametrize(
    ("accuracies", "step"),
    [
        ((0.5, 0.9, 0.95), 20),
        ((0.9, 0.9, 0.9), 10),
        # It fell below afterwards: the first time does not count.
        ((0.5, 0.95, 0.89, 0.92), 40),
        ((0.95, 0.95, 0.89), None),
        ((0.5, 0.6), None),
    ],
)
def test_first_lasting_is_the_first_that_no_later_one_falls_below(accuracies, step):
    found = first_lasting(run_of(*accuracies), 0.9)
    assert (found and found.step) == step


def test_summarise_takes_the_median_seed():
    slow, fast = run_of(0.1, 0.2, 0.95), run_of(0.95, 0.92, 0.91)
    middle, never = run_of(0.1, 0.93, 0.93), run_of(0.1, 0.2, 0.89)
    found = summarise([slow, fast, middle], 0.9)
    assert found == {
        "target_percent": 90.0,
        "best_percent": 95.0,
        "reached": "3 of 3",
        "seconds": 40.0,
        "steps": 20,
    }
    # A seed that never gets there takes for ever, and may be the median.
    found = summarise([never, fast, slow], 0.9)
    assert (found["reached"], found["seconds"]) == ("2 of 3", 60.0)
    found = summarise([never, fast, never], 0.9)
    assert found["reached"] == "1 of 3" and "seconds" not in found


def copy_result(folder: pathlib.Path, seed: int, accuracies: list[float]) -> None:
    """Writes a result of 30 steps in 60 s, with this curve."""
    folder.mkdir(parents=True, exist_ok=True)
    source = next((pathlib.Path(ROOT) / "results").glob("*/*/seed0.json"))
    results = json.loads(source.read_text())
    results |= {"wall_seconds": 60.0, "train_steps": 30}
    (folder / f"seed{seed}.json").write_text(json.dumps(results))
    rows = [f"{10 * (i + 1)},0.5,{value}" for i, value in enumerate(accuracies)]
    text = "\n".join(["step,accuracy,validation_accuracy", *rows, ""])
    (folder / f"seed{seed}.curve.csv").write_text(text)


def test_from_results_shares_the_seconds_out_by_steps(tmp_path, capsys):
    copy_result(tmp_path / "demo", 0, [0.5, 0.985, 0.99])
    copy_result(tmp_path / "demo", 1, [0.99, 0.99, 0.99])
    copy_result(tmp_path / "demo", 2, [0.5, 0.6, 0.985])
    words = ["--suite=time_to_accuracy", "--from_results", "--json"]
    assert ram_tf.benchmark.main([*words, f"--results_dir={tmp_path}"]) == 0
    printed = capsys.readouterr()
    (line,) = map(json.loads, printed.out.splitlines())
    assert line["experiment"] == "demo" and line["reached"] == "3 of 3"
    assert (line["seconds"], line["steps"]) == (40.0, 20)
    skipped = [row for row in printed.err.splitlines() if row.startswith("skipped ")]
    assert len(skipped) == len(TARGETS) - 1
    (tmp_path / "pages").mkdir()
    kept = tmp_path / "pages" / "run.jsonl"
    kept.write_text(printed.out)
    with pytest.raises(RamError, match="expected measured figures"):
        page.read_lines(kept)


def test_from_results_reads_the_committed_curves():
    folder = pathlib.Path(ROOT) / "results" / "best" / "cluttered60_8g"
    found = of_results(folder, 0.9)
    curve = read_curve(folder / "seed0.curve.csv")
    assert found["steps"] in curve.steps and found["seconds"] > 0


def test_from_results_needs_the_suite_and_a_whole_curve(tmp_path, capsys):
    assert ram_tf.benchmark.main(["--from_results"]) == 1
    assert (
        "--from_results: expected --suite=time_to_accuracy" in capsys.readouterr().err
    )
    copy_result(tmp_path / "demo", 0, [0.5])
    (tmp_path / "demo" / "seed0.curve.csv").write_text("step\n1\n")
    words = ["--suite=time_to_accuracy", "--from_results", f"--results_dir={tmp_path}"]
    assert ram_tf.benchmark.main(words) == 1
    assert "expected columns step, accuracy and validation" in capsys.readouterr().err


def stand_in(monkeypatch, program: str) -> list[subprocess.Popen]:
    """Makes `train_process` run a program instead, with --run_dir as RUN.

    Returns a list to which the processes are added.
    """
    processes = []

    def popen(words, **options):
        (run_dir,) = (w.split("=", 1)[1] for w in words if w.startswith("--run_dir="))
        text = f"import pathlib, time, sys; RUN = pathlib.Path({run_dir!r})\n{program}"
        processes.append(_POPEN([words[0], "-c", text], **options))
        return processes[-1]

    monkeypatch.setattr(startup.subprocess, "Popen", popen)
    return processes


LEARNS = """
RUN.mkdir()
(RUN / "config.json").write_text("{}")
head = "step,accuracy,validation_accuracy\\n"
for step, accuracy in ((2, 0.5), (4, 0.9)):
    head += f"{step},0.5,{accuracy}\\n"
    (RUN / "part").write_text(head)
    (RUN / "part").rename(RUN / "curve.csv")
    time.sleep(0.5)
time.sleep(60)  # As if it read test.
"""
WORDS = ["--measure=time_to_accuracy", "--train_steps=4", "--eval_every=2", "--json"]


def test_command_watches_three_seeds_and_stops_them_before_test(monkeypatch, capsys):
    stand_in(monkeypatch, LEARNS)
    assert ram_tf.benchmark.main([*WORDS, "--target=0.9", "--seed=5"]) == 0
    printed = capsys.readouterr()
    (line,) = map(json.loads, printed.out.splitlines())
    assert (line["reached"], line["steps"]) == ("3 of 3", 4)
    assert len(line["seconds_each"]) == 3
    assert line["seconds"] == sorted(line["seconds_each"])[1]
    assert all(0.5 < seconds < 60 for seconds in line["seconds_each"])
    assert [row.split(":")[0] for row in printed.err.splitlines()] == [
        f"defaults, seed {seed}" for seed in (5, 6, 7)
    ]


def test_suite_skips_what_has_no_data_and_a_command_names_it(monkeypatch, capsys):
    stand_in(monkeypatch, "print('error: no data', file=sys.stderr); sys.exit(1)")
    assert ram_tf.benchmark.main(WORDS) == 1
    line = "error: 1 measurements failed; time_to_accuracy defaults: no data\n"
    assert capsys.readouterr() == ("", line)
    monkeypatch.setattr(ram_tf.benchmark, "run_fresh", lambda *given: {"cores": 2})
    words = ["--suite=time_to_accuracy", f"--experiments_dir={ROOT}/experiments"]
    assert ram_tf.benchmark.main(words) == 0
    said = [f"skipped {experiment}: no data" for experiment in TARGETS]
    assert capsys.readouterr().err.splitlines() == said


def test_command_names_a_training_that_fails(monkeypatch, capsys):
    begun = "RUN.mkdir(); (RUN / 'config.json').write_text('{}')\n"
    stand_in(monkeypatch, begun + "print('error: NaN', file=sys.stderr); sys.exit(1)")
    assert ram_tf.benchmark.main(WORDS) == 1
    assert "expected a training, found: NaN" in capsys.readouterr().err


def test_a_benchmark_that_is_stopped_stops_its_training(monkeypatch, capsys):
    stop = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"
    processes = stand_in(monkeypatch, stop)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            ram_tf.benchmark.main(WORDS)
    finally:
        # A command ignores a second SIGTERM; the tests after this one must not.
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
    assert [process.poll() for process in processes] == [-signal.SIGTERM]
    assert capsys.readouterr().err == "stopped by signal 15\n"


def test_suite_skips_a_recipe_that_is_not_there(monkeypatch, capsys, tmp_path):
    shutil.copytree(pathlib.Path(ROOT) / "experiments", tmp_path, dirs_exist_ok=True)
    for name in TARGETS.keys() - {"demo"}:
        (tmp_path / f"{name}.cfg").unlink(missing_ok=True)
    monkeypatch.setattr(ram_tf.benchmark, "run_fresh", lambda *given: {"cores": 2})
    monkeypatch.setattr(
        ram_tf.benchmark,
        "time_to_accuracy",
        lambda config, budget, target, report: {"target_percent": 100 * target},
    )
    words = ["--suite=time_to_accuracy", "--json", f"--experiments_dir={tmp_path}"]
    assert ram_tf.benchmark.main(words) == 0
    printed = capsys.readouterr()
    lines = list(map(json.loads, printed.out.splitlines()))
    assert [line["measure"] for line in lines] == ["machine", "time_to_accuracy"]
    assert lines[1]["experiment"] == "demo" and lines[1]["target_percent"] == 98
    assert printed.err.count("skipped best/") == len(TARGETS) - 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--suite=dense", "--batch_size=512"], "--batch_size: not with --suite, "),
        (["--suite=dense", "--measure=training"], "--measure: not with --suite, whose"),
        ([*WORDS, "--target=98"], "--target=98: expected a fraction of at most 1, su"),
    ],
)
def test_flags_that_would_be_passed_over_are_refused(words, said, capsys):
    assert ram_tf.benchmark.main(words) == 1
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_lines_of_other_data_say_so_and_the_page_refuses_them(monkeypatch, tmp_path):
    monkeypatch.setattr(ram_tf.benchmark, "measure", lambda *given: {"measure": "x"})
    words = ["--suite=time_to_accuracy", f"--experiments_dir={ROOT}/experiments"]
    out = tmp_path / "mine.jsonl"
    with out.open("w") as file, contextlib.redirect_stdout(file):
        words += ["--json", "--dataset=mnist_sample"]
        assert ram_tf.benchmark.main(words) == 0
    assert json.loads(out.read_text().splitlines()[0])["dataset"] == "mnist_sample"
    with pytest.raises(RamError, match="measured figures, found a --dataset run"):
        page.read_lines(out)


def test_suite_trains_no_longer_than_its_targets_need(monkeypatch, capsys):
    trained = {}

    def watch(config, budget, target, report):
        trained[config.experiment] = (target, config.train_steps, config.decay_steps)
        return {}

    monkeypatch.setattr(ram_tf.benchmark, "run_fresh", lambda *given: {})
    monkeypatch.setattr(ram_tf.benchmark, "time_to_accuracy", watch)
    words = ["--suite=time_to_accuracy", f"--experiments_dir={ROOT}/experiments"]
    assert ram_tf.benchmark.main(words) == 0
    assert trained.keys() == TARGETS.keys()
    # The cosine ends with the training.
    assert trained["demo"] == (0.98, 8000, 8000)
    assert trained["best/mnist_6g"] == (0.989, 25000, 25000)
    assert trained["best/cluttered60_8g"] == (0.95, 25000, 25000)
    assert capsys.readouterr().err == ""


def test_page_has_a_table_of_times_with_its_own_command():
    line = {"measure": "time_to_accuracy", "experiment": "demo"}
    line |= summarise([run_of(0.5, 0.99)], 0.98)
    text = page.markdown({"mine_time_to_accuracy": [line]})
    assert "--suite=time_to_accuracy --json > docs/performance/mine_time" in text
    assert "| time_to_accuracy | demo | 98 | 1 of 1 | 40.00 | 20 | 99.00 |" in text


@pytest.mark.slow
def test_train_command_is_timed_for_real(capsys):
    words = ["--quick", "--json", "--measure=time_to_accuracy", "--target=0"]
    words += ["--dataset=mnist_sample", "--glimpse_units=8", "--core_units=8"]
    words += ["--core=rnn", "--num_glimpses=2", "--jit_compile=off", "--batch_size=4"]
    assert ram_tf.benchmark.main(words) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    # Its very first evaluation reaches 0.
    assert (line["reached"], line["steps"]) == ("1 of 1", 1)
    assert 0 < line["seconds"] < 600 and 0 < line["best_percent"] <= 100
