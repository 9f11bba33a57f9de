"""Finds the image files that a word of a command line names."""

import glob
import os
from collections.abc import Callable, Iterator

from ram_tf.data import picture
from ram_tf.errors import RamError

_PATTERN = set("*?[")


def find_images(
    word: str, on_fault: Callable[[RamError], None] | None = None
) -> tuple[list[str], int]:
    """Returns the files that a word of a command line names, sorted.

    A folder stands for the picture files in it and in its folders, without hidden ones.
    Links to folders are followed; each folder is taken once. A pattern with *, ** or ?
    stands for the files that match, as a shell's: ** follows no links.

    Args:
      word: a file, a folder or a pattern.
      on_fault: called with the error for each folder that cannot be read, where others
        can; None raises it.

    Returns:
      The files, and how many others of a folder were left out.

    Raises:
      RamError: when a folder or pattern names none.
    """
    if os.path.isdir(word):
        found, others = [], 0
        faults: list[OSError] = []
        seen: set[tuple[int, int]] = set()
        walk = os.walk(word, onerror=faults.append, followlinks=True)
        for folder, folders, names in walk:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:  # A link back, or a second one.
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = os.path.join(folder, name)
                # A pipe would be waited for; a broken link is told when it is read.
                is_file = os.path.isfile(path) or not os.path.exists(path)
                is_picture = name.lower().endswith(picture.SUFFIXES) and name[0] != "."
                if is_picture and is_file:
                    found.append(path)
                else:
                    others += 1
        for error in faults:
            fault = RamError(
                f"{error.filename}: expected a folder to read, found: {error.strerror}"
            )
            if on_fault is None or not found:
                raise fault
            on_fault(fault)
        if not found:
            few = {0: "an empty folder", 1: "1 other file"}
            what = few.get(others, f"{others} other files")
            raise RamError(
                f"{word}: expected a folder with images ({picture.KINDS}), found {what}"
            )
        return found, others
    if _PATTERN.isdisjoint(word) or os.path.lexists(word):
        return [word], 0
    matches = sorted(set(filter(os.path.isfile, _matches(word))))
    if not matches:
        raise RamError(
            f"{word}: expected files whose names match this pattern, found none"
        )
    return matches, 0


def _matches(pattern: str) -> Iterator[str]:
    """Yields what a pattern matches. Python's own ** follows links, without an end."""
    parts = pattern.split("/")
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    at = parts.index("**")
    above, below = "/".join([*parts[:at], ""]), parts[at + 1 :] or ["*"]
    for top in glob.iglob(above) if at else [""]:
        for folder, folders, _ in os.walk(top or "."):
            folders[:] = [name for name in folders if not name.startswith(".")]
            here = (
                folder if top else folder[2:]
            )  # Without the "./" that was put before.
            yield from _matches(os.path.join(glob.escape(here), *below))
