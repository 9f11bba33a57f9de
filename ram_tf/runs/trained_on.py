"""Which images some weights were trained on, and which of them measure a run."""

import dataclasses
import pathlib
import re
from collections.abc import Iterable
from typing import Any

from ram_tf.errors import RamError
from ram_tf.models.preset_files import PRESET
from ram_tf.runs.data_changes import recorded_images

# Of public data: "mnist train[0:55000]".
_CUT = re.compile(r"(?P<data>\S+) (?P<split>\w+)\[(?P<start>\d+):(?P<stop>\d+)\]")
_FIELDS = ("contents", "cuts", "unrecorded")


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """The images that some weights were trained on, as far as they are known.

    Attributes:
      contents: digests of images of folders.
      cuts: parts of public data, as "mnist train[0:55000]".
      unrecorded: names of trained weights of which the images are not known.
    """

    contents: frozenset[str] = frozenset()
    cuts: frozenset[str] = frozenset()
    unrecorded: frozenset[str] = frozenset()

    @classmethod
    def of(cls, records: dict[str, Any] | None, name: str) -> "TrainedOn":
        """Returns what weights were trained on.

        Args:
          records: of the data of their run, as `Source.records` has them; None where
            there are none.
          name: of the weights, for messages.
        """
        if records is not None:
            splits = {"train": records["splits"].get("train")}
            contents = frozenset(image.content for image in recorded_images(splits))
            cut = _cut_of(records, "train")
            if contents or cut:
                return cls(contents=contents, cuts=frozenset([cut] if cut else []))
        return cls(unrecorded=frozenset([name]))

    @classmethod
    def of_preset(
        cls, metadata: dict[str, Any], name: str, path: pathlib.Path
    ) -> "TrainedOn":
        """Returns what the weights of a preset were trained on.

        Args:
          metadata: the preset's; of an earlier version it does not say.
          name: what the preset is called now; its folder may have had another.
          path: of the metadata, for messages.

        Raises:
          RamError: when it says something else.
        """
        saved = metadata.get("trained_on")
        if saved is None:
            return cls.of(None, name)
        found = cls.from_json(saved, path)
        own = f"{PRESET}{metadata.get('name')}"
        names = (name if each == own else each for each in found.unrecorded)
        return dataclasses.replace(found, unrecorded=frozenset(names))

    @classmethod
    def from_json(cls, saved: Any, path: pathlib.Path) -> "TrainedOn":
        """Returns what `to_json` wrote.

        Args:
          saved: what a file holds of it.
          path: of the file, for messages.

        Raises:
          RamError: when it is something else.
        """
        found: dict[str, frozenset[str]] = {}
        for name in _FIELDS:
            texts = saved.get(name) if isinstance(saved, dict) else None
            if not isinstance(texts, list) or not all(
                isinstance(text, str) and (name != "cuts" or _CUT.fullmatch(text))
                for text in texts
            ):
                raise RamError(f"{path}: expected a list of texts as trained_on.{name}")
            found[name] = frozenset(texts)
        return cls(**found)

    def to_json(self) -> dict[str, list[str]]:
        """Returns it ready for JSON."""
        return {name: sorted(getattr(self, name)) for name in _FIELDS}

    def __or__(self, other: "TrainedOn") -> "TrainedOn":
        return TrainedOn(
            *(getattr(self, name) | getattr(other, name) for name in _FIELDS)
        )

    def without_contents(self, name: str) -> "TrainedOn":
        """Returns it without single images: those of a name are then unrecorded."""
        names = [name] if self.contents else []
        return TrainedOn(frozenset(), self.cuts, self.unrecorded | {*names})

    def seen(self, records: dict[str, Any]) -> list[str]:
        """Says how many images that are to measure a run are among these.

        Args:
          records: of the data of the run.

        Returns:
          A phrase for validation and for test, where they are known; nothing where
          none is among these.
        """
        phrases, total = [], 0
        for split in ("validation", "test"):
            images = recorded_images({split: records["splits"].get(split)})
            known = [image.content in self.contents for image in images]
            cut = _CUT.fullmatch(_cut_of(records, split))
            if cut:
                known = list(self._has(cut))
            total += sum(known)
            if known:
                count = f"{sum(known):,}" if any(known) else "none"
                phrases.append(f"{count} of the {len(known):,} images of {split}")
        return phrases if total else []

    def _has(self, cut: re.Match[str]) -> Iterable[bool]:
        """Yields of each example of a cut whether it is among these."""
        ranges = [
            _range(mine)
            for mine in map(_CUT.fullmatch, self.cuts)
            if mine and (mine["data"], mine["split"]) == (cut["data"], cut["split"])
        ]
        for example in _range(cut):
            yield any(example in mine for mine in ranges)


def _range(cut: re.Match[str]) -> range:
    return range(int(cut["start"]), int(cut["stop"]))


def _cut_of(records: dict[str, Any], split: str) -> str:
    """Returns the part of public data that a split is; empty if it is none."""
    record = records["splits"].get(split)
    cut = record.get("cut") if isinstance(record, dict) else None
    # One set may be a part of another. A version may stand behind the name.
    data = records.get("part_of", records["dataset"]).partition(":")[0]
    found = f"{data} {cut}"
    return found if cut and _CUT.fullmatch(found) else ""
