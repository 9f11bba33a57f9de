"""The manifest says what is so."""

import ast
import configparser
import importlib.util
import pathlib
import re
import sys

from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[1]

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


def test_manifest_declares_every_package_that_is_imported():
    config = manifest()
    declared = config["options"]["install_requires"]
    extras = config["options.extras_require"]
    declared += extras["figures"] + extras["report"] + extras["app"]
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
    wanted += [extras["report"], extras["docs"], extras["app"]]
    for requirement in requirements("\n".join(wanted)):
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
