"""What people give the app: files, and noise on their pixels."""

import io

import numpy as np
import PIL.Image
import pytest

from ram_tf.errors import RamError
from ram_tf.playground import inputs


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
