"""The notebook for newcomers runs to its end and shows what the committed one does."""

import pathlib
import re
import sys

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"


def printed(cell) -> str:
    outputs = [out for out in cell.get("outputs", []) if out.get("name") == "stdout"]
    return "".join(out["text"] for out in outputs)


def kinds(notebook) -> list[list[str]]:
    """Returns the kinds of what every cell left: text, or the types of its data."""
    return [
        sorted(
            {kind for out in cell.get("outputs", []) for kind in out.get("data", ())}
        )
        for cell in notebook.cells
    ]


def lines_without_figures(notebook) -> list[str]:
    """Returns what always has the same words: presets, data, accuracies, export."""
    text = "\n".join(map(printed, notebook.cells))
    names = r"data|train|validation|test|learned|random|center|--rollouts=\d+"
    line = rf"(?m)^ *(?:{names}): .*"
    return [re.sub(r"[\d.]+", "#", found) for found in re.findall(line, text)]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook, run in an empty folder by this interpreter."""
    folder = tmp_path_factory.mktemp("quickstart")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with pytest.MonkeyPatch.context() as patch:
        # `!python` of a cell is this environment's, and finds this ram_tf.
        scripts = pathlib.Path(sys.executable).parent
        patch.setenv("PATH", str(scripts), prepend=":")
        patch.setenv("PYTHONPATH", str(ROOT))
        client = nbclient.NotebookClient(
            notebook, timeout=600, resources={"metadata": {"path": str(folder)}}
        )
        client.execute()
    return notebook


def test_every_cell_shows_what_the_committed_notebook_shows(executed):
    committed = nbformat.read(NOTEBOOK, as_version=4)
    assert kinds(executed) == kinds(committed)
    for fresh, shown in zip(executed.cells, committed.cells, strict=True):
        assert bool(printed(fresh)) == bool(printed(shown)), shown.source
        assert not re.search(r"(?m)^error: ", printed(shown)), shown.source
        if "presets.items()" in shown.source:
            assert printed(fresh) == printed(shown)
    assert len(lines_without_figures(committed)) == 10
    assert lines_without_figures(executed) == lines_without_figures(committed)


def test_its_models_are_right(executed):
    text = "\n".join(map(printed, executed.cells))
    right = float(text.split("(200, 10) ")[1].split()[0])
    assert right >= 0.95
    accuracy = float(text.split("test accuracy ")[1].split()[0])
    assert accuracy >= 80, text
    # The first circle is named one.
    assert "\ncircle [" in text


def test_it_is_small_enough_for_a_repository():
    assert NOTEBOOK.stat().st_size < 400_000
