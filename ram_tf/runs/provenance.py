"""What numbers were made with: versions of packages, and the commit of the package."""

import importlib.metadata
import pathlib
import subprocess

_PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy")


def versions() -> dict[str, str]:
    """Returns the version of each package that the numbers rest on."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def commit() -> str | None:
    """Returns the commit of the package's own repository, None outside it.

    It ends in "-dirty" when a file that the repository holds has changes that are not
    in it; results themselves do not count.
    """
    module = pathlib.Path(__file__)
    try:
        # An installed package may lie in a repository of somebody else's, as in a .venv
        # in it, which holds it untracked or at another place.
        place = _git(module.parent, "ls-files", "--full-name", module.name)
        if place != f"{__package__.replace('.', '/')}/{module.name}":
            return None
        words = ("status", "--porcelain", "--untracked-files=no")
        changes = _git(module.parent, *words, "--", ":/", ":(top,exclude)results")
        head = _git(module.parent, "rev-parse", "HEAD")
        return f"{head}-dirty" if changes else head
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: pathlib.Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()
