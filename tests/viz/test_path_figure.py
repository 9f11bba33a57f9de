import dataclasses
import itertools
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from helpers.run_files import write_run
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from ram_tf.config import Config
from ram_tf.figures import main
from ram_tf.viz.geometry import GlimpsePath, PathRecord, read_paths
from ram_tf.viz.path_figure import draw_paths, to_png


def test_figure_marks_right_and_wrong_predictions(tmp_path):
    record = read_paths(write_run(tmp_path, [0, 1], [0, 3]))
    figure = draw_paths(record.paths, record, "title")
    titles = [text.get_text() for text in figure.texts]
    assert "✓ predicts a (70 %)" in titles
    assert "✗ predicts d (70 %), is b" in titles


def test_dollars_of_a_name_are_no_formula(tmp_path):
    record = read_paths(write_run(tmp_path, [0, 1], [0, 3]))
    names = ["$1", "$5", "a$x$", "$\\no$"]
    record = dataclasses.replace(record, class_names=names)
    figure = draw_paths(record.paths, record, "$title$")
    FigureCanvasAgg(figure).draw()
    to_png(figure)
    titles = [text.get_text() for text in figure.texts]
    assert "✗ predicts $\\no$ (70 %), is $5" in titles
    named = [text for text in figure.findobj(Text) if "$" in text.get_text()]
    assert len(named) > len(names) and not any(each.get_parse_math() for each in named)


@pytest.mark.parametrize("num_glimpses", [1, 2, 12])
@pytest.mark.parametrize("num_classes", [2, 12])
@pytest.mark.parametrize(
    "shape, name",
    [((9, 9), "a class of a very long name "), ((9, 90), ""), ((90, 9), "")],
)
def test_figure_keeps_its_texts_apart(num_glimpses, num_classes, shape, name):
    names = [f"{name}{label}" for label in range(num_classes)]
    config = Config(num_glimpses=num_glimpses)
    thoughts = np.full([num_glimpses, num_classes], 1 / num_classes, np.float32)
    image, places = np.zeros([*shape, 1], np.uint8), np.zeros([num_glimpses, 2])
    paths = [GlimpsePath(image, label, places, thoughts) for label in (0, 1, 1)]
    record = PathRecord(config, paths, names)
    below = "Test accuracy 91.67 %.  An image has 12,288 values.  " * 3
    figure = draw_paths(paths, record, "Where the model looks: 8x8 pixels", below)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [axes.title, axes._left_title, axes.xaxis.label]
        texts += [
            label
            for axis in (axes.xaxis, axes.yaxis)
            for label in axis.get_ticklabels()
        ]
    boxes = [
        (t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text()
    ]
    assert len(boxes) > 3 * num_classes
    for text, box in boxes:
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, text
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        high = min(a.y1, b.y1) - max(a.y0, b.y0)
        # Line boxes of neighbours may touch by the space over their letters.
        assert wide <= 0 or high <= 4, (one, other)


@pytest.mark.parametrize("num_scales", [1, 2])
def test_figure_draws_the_outline_of_every_patch(tmp_path, num_scales):
    record = read_paths(write_run(tmp_path, [0], [0], num_scales=num_scales))
    image_axes = draw_paths(record.paths, record, "title").axes[0]
    sides = sorted(box.get_width() for box in image_axes.patches)
    assert sides == sorted([4 * 2**k for k in range(num_scales)] * 3)


def test_figure_draws_the_path_at_its_pixels(tmp_path):
    record = read_paths(write_run(tmp_path, [0], [0]))
    line = draw_paths(record.paths, record, "title").axes[0].lines[0]
    places = record.paths[0].locations
    expected = (places + 1) / 2 * np.array([11, 9])  # Of 12 x 10 pixels.
    np.testing.assert_allclose(line.get_ydata(), expected[:, 0], rtol=1e-5)
    np.testing.assert_allclose(line.get_xdata(), expected[:, 1], rtol=1e-5)


@pytest.mark.parametrize("shown", [None, 3])
def test_numbers_of_glimpses_at_one_spot_can_all_be_read(shown):
    spots = np.array([[0, 0], [0.5, 0.5], [0.5, 0.5], [0, 0.02]], np.float32)
    thoughts = np.full([4, 2], 0.5, np.float32)
    path = GlimpsePath(np.zeros([28, 28, 1], np.uint8), 0, spots, thoughts)
    record = PathRecord(Config(num_glimpses=4), [path], ["a", "b"])
    axes = draw_paths([path], record, "title", shown=shown).axes[0]
    places = {
        text.get_text(): axes.transData.transform(text.get_position())
        for text in axes.texts
    }
    assert sorted(places) == ["1", "2", "3", "4"][:shown]
    inches = {
        (one, other): np.hypot(*(places[one] - places[other])) / axes.figure.dpi
        for one, other in itertools.combinations(places, 2)
    }
    assert min(inches.values()) > 13 / 72, inches  # Points of a disc.
    assert "numbers moved apart" in axes.xaxis.label.get_text()
    spots[:, 1] = [-1, -0.5, 0.5, 1]
    axes = draw_paths([path], record, "title", shown=shown).axes[0]
    assert "moved" not in axes.xaxis.label.get_text()


def test_figures_command_writes_equal_pngs_without_tensorflow(tmp_path):
    write_run(tmp_path, [0, 1, 2], [0, 1, 3])
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    assert main([f"--run_dir={tmp_path}", f"--out={first}"]) == 0
    code = (
        "import sys; from ram_tf.figures import main; "
        "status = main(sys.argv[1:]); assert 'tensorflow' not in sys.modules; "
        "sys.exit(status)"
    )
    words = [f"--run_dir={tmp_path}", f"--out={second}"]
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = "2 of 3 images predicted right; shown: 2 right, 1 wrong"
    assert expected in done.stdout
    assert first.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert first.read_bytes() == second.read_bytes()


def test_figures_command_writes_no_png_under_another_name(tmp_path, capsys):
    write_run(tmp_path, [0], [0])
    out = tmp_path / "a.jpg"
    assert main([f"--run_dir={tmp_path}", f"--out={out}"]) == 1
    error = f"error: --out={out}: expected the name of a PNG file, *.png\n"
    assert capsys.readouterr().err == error and not out.exists()


def test_figures_command_tells_a_missing_run_in_one_line(tmp_path, capsys):
    assert main([f"--run_dir={tmp_path / 'none'}"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "expected a run of ram_tf.train, found none" in error
