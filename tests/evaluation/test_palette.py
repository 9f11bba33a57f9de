"""Tests of the colours of pictures."""

import numpy as np
import pytest
from PIL import ImageColor

from ram_tf.evaluation.palette import INK, glimpse_colours, ink_on, spectrum


@pytest.mark.parametrize("count", [1, 2, 6, 8, 20])
def test_glimpses_go_from_yellow_to_turquoise_each_in_its_colour(count):
    found = glimpse_colours(count)
    assert len(set(found)) == count
    assert found[0] == "#ffd166"
    assert count == 1 or found[-1] == "#22c1c3"


def test_spectrum_is_even_between_its_stops():
    colors = pytest.importorskip("matplotlib.colors")
    stops, places = ("#1b1f3b", "#3b4cc0", "#ffd166"), np.linspace(0, 1, 41)
    theirs = colors.LinearSegmentedColormap.from_list("", stops, N=10_001)
    mine = spectrum(stops, places)
    assert mine.dtype == np.uint8 and mine.shape == (41, 3)
    np.testing.assert_allclose(mine, 255 * theirs(places)[:, :3], atol=0.51)


@pytest.mark.parametrize("background", [*glimpse_colours(20), "#000000", "#ffffff"])
def test_ink_is_readable(background):
    def light(colour):  # WCAG 2, relative luminance.
        levels = np.array(ImageColor.getrgb(colour)) / 255
        linear = np.where(
            levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4
        )
        return linear @ (0.2126, 0.7152, 0.0722) + 0.05

    ink = ink_on(background)
    assert ink in (INK, "#ffffff")
    contrast = max(light(ink), light(background)) / min(light(ink), light(background))
    assert contrast > 3  # What large bold text needs.
