"""Tests of the command sweep: what is trained, ranked, named, and stopped."""

import csv
import io
import json
import signal
import subprocess
import sys
import time

import pytest
from helpers.processes import ROOT
from helpers.stand_in import calls_of, put_in_place, stopped
from PIL import Image

from ram_tf.runtime.cpu_affinity import core_shares
from ram_tf.sweep import main
from ram_tf.sweeps.figure import draw_sweep
from ram_tf.sweeps.grid import read_grid
from ram_tf.sweeps.ranking import Ranked, markdown, rank, table_csv
from ram_tf.sweeps.runs import runs_of

GRID = "--grid=learning_rate=1e-3,3e-3 fc_units=4,8"
NAMES = [f"learning_rate={r} fc_units={u}" for r in (0.001, 0.003) for u in (4, 8)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    put_in_place(tmp_path, monkeypatch)
    (tmp_path / "small.cfg").write_text("--model=fc\n--train_steps=20\n")
    return tmp_path


def flags_of(folder, *flags):
    return [f"--flagfile={folder / 'small.cfg'}", f"--out_dir={folder / 'out'}", *flags]


def test_trains_every_combination_and_seed(folder, capsys):
    assert main(flags_of(folder, GRID, "--seeds=0,1", "--data_dir=there")) == 0
    assert calls_of(folder) == [f"{name} {k} there" for k in (0, 1) for name in NAMES]
    run = folder / "out/runs/learning_rate=0.003,fc_units=8/seed1/results.json"
    config = json.loads(run.read_text())["config"]
    expected = {"learning_rate": 0.003, "fc_units": 8, "seed": 1, "train_steps": 20}
    assert {name: config[name] for name in expected} == expected
    shown = capsys.readouterr().out
    assert "4 combinations x 2 seeds" in shown
    assert (folder / "out/sweep.md").read_text() in shown
    rows = list(csv.DictReader(io.StringIO((folder / "out/sweep.csv").read_text())))
    assert len(rows) == 4
    assert {row["validation_accuracy_mean"] for row in rows} == {"0.5"}
    with Image.open(folder / "out/sweep.png") as picture:
        assert picture.width > 600


def test_finished_runs_are_not_trained_again(folder, capsys):
    assert main(flags_of(folder, "--grid=learning_rate=1e-3")) == 0
    assert main(flags_of(folder, "--grid=learning_rate=1e-3,3e-3")) == 0
    assert calls_of(folder) == ["learning_rate=0.001 0 ", "learning_rate=0.003 0 "]
    assert "validation 50.00 %, finished before" in capsys.readouterr().out


def test_runs_at_a_time_share_the_cores(folder):
    assert main(flags_of(folder, GRID, "--jobs=2")) == 0
    shares = [json.loads(file.read_text()) for file in folder.rglob("cores.json")]
    assert len(shares) == 4
    assert all(share in core_shares(2) for share in shares)


def test_failed_run_is_named_and_does_not_stop_the_others(folder, monkeypatch, capfd):
    monkeypatch.setenv("FAIL", NAMES[0])
    assert main(flags_of(folder, GRID)) == 1
    assert len(calls_of(folder)) == 4
    why = "--data_dir: expected mnist, found none"
    shown = capfd.readouterr()
    error = shown.err.splitlines()[-1]
    assert error == f"error: 1 of 4 runs failed: {NAMES[0]} seed 0: {why}"
    lines = (folder / "out/sweep.md").read_text().splitlines()
    assert lines[-1] == f"| 0.001 | 4 | - | - | 0 of 1; seed 0: {why} |"
    monkeypatch.delenv("FAIL")
    assert main(flags_of(folder, GRID)) == 0
    assert len(calls_of(folder)) == 5
    assert why not in (folder / "out/sweep.md").read_text()


def test_changed_flagfile_is_no_result_of_the_sweep(folder, capsys):
    grid = "--grid=learning_rate=1e-3"
    assert main(flags_of(folder, grid)) == 0
    run = folder / "out/runs/learning_rate=0.001/seed0"
    results = json.loads((run / "results.json").read_text())
    (run / "config.json").write_text(json.dumps(results["config"]))
    assert main(flags_of(folder, grid, "--batch_size=7")) == 1
    error = capsys.readouterr().err
    assert "batch_size=128 (now 7); move this folder away" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--grid=learning_rat=1"], "--grid: learning_rat: unknown field"),
        (
            ["--grid=model=fc,ram core=rnn,conv_lstm"],
            "--grid, model=ram core=conv_lstm:",
        ),
        ([GRID, "--seeds=0,0"], "--seeds=0,0: expected every seed once"),
        ([GRID, "--out_dir="], "--out_dir is required"),
        ([], "--grid is required"),
    ],
)
def test_wrong_flag_is_a_line_before_anything_trains(flags, message, folder, capsys):
    assert main(flags_of(folder, *flags)) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}") and error.count("\n") == 1
    assert calls_of(folder) == [] and not (folder / "out").exists()


def test_without_matplotlib_the_table_is_there(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(flags_of(folder, GRID)) == 0
    assert capsys.readouterr().err == (
        "no sweep.png: matplotlib is not installed: pip install 'ram-tf[figures]'\n"
    )
    assert (folder / "out/sweep.md").exists()
    assert not (folder / "out/sweep.png").exists()


def test_signal_stops_the_runs_and_the_same_command_goes_on(folder):
    status, error = stopped(
        "sweep", flags_of(folder, GRID), folder, NAMES[1], signal.SIGTERM
    )
    assert status == 128 + signal.SIGTERM
    said = "3 of 4 runs to go; the same command continues"
    assert error.splitlines()[-1] == f"stopped by signal 15, {said}"
    assert main(flags_of(folder, GRID)) == 0
    assert [call.split(" 0 ")[0] for call in calls_of(folder)] == [
        *NAMES[:2],
        *NAMES[1:],
    ]


def ranked(value, accuracies, errors=None):
    (combination,) = read_grid(f"fc_units={value}")
    return Ranked(combination, accuracies, errors or {})


def test_mean_and_deviation_are_over_seeds():
    found = ranked(4, {0: 0.9, 1: 0.92, 2: 0.97})
    assert found.mean == pytest.approx(0.93)
    assert found.stddev == pytest.approx(0.036055512754639896)
    assert ranked(4, {0: 0.9}).stddev is None
    assert ranked(4, {}, {0: "x"}).mean is None


def test_best_mean_is_first_and_missing_seeds_are_last(tmp_path):
    accuracies = {
        2: (0.8, 0.9),
        4: (0.5, 0.6),
        8: (0.9, None),
        16: (0.7, 0.6),
        32: (None, None),
    }
    grid = read_grid("fc_units=2,4,8,16,32")
    runs = runs_of(grid, [0, 1], tmp_path, {"model": "fc"})
    errors = {}
    for run in runs:
        accuracy = accuracies[run.combination.values["fc_units"]][run.seed]
        if accuracy is None:
            errors[run.name] = "a | b"
        known = ["warning: x"] if run.name == "fc_units=2 seed 1" else []
        results = {"validation_accuracy": accuracy, "warnings": known}
        object.__setattr__(run, "results", lambda value=results: value)
    ranking = rank(runs, errors)
    order = [found.combination.values["fc_units"] for found in ranking]
    # What was trained on images of validation is not the best, however good.
    assert order == [16, 4, 2, 8, 32]
    assert markdown(ranking).splitlines()[2:] == [
        "| 16 | 65.00 | 7.07 | 2 of 2 |",
        "| 4 | 55.00 | 7.07 | 2 of 2 |",
        "| 2 | 85.00 | 7.07 | 2 of 2; seed 1: warning: x |",
        "| 8 | 90.00 | - | 1 of 2; seed 1: a \\| b |",
        "| 32 | - | - | 0 of 2; seed 0: a \\| b; seed 1: a \\| b |",
    ]
    rows = list(csv.DictReader(io.StringIO(table_csv(ranking))))
    assert rows[3]["validation_accuracy_seed0"] == "0.9"
    assert rows[3]["validation_accuracy_seed1"] == ""
    assert rows[4]["errors"] == "seed 0: a | b; seed 1: a | b"
    assert [row["warnings"] for row in rows] == ["", "", "seed 1: warning: x", "", ""]


def test_figure_shows_the_ranking_and_a_chart_a_setting():
    pairs = read_grid("fc_units=4,8 learning_rate=1e-3,1e-2,1e-1 model=fc")
    values = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    ranking = [
        Ranked(pair, {0: value, 1: value + 0.02}, {})
        for pair, value in zip(pairs, values, strict=True)
    ]
    lines, *charts = draw_sweep(ranking, "Sweep").axes
    assert len(lines.get_yticks()) == 6
    # Not of the model, which has one value.
    assert [chart.get_title(loc="left") for chart in charts] == [
        "fc_units",
        "learning_rate",
    ]
    best = next(line for line in charts[0].lines if line.get_label() == "best")
    assert list(best.get_ydata()) == pytest.approx([91, 61])
    ticks = [tick.get_text() for tick in charts[1].get_xticklabels()]
    assert ticks == ["0.001", "0.01", "0.1"]


def test_many_values_stand_aslant_below_a_chart():
    pairs = read_grid("learning_rate=1e-4,2e-4,5e-4,1e-3,2e-3,5e-3,1e-2 fc_units=4,8")
    ranking = [Ranked(pair, {0: 0.9}, {}) for pair in pairs]
    _, many, few = draw_sweep(ranking, "Sweep").axes
    assert {tick.get_rotation() for tick in many.get_xticklabels()} == {30}
    assert {tick.get_rotation() for tick in few.get_xticklabels()} == {0}


def test_figure_marks_what_stands_against_a_mean_and_joins_the_others():
    pairs = read_grid("fc_units=2,4 learning_rate=1e-3,1e-2")
    accuracies = [{0: 0.5, 1: 0.5}, {0: 0.9, 1: 0.9}, {0: 0.8}, {0: 0.7, 1: 0.7}]
    errors = [{}, {}, {1: "a fault"}, {}]
    warnings = [{}, {0: "trained on images of validation"}, {}, {0: "likewise"}]
    ranking = list(map(Ranked, pairs, accuracies, errors, warnings))
    lines, chart, _ = draw_sweep(ranking, "Sweep").axes
    said = [text.get_text() for text in lines.texts]
    assert said == ["50.00 %", "90.00 % †", "80.00 % *", "70.00 % †"]
    title = lines.get_title(loc="right")
    assert title == "† a warning, see sweep.md, * not all seeds"
    best = next(line for line in chart.lines if line.get_label() == "best")
    # With 4 units there are none without a sign.
    assert list(best.get_ydata()) == pytest.approx([50, 80])


def test_long_values_show_their_end_below_a_chart():
    pairs = read_grid("dataset=folder:/home/someone/images/first,folder:/home/b")
    ranking = [Ranked(pair, {0: 0.9}, {}) for pair in pairs]
    _, chart = draw_sweep(ranking, "Sweep").axes
    ticks = [tick.get_text() for tick in chart.get_xticklabels()]
    assert sorted(ticks) == ["folder:/home/b", "…omeone/images/first"]
    pairs = read_grid("initial_weights=,preset:demo")
    _, chart = draw_sweep([Ranked(pair, {0: 0.9}, {}) for pair in pairs], "Sweep").axes
    assert chart.get_xticklabels()[0].get_text() == "(empty)"


@pytest.mark.slow
def test_real_sweep_is_stopped_and_ends_as_if_it_never_was(tmp_path):
    """Two combinations of digits, one seed, killed inside the first."""
    flags = [
        "--model=fc",
        "--fc_units=8",
        "--validation_size=200",
        "--train_steps=4000",
        "--batch_size=16",
        "--eval_every=1000",
        "--checkpoint_every=100",
        "--grid=learning_rate=1e-3,1e-2",
    ]

    def start(out):
        words = [sys.executable, "-m", "ram_tf.sweep", *flags, f"--out_dir={out}"]
        return subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )

    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    process = start(stopped)
    run = stopped / "runs/learning_rate=0.001/seed0"
    while not list(run.glob("checkpoints/step_*")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate()
    assert process.returncode == 143, error
    assert not (run / "results.json").exists()
    for out in (stopped, whole):
        process = start(out)
        shown, error = process.communicate()
        assert process.returncode == 0, error
        assert "best: learning_rate=" in shown
        assert (out / "sweep.png").exists()
    assert (stopped / "sweep.csv").read_text() == (whole / "sweep.csv").read_text()
    row = next(csv.DictReader(io.StringIO((whole / "sweep.csv").read_text())))
    assert float(row["validation_accuracy_mean"]) > 0.5
