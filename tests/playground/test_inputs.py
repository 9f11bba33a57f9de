"""What the app makes of drawings and files before a model sees them."""

import io

import numpy as np
import PIL.Image
import pytest

from ram_tf.data.sources.open import open_source
from ram_tf.errors import RamError
from ram_tf.playground import inputs
from ram_tf.serving.predictor import Predictor


def model(shape=(28, 28, 1), dataset="mnist_sample", names="0123456789", **config):
    """A model that is never asked."""
    metadata = {
        "image_shape": shape,
        "class_names": list(names),
        "background": "white",
        "config": {"dataset": dataset, "num_glimpses": 3, "patch_size": 8, **config},
    }
    return Predictor("x", metadata, lambda images: {})


def paper(height=280, width=280):
    """A drawing: a bar of ink, off the middle."""
    gray = np.full([height, width, 1], 255, np.uint8)
    gray[40:160, 180:200] = 0
    return gray


def test_digit_is_brought_to_the_box_and_middle_of_mnist():
    found = inputs.fit_to_model(paper(), model())
    assert "inverted" in found.said and "20×20" in found.said
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
    found = inputs.fit_to_model(gray, model())
    expected = inputs.fit_to_model(paper(), model())
    np.testing.assert_array_equal(found.image, expected.image)
    assert ("inverted" in found.said) == (background >= 128)


def test_uneven_paper_of_a_photo_is_no_ink():
    noise = np.random.default_rng(0).integers(-12, 13, [280, 280, 1])
    shade = np.linspace(200, 230, 280).astype(int)[:, None, None]
    photo = np.where(paper() == 0, 40, shade + noise)
    photo = np.repeat(photo, 3, -1).astype(np.uint8)
    found = inputs.fit_to_model(photo, model()).image[..., 0]
    expected = inputs.fit_to_model(paper(), model()).image[..., 0]
    assert np.abs(found.astype(int) - expected).max() < 80
    assert (found[0] == 0).all() and (found[:, 0] == 0).all()


def test_digits_of_mnist_hardly_change():
    images = open_source("mnist_sample").split("test").images[:50]
    changes = []
    for image in images:
        digit, _, inverted = inputs.mnist_digit(image[..., 0])
        assert not inverted
        changes.append(np.abs(digit.astype(int) - image[..., 0]).mean())
    assert np.mean(changes) < 1
    # And of the model's own size they are shown as they are.
    np.testing.assert_array_equal(
        inputs.fit_to_model(images[0], model()).image, images[0]
    )


def test_digit_lies_on_a_larger_canvas_where_it_was_drawn():
    found = inputs.fit_to_model(paper(), model((60, 60, 1), task="translated"))
    image = found.image[..., 0].astype(float)
    y = (image.sum(1) @ np.arange(60)) / image.sum()
    x = (image.sum(0) @ np.arange(60)) / image.sum()
    assert abs(y - 60 * 100 / 280) < 1.5 and abs(x - 60 * 190 / 280) < 1.5
    corner = np.full([280, 280, 1], 255, np.uint8)
    corner[0:30, 0:8] = 0
    found = inputs.fit_to_model(corner, model((60, 60, 1), task="translated"))
    assert found.image.shape == (60, 60, 1) and found.image.any()


def test_other_models_get_the_picture_as_in_training():
    pixels = np.random.default_rng(0).integers(0, 256, [40, 50, 3], np.uint8)
    pets = model((20, 30, 3), "folder:pets", ["cat", "dog"])
    found = inputs.fit_to_model(pixels, pets)
    assert found.image.shape == (20, 30, 3) and "30×20" in found.said
    gray = inputs.fit_to_model(pixels[..., :1], pets)
    assert (gray.image[..., 0] == gray.image[..., 2]).all()


@pytest.mark.parametrize("level", [0, 90, 255])
def test_paper_without_ink_is_an_error(level):
    blank = np.full([280, 280, 1], level, np.uint8)
    with pytest.raises(RamError, match="expected a digit, found nothing"):
        inputs.fit_to_model(blank, model())


def test_upload_that_is_no_picture_or_too_large_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"no picture")
    with pytest.raises(RamError, match=r"^a.png: expected an image"):
        inputs.read_upload(str(path), "white")
    PIL.Image.new("1", (10_000, 9_000)).save(path)
    assert path.stat().st_size < inputs.MAX_BYTES
    with pytest.raises(RamError, match="10000x9000 pixels, of at most"):
        inputs.read_upload(str(path), "white")
    monkeypatch.setattr(inputs, "MAX_BYTES", 10)
    with pytest.raises(RamError, match="a.png: expected at most 10 bytes, found"):
        inputs.read_upload(str(path), "white")


def test_upload_is_read_upright_on_its_background(tmp_path):
    clear = PIL.Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    buffer = io.BytesIO()
    clear.save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    assert (
        inputs.read_upload(str(tmp_path / "a.png"), "#0a0b0c") == [10, 11, 12]
    ).all()


def test_noise_is_the_same_every_time_and_none_at_zero():
    image = np.full([8, 8, 1], 100, np.uint8)
    np.testing.assert_array_equal(inputs.add_noise(image, 0), image)
    noisy = inputs.add_noise(image, 20)
    np.testing.assert_array_equal(inputs.add_noise(image, 20), noisy)
    assert 10 < noisy.std() < 30
