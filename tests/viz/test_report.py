import base64
import dataclasses
import html.parser
import json
import math
import pathlib
import re
import subprocess
import sys
import zlib

import numpy as np
import pytest
from helpers.report_files import FLAGS, PAPER, config_of, write_all, write_result

from ram_tf.errors import RamError
from ram_tf.report import main, make_report
from ram_tf.runs.curves import Curve
from ram_tf.runs.examples import Examples, read_examples
from ram_tf.runs.results_json import read_results
from ram_tf.tables.policy_worth import worth_of
from ram_tf.viz.html.charts import (
    Stopping,
    curve_charts,
    glimpse_chart,
    stopping_chart,
    stretch,
)
from ram_tf.viz.html.details import view_confusion
from ram_tf.viz.html.glimpses import _letter
from ram_tf.viz.html.packing import PathStore, corners_px, marks_px, pack
from ram_tf.viz.html.text import operations

VOID = {"meta", "link", "br"}
ROOT = pathlib.Path(__file__).parents[2]
TEMPLATES = ROOT / "ram_tf" / "viz" / "html" / "templates"


class Page(html.parser.HTMLParser):
    """Checks that tags nest, and keeps attributes and the cells of every row."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.rows = [], [], {}
        self._row = self._cell = None
        self.feed(text)
        assert self.open == []

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "tr":
            self._row = self.rows.setdefault(dict(attributes).get("id"), [])
        if tag in ("td", "th") and self._row is not None:
            self._row.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "tr":
            self._row = None

    def handle_data(self, data):
        if self._row:
            self._row[-1] += data


@pytest.fixture
def files(tmp_path):
    return write_all(tmp_path)


@pytest.fixture
def run(files, tmp_path, capsys):
    """Runs the command: its status, its output, its errors, and the page's path."""
    experiments, results = files

    def run(**flags):
        given = {
            "results_dir": results,
            "experiments_dir": experiments,
            "out_dir": tmp_path / "out",
            **flags,
        }
        status = main([f"--{name}={value}" for name, value in given.items()])
        out, err = capsys.readouterr()
        return status, out, err, tmp_path / "out" / "index.html"

    return run


@pytest.fixture
def page(run):
    status, _, err, path = run()
    assert (status, err) == (0, "")
    return path.read_text(encoding="utf-8")


def cells(page, key, kind="row"):
    return [" ".join(cell.split()) for cell in Page(page).rows[f"{key}-{kind}"]]


@pytest.mark.parametrize(
    "value, text",
    [
        (999, "999"),
        (999_400, "999 k"),
        (999_700, "1 M"),
        (2_840_000, "2.84 M"),
        (999_600_000, "1 G"),
    ],
)
def test_operations_are_written_without_exponents(value, text):
    assert operations(value) == text


def test_report_has_every_row_of_every_table(page):
    rows = Page(page).rows
    for name in FLAGS:
        assert f"{name.replace('/', '-')}-row" in rows
    for table in PAPER["tables"].values():
        assert table["title"] in page


def test_report_puts_ours_beside_the_printed_figure(page):
    label, printed, ours, interval, difference, seeds, _ = cells(page, "table1-fc")
    assert label == "Fully connected"
    assert printed == "97.50"
    assert ours.startswith("96.00")
    assert interval == "94.60–97.05"  # Of 1,000 images.
    assert difference == "−1.50"
    assert seeds == "1"


def test_report_averages_seeds_and_footnotes_the_second_figure(page):
    _, printed, ours, interval, difference, seeds, _ = cells(page, "table1-ram")
    assert printed == "90.2591.5 %a"
    assert ours.startswith("93.00± 1.41")
    assert interval == "92.00–94.00"  # The seeds, lowest to highest.
    assert (difference, seeds) == ("+2.75", "2")
    assert "<sup>a</sup> the text" in page


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda results: results.update(versions=["a"]), "versions"),
        (
            lambda results: results["evaluation"]["policies"]["random"].update(
                accuracy_by_glimpse=[0.1]
            ),
            "evaluation.policies.random.accuracy_by_glimpse",
        ),
    ],
)
def test_results_that_the_report_cannot_show_are_named(change, expected, files):
    _, folder = files
    path = next(
        path
        for path in sorted(folder.glob("*/*/seed0.json"))
        if "random" in json.loads(path.read_text())["evaluation"]["policies"]
    )
    results = json.loads(path.read_text())
    change(results)
    path.write_text(json.dumps(results))
    with pytest.raises(RamError, match=expected):
        read_results(path)


def test_report_says_which_rows_were_not_run(page):
    _, printed, ours, *rest = cells(page, "table1-later")
    assert printed == "94.255.75 % error"
    assert ours == "not run yet"
    assert set(rest) == {""}
    assert "<strong>3 of 4</strong> rows beside the paper measured" in page


def test_report_compares_an_ablation_with_its_unchanged_row(page):
    assert cells(page, "ablation-mnist_noise")[1] == "90.00"
    assert cells(page, "ablation-mnist_noise")[4] == "−20.00"
    assert cells(page, "ablation-mnist_none")[4] == "–"


def test_report_of_no_results_has_every_row_and_no_viewer(run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    status, out, _, path = run(results_dir=empty)
    text = path.read_text()
    assert status == 0 and "0 of the 6 rows of all tables measured" in out
    assert text.count("not run yet") == len(FLAGS)
    assert 'id="look"' not in text


def test_report_names_stale_and_failed_seeds(run, files):
    _, results = files
    path = write_result(results, "table1/fc", 0.96)
    digest = config_of("table1/fc").digest()
    path.write_text(path.read_text().replace(digest, "0" * 16))
    (results / "table1/ram/seed2.failed").write_text("error: NaN in loss <here>\n")
    status, _, _, page = run()
    assert status == 0
    label, _, ours, *_ = cells(page.read_text(), "table1-fc")
    assert "seed 0: stale" in label and ours == "no figure"
    label, _, ours, *_ = cells(page.read_text(), "table1-ram")
    assert "seed 2: failed: error: NaN in loss <here>" in label and ours == "no figure"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("seed0.json", "{", "expected JSON"),
        ("seed0.json", "[]", "broken"),
        ("seed0.curve.csv", "step\n1\n", "expected columns"),
        (
            "seed0.curve.csv",
            "step,accuracy,validation_accuracy\n1,0.5,7\n",
            "from 0 to 1",
        ),
        ("seed0.examples.npz", "no zip", "expected the examples"),
    ],
)
def test_report_of_a_broken_file_is_one_line_and_no_page(
    run, files, name, content, expected
):
    path = files[1] / "table1/ram" / name
    path.write_text(content)
    status, out, err, page = run()
    assert status == 1 and out == ""
    assert str(path) in err and expected in err
    assert err.startswith("error: ") and err.count("\n") == 1
    assert not page.exists()


@pytest.mark.parametrize("flag", ["results_dir", "experiments_dir"])
def test_report_of_a_missing_folder_is_one_line(run, tmp_path, flag):
    status, _, err, page = run(**{flag: tmp_path / "nowhere"})
    assert status == 1
    assert err == (
        f"error: --{flag}={tmp_path / 'nowhere'}: expected a folder "
        f"{'of results' if flag == 'results_dir' else 'with paper.json'}, found none\n"
    )
    assert not page.exists()


def test_report_into_a_file_is_one_line(run, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err, _ = run(out_dir=tmp_path / "file")
    assert status == 1 and err.count("\n") == 1 and "--out_dir=" in err


def test_report_without_jinja2_says_what_brings_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    status, _, err, _ = run()
    assert status == 1 and err.count("\n") == 1 and "ram-tf[report]" in err


def test_report_is_the_same_for_the_same_results(files, tmp_path):
    experiments, results = files
    first, _ = make_report(results, tmp_path / "a", experiments)
    second, _ = make_report(results, tmp_path / "b", experiments)
    assert first.read_bytes() == second.read_bytes()


def test_report_loads_nothing(page):
    assert not re.search(r"https?://|url\(|@import|\bfetch\(", page)
    for tag, attributes in Page(page).tags:
        assert "src" not in attributes, tag
        assert attributes.get("href", "#").startswith(("#", "data:,")), tag
    assert "default-src 'none'" in page


def test_report_names_and_references_are_sound(page):
    tags = Page(page).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in tags:
        for name in ("aria-labelledby", "href"):
            target = attributes.get(name, "").removeprefix("#")
            if name in attributes and not target.startswith("data:"):
                assert target in ids, (tag, target)
        if tag == "svg" or attributes.get("role") == "img":
            named = {"aria-label", "aria-labelledby", "aria-hidden"} & set(attributes)
            assert named, (tag, attributes)
    headings = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    steps = zip(headings, headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)


def test_report_escapes_labels_and_class_names(files, tmp_path):
    experiments, results = files
    names = ["</script>", "<!--", *map(str, range(8))]
    write_result(results, "table5/ram_colour", 0.4, class_names=names)
    path, _ = make_report(results, tmp_path / "out", experiments)
    text = path.read_text()
    assert "RAM in colour &lt;b&gt;" in text and "RAM in colour <b>" not in text
    assert text.count("</script>") == text.count("<script")
    Page(text)


def add_stopping(results, name, rows, seed=0):
    """Writes by_threshold, as final evaluation does, into a result."""
    path = results / name / f"seed{seed}.json"
    found = json.loads(path.read_text())
    evaluation = found["evaluation"]
    evaluation["policies"][evaluation["policy"]]["by_threshold"] = rows
    path.write_text(json.dumps(found))
    return path


STOPPED = [
    {"threshold": 0.5, "accuracy": 0.7123, "mean_glimpses": 1.26},
    {"threshold": 0.6, "accuracy": 0.8, "mean_glimpses": 1.8},
    {"threshold": 0.95, "accuracy": 0.915, "mean_glimpses": 2.94},
]


def test_report_shows_accuracy_after_each_glimpse_of_earlier_results(page):
    label, *accuracies = cells(page, "table1-ram", "glimpses")
    assert label == "RAM, 4 glimpsesTable 1: digits"
    steps = np.linspace(0.1, 0.92, 4)  # As written for the first seed.
    assert accuracies == [f"{100 * step:.2f}" for step in steps]
    # Of three glimpses, padded to four; whole images have no row.
    shorter = cells(page, "table5-ram_colour", "glimpses")
    assert len(shorter) == 5 and shorter[-1] == ""
    assert "table1-fc-glimpses" not in Page(page).rows
    assert 'class="stopping"' not in page


def test_report_shows_rows_that_stop_when_sure(run, files):
    add_stopping(files[1], "table1/ram", STOPPED)
    add_stopping(files[1], "ablation/mnist_noise", STOPPED[:1])
    _, _, _, path = run()
    text = path.read_text()
    label, half, most, never = cells(text, "table1-ram", "stopping")
    assert label == "A RAM, 4 glimpses"
    # 0.6 is in the chart alone.
    assert (half, most) == ("71.231.3 glimpses", "91.502.9 glimpses")
    assert never == "92.004 glimpses"
    assert len(cells(text, "ablation-mnist_noise", "stopping")) == 3
    assert "ablation-mnist_none-stopping" not in Page(text).rows
    assert text.count('class="stopping"') == 2
    test_report_names_and_references_are_sound(text)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (None, "expected a list as evaluation.policies.learned.by_threshold, found"),
        ([{"threshold": 0.5}], "a finite number as evaluation.policies.learned.by_thr"),
        (
            [7],
            "expected an object as evaluation.policies.learned.by_threshold, found 7",
        ),
    ],
)
def test_report_of_broken_stopping_is_one_line(run, files, rows, expected):
    path = add_stopping(files[1], "table1/ram", rows)
    status, _, err, page = run()
    assert status == 1 and err.count("\n") == 1 and not page.exists()
    assert str(path) in err and expected in err


def test_report_names_the_pairs_that_the_paper_discusses(page):
    text = " ".join(page.split())
    errors = 7 + 4 + 5 + 6 + 20
    assert f"automobile and truck, 7 + 4 images, {100 * 11 / errors:.1f} %" in text
    assert f"cat and dog, 5 + 6 images, {100 * 11 / errors:.1f} %" in text
    assert page.count(" discussed") == 4


def test_report_keeps_the_examples_of_rows_on_the_same_data_once(files):
    store = PathStore()
    for key in ("ram", "ram_again"):
        examples = read_examples(files[1] / "table1/ram/seed0.examples.npz")
        store.add(key, config_of("table1/ram"), examples)
    assert len(store.pictures) == 1 and len(store.paths) == 2


def test_report_without_tensorflow(files, tmp_path):
    experiments, results = files
    program = (
        "import sys; from ram_tf.report import main; "
        f"main(['--results_dir={results}', '--experiments_dir={experiments}', "
        f"'--out_dir={tmp_path / 'out'}']); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    assert (tmp_path / "out" / "index.html").exists()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pack_keeps_every_bit(dtype):
    array = np.random.default_rng(0).integers(0, 255, (3, 4, 2)).astype(dtype)
    packed = pack(array)
    content = zlib.decompress(base64.b64decode(packed["data"]))
    found = np.frombuffer(content, np.dtype(packed["type"]).newbyteorder("<"))
    np.testing.assert_array_equal(found.reshape(packed["shape"]), array)


def test_numbers_of_glimpses_at_one_spot_stand_beside_each_other():
    config = dataclasses.replace(config_of("table1/ram"), patch_size=4)
    examples = Examples(
        images=np.zeros([1, 20, 20, 1], np.uint8),
        labels=np.zeros([1], np.int64),
        locations=np.array([[[0, 0], [0, 0], [0.8, -0.8]]], np.float32),
        probabilities=np.full([1, 3, 2], 0.5, np.float32),
        class_names=["a", "b"],
    )
    marks = marks_px(examples, config)[0] / 64
    assert np.hypot(*(marks[0] - marks[1])) > 0.99 * 0.06 * 20
    corners = corners_px(examples, config)[0, :, 0]
    np.testing.assert_allclose(marks[:2].mean(0), corners[0] + 2, atol=1 / 64)
    np.testing.assert_array_equal(marks[2], corners[2] + 2)


def test_packed_probabilities_round_to_16_bits():
    examples = Examples(
        np.zeros((1, 4, 4, 1), np.uint8),
        np.zeros(1, np.int32),
        np.zeros((1, 1, 2), np.float32),
        np.array([[[0.25, 0.75]]], np.float32),
        ["a", "b"],
    )
    store = PathStore()
    store.add("x", config_of("table1/ram"), examples)
    packed = store.paths["x"]["probabilities"]
    levels = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), "<u2")
    np.testing.assert_allclose(levels / 65535, [0.25, 0.75], atol=1 / 65535)


def test_examples_of_other_shapes_are_refused(tmp_path):
    path = write_result(tmp_path, "table1/ram", 0.9).with_suffix(".examples.npz")
    with np.load(path) as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    changed["locations"] = changed["locations"][:, :-1]
    np.savez(path, **changed)
    with pytest.raises(ValueError, match="expected labels, locations and prob"):
        read_examples(path)


def test_curve_chart_stays_in_its_frame_and_stretches_towards_100():
    curves = [[Curve([100, 200, 300], [0.1, 0.9, 0.999], [0.1, 0.8, 0.9], [])], []]
    chart, nothing = curve_charts(curves, ["a", "b"])
    assert nothing is None
    points = [
        tuple(map(float, point.split(","))) for point in chart.lines[0].points.split()
    ]
    for x, y in points:
        assert chart.left <= x <= chart.width - chart.right
        assert chart.top <= y <= chart.height - chart.bottom
    rise = [before[1] - after[1] for before, after in zip(points, points[1:])]  # noqa: B905
    expected = np.diff([stretch(value) for value in (0.1, 0.9, 0.999)])
    np.testing.assert_allclose(rise[1] / rise[0], expected[1] / expected[0], rtol=0.01)
    places = sorted(tick.at for tick in chart.y_ticks)
    assert len(places) >= 3 and min(np.diff(places)) >= 17


def test_glimpse_chart_keeps_names_apart():
    chart = glimpse_chart([("learned", [0.1, 0.5]), ("random", [0.1, 0.501])])
    ends = sorted(line.end_y for line in chart.lines)
    assert ends[1] - ends[0] >= 13.9
    assert glimpse_chart([("learned", [0.5])]) is None


def points_of(line):
    return [tuple(map(float, point.split(","))) for point in line.points.split()]


def test_stopping_chart_places_both_lines_of_a_row_on_one_scale():
    curve = [
        {"mean_glimpses": 1.5, "accuracy": 0.6},
        {"mean_glimpses": 2.0, "accuracy": 0.9},
    ]
    chart = stopping_chart([Stopping("A", [0.6, 0.9, 0.99], curve)])
    fixed, sure = map(points_of, chart.lines)
    assert [line.kind for line in chart.lines] == ["fixed", "sure"]
    assert fixed[0][1] == sure[0][1]  # 60 %
    assert fixed[1] == sure[1] and fixed[2] == sure[2]  # 2 and all 3 glimpses.
    assert sure[0][0] == pytest.approx((fixed[0][0] + fixed[1][0]) / 2, abs=0.1)
    assert [tick.at for tick in chart.x_ticks] == [x for x, _ in fixed]
    assert (chart.lines[1].end_x, chart.lines[1].end_y) == sure[-1]
    rise = (fixed[0][1] - fixed[1][1]) / (fixed[1][1] - fixed[2][1])
    # By the logarithm of the error: 0.4 to 0.1, then 0.1 to 0.01.
    assert rise == pytest.approx(math.log10(4) / math.log10(10), abs=0.01)


def test_stopping_chart_of_many_equal_rows_keeps_names_apart_and_inside():
    rows = [Stopping(str(i), [0.1, 0.2], []) for i in range(30)]
    chart = stopping_chart(rows)
    ends = sorted(line.end_y for line in chart.lines if line.kind == "sure")
    assert min(np.diff(ends)) >= 12.9
    assert chart.top <= ends[0] and ends[-1] <= chart.height - chart.bottom
    short = stopping_chart(
        [Stopping("A", [0.1, 0.2], []), Stopping("B", [0.2] * 4, [])]
    )
    ends = [line.end_y for line in short.lines if line.kind == "sure"]
    assert ends[0] == ends[1]  # Far from each other: neither moves.


def test_letters_name_more_rows_than_there_are_letters():
    assert [_letter(place) for place in (0, 25, 26, 53)] == ["A", "Z", "A2", "B3"]


def test_confusion_finds_worst_pairs_and_shades_by_share():
    confusion = view_confusion(["a", "b", "c"], [[6, 4, 0], [2, 8, 0], [0, 1, 0]])
    assert [(p.first, p.second) for p in confusion.worst] == [("a", "b"), ("b", "c")]
    assert confusion.worst[0].share == pytest.approx(100 * 6 / 7)
    assert confusion.discussed == []
    assert confusion.cells[0][1].shade == pytest.approx(0.4**0.5, abs=0.01)
    many = view_confusion([str(i) for i in range(30)], np.eye(30, dtype=int).tolist())
    assert many.cells == []


# --- Legibility: contrast as WCAG 2.2 defines it -------------------------------------


def colours(scheme):
    """The custom colours of style.css, [3] in [0, 1] each; dark ones over the light."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    text = light if scheme == "light" else light + dark
    return {
        name: np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])
        for name, digits in re.findall(r"--([\w-]+): #(\w{6});", text)
    }


def contrast(first, second):
    def luminance(colour):
        linear = np.where(
            colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4
        )
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_and_white_is_21():
    assert contrast(np.zeros(3), np.ones(3)) == pytest.approx(21)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["right", "wrong"])
def test_confusion_cells_of_every_shade_are_legible(scheme, kind):
    rule = (
        f".matrix tbody td.{kind} {{ background: color-mix(in srgb, "
        f"var(--{kind}-cell) var(--shade), var(--panel)); }}"
    )
    style = (TEMPLATES / "viewer.css").read_text(encoding="utf-8")
    assert rule in style  # What is computed here.
    # No other colour of text than the page's.
    cells = re.findall(r"\.matrix (?:tbody )?td[^{]*\{([^}]*)\}", style)
    assert cells and not any(re.search(r"(?:^|[\s;])color:", text) for text in cells)
    found = colours(scheme)
    for percent in range(101):
        share = percent / 100
        cell = share * found[f"{kind}-cell"] + (1 - share) * found["panel"]
        assert contrast(cell, found["ink"]) >= 4.5, percent


# --- The committed results -----------------------------------------------------------


def test_page_of_the_committed_results_is_under_5_megabytes(tmp_path):
    path, tables = make_report(ROOT / "results", tmp_path, ROOT / "experiments")
    assert any(row.status == "complete" for table in tables for row in table.rows)
    assert path.stat().st_size < 5_000_000


def test_page_says_what_policies_are_worth(tmp_path):
    path, tables = make_report(ROOT / "results", tmp_path, ROOT / "experiments")
    text = " ".join(path.read_text().split())
    section = text[text.index('<section id="policies"') :]
    section = section[: section.index("</section>")]
    worths = worth_of(tables)
    assert section.count("<tr>") == len(worths) + 1 > 1  # And the headings.
    for worth in worths:
        for other in filter(None, worth.others.values()):
            gain = f"{other.gain:+.2f}".replace("-", "\N{MINUS SIGN}")
            cell = f"{other.accuracy:.2f}<small>{gain} ± {other.half:.2f}</small>"
            assert cell in section, worth.row.experiment.name


def test_committed_mnist_recipe_keeps_what_is_claimed_of_it():
    path = ROOT / "results" / "best" / "mnist_6g" / "seed0.json"
    results = json.loads(path.read_text())
    policies = results["evaluation"]["policies"]
    assert results["evaluation"]["split"] == "test"
    assert results["test_accuracy"] == policies["learned"]["accuracy"] >= 0.989
    assert results["wall_seconds"] < 30 * 60

    def variance(measures):
        accuracy = measures["accuracy"]
        return accuracy * (1 - accuracy) / measures["num_images"]

    for other in ("random", "center"):
        gain = policies["learned"]["accuracy"] - policies[other]["accuracy"]
        # Of independent accuracies: the file does not say who errs on which image.
        error = math.sqrt(variance(policies["learned"]) + variance(policies[other]))
        assert gain >= max(0.01, 3 * error), other
