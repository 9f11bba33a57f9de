"""Tables of results: what counts, what is shown, what fails."""

import json
import pathlib
import subprocess
import sys

import pytest
from helpers.result_files import write_experiments, write_result

from ram_tf.errors import RamError
from ram_tf.tables import readme as readme_tables
from ram_tf.tables.catalogue import read_sources
from ram_tf.tables.collect import collect
from ram_tf.tables.command import main
from ram_tf.tables.headers import main as fill_heads
from ram_tf.tables.headers import outdated
from ram_tf.tables.markdown import duration_text, render_table

GOLDEN = """\
## Table 1: digits

Printed: A. Author.

| Row | Model | Printed % | Ours % | Difference | Seeds | 95 % interval | Steps | \
Parameters | Pixels read | Wall time |
| --- | --- | ---: | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: |
| `ram` | RAM, 6 glimpses | 93.79 | 96.00 ± 1.41 | +2.21 | 0, 1 | 95.60 to 96.37 | 20 \
| 12,345 | 384 of 784 (49 %) | 90 s |
| `fc` | FC | 97.20 | 90.00 | -7.20 | 0 | 89.40 to 90.57 | 20 | 12,345 \
| 784 of 784 (100 %) | 90 s |
| `extra` | extra |  | not run yet |  |  |  | 20 |  | 784 of 784 (100 %) |  |

- `ram`: also 1.5 % error (B. Writer, from memory)."""


@pytest.fixture
def experiments(tmp_path):
    return write_experiments(tmp_path)


@pytest.fixture
def results(tmp_path, experiments):
    folder = tmp_path / "results"
    write_result(experiments, folder, "table1/ram", 0, 0.95)
    write_result(experiments, folder, "table1/ram", 1, 0.97)
    write_result(experiments, folder, "table1/fc", 0, 0.90)
    return folder


def row_of(experiments, results, row, **arguments):
    tables = collect(experiments, results, tables=["table1"], **arguments)
    return next(r for r in tables[0].rows if r.experiment.row == row)


def run(experiments, results, *flags):
    return main(
        [f"--experiments_dir={experiments}", f"--results_dir={results}", *flags]
    )


def test_table_shows_the_printed_figure_beside_ours(experiments, results):
    table = collect(experiments, results, tables=["table1"])[0]
    assert render_table(table, read_sources(experiments)) == GOLDEN


def test_row_takes_mean_and_deviation_over_its_seeds(experiments, results):
    row = row_of(experiments, results, "ram")
    assert row.status == "complete"
    assert row.accuracies == pytest.approx([95, 97])
    assert row.mean == pytest.approx(96)
    assert row.stddev == pytest.approx(2**0.5)  # n - 1.
    assert row.difference == pytest.approx(96 - 93.79)
    assert row.interval == pytest.approx((95.59793, 96.36674))  # Of the mean.
    assert row.wall_seconds == pytest.approx(90.5)


@pytest.fixture
def ablation(experiments, results):
    """An ablation of two data sets; one row of it is not run yet."""
    names = ("a_none", "a_fault", "b_none", "b_two_faults", "b_later")
    paper = json.loads((experiments / "paper.json").read_text())
    rows = {name: {"label": f"row {name}"} for name in names}
    paper["tables"]["ablation"] = {"title": "Faults", "rows": rows}
    (experiments / "paper.json").write_text(json.dumps(paper))
    (experiments / "ablation").mkdir()
    for name, accuracy in zip(names, (0.9, 0.7, 0.5, 0.55), strict=False):
        (experiments / "ablation" / f"{name}.cfg").write_text("--train_steps=20\n")
        write_result(experiments, results, f"ablation/{name}", 0, accuracy)
    (experiments / "ablation" / "b_later.cfg").write_text("--train_steps=20\n")
    return collect(experiments, results, tables=["ablation"])[0]


def test_ablation_compares_with_the_row_without_a_fault(ablation):
    found = [(row.compared, row.difference) for row in ablation.rows]
    assert found[0] == found[2] == (None, None)
    assert found[1] == pytest.approx((90, -20))
    assert found[3] == pytest.approx((50, 5))
    assert found[4] == (pytest.approx(50), None)


def test_ablation_is_compared_with_the_row_without_a_fault_in_every_page(
    ablation, results
):
    text = render_table(ablation, {})
    assert "| Row | Model | No fault % | Ours % | Change |" in text
    assert "| `a_fault` | row a_fault | 90.00 | 70.00 | -20.00 |" in text
    printed = collect(results.parent / "experiments", results, tables=["table1"])
    text = readme_tables.whole([*printed, ablation])
    first, second = text.split("### Faults")
    assert first.startswith("### Table 1: digits\n")
    assert "| Model | Printed % | Ours % | Difference |" in first
    assert "| Model | No fault % | Ours % | Change |" in second
    assert "| row b_later | 50.00 | not run yet |  |  |  |" in second


def test_one_seed_has_no_deviation(experiments, results):
    row = row_of(experiments, results, "ram", seeds=[1])
    assert (row.mean, row.stddev) == (pytest.approx(97), None)


def test_row_without_results_is_shown_and_no_fault(experiments, results, capsys):
    assert run(experiments, results, "--tables=text") == 0
    assert "| chance | not run yet |" in capsys.readouterr().out


def stale(experiments, results):
    flagfile = experiments / "table1" / "ram.cfg"
    flagfile.write_text(flagfile.read_text() + "--learning_rate=0.5\n")
    write_result(experiments, results, "table1/ram", 0, 0.95)
    return "seed 1: stale, of another learning_rate"


def failed(experiments, results):
    (results / "table1/ram/seed1.json").unlink()
    (results / "table1/ram/seed1.failed").write_text("no disk\n")
    return "seed 1: failed: no disk"


def missing(experiments, results):
    (results / "table1/ram/seed1.json").unlink()
    return "seed 1: missing"


def cut_short(experiments, results):
    path = results / "table1/ram/seed1.json"
    path.write_text(path.read_text()[:100])
    return "seed 1: broken"


def without_evaluation(experiments, results):
    write_result(experiments, results, "table1/ram", 1, 0.97, evaluation={})
    return "seed 1: broken"


def not_a_number(experiments, results):
    write_result(experiments, results, "table1/ram", 1, 0.97, test_accuracy="0.97")
    return "seed 1: broken"


@pytest.mark.parametrize(
    "damage",
    [stale, failed, missing, cut_short, without_evaluation, not_a_number],
)
def test_faulty_seed_is_named_and_never_averaged_over(
    damage, experiments, results, capsys
):
    reason = damage(experiments, results)
    status = run(experiments, results, "--tables=table1", "--seeds=0,1")
    shown = capsys.readouterr()
    assert status == 1
    assert shown.err.startswith("error: ") and shown.err.count("\n") == 1
    assert f"table1/ram {reason}" in shown.err
    ram = next(line for line in shown.out.splitlines() if "`ram`" in line)
    assert "9" not in ram.split("|")[4], ram  # No accuracy at all.
    assert "seed 1 " in ram
    assert row_of(experiments, results, "ram", seeds=[0, 1]).mean is None


def test_result_of_the_same_config_is_current_whatever_its_time(experiments, results):
    flagfile = experiments / "table1" / "fc.cfg"
    flagfile.write_text("# A comment.\n" + flagfile.read_text())
    assert row_of(experiments, results, "fc").status == "complete"


def test_failure_before_a_current_result_is_forgotten(experiments, results):
    (results / "table1/fc/seed0.failed").write_text("no disk\n")
    assert row_of(experiments, results, "fc").status == "complete"


def test_quick_results_and_real_results_do_not_mix(experiments, results, capsys):
    assert row_of(experiments, results, "fc", quick=True).status == "faulty"
    assert run(experiments, results, "--tables=table1", "--quick") == 1
    assert "## QUICK, a tiny budget, no results: Table 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--tables=table7"], "--tables=table7: expected some of table1, text"),
        (["--seeds=0,x"], "--seeds=0,x: expected integers"),
        (["--seeds=1,1"], "--seeds=1,1: expected every seed once"),
        (["--experiments_dir=nowhere"], "nowhere/paper.json: expected a JSON file"),
    ],
)
def test_wrong_flag_is_a_line_that_names_it(
    flags, message, experiments, results, capsys
):
    assert run(experiments, results, *flags) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(f"error: {message}") and shown.err.count("\n") == 1
    assert not shown.out


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"sources": {}, "tables": []}',
        '{"sources": {}, "tables": {"table1": 1}}',
        '{"sources": {}, "tables": {"table1": {"rows": {"fc": {"figures": [1]}}}}}',
        '{"sources": {}, "tables": {"table1": {"rows": {"fc": '
        '{"figures": [{"as": "table1/fc"}]}}}}}',
    ],
)
def test_broken_paper_json_is_a_line_that_names_it(text, experiments, results, capsys):
    (experiments / "paper.json").write_text(text)
    assert run(experiments, results) == 1
    error = capsys.readouterr().err
    assert "paper.json: expected" in error and error.count("\n") == 1


def test_out_writes_what_is_printed(experiments, results, tmp_path, capsys):
    run(experiments, results)
    printed = capsys.readouterr().out
    run(experiments, results, f"--out={tmp_path / 'tables.md'}")
    assert (tmp_path / "tables.md").read_text() == printed


def test_heads_are_filled_once_and_keep_the_rest(experiments, results, capsys):
    flags = [f"--experiments_dir={experiments}", f"--results_dir={results}"]
    assert fill_heads(flags) == 0
    lines = (experiments / "table1" / "ram.cfg").read_text().splitlines()
    assert lines[:8] == [
        "# Paper: A. Author; B. Writer",
        "# Table: Table 1: digits",
        "# Row: RAM, 6 glimpses",
        "# Printed: 93.79 % (Table 1); 1.5 % error (B. Writer, from memory)",
        "# Ours: 96.00 ± 1.41 % (mean, standard deviation of 2 seeds: 0, 1)",
        "# Pixels: 6*1*8*8*1 = 384 of 28*28*1 = 784 (49 %)",
        "# Wall time: 90 s",
        "# Command: make row ROW=table1/ram",
    ]
    assert lines[8:] == ["--flagfile=../shared/base.cfg", "# Kept.", "--core=rnn"]
    assert (results / "tables.md").exists()
    assert outdated(experiments, results) == {}
    write_result(experiments, results, "table1/fc", 0, 0.91)
    names = sorted(path.name for path in outdated(experiments, results))
    assert names == ["fc.cfg", "tables.md"]


def test_heads_do_not_tell_of_runs_that_failed_here(experiments, results):
    flags = [f"--experiments_dir={experiments}", f"--results_dir={results}"]
    assert fill_heads(flags) == 0
    (results / "table1/fc/seed1.failed").write_text("no disk\n")
    assert outdated(experiments, results) == {}


@pytest.mark.parametrize(
    "seconds, text",
    [
        (None, ""),
        (41.4, "41 s"),
        (700, "12 min"),
        (3599, "1 h 0 min"),
        (6600, "1 h 50 min"),
    ],
)
def test_durations_read_well(seconds, text):
    assert duration_text(seconds) == text


def test_tables_do_not_import_tensorflow():
    code = "import sys, ram_tf.tables.headers; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_pages_get_their_tables_between_two_comments(experiments, results, monkeypatch):
    names = ("table1/fc", "table1/ram", "table1/extra")
    monkeypatch.setattr(readme_tables, "HEADLINE", names)
    readme = experiments.parent / "README.md"
    page = experiments.parent / "docs" / "reproduction.md"
    page.parent.mkdir()
    flags = [f"--experiments_dir={experiments}", f"--results_dir={results}"]
    readme.write_text("No place for it.\n")
    with pytest.raises(RamError, match=r"README.md: expected the marks <!-- tables"):
        outdated(experiments, results)
    for path in (readme, page):
        path.write_text(
            "Before.\n<!-- tables:begin -->\nold\n<!-- tables:end -->\nAfter.\n"
        )
    assert fill_heads(flags) == 0
    assert readme.read_text().splitlines() == [
        "Before.",
        "<!-- tables:begin -->",
        "| Images | Model | Printed % | Ours % | Std. dev. | Seeds |",
        "| --- | --- | ---: | ---: | ---: | --- |",
        "| digits | FC | 97.20 | 90.00 |  | 0 |",
        "| digits | RAM, 6 glimpses | 93.79 | 96.00 | 1.41 | 0, 1 |",
        "| digits | extra |  | not run yet |  | none |",
        "<!-- tables:end -->",
        "After.",
    ]
    lines = page.read_text().splitlines()
    assert lines[:3] == ["Before.", "<!-- tables:begin -->", "### Table 1: digits"]
    assert lines[-2:] == ["<!-- tables:end -->", "After."]
    assert "| RAM, 6 glimpses | 93.79 | 96.00 ± 1.41 | +2.21 | 0, 1 | 90 s |" in lines
    assert not outdated(experiments, results)


def test_headline_has_nine_rows_that_exist():
    root = pathlib.Path(__file__).parents[2]
    rows = {
        row.experiment.name
        for table in collect(root / "experiments", root / "results")
        for row in table.rows
    }
    assert set(readme_tables.HEADLINE) <= rows
    assert len(set(readme_tables.HEADLINE)) == 9
