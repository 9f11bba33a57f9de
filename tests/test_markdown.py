"""Tests of tables and of pages that are filled between two marks."""

import pytest

from ram_tf.errors import RamError
from ram_tf.markdown import filled, table_text


def test_table_has_words_to_the_left_and_numbers_to_the_right():
    rows = [["Name", "Number"], ["a", 1], ["", 2.5]]
    assert table_text(rows, ("Name",)).splitlines() == [
        "| Name | Number |",
        "| --- | ---: |",
        "| a | 1 |",
        "|  | 2.5 |",
    ]
    assert table_text(rows).splitlines()[1] == "| --- | --- |"
    assert table_text([["Name"]]) == "| Name |\n| --- |"


def test_bar_in_a_cell_ends_no_cell():
    assert table_text([["a|b"], ["c|d|e"]]).splitlines()[::2] == [
        "| a\\|b |",
        "| c\\|d\\|e |",
    ]


def test_page_is_filled_between_its_marks_alone():
    page = "head (old) tail (x)"
    assert filled(page, "(", ")", " new ", "page.md") == "head ( new ) tail (x)"


@pytest.mark.parametrize("page", ["", "head ( tail", "head ) tail", ") head ("])
def test_page_without_both_marks_is_a_line_that_names_it(page):
    with pytest.raises(RamError) as caught:
        filled(page, "(", ")", "new", "docs/page.md")
    said = "docs/page.md: expected the marks ( and ), in this order"
    assert str(caught.value) == said
