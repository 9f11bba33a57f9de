"""The manifest, the Makefile and the README say what is so."""

import ast
import configparser
import importlib.util
import pathlib
import re
import sys

import pytest
from packaging.requirements import Requirement

import ram_tf.export

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# What a module is imported as, where that is not the name of its distribution.
DISTRIBUTIONS = {
    "absl": "absl-py",
    "tensorflow_datasets": "tensorflow-datasets",
    "tensorflow_probability": "tensorflow-probability",
    "PIL": "pillow",
    "setuptools": "",
}


def manifest() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(text: str) -> list[Requirement]:
    lines = [line.strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def imported_packages(path: pathlib.Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    tables = ROOT / "experiments" / "tables.mk"
    if tables.exists():
        text += tables.read_text(encoding="utf-8")
    named = re.findall(r"^([a-z][a-z0-9_ -]*):(?!=)", text, re.MULTILINE)
    phony = re.findall(r"^\.PHONY:(.*)$", text.replace("\\\n", " "), re.MULTILINE)
    return set(" ".join(named + phony).split())


def test_manifest_declares_every_package_that_is_imported():
    config = manifest()
    declared = config["options"]["install_requires"]
    extras = config["options.extras_require"]
    declared += extras["figures"] + extras["report"]
    names = {requirement.name.lower() for requirement in requirements(declared)}
    missing = set()
    for path in (ROOT / "ram_tf").rglob("*.py"):
        for package in imported_packages(path) - {"ram_tf"}:
            name = DISTRIBUTIONS.get(package, package)
            if package not in sys.stdlib_module_names and name.lower() not in names:
                missing.add((package, path.name))
    assert not missing


def test_constraints_lie_in_the_ranges_of_the_manifest():
    pins = {}
    for pin in requirements((ROOT / "constraints.txt").read_text(encoding="utf-8")):
        (exact,) = pin.specifier
        assert exact.operator == "=="
        pins[pin.name.lower().replace("_", "-")] = exact.version
    config = manifest()
    extras = config["options.extras_require"]
    wanted = [config["options"]["install_requires"], extras["figures"]]
    for requirement in requirements("\n".join([*wanted, extras["report"]])):
        version = pins[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(version), requirement
    for requirement in requirements(extras["dev"]):
        assert requirement.name == "ram-tf" or requirement.name in pins


def test_manifest_ships_every_file_that_is_not_code():
    patterns = " ".join(manifest()["options.package_data"].values()).split()
    for path in (ROOT / "ram_tf").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            ends = [f"{path.parent.name}/{path.name}", path.name]
            matched = [
                p for p in patterns if any(pathlib.PurePath(e).match(p) for e in ends)
            ]
            assert matched, path
    assert (ROOT / "ram_tf/data/sources/mnist_sample.npz").stat().st_size < 3_000_000


def test_console_scripts_name_commands():
    for line in manifest()["options.entry_points"]["console_scripts"].split("\n"):
        if line:
            module = line.split("=")[1].strip().removesuffix(":main")
            spec = importlib.util.find_spec(module)
            assert spec is not None and spec.origin, module
            source = pathlib.Path(spec.origin).read_text(encoding="utf-8")
            assert re.search(r"^main = entry_point\(", source, re.MULTILINE), module


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_documents_name_targets_and_files_that_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|^    )make ([a-z][a-z0-9_-]*)", text, re.MULTILINE))
    if (ROOT / "experiments" / "tables.mk").exists():
        assert targets <= make_targets()
    assert targets
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link
    for module in re.findall(r"\bram_tf/[a-z_/]+\.py", text):
        assert (ROOT / module).exists(), module


def test_readme_draws_the_way_of_the_data_with_files_that_exist():
    drawing = README.split("## The way of the data")[1].split("## Commands")[0]
    files = re.findall(r"(?:[a-z]+/)?[a-z_]+\.py", drawing)
    assert len(files) > 20
    for name in files:
        assert (ROOT / "ram_tf" / name).exists(), name


def test_readme_examples_print_what_they_say(capsys, tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = [f"--run_dir={tiny_run}", "--export_dir=exported/demo"]
    assert ram_tf.export.main(flags) == 0
    capsys.readouterr()
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    code = "\n".join(blocks)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    *shapes, answer = capsys.readouterr().out.splitlines()
    expected = re.findall(r"^print.*  # (\(.*)$", code, re.MULTILINE)
    assert shapes == expected and len(expected) == 2
    assert answer.endswith("(5, 10)")
    for name, shape in re.findall(
        r"^(\w+)[ ,].*  # (\([\d, ]+\))", blocks[1], re.MULTILINE
    ):
        assert str(tuple(names[name].shape)) == shape, name
