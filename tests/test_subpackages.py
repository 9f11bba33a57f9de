"""The order of the subpackages, and that no modules import each other in a circle.

Every import counts, also one inside a function or for types alone.
"""

import ast
import graphlib
import pathlib
from collections.abc import Mapping

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "ram_tf"
# From the ground up: a subpackage imports only from its own line and those before it.
ORDER = (
    (
        "ram_tf.errors",
        "ram_tf.files",
        "ram_tf.markdown",
        "ram_tf.config",
        "ram_tf.flags",
    ),
    ("ram_tf.entry_point",),
    ("ram_tf.layers",),
    ("ram_tf.runtime",),
    ("ram_tf.models",),
    ("ram_tf.data.raw",),
    ("ram_tf.data.sources",),
    ("ram_tf.data",),
    ("ram_tf.runs",),
    ("ram_tf.evaluation",),
    ("ram_tf.training",),
    ("ram_tf.serving",),
    ("ram_tf.tables",),
    ("ram_tf.presets",),
    ("ram_tf.viz",),
    ("ram_tf.playground",),
    ("ram_tf.sweeps",),
    ("ram_tf.benchmarks",),
)
# What a picture is, whoever reads it: the sources stand on these.
GROUND_OF_DATA = (
    "ram_tf.data.image_ops",
    "ram_tf.data.picture",
    "ram_tf.data.picture_files",
)
COMMANDS = len(ORDER)  # Above all subpackages: every other module of the top level.


def imports_of(source: str, modules: set[str]) -> set[str]:
    """Returns which of `modules` a source text imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            base = str(node.module)
            for alias in node.names:
                name = f"{base}.{alias.name}"
                found.add(name if name in modules else base)
    return found & modules


def level(module: str) -> int:
    """Returns the line of ORDER that a module stands in."""
    if module in GROUND_OF_DATA:
        return ORDER.index(("ram_tf.layers",))
    for index, subpackages in enumerate(ORDER):
        if any(
            module == subpackage or module.startswith(f"{subpackage}.")
            for subpackage in subpackages
        ):
            return index
    return COMMANDS


def faults(sources: Mapping[str, str]) -> list[str]:
    """Returns what is wrong with the imports of modules, given by name and text."""
    modules = set(sources)
    graph = {name: imports_of(text, modules) for name, text in sources.items()}
    found = [
        f"{name} imports {imported}, of a later subpackage"
        for name, imports in sorted(graph.items())
        for imported in sorted(imports)
        if level(imported) > level(name)
    ]
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append(f"import in a circle: {' <- '.join(error.args[1])}")
    return found


def sources_of_the_package() -> dict[str, str]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


def test_the_package_keeps_the_order_of_subpackages_without_circles():
    sources = sources_of_the_package()
    assert len(sources) > 80
    assert faults(sources) == []


@pytest.mark.parametrize(
    "sources, fault",
    [
        (
            {
                "ram_tf.layers.core": "def f():\n    from ram_tf.models import model",
                "ram_tf.models.model": "",
            },
            "ram_tf.layers.core imports ram_tf.models.model, of a later subpackage",
        ),
        (
            {"ram_tf.viz.page": "import ram_tf.train", "ram_tf.train": ""},
            "ram_tf.viz.page imports ram_tf.train, of a later subpackage",
        ),
        (
            {
                "ram_tf.runs.a": "from ram_tf.runs.b import x",
                "ram_tf.runs.b": "def f():\n    import ram_tf.runs.a",
            },
            "import in a circle: ",
        ),
    ],
    ids=["inside a function", "a subpackage imports a command", "a circle"],
)
def test_the_check_finds_a_fault(sources, fault):
    (found,) = faults(sources)
    assert found.startswith(fault)


def test_the_check_lets_good_imports_pass():
    sources = {
        "ram_tf.train": "from ram_tf.training.run import train",
        "ram_tf.training.run": "from ram_tf.errors import RamError",
        "ram_tf.errors": "import re",
    }
    assert faults(sources) == []
