"""What becomes of a picture that is not like the images of a model's training."""

import numpy as np
import pytest

from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError
from ram_tf.serving.mnist_digit import mnist_digit
from ram_tf.serving.polarity import (
    DARK_ON_LIGHT,
    LIGHT_ON_DARK,
    common_polarity,
    polarity,
)
from ram_tf.serving.predictor import load_predictor
from ram_tf.serving.prepare import prepare


def model(
    shape=(28, 28, 1),
    dataset="mnist_sample",
    names="0123456789",
    learned=LIGHT_ON_DARK,
    **config,
):
    """What a model says of itself."""
    return {
        "image_shape": shape,
        "class_names": list(names),
        "polarity": learned,
        "config": {"dataset": dataset, **config},
    }


@pytest.fixture(scope="module")
def digits():
    return open_source("mnist_sample").split("test")


# --- Polarity ----------------------------------------------------------------------


def test_polarity_is_that_of_the_border():
    image = np.zeros([9, 9, 1], np.uint8)
    image[2:7, 2:7] = 255  # More light than dark, and light in the middle.
    assert polarity(image) == polarity(image[..., 0]) == LIGHT_ON_DARK
    assert polarity(255 - image) == DARK_ON_LIGHT
    image[0, :4] = 255  # Ink that reaches the border.
    assert polarity(image) == LIGHT_ON_DARK
    assert polarity(np.full([1, 1], 128, np.uint8)) == DARK_ON_LIGHT


def test_polarity_of_many_is_known_when_nearly_all_have_it(digits):
    images = digits.images[:100]
    assert common_polarity(images) == LIGHT_ON_DARK
    assert common_polarity(255 - images) == DARK_ON_LIGHT
    images = np.concatenate([images[:95], 255 - images[95:]])
    assert common_polarity(images) == LIGHT_ON_DARK
    assert common_polarity(np.concatenate([images[1:95], 255 - images[:6]])) == ""


def test_colour_has_no_polarity(digits):
    assert common_polarity(np.repeat(digits.images[:10], 3, -1)) == ""


# --- Preparation -------------------------------------------------------------------


@pytest.mark.parametrize("size", [28, 280])
def test_dark_digits_on_paper_are_wrong_as_they_are_and_right_prepared(size, digits):
    demo = load_predictor("preset:demo")
    assert demo.metadata["polarity"] == LIGHT_ON_DARK
    images, labels = digits.images[:60], digits.labels[:60]
    scale = size // 28
    paper = 255 - np.kron(images, np.ones([1, scale, scale, 1], np.uint8))

    def accuracy(images):
        return np.mean(demo.predict(images)["label"] == labels)

    as_they_are = paper[:, ::scale, ::scale]
    assert accuracy(as_they_are) < 0.4 < 0.9 < accuracy(images)
    prepared = np.stack([prepare(image, demo.metadata).image for image in paper])
    assert accuracy(prepared) > 0.9
    if size == 28:  # Nothing but the inversion is needed.
        np.testing.assert_array_equal(prepared, images)


@pytest.mark.parametrize("noise", [0, 3, 8, 20])
@pytest.mark.parametrize("shadow", [0, 40])
def test_digits_are_found_on_noisy_paper(noise, shadow, digits):
    """As a photo of paper: large, gray on gray, grain, and one side darker."""
    numbers = np.random.default_rng(noise)
    demo = load_predictor("preset:demo")
    images, labels = digits.images[:20, ..., 0], digits.labels[:20]
    prepared = []
    for image in images:
        page = np.full([900, 1200], 225.0)
        ink = np.kron(image, np.ones([14, 14])) / 255
        page[250:642, 500:892] -= 165 * ink
        page -= np.linspace(0, shadow, 1200)
        page += numbers.normal(0, noise, page.shape) if noise else 0
        page = page.round().clip(0, 255).astype(np.uint8)
        prepared.append(prepare(page[..., None], demo.metadata).image)
    # The longer side of a digit fills the box: no speck is taken for a part of it.
    for image in prepared:
        sides = [np.ptp(np.flatnonzero(image[..., 0].any(axis))) for axis in (0, 1)]
        assert max(sides) >= 18, sides
    found = demo.predict(np.stack(prepared))["label"]
    assert np.mean(found == labels) >= 0.9


def test_thin_lines_are_kept_and_specks_are_not():
    page = np.zeros([60, 60, 1], np.uint8)
    page[10:50, 30] = 255  # One pixel wide.
    clean = prepare(page, model()).image
    page[3, 3] = page[55, 8] = page[20, 57] = 255
    np.testing.assert_array_equal(prepare(page, model()).image, clean)
    assert np.ptp(np.flatnonzero(clean[..., 0].any(1))) == 19


@pytest.mark.parametrize("size", [(28, 28), (40, 50)])
def test_models_of_dark_on_light_get_light_ones_inverted(size):
    numbers = np.random.default_rng(0)
    letters = numbers.integers(0, 100, [*size, 1], np.uint8)
    scans = model(dataset="folder:scans", names="abc", learned=DARK_ON_LIGHT)
    found = prepare(letters, scans)
    assert found.said.startswith("Inverted, because the model learned dark on light.")
    expected = prepare(255 - letters, scans)
    np.testing.assert_allclose(
        found.image.astype(int), expected.image.astype(int), atol=1
    )
    assert "Inverted" not in expected.said
    unknown = prepare(letters, {**scans, "polarity": ""})
    assert unknown.image.mean() < 100 and "Inverted" not in unknown.said


def test_colour_is_never_inverted():
    pixels = np.full([20, 30, 3], 250, np.uint8)
    pets = model((20, 30, 3), "folder:pets", ["cat", "dog"], learned="")
    found = prepare(pixels, pets)
    np.testing.assert_array_equal(found.image, pixels)
    assert found.said == "No change was needed."


def test_digit_has_the_size_that_it_had_in_training():
    small = prepare(paper(), model((14, 14, 1), image_size=14)).image
    assert small.shape == (14, 14, 1)
    rows = np.flatnonzero(small[..., 0].any(1))
    assert 10 <= rows[-1] - rows[0] + 1 <= 11  # Half of 20 pixels.
    canvas = model((40, 40, 1), image_size=14, task="translated")
    found = prepare(paper(), canvas).image
    rows = np.flatnonzero(found[..., 0].any(1))
    assert found.shape == (40, 40, 1) and 10 <= rows[-1] - rows[0] + 1 <= 11


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 1), (3, 1, 1)])
def test_pictures_of_few_pixels_have_no_digit(shape):
    with pytest.raises(RamError, match="expected a digit, found nothing"):
        prepare(np.full(shape, 9, np.uint8), model())


def paper(height=280, width=280):
    """A drawing: a bar of ink, off the middle."""
    gray = np.full([height, width, 1], 255, np.uint8)
    gray[40:160, 180:200] = 0
    return gray


def test_digit_is_brought_to_the_box_and_middle_of_mnist():
    found = prepare(paper(), model())
    assert "inverted" in found.said and "20x20" in found.said
    image = found.image[..., 0].astype(float)
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    assert rows[-1] - rows[0] + 1 == 20  # Its longer side.
    assert 3 <= columns[-1] - columns[0] + 1 <= 4  # In proportion: 20 * 20 / 120.
    y = (image.sum(1) @ np.arange(28)) / image.sum()
    x = (image.sum(0) @ np.arange(28)) / image.sum()
    assert abs(y - 14) <= 0.5 and abs(x - 14) <= 0.5
    assert image.max() == 255 and image[0, 0] == 0


@pytest.mark.parametrize("background", [0, 60, 200, 255])
def test_light_and_dark_paper_give_the_same_digit(background):
    ink = 255 if background < 128 else 0
    gray = np.where(paper() == 0, ink, background).astype(np.uint8)
    found = prepare(gray, model())
    expected = prepare(paper(), model())
    np.testing.assert_array_equal(found.image, expected.image)
    assert ("inverted" in found.said) == (background >= 128)


def test_uneven_paper_of_a_photo_is_no_ink():
    noise = np.random.default_rng(0).integers(-12, 13, [280, 280, 1])
    shade = np.linspace(200, 230, 280).astype(int)[:, None, None]
    photo = np.where(paper() == 0, 40, shade + noise)
    photo = np.repeat(photo, 3, -1).astype(np.uint8)
    found = prepare(photo, model()).image[..., 0]
    expected = prepare(paper(), model()).image[..., 0]
    assert np.abs(found.astype(int) - expected).max() < 80
    assert (found[0] == 0).all() and (found[:, 0] == 0).all()


def test_digits_of_mnist_hardly_change():
    images = open_source("mnist_sample").split("test").images[:50]
    changes = []
    for image in images:
        digit, _, inverted = mnist_digit(image[..., 0])
        assert not inverted
        changes.append(np.abs(digit.astype(int) - image[..., 0]).mean())
    assert np.mean(changes) < 1
    # And of the model's own size they are shown as they are.
    np.testing.assert_array_equal(prepare(images[0], model()).image, images[0])


def test_digit_lies_on_a_larger_canvas_where_it_was_drawn():
    found = prepare(paper(), model((60, 60, 1), task="translated"))
    image = found.image[..., 0].astype(float)
    y = (image.sum(1) @ np.arange(60)) / image.sum()
    x = (image.sum(0) @ np.arange(60)) / image.sum()
    assert abs(y - 60 * 100 / 280) < 1.5 and abs(x - 60 * 190 / 280) < 1.5
    corner = np.full([280, 280, 1], 255, np.uint8)
    corner[0:30, 0:8] = 0
    found = prepare(corner, model((60, 60, 1), task="translated"))
    assert found.image.shape == (60, 60, 1) and found.image.any()


def test_other_models_get_the_picture_as_in_training():
    pixels = np.random.default_rng(0).integers(0, 256, [40, 50, 3], np.uint8)
    pets = model((20, 30, 3), "folder:pets", ["cat", "dog"], learned="")
    found = prepare(pixels, pets)
    assert found.image.shape == (20, 30, 3)
    assert "20x30 pixels (height x width)" in found.said
    gray = prepare(pixels[..., :1], pets)
    assert (gray.image[..., 0] == gray.image[..., 2]).all()


@pytest.mark.parametrize("level", [0, 90, 255])
def test_paper_without_ink_is_an_error(level):
    blank = np.full([280, 280, 1], level, np.uint8)
    with pytest.raises(RamError, match="expected a digit, found nothing"):
        prepare(blank, model())


def test_paper_with_dust_and_faint_strokes_is_an_error():
    page = np.full([280, 280, 1], 255, np.uint8)
    page[50, [50, 100, 150, 200, 250]] = 0  # They set what ink is, and are no stroke.
    page[20, 20:23] = page[260, 257:260] = 240
    with pytest.raises(RamError, match="expected a digit, found nothing"):
        prepare(page, model())
