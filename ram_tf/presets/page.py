"""The table of presets in docs/presets.md, from their metadata."""

import pathlib

from ram_tf.config import Config
from ram_tf.evaluation.pixel_budget import PixelBudget
from ram_tf.files import write_atomic
from ram_tf.markdown import filled, table_text
from ram_tf.models.preset_files import PRESETS_DIR, read_metadata, shipped_names
from ram_tf.presets.words import data_words, percent, with_interval

PAGE = PRESETS_DIR.parents[1] / "docs" / "presets.md"  # In the repository alone.
BEGIN, END = "<!-- presets:begin -->", "<!-- presets:end -->"
_HEAD = (
    "Name",
    "Images",
    "Glimpses",
    "Test accuracy",
    "Looking at random",
    "Pixel values read",
    "Size",
)
_WORDS = _HEAD[:2]


def table() -> str:
    """Returns the presets of the package as a Markdown table."""
    rows = [_HEAD]
    for name in shipped_names():
        metadata = read_metadata(PRESETS_DIR / name)
        config = Config.from_dict(metadata["config"])
        pixels = PixelBudget.of(config, metadata["image_shape"])
        random = metadata["results"]["policies"].get("random")
        scales = f", {config.num_scales} scales" if config.num_scales > 1 else ""
        rows.append(
            (
                f"[`{name}`](../ram_tf/presets/{name}/README.md)",
                data_words(config),
                f"{config.num_glimpses} of {config.patch_size}x{config.patch_size}"
                f"{scales}",
                with_interval(metadata["test_accuracy"], metadata["test_interval"]),
                percent(random["accuracy"]) if random else "",
                f"{pixels.read:,} of {pixels.image:,}",
                f"{metadata['weights_bytes'] / 1e6:.2f} MB",
            )
        )
    return table_text(rows, _WORDS)


def with_table(text: str, name: object = PAGE) -> str:
    """Returns the page's text with the table between its two comments.

    Raises:
      RamError: when it lacks them; the message begins with `name`.
    """
    return filled(text, BEGIN, END, f"\n{table()}\n", name)


def fill_page(page: pathlib.Path = PAGE) -> bool:
    """Writes the table into docs/presets.md; says whether the page was out of date.

    Raises:
      RamError: when the page has no place for it.
    """
    if not page.exists():
        return False
    text = page.read_text(encoding="utf-8")
    new = with_table(text, page)
    if new != text:
        write_atomic(page, new)
    return new != text
