"""Numbers as the page writes them."""

from collections.abc import Callable
from typing import Any

from ram_tf.tables.markdown import duration_text

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"


def accuracy(value: float | None) -> str:
    """Writes percent with two decimals: "98.93"."""
    return NONE if value is None else f"{value:.2f}"


def fraction(value: float | None) -> str:
    """Writes a fraction as `accuracy` writes percent."""
    return NONE if value is None else accuracy(100 * value)


def signed(value: float | None) -> str:
    """Writes a difference in points: "+4.72", "−0.31"."""
    if value is None:
        return NONE
    return f"{value:+.2f}".replace("-", MINUS)


def count(value: float | None) -> str:
    """Writes a whole number with separators: "242,061"."""
    return NONE if value is None else f"{value:,.0f}"


def operations(value: float | None) -> str:
    """Writes operations: "2.8 M"."""
    if value is None:
        return NONE
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:  # Else it would be rounded to 1e+03.
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """Writes a duration as the tables do: "42 s", "18 min", "2 h 5 min"."""
    return duration_text(seconds) or NONE


def times(product: str) -> str:
    """Writes a product with the sign for it: "6 × 8 × 8"."""
    return product.replace("*", " \N{MULTIPLICATION SIGN} ")


FILTERS: dict[str, Callable[..., Any]] = {
    "accuracy": accuracy,
    "fraction": fraction,
    "signed": signed,
    "count": count,
    "operations": operations,
    "duration": duration,
    "times": times,
}
