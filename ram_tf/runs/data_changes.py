"""In what data differ from those that a run began with, in words."""

import collections
import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from ram_tf.errors import few_of

_FEW = 3  # Names that a message lists.
_NAMES = "image_names"  # What files are called changes nothing.
_DIGESTS = "image_digests"


def data_changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Says what changed between two records of data; nothing when nothing did.

    What a run of an earlier version did not record is not compared.

    Args:
      before: what `Source.records` said when the run began.
      now: what it says today.
    """
    changes = [
        f"{key} {before[key]} (now {now.get(key)})"
        for key in sorted({*before} - {"splits", "dataset"})
        if before[key] != now.get(key)
    ]
    old, new = before["splits"], now["splits"]
    changed = [split for split in new if not _same(old.get(split), new[split])]
    if not changed:
        return changes
    of_images = _image_changes(list(recorded_images(old)), list(recorded_images(new)))
    of_splits = [_split_change(split, old.get(split), new[split]) for split in changed]
    said = [line for line in of_splits if line]
    if not said and not of_images:
        said = [f"other images in {', '.join(changed)}"]
    return changes + of_images + said


def _same(old: Any, now: dict[str, Any]) -> bool:
    if not isinstance(old, dict):
        return False
    return all(old[key] == now.get(key) for key in {*old} - {_NAMES})


def _split_change(split: str, old: Any, now: dict[str, Any]) -> str:
    """Returns what can be said of a split without its images, perhaps nothing."""
    if not isinstance(old, dict):
        return f"{split} of {now['images']} images, where none was"
    cut = ""
    if "cut" in old and old["cut"] != now.get("cut"):
        cut = f", {now.get('cut')} (was {old.get('cut')})"
    if not cut and old.get("images") == now["images"]:
        return ""
    return f"{split} of {now['images']} images (was {old.get('images')}){cut}"


@dataclasses.dataclass(frozen=True)
class RecordedImage:
    """An image of a record: "digest label", of its content and class, and its name."""

    split: str
    digest: str
    name: str

    @property
    def content(self) -> str:
        return self.digest.partition(" ")[0]


def recorded_images(splits: dict[str, Any]) -> Iterator[RecordedImage]:
    """Yields the images of a record's splits, of data that know single images."""
    for split, record in splits.items():
        digests = record.get(_DIGESTS) if isinstance(record, dict) else None
        if not isinstance(digests, list):
            continue
        names = record.get(_NAMES)
        if not isinstance(names, list) or len(names) != len(digests):
            names = [""] * len(digests)  # A run of an earlier version kept none.
        for digest, name in zip(digests, names, strict=True):
            yield RecordedImage(split, str(digest), str(name))


def _image_changes(
    before: list[RecordedImage], after: list[RecordedImage]
) -> list[str]:
    """Says which images came, went and moved, where the records know single ones."""
    if not before or not after:
        return []
    contents = {image.content: image.name for image in before}
    # Of copies, one that kept its name is the one that was there.
    kept, gone, come = _paired(before, after, lambda image: (image.digest, image.name))
    renamed, gone, come = _paired(gone, come, lambda image: image.digest)
    relabelled, gone, come = _paired(gone, come, lambda image: image.content)
    moved = sum(old.split != new.split for old, new in kept + renamed)
    new_names = [
        f"{image.name}, a copy of {contents[image.content]}"
        if contents.get(image.content)
        else image.name
        for image in come
    ]
    lines = [
        _line("new", new_names),
        _line("gone", [image.name for image in gone]),
        _line(
            "now in another class",
            [f"{new.name}, was {old.name or 'elsewhere'}" for old, new in relabelled],
        ),
        f"{moved} now in another split" if moved else "",
    ]
    return [line for line in lines if line]


def _paired(
    before: Sequence[RecordedImage],
    after: Sequence[RecordedImage],
    key: Callable[[RecordedImage], Hashable],
) -> tuple[
    list[tuple[RecordedImage, RecordedImage]], list[RecordedImage], list[RecordedImage]
]:
    """Returns pairs of images of one key, and what is left of each side."""
    free = collections.defaultdict(list)
    for image in reversed(before):
        free[key(image)].append(image)
    pairs, come = [], []
    for image in after:
        if free[key(image)]:
            pairs.append((free[key(image)].pop(), image))
        else:
            come.append(image)
    used = {id(old) for old, _ in pairs}
    return pairs, [image for image in before if id(image) not in used], come


def _line(what: str, names: list[str]) -> str:
    """Returns "2 gone (a.png; b.png)", or nothing of no images."""
    if not names:
        return ""
    known = [name for name in names if name]
    return f"{len(names)} {what}" + (f" ({few_of(known, _FEW, '; ')})" if known else "")
