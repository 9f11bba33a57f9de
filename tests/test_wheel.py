"""What `pip install` of the built wheel gives, in a folder beside no repository."""

import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile

import numpy as np
import pytest
from PIL import Image

import ram_tf
from ram_tf.data.sources.mnist_sample import SAMPLE_FILE

ROOT = pathlib.Path(__file__).parents[1]


def run(*command, cwd):
    """Returns the output of a command that must succeed; no import path leaks in."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    process = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # What git would give: setuptools leaves its build folder where it builds.
    tree = folder / "tree"
    tree.mkdir()
    listed = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        if name.startswith(("ram_tf/", "tests/")) or "/" not in name:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
        *("--no-build-isolation", "--use-pep517", "--wheel-dir", folder, tree),
        cwd=folder,
    )
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The bin folder of an environment with the wheel and this one's dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    site = pathlib.Path(sysconfig.get_path("purelib", "venv", paths))
    scripts = pathlib.Path(sysconfig.get_path("scripts", "venv", paths))
    run(
        *(sys.executable, "-m", "pip", "--python", scripts / "python", "install"),
        *("--quiet", "--no-deps", wheel),
        cwd=folder,
    )
    # Behind the environment's own packages, so that the wheel's ram_tf comes first.
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(here) + "\n")
    return scripts


def test_wheel_holds_sample_and_presets_and_nothing_of_the_repository(wheel):
    assert wheel.name.startswith(f"ram_tf-{ram_tf.__version__}-")
    assert wheel.stat().st_size < 12_000_000
    names = zipfile.ZipFile(wheel).namelist()
    assert "ram_tf/data/sources/mnist_sample.npz" in names
    assert "ram_tf/presets/demo/model.weights.h5" in names
    assert "ram_tf/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"ram_tf", f"ram_tf-{ram_tf.__version__}.dist-info"}


def test_console_scripts_run_in_a_foreign_folder(installed, tmp_path):
    scripts = sorted(path for path in installed.glob("ram-*"))
    assert len(scripts) >= 8
    for script in scripts:
        assert "--" in run(script, "--help", cwd=tmp_path), script.name
    where = run(
        installed / "python", "-c", "import ram_tf; print(ram_tf)", cwd=tmp_path
    )
    assert str(installed.parent) in where


def test_a_preset_names_nine_of_ten_digits(installed, tmp_path):
    with np.load(SAMPLE_FILE) as sample:
        images, labels = sample["test_images"][:10], sample["test_labels"][:10]
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image.squeeze()).save(tmp_path / f"{index}_{label}.png")
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    command = (installed / "ram-predict", "--model=preset:demo", *names)
    lines = run(*command, cwd=tmp_path).splitlines()
    found = re.findall(r"^\d_(\d)\.png: (\d) \(", "\n".join(lines), re.MULTILINE)
    assert len(found) == 10, lines
    assert sum(truth == said for truth, said in found) >= 9, lines
