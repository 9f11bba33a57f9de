"""Making results current: what is trained, filed, named, and stopped."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import types

import pytest
from helpers.result_files import write_experiments, write_result
from helpers.stand_in import calls_of, put_in_place, stopped

from ram_tf.reproduce import main
from ram_tf.runs.directory import RunDirectory
from ram_tf.runtime.cpu_affinity import core_shares
from ram_tf.tables.catalogue import find_experiments
from ram_tf.tables.collect import collect
from ram_tf.tables.reproduction import Reproduction

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_experiments(tmp_path)
    put_in_place(tmp_path, monkeypatch)
    return tmp_path


def flags_of(folder, *flags):
    places = {"experiments_dir": "experiments", "results_dir": "results"}
    places["runs_dir"] = "runs"
    return [*(f"--{name}={folder / place}" for name, place in places.items()), *flags]


def test_trains_every_row_and_seed_and_files_its_results(folder, capsys):
    flags = flags_of(folder, "--tables=table1", "--seeds=0,1", "--data_dir=there")
    assert main(flags) == 0
    rows = ["table1/ram", "table1/fc", "table1/extra"]
    assert calls_of(folder) == [f"{row} {k} there" for k in (0, 1) for row in rows]
    for row in rows:
        for name in ("seed0.json", "seed0.curve.csv", "seed1.examples.npz"):
            assert (folder / "results" / row / name).exists()
        run = json.loads((folder / "runs" / row / "seed1" / "results.json").read_text())
        filed = json.loads((folder / "results" / row / "seed1.json").read_text())
        assert filed == run
    shown = capsys.readouterr().out
    assert "| `ram` | RAM, 6 glimpses | 93.79 | 50.00 ± 0.00 |" in shown
    assert "| not run yet |" in (folder / "results" / "tables.md").read_text()


def test_current_results_are_not_trained_again(folder, capsys):
    write_result(folder / "experiments", folder / "results", "table1/fc", 0, 0.9)
    assert main(flags_of(folder, "--experiments=table1/fc,table1/ram")) == 0
    assert calls_of(folder) == ["table1/ram 0 "]
    assert "[1/2] table1/fc seed 0: 90.00 %, finished before" in capsys.readouterr().out


def test_other_rows_and_seeds_of_the_table_are_shown_and_not_asked_for(folder, capsys):
    for seed in (0, 1):
        for row, accuracy in (("fc", 0.9), ("ram", 0.8)):
            if (row, seed) != ("ram", 1):
                args = (folder / "experiments", folder / "results", f"table1/{row}")
                write_result(*args, seed, accuracy + 0.01 * seed)
    assert main(flags_of(folder, "--experiments=table1/fc", "--seeds=0,1")) == 0
    shown = capsys.readouterr().out
    assert "90.50 ± 0.71" in shown and "80.00" in shown and "missing" not in shown
    # One seed is asked for, and the row's mean is still that of both.
    assert main(flags_of(folder, "--experiments=table1/fc", "--seeds=0")) == 0
    assert "90.50 ± 0.71" in capsys.readouterr().out


def test_a_row_without_news_costs_less_than_a_second(tmp_path):
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    shutil.copytree(ROOT / "results" / "table1", tmp_path / "results" / "table1")
    places = flags_of(tmp_path, "--tables=table1")
    # Of a core's time: the machine may be busy.
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "ram_tf.reproduce", *places],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    after = os.times()
    seconds = after.children_user - before.children_user
    seconds += after.children_system - before.children_system
    rows = done.stdout.count(" %, finished before\n")
    assert rows >= 7 and " seed 0: training" not in done.stdout
    assert seconds < rows


def test_changed_flagfile_is_trained_again(folder):
    write_result(folder / "experiments", folder / "results", "table1/fc", 0, 0.9)
    flagfile = folder / "experiments" / "table1" / "fc.cfg"
    flagfile.write_text(flagfile.read_text() + "--learning_rate=0.5\n")
    assert main(flags_of(folder, "--experiments=table1/fc")) == 0
    assert calls_of(folder) == ["table1/fc 0 "]


def test_failed_run_is_named_and_does_not_stop_the_others(folder, monkeypatch, capfd):
    monkeypatch.setenv("FAIL", "table1/ram")
    assert main(flags_of(folder, "--tables=table1,text")) == 1
    assert len(calls_of(folder)) == 4
    shown = capfd.readouterr()
    error = shown.err.splitlines()[-1]
    assert error == "error: 1 of 4 runs failed: table1/ram seed 0"
    assert "ram seed 0: failed, --data_dir: expected mnist, found none" in shown.out
    assert "| `ram` | RAM, 6 glimpses | 93.79 | seed 0 failed |" in shown.out
    assert "| `fc` | FC | 97.20 | 50.00 |" in shown.out

    monkeypatch.delenv("FAIL")
    assert main(flags_of(folder, "--tables=table1,text")) == 0
    assert len(calls_of(folder)) == 5
    assert not list(folder.rglob("*.failed"))


def test_quick_budget_never_overwrites_a_real_result(folder, capsys):
    write_result(folder / "experiments", folder / "results", "table1/fc", 0, 0.9)
    before = (folder / "results/table1/fc/seed0.json").read_bytes()
    assert main(flags_of(folder, "--experiments=table1/fc", "--quick")) == 1
    assert "expected a folder without real results" in capsys.readouterr().err
    assert (folder / "results/table1/fc/seed0.json").read_bytes() == before
    assert not calls_of(folder)


def test_quick_budget_keeps_away_from_results_of_other_rows_and_seeds(folder, capsys):
    write_result(folder / "experiments", folder / "results", "table1/fc", 0, 0.9)
    for words in (["--experiments=table1/fc", "--seeds=7"], ["--tables=text"]):
        assert main(flags_of(folder, *words, "--quick")) == 1
        assert "expected a folder without real results" in capsys.readouterr().err
    assert not calls_of(folder)


def test_quick_budget_is_stamped(folder, capsys):
    assert main(flags_of(folder, "--experiments=table1/fc", "--quick")) == 0
    assert "## QUICK, a tiny budget, no results: Table 1" in capsys.readouterr().out
    filed = json.loads((folder / "results/table1/fc/seed0.json").read_text())
    assert filed["train_steps"] == 200


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "--tables or --experiments is required"),
        (
            ["--tables=table1", "--seeds="],
            "--seeds is empty: at least one",
        ),
        (["--experiments=table1/fd"], "--experiments=table1/fd: expected a flagfile"),
        (["--tables=table1", "--seeds=-1"], "--seeds=-1: expected integers"),
    ],
)
def test_wrong_flag_is_a_line_that_names_it(flags, message, folder, capsys):
    assert main(flags_of(folder, *flags)) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}") and error.count("\n") == 1


def test_two_trainings_at_a_time_make_the_same_results(folder):
    flags = ["--tables=table1,text", "--jobs=2", "--seeds=0,1"]
    assert main(flags_of(folder, *flags)) == 0
    assert len(calls_of(folder)) == 8
    tables = collect(folder / "experiments", folder / "results", seeds=[0, 1])
    assert all(row.status == "complete" for table in tables for row in table.rows)
    shares = [json.loads(file.read_text()) for file in folder.rglob("cores.json")]
    assert len(shares) == 8
    assert all(share in core_shares(2) for share in shares)


@pytest.mark.parametrize(
    ("cores", "count", "expected"),
    [
        ({0, 1}, 1, [[0, 1]]),
        ({0, 1}, 2, [[0], [1]]),
        ({2, 3, 5, 7, 8}, 2, [[2, 5, 8], [3, 7]]),
        ({4}, 2, [[4], [4]]),
    ],
)
def test_core_shares_are_dealt_evenly(cores, count, expected, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: cores, raising=False)
    assert core_shares(count) == expected


def test_faulty_flagfile_is_named_and_does_not_stop_the_others(folder, capsys):
    (folder / "experiments" / "table1" / "ram.cfg").write_text("--core=knot\n")
    assert main(flags_of(folder, "--experiments=table1/ram,table1/fc")) == 1
    assert calls_of(folder) == ["table1/fc 0 "]
    shown = capsys.readouterr()
    assert "ram seed 0: failed" in shown.out and "--core=knot" in shown.out


def test_run_of_another_config_is_no_result(tmp_path):
    experiments = write_experiments(tmp_path)
    (row,) = find_experiments(experiments, ["table1/fc"])
    results, runs = tmp_path / "results", tmp_path / "runs"
    run = RunDirectory(runs / "table1/fc/seed0")
    run.path.mkdir(parents=True)
    other = write_result(
        experiments, tmp_path / "other", "table1/fc", 0, 0.9, config_digest="other"
    )
    shutil.copy(other, run.results)
    for path in (run.curve, run.examples):
        path.touch()
    trainings = types.SimpleNamespace(run=lambda flags: "")
    error = Reproduction(row, 0, str(results), str(runs)).train(trainings)
    expected = "expected the Config of the flagfile, found another"
    assert error == f"{run.results}: {expected}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_run_in_work_and_says_how_to_go_on(number, folder):
    flags = flags_of(folder, "--tables=table1")
    status, error = stopped("reproduce", flags, folder, "table1/ram", number)
    assert status == 128 + number
    said = "3 of 3 results to go; the same command continues"
    assert error.splitlines()[-1] == f"stopped by signal {int(number)}, {said}"
    assert "failed" not in error
    assert calls_of(folder) == ["table1/ram 0 "]
    assert not list(folder.rglob("*.failed"))


@pytest.mark.slow
def test_real_run_ends_in_a_table(tmp_path, capsys):
    write_experiments(tmp_path)
    assert main(flags_of(tmp_path, "--experiments=table1/fc")) == 0
    assert "| `fc` | FC | 97.20 |" in capsys.readouterr().out
    tables = collect(tmp_path / "experiments", tmp_path / "results", tables=["table1"])
    result = tables[0].rows[1].seeds[0]
    assert result.status == "current"
    assert result.curve.exists() and result.examples.exists()
