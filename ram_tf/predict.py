"""Classifies images by an export: python -m ram_tf.predict --model=exported/x a.png."""

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from ram_tf.archives import read_arrays
from ram_tf.errors import RamError, one_line
from ram_tf.flags import Arguments, Setting, print_error, run_command
from ram_tf.quiet import import_tensorflow
from ram_tf.run_directory import read_json

USAGE = """Classifies images with an exported model.

  python -m ram_tf.predict --model=exported/x image.png ...

Takes PNG, JPEG, GIF and BMP files, and .npz files with an array `images` (uint8 [n, H,
W, C]) and perhaps `labels`, as examples.npz of a run. Prints one line an image. Colour
and gray become what the model was trained on. A file that cannot be read is told on
standard error; the others are classified all the same, and the exit status is 1."""

SETTINGS = [
    Setting("model", "", "Folder that ram_tf.export wrote."),
    Setting("resize", False, "Resize images that are not of the model's size."),
    Setting("json", False, "Print a JSON object an image, with the locations."),
]


def load_export(path: pathlib.Path) -> tuple[Any, dict[str, Any]]:
    """Loads an exported model.

    Returns:
      Its serving_uint8 signature, and its metadata.

    Raises:
      RamError: when the folder holds no whole export, or metadata of another model.
    """
    import tensorflow as tf

    from ram_tf.export import METADATA

    if not (path / "saved_model.pb").exists():
        raise RamError(
            f"--model={path}: expected a folder of ram_tf.export, found none"
        )
    metadata = read_json(path / METADATA)
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_uint8"]
        signature.owner = loaded  # Else its variables are collected.
        image_shape = tuple(signature.structured_input_signature[1]["images"].shape[1:])
        num_classes = signature.structured_outputs["probabilities"].shape[-1]
        found = {
            **metadata,
            "image_shape": tuple(metadata["image_shape"]),
            "class_names": list(metadata["class_names"]),
        }
    except Exception as error:  # noqa: BLE001 - TensorFlow raises all kinds for a broken file.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise RamError(
            f"--model={path}: expected a whole SavedModel, found: {reason}"
        ) from None
    if len(found["class_names"]) != num_classes or found["image_shape"] != image_shape:
        raise RamError(
            f"{path / METADATA}: expected {num_classes} class_names and image_shape "
            f"{list(image_shape)}, as of the model, found {len(found['class_names'])} "
            f"and {list(found['image_shape'])}"
        )
    return signature, found


def read_images(
    path: str, shape: tuple[int, ...], resize: bool, num_classes: int
) -> Any:
    """Reads a file into uint8 [n, H, W, C], and integer labels [n] or None.

    Images are made gray or colour, and resized, as the data of training were.

    Raises:
      RamError: when the file is no image, or of another size and `resize` is False, or
        its arrays are of other types.
    """
    import numpy as np
    import tensorflow as tf

    from ram_tf.data import images as images_lib

    labels = None
    if path.endswith(".npz"):
        arrays = read_arrays(pathlib.Path(path), "an .npz with `images`")
        if "images" not in arrays:
            found = ", ".join(arrays) or "nothing"
            raise RamError(f"{path}: expected an .npz with `images`, found {found}")
        images, labels = arrays["images"], arrays.get("labels")
    else:
        try:
            content = tf.io.read_file(path)
            image, _ = images_lib.decode(content)
        except tf.errors.OpError as error:
            raise RamError(
                f"{path}: expected an image (PNG, JPEG, GIF, BMP) or an .npz with "
                f"`images`, found: {one_line(error)}"
            ) from None
        images = image[None]
        if images.shape[-1] != shape[-1]:
            convert = images_lib.to_gray if shape[-1] == 1 else images_lib.to_color
            images = convert(images)
    if images.dtype != np.uint8:  # Else fractions would be cut to 0 in silence.
        raise RamError(f"{path}: expected images of uint8, found {images.dtype}")
    if len(images.shape) != 4 or images.shape[-1] != shape[-1]:
        raise RamError(
            f"{path}: expected images [n, H, W, {shape[-1]}], found {images.shape}"
        )
    count = images.shape[0]
    if labels is not None and (
        labels.shape != (count,) or labels.dtype.kind not in "iu"
    ):
        raise RamError(
            f"{path}: expected {count} integers as labels, found "
            f"{labels.dtype}{list(labels.shape)}"
        )
    if labels is not None and not all(0 <= label < num_classes for label in labels):
        raise RamError(f"{path}: expected labels from 0 to {num_classes - 1}")
    if tuple(images.shape[1:3]) != tuple(shape[:2]):
        if not resize:
            raise RamError(
                f"{path}: expected {shape[0]}x{shape[1]} pixels, found "
                f"{images.shape[1]}x{images.shape[2]} "
                "(height x width; --resize resizes)"
            )
        images = images_lib.resize(images, *shape[:2])
    return tf.constant(images), labels


def _command(arguments: Arguments) -> int:
    if not arguments.positional:
        raise RamError("expected the path of at least one image, found none")
    if not arguments.model:
        raise RamError("--model: expected a folder of ram_tf.export, found none given")
    import_tensorflow()
    signature, metadata = load_export(pathlib.Path(arguments.model))
    class_names = metadata["class_names"]
    right = total = status = 0
    for path in arguments.positional:
        try:
            images, labels = read_images(
                path, metadata["image_shape"], arguments.resize, len(class_names)
            )
        except RamError as error:
            print_error(error)
            status = 1
            continue
        found = signature(images=images)
        for index in range(images.shape[0]):
            name = path if images.shape[0] == 1 else f"{path}[{index}]"
            answer = {key: value[index].numpy() for key, value in found.items()}
            truth = None if labels is None else int(labels[index])
            print(_line(name, answer, truth, class_names, arguments.json))
            if truth is not None:
                total += 1
                right += truth == answer["label"]
    if total and not arguments.json:
        print(f"{right} of {total} right")
    return status


def _line(
    name: str,
    answer: dict[str, Any],
    truth: int | None,
    class_names: list[str],
    as_json: bool,
) -> str:
    label = int(answer["label"])
    if as_json:
        values = {key: value.tolist() for key, value in answer.items()}
        return json.dumps({"image": name, "class": class_names[label], **values})
    text = (
        f"{name}: {class_names[label]} ({100 * answer['probabilities'][label]:.1f} %)"
    )
    if truth is not None and truth != label:
        text += f", wrong: it is {class_names[truth]}"
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return run_command(_command, SETTINGS, argv, usage=USAGE, positional=True)


if __name__ == "__main__":
    sys.exit(main())
