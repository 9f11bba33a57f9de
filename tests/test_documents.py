"""The documents say what is so: their examples run, their commands and links exist.

An example that cannot be run has a comment before it, <!-- not run: reason -->.
"""

import functools
import importlib
import importlib.util
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from ram_tf.flags import parse
from ram_tf.tables.collect import collect
from ram_tf.tables.policy_worth import worth_of
from ram_tf.tables.readme import BEGIN, END

ROOT = pathlib.Path(__file__).parents[1]
_FENCE = re.compile(
    r"(?P<skip><!-- not run: .+? -->\n\s*)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# What a shell block may hold beside commands of the package and make.
_OTHER_COMMANDS = ("pip", "cp", "export", "source", "tensorboard")


def _hooks():
    """Returns docs/site/hooks.py, which is no part of a package."""
    path = ROOT / "docs" / "site" / "hooks.py"
    spec = importlib.util.spec_from_file_location("docs_hooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOOKS = _hooks()
PAGES = [str(page.relative_to(ROOT)) for page in HOOKS.documents()]


@functools.cache
def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text, *languages):
    """Returns the code of a text's blocks in some languages that are to be run."""
    found = _FENCE.finditer(text)
    return [m["code"] for m in found if m["language"] in languages and not m["skip"]]


PYTHON_PAGES = [page for page in PAGES if blocks(text_of(page), "python")]
SHELL_PAGES = [page for page in PAGES if blocks(text_of(page), "sh", "")]


def shell_commands(text):
    """Returns the words of every command in a text's shell blocks."""
    code = "\n".join(blocks(text, "sh", "")).replace("\\\n", " ")
    code = re.sub(r"(^|\s)#.*$", "", code, flags=re.MULTILINE)
    commands, words = [], []
    lexer = shlex.shlex(code, posix=True, punctuation_chars=";&|<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    for word in lexer:
        if set(word) <= set(";&|\n"):
            commands.append(words)
            words = []
        else:
            words.append(word)
    return [words for words in [*commands, words] if words]


def expected_output(code):
    """Returns what the prints of a code say, in comments, that they print."""
    return re.findall(r"^print\(.*\)  # (.+)$", code, re.MULTILINE)


def make_files():
    paths = [ROOT / "Makefile", *sorted((ROOT / "experiments").glob("*.mk"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def make_targets():
    text = make_files().replace("\\\n", " ")
    phony = re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE)
    tables = re.findall(r"^(?:PAPER_)?TABLES := (.*)$", text, re.MULTILINE)
    return {word for word in " ".join(phony + tables).split() if "$" not in word}


@pytest.fixture(scope="session")
def demo_export(tmp_path_factory):
    """A folder with exported/demo in it: the preset of make demo's run."""
    from ram_tf.serving.formats import write_model
    from ram_tf.serving.preset_run import load_preset_run
    from ram_tf.serving.saved_model import default_rollouts
    from ram_tf.serving.signatures import ServedModel, first_locations

    experiment, _ = load_preset_run("demo")
    starts = first_locations("center", default_rollouts(experiment.config))
    folder = tmp_path_factory.mktemp("demo")
    (folder / "exported" / "demo").mkdir(parents=True)
    write_model(
        ServedModel(experiment, starts), folder / "exported" / "demo", "saved_model"
    )
    return folder


# Each is a process that imports TensorFlow: the README's always runs.
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if page == "README.md" else pytest.mark.slow)
        for page in PYTHON_PAGES
    ],
)
def test_python_of_a_page_prints_what_it_says(page, request, tmp_path):
    code = "\n".join(blocks(text_of(page), "python"))
    needs_export = "exported/demo" in code
    folder = request.getfixturevalue("demo_export") if needs_export else tmp_path
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    expected = expected_output(code)
    assert expected, "expected a print with what it prints behind it"
    assert done.stdout.splitlines() == expected


def test_python_is_on_the_pages_that_promise_it():
    assert {"README.md", "docs/layers.md", "docs/serving.md"} <= set(PYTHON_PAGES)


def test_every_layer_has_an_example_that_runs():
    from ram_tf import layers

    code = "\n".join(blocks(text_of("docs/layers.md"), "python"))
    for name in layers.__all__:
        core = [key for key, layer in layers.CORES.items() if layer.__name__ == name]
        used = f"layers.{name}(" in code
        assert used or any(f'CORES["{key}"]' in code for key in core), name


@pytest.mark.parametrize("page", SHELL_PAGES)
def test_shell_of_a_page_is_made_of_commands_that_exist(page, monkeypatch):
    copied = {}
    for words in shell_commands(text_of(page)):
        command = words[0].removeprefix(".venv/bin/")
        if command == "cp":
            copied[words[2]] = words[1]
        elif command == "python" and words[1:2] == ["-m"]:
            _check_command(words[2], words[3:], copied, monkeypatch)
        elif command == "python":
            assert (ROOT / words[1]).exists(), words
        elif command == "make":
            _check_make(words[1:])
        else:
            assert command in _OTHER_COMMANDS, f"{words}: run it, or say why not"


class _Parsed(Exception):
    """Ends a command when its words are read."""


def _check_command(name, words, copied, monkeypatch):
    """Parses words as a command does, without running it."""
    assert name.startswith("ram_tf."), name
    module = importlib.import_module(name)
    if hasattr(module, "__path__"):  # A subpackage that is a command too.
        module = importlib.import_module(f"{name}.__main__")

    def only_parse(settings, argv, *, positional=False):
        parse(settings, argv, positional=positional)
        raise _Parsed

    words = list(words)
    if ">" in words:
        del words[words.index(">") :]
    for index, word in enumerate(words):
        path = word.removeprefix("--flagfile=")
        words[index] = f"--flagfile={copied[path]}" if path in copied else word
    with monkeypatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr("ram_tf.entry_point.parse", only_parse)
        with pytest.raises(_Parsed):
            module.main(words)


def _check_make(words):
    for word in words:
        variable, equals, _ = word.partition("=")
        if equals:
            assert f"$({variable})" in make_files(), word
        else:
            assert word in make_targets(), word


# The change log may name what is gone.
@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_targets_and_flags_in_the_text_exist(page):
    text = _FENCE.sub("", text_of(page))
    targets = re.findall(r"`make ([a-z][a-z0-9_-]*)", text)
    assert set(targets) <= make_targets()
    flags = set(re.findall(r"`--([a-z][a-z_]+)", text))
    assert flags <= _all_flags(), flags - _all_flags()


@functools.cache
def _all_flags():
    """Returns the names of the flags of all commands."""
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "ram_tf").rglob("*.py")
    )
    own = re.findall(r"Setting\(\s*\"([a-z_]+)\"", code)
    from ram_tf.flags import config_settings

    named = {setting.name for setting in config_settings()}
    return named | set(own) | {"flagfile", "help"}


@pytest.mark.parametrize("page", PAGES)
def test_links_and_paths_lead_to_files(page):
    text = text_of(page)
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        assert (folder / target).exists(), target
    for path in re.findall(
        r"`((?:ram_tf|tests|docs|experiments)/[\w./-]+\.\w+)`", text
    ):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m (ram_tf[\w.]*)", text):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("page", PAGES)
def test_links_to_headings_lead_to_headings(page):
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)L][^)]*)\)", text_of(page)):
        path = (ROOT / page).parent / target if target else ROOT / page
        headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
        slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
        assert anchor in slugs, (target, anchor)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if HOOKS.CODE_LINK.search(text_of(p))]
)
def test_links_to_code_name_the_line_of_the_definition(page):
    found = HOOKS.with_lines(text_of(page), (ROOT / page).parent)
    assert found == text_of(page), "make doc-links sets the lines anew"


def test_line_of_a_definition_is_found_in_code():
    code = (
        "import x\n# alpha: no\n    alpha: int = 3\ndef beta(a):\nclass Gamma:\nz = 1\n"
    )
    names = ("alpha", "beta", "Gamma", "z", "x")
    assert [HOOKS.line_of(name, code) for name in names] == [3, 4, 5, 6, None]


def test_site_links_point_to_pages_of_the_site():
    text = "[a](../ram_tf/config.py#L3) [b](data.md#x) [c](../README.md) [d](no.md)"
    found, linked = HOOKS.with_site_links(text, "docs/serving.md")
    assert found == (
        "[a](source/ram_tf/config.py.md#line-3) [b](data.md#x) [c](index.md) [d](no.md)"
    )
    assert linked == {"ram_tf/config.py", "docs/data.md", "README.md"}


@pytest.mark.parametrize("page", PAGES)
def test_shell_stands_in_fences_where_it_is_checked(page):
    commands = r"^    (?:\.venv/bin/)?(?:make|python|pip|export|git|cd) "
    assert not re.findall(commands, _FENCE.sub("", text_of(page)), re.MULTILINE)
    languages = {match["language"] for match in _FENCE.finditer(text_of(page))}
    assert languages <= {"python", "sh", "text", ""}


@pytest.mark.parametrize("page", PAGES)
def test_no_line_begins_with_the_mark_of_a_figure(page):
    # A comment at the beginning of a line ends the paragraph.
    assert not re.findall(r"^[ >*-]*<!--(?:\w+ )?\w+/\w.*", text_of(page), re.MULTILINE)


def test_readme_is_short_and_maps_the_paper_to_files():
    text = text_of("README.md")
    assert len(text.splitlines()) < 150
    table = text.split("## The paper's Figure 2 as files")[1].split("\n## ")[0]
    sections = re.findall(r"^\| [^|]+ \| ([\d.]+) \|", table, re.MULTILINE)
    assert sections == ["4.1", "4.2", "4.3", "4.4", "4.5", "4", "4.5.1", "5"]
    headline = text.split(BEGIN)[1].split(END)[0].strip().splitlines()
    assert len(headline) == 2 + 9 + 2  # And what policies are worth.
    tables = collect(ROOT / "experiments", ROOT / "results")
    worths = {found.row.experiment.name: found for found in worth_of(tables)}
    other = worths["best/cluttered60_8g"].others["Trained on random locations"]
    said = f"cluttered MNIST, 60x60 {other.gain:+.1f} ± {other.half:.1f}"
    assert said in headline[-1]


def test_metrics_page_explains_every_logged_value():
    from ram_tf.models.recurrent_attention import RecurrentAttentionModel
    from ram_tf.training.callbacks import RunLogger

    text = text_of("docs/metrics.md")
    model = RecurrentAttentionModel(num_classes=2)
    columns = {metric.name for metric in model.trackers} | set(RunLogger.TAGS)
    columns |= {"border_share", "step_length", "glimpse_distance", "accuracy_random"}
    for name in [*columns, *RunLogger.TAGS.values(), "images_per_second"]:
        assert f"| `{name}` |" in text, name


@pytest.mark.slow
def test_readme_trains_on_a_folder_of_images(tmp_path):
    """The block "Your own images", as it stands but for fewer steps."""
    numbers = np.random.default_rng(0)
    for index in range(40):
        folder = tmp_path / "pets" / ("cat", "dog")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = numbers.integers(0, 256, (70, 80, 3)).astype("uint8")
        keras.utils.save_img(folder / f"{index}.png", pixels, scale=False)
    shutil.copy(tmp_path / "pets" / "cat" / "0.png", tmp_path / "cat.jpg")
    section = text_of("README.md").split("## Your own images")[1].split("\n## ")[0]
    short = ["--train_steps=4", "--eval_every=2", "--eval_rollouts=1"]
    commands = shell_commands(section)
    assert [words[2].split(".")[1] for words in commands] == [
        "train",
        "evaluate",
        "export",
        "predict",
    ]
    for words in commands:
        extra = short if words[2] == "ram_tf.train" else []
        done = subprocess.run(
            [sys.executable, *words[1:], *extra],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert re.match(r"cat.jpg: (cat|dog) \(", done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(
    not importlib.util.find_spec("mkdocs"), reason="the extra docs is not installed"
)
def test_site_is_built_without_a_warning_and_reads_without_a_network(tmp_path):
    words = ["build", "--strict", "--config-file=docs/site/mkdocs.yml"]
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *words, f"--site-dir={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        html = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img)[^>]+src="https?:', html), page
        assert not re.findall(r'<link[^>]+stylesheet[^>]+href="https?:', html), page
