"""In what data differ from those that a run began with, in words."""

import collections
from collections.abc import Iterator
from typing import Any

_FEW = 3  # Names that a message lists.
_NAMES = "image_names"  # What files are called changes nothing.
_DIGESTS = "image_digests"


def data_changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Says what changed between two records of data; nothing when nothing did.

    Args:
      before: what `Source.records` said when the run began.
      now: what it says today.
    """
    changes = [
        f"{key} {before.get(key)} (now {now.get(key)})"
        for key in sorted({*before, *now} - {"splits", "dataset"})
        if before.get(key) != now.get(key)
    ]
    old_splits, new_splits = before["splits"], now["splits"]
    of_splits = [
        _split_change(split, old_splits.get(split), found)
        for split, found in new_splits.items()
        if _without_names(old_splits.get(split)) != _without_names(found)
    ]
    if of_splits:
        changes += _image_changes(old_splits, new_splits)
    return changes + of_splits


def _without_names(record: Any) -> Any:
    if not isinstance(record, dict):
        return record
    return {key: value for key, value in record.items() if key != _NAMES}


def _split_change(split: str, old: Any, now: dict[str, Any]) -> str:
    if not isinstance(old, dict):
        return f"{split} of {now['images']} images, where none was"
    said = f"{split} of {now['images']} images (was {old.get('images')})"
    if old.get("cut") != now.get("cut"):
        said += f", {now.get('cut')} (was {old.get('cut')})"
    return said


def _image_changes(old: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Says which images came, went and moved, where the records know single ones."""
    before, after = list(_images(old)), list(_images(now))
    if not before or not after:
        return []
    come, gone = _missing(after, before), _missing(before, after)
    # By split, an image that moved is both; what is new or gone is counted already.
    moved = len(_missing(after, before, with_split=True)) - len(come)
    lines = []
    if come:
        lines.append(f"{len(come)} new{_named(come)}")
    if gone:
        lines.append(f"{len(gone)} gone{_named(gone)}")
    if moved:
        lines.append(f"{moved} now in another split")
    return lines


# Split, digest and name of an image.
_Image = tuple[str, str, str]


def _images(splits: dict[str, Any]) -> Iterator[_Image]:
    for split, record in splits.items():
        digests = record.get(_DIGESTS) if isinstance(record, dict) else None
        if not isinstance(digests, list):
            continue
        names = record.get(_NAMES)
        if not isinstance(names, list) or len(names) != len(digests):
            names = [""] * len(digests)  # A run of an earlier version kept none.
        for digest, name in zip(digests, names, strict=True):
            yield split, str(digest), str(name)


def _missing(
    images: list[_Image], others: list[_Image], with_split: bool = False
) -> list[_Image]:
    """Returns the images of one list that the other has not, or has fewer times."""

    def key(image: _Image) -> tuple[str, ...]:
        return image[:2] if with_split else image[1:2]

    left = collections.Counter(map(key, others))
    missing = []
    for image in images:
        if left[key(image)]:
            left[key(image)] -= 1
        else:
            missing.append(image)
    return missing


def _named(images: list[_Image]) -> str:
    names = [name for _, _, name in images if name]
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return f" ({', '.join(names[:_FEW])}{more})" if names else ""
