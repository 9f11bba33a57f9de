"""Glimpse paths of a run: where it looked, what it saw, what it predicted.

Read from examples.npz of the run, for figures and the report. With NumPy only: a
picture should not wait for TensorFlow to load.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from ram_tf.config import Config
from ram_tf.errors import RamError
from ram_tf.runs.directory import RunDirectory
from ram_tf.runs.examples import read_examples

UNKNOWN = -1  # The label of an image of which nobody says what it is.
_ROUNDS = 100  # Of moving marks apart; paths of 30 glimpses take fewer.


class GlimpsePath(NamedTuple):
    """One image and what the model did on it.

    Attributes:
      image: uint8 [H, W, C].
      label: the true class, or UNKNOWN.
      locations: float32 [T, 2], (y, x) in [-1, 1]; fewer rows where it stopped.
      probabilities: float32 [T, N], of each class after each glimpse; likewise.
      name: of the image, as its file's; "" where it has none.
    """

    image: np.ndarray
    label: int
    locations: np.ndarray
    probabilities: np.ndarray
    name: str = ""

    @property
    def prediction(self) -> int:
        """The class that the model predicts, after its last glimpse."""
        return int(self.probabilities[-1].argmax())

    @property
    def is_right(self) -> bool:
        """Whether the prediction is the true class."""
        return self.prediction == self.label


@dataclasses.dataclass(frozen=True)
class PathRecord:
    """The paths of one run.

    Attributes:
      config: the run.
      paths: in the order of the test split.
      class_names: the N classes.
    """

    config: Config
    paths: list[GlimpsePath]
    class_names: list[str]


def read_paths(directory: RunDirectory) -> PathRecord:
    """Reads the glimpse paths of a finished run.

    Raises:
      RamError: when the folder holds none, or they are damaged, or the run is of a
        model that takes no glimpses.
    """
    config = directory.read_config()
    if config.model != "ram":
        raise RamError(
            f"--run_dir={directory.path}: expected a run of --model=ram, found "
            f"--model={config.model}, which takes no glimpses"
        )
    path = directory.examples
    if not path.exists():
        directory.read_finished_config()  # It says so of a run that did not end.
    examples = read_examples(path)
    steps = examples.locations.shape[1]
    if steps != config.num_glimpses:
        raise RamError(
            f"{path}: expected paths of {config.num_glimpses} glimpses, found {steps}"
        )
    columns = zip(
        examples.images,
        map(int, examples.labels),
        examples.locations,
        examples.probabilities,
        strict=True,
    )
    paths = [GlimpsePath(*row) for row in columns]
    return PathRecord(config, paths, examples.class_names)


def choose_paths(paths: list[GlimpsePath], count: int) -> list[GlimpsePath]:
    """Picks paths to show: right ones of different classes, and a wrong one at the end.

    Args:
      paths: to choose from.
      count: how many at most.

    Returns:
      The choice; its last is the first wrong prediction of all, when there is one. More
      wrong ones follow only when the right ones are not enough.
    """
    wrong = [path for path in paths if not path.is_right]
    seen: set[int] = set()
    first: list[GlimpsePath] = []
    again: list[GlimpsePath] = []
    for path in paths:
        if path.is_right:
            (again if path.label in seen else first).append(path)
            seen.add(path.label)
    right = [*first, *again][: count - bool(wrong)]
    return [*right, *wrong][:count]


def centre_px(locations: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """Returns locations [..., 2] in pixels of an image of (H, W), float32 (y, x)."""
    last_px = np.asarray(size_px, np.float32) - 1
    half = (np.asarray(locations, np.float32) + np.float32(1)) / np.float32(2)
    return half * last_px


def moved_apart_px(
    points: np.ndarray, least: float, size_px: tuple[int, int]
) -> np.ndarray:
    """Moves marks that would hide each other, each as little as it takes.

    The numbers of glimpses stand in the marks: where two glimpses look at one spot, a
    reader should see both. Outlines of patches still show where each looked.

    Args:
      points: [T, 2], (y, x) in pixels.
      least: the distance of two marks at which both can be read, in pixels.
      size_px: (H, W) of the image, which no mark leaves.

    Returns:
      float64 [T, 2]; `least` apart where the image is large enough for that.
    """
    places = np.array(points, np.float64)
    last_px = np.asarray(size_px, np.float64) - 1
    for _ in range(_ROUNDS):
        apart = places[:, None] - places[None]
        distance = np.hypot(apart[..., 0], apart[..., 1])
        close = np.argwhere(np.triu(distance < least * 0.99, 1))
        if not len(close):
            break
        for one, other in close:
            y, x = apart[one, other]
            # Marks on one spot part in a direction of their own pair.
            turn = np.arctan2(y, x) if y or x else np.pi + one + 2.4 * other
            push = np.array([np.sin(turn), np.cos(turn)])
            push *= (least - distance[one, other]) / 2
            places[one] += push
            places[other] -= push
        places = np.clip(places, 0, np.maximum(last_px, 0))
    return places


def top_left_px(
    locations: np.ndarray, size_px: tuple[int, int], side: int
) -> np.ndarray:
    """Returns the first row and column of patches, as `GlimpseSensor` cuts them.

    The figure, the report and its script all take the boxes of patches from here.

    Args:
      locations: [..., 2], (y, x) in [-1, 1].
      size_px: (H, W) of the image.
      side: the patch's side in pixels.

    Returns:
      int32 [..., 2].
    """
    centre = centre_px(locations, size_px)
    if side % 2:
        first = np.floor(centre + np.float32(0.5)) - (side - 1) // 2
    else:
        first = np.floor(centre) - side // 2 + 1
    return first.astype(np.int32)


def cut_patches(
    image: np.ndarray, location: np.ndarray, patch_size: int, num_scales: int
) -> np.ndarray:
    """Returns what one glimpse sees, as `GlimpseSensor` does.

    Args:
      image: [H, W, C].
      location: (y, x) in [-1, 1].
      patch_size: side g in pixels.
      num_scales: patches K.

    Returns:
      float32 [K, g, g, C] in the units of the image.
    """
    height, width, channels = image.shape
    g = patch_size
    patches = []
    for k in range(num_scales):
        side = g * 2**k
        top, left = top_left_px(location, (height, width), side)
        padded = np.pad(image, [(side, side), (side, side), (0, 0)])
        patch = padded[top + side : top + 2 * side, left + side : left + 2 * side]
        blocks = patch.astype(np.float32).reshape(g, side // g, g, side // g, channels)
        patches.append(blocks.mean(axis=(1, 3)))
    return np.stack(patches)
