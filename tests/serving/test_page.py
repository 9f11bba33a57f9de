"""The tables of docs/serving.md, written from the metadata of exports."""

import json

import pytest

from ram_tf.serving import page


@pytest.mark.parametrize(
    ("metadata", "words", "said"),
    [
        ({}, [], "x: expected an export of --model=ram with figures"),
        ([], [], "x: expected an export of --model=ram with figures"),
        (None, ["--page=none.md"], "--page=none.md: expected a page, found: No such"),
        (None, ["--page=x/metadata.json"], "--page=x/metadata.json: expected the mark"),
    ],
)
def test_what_is_no_export_and_no_page_is_one_line(
    metadata, words, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    if metadata is None:
        metadata = dict.fromkeys(page._KEPT, [])
        metadata |= {"config": {"num_glimpses": 2}, "experiment": "x"}
        metadata["by_threshold"] = {"validation": [], "test": []}
    (tmp_path / "x" / "metadata.json").write_text(json.dumps(metadata))
    assert page.main([*words, "x"]) == 1
    line = capsys.readouterr().err
    assert line.startswith(f"error: {said}") and line.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
