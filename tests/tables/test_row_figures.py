"""Figures in the tables of a page follow the results of the rows that they name."""

import pytest
from helpers.result_files import write_experiments, write_result

from ram_tf.errors import RamError
from ram_tf.tables.collect import collect
from ram_tf.tables.headers import outdated
from ram_tf.tables.row_figures import with_row_figures

PAGE = """Text | with <!--table1/ram--> a comment in no cell.

| Row | a | b |
| --- | --- | ---: |
| by hand 1.23 | <!--table1/ram-->**0** | <!--table1/ram:seeds-->9 |
| x | <!--table1/ram:0-->0 | <!--table1/ram:7-->1.00 |
| x | <!--table1/extra-->0 |
"""
FILLED = """Text | with <!--table1/ram--> a comment in no cell.

| Row | a | b |
| --- | --- | ---: |
| by hand 1.23 | <!--table1/ram-->**96.00 ± 1.41** | <!--table1/ram:seeds-->2 |
| x | <!--table1/ram:0-->95.00 | <!--table1/ram:7--> |
| x | <!--table1/extra-->not run yet |
"""


@pytest.fixture
def folders(tmp_path):
    """Returns experiments and results of two seeds of table1/ram."""
    experiments = write_experiments(tmp_path)
    results = tmp_path / "results"
    write_result(experiments, results, "table1/ram", 0, 0.95)
    write_result(experiments, results, "table1/ram", 1, 0.97)
    return experiments, results


def test_cells_that_name_a_row_are_filled_and_nothing_else(folders):
    tables = collect(*folders)
    assert with_row_figures(PAGE, tables, "x") == FILLED
    assert with_row_figures(FILLED, tables, "x") == FILLED


def test_a_row_that_there_is_not_is_named(folders):
    page = "| <!--table1/rma-->95.00 |"
    with pytest.raises(RamError, match="x.md: expected a row in <!--table1/rma-->"):
        with_row_figures(page, collect(*folders), "x.md")


def test_findings_follow_the_results(folders, tmp_path):
    findings = tmp_path / "docs" / "findings.md"
    findings.parent.mkdir()
    findings.write_text(PAGE)
    assert outdated(*folders)[findings] == FILLED
