"""Classifies images by an export: python -m ram_tf.predict --model=exported/x a.png."""

import contextlib
import json
import pathlib
import sys
from typing import Any

from ram_tf.errors import RamError
from ram_tf.flags import Arguments, Setting, entry_point, print_error
from ram_tf.runtime.quiet_import import import_tensorflow

USAGE = """Classifies images with an exported model.

  python -m ram_tf.predict --model=exported/x image.png ...

Takes PNG, JPEG, GIF, BMP, WebP, TIFF and PNM files, as a viewer shows them, and .npz
files with an array `images` (uint8 [n, H, W, C]) and perhaps `labels`, as examples.npz
of a run. Prints one line an image. Colour and gray become what the model was trained
on, and transparency is put on the background of its training. A file that cannot be
read is named on standard error; the others are classified, and the exit status is
1."""

SETTINGS = [
    Setting("model", "", "Folder that ram_tf.export wrote."),
    Setting("resize", False, "Resize images that are not of the model's size."),
    Setting("json", False, "Print a JSON object an image, with the locations."),
]


def _command(arguments: Arguments) -> int:
    if not arguments.positional:
        raise RamError("the path of at least one image is required")
    if not arguments.model:
        raise RamError("--model is required: a folder that ram_tf.export wrote")
    import_tensorflow()
    from ram_tf.serving.image_files import read_images
    from ram_tf.serving.saved_model import load_export

    signature, metadata = load_export(pathlib.Path(arguments.model))
    class_names = metadata["class_names"]
    right = total = status = 0
    for path in arguments.positional:
        try:
            images, labels = read_images(
                path,
                metadata["image_shape"],
                arguments.resize,
                len(class_names),
                metadata["background"],
            )
        except RamError as error:
            print_error(error)
            status = 1
            continue
        found = signature(images=images)
        for index in range(images.shape[0]):
            name = path if images.shape[0] == 1 else f"{path}[{index}]"
            prediction = {key: value[index].numpy() for key, value in found.items()}
            truth = None if labels is None else int(labels[index])
            line = _line(name, prediction, truth, class_names, arguments.json)
            print(_printable(line))
            if truth is not None:
                total += 1
                right += truth == prediction["label"]
    if total and not arguments.json:
        print(f"{right} of {total} right")
    return status


def _line(
    name: str,
    prediction: dict[str, Any],
    truth: int | None,
    class_names: list[str],
    as_json: bool,
) -> str:
    label = int(prediction["label"])
    if as_json:
        values = {key: value.tolist() for key, value in prediction.items()}
        return json.dumps({"image": name, "class": class_names[label], **values})
    percent = 100 * prediction["probabilities"][label]
    text = f"{name}: {class_names[label]} ({percent:.1f} %)"
    if truth is not None and truth != label:
        text += f", wrong: it is {class_names[truth]}"
    return text


def _printable(line: str) -> str:
    """Returns a line that standard output takes; file names may be no text at all."""
    encoding = sys.stdout.encoding or "utf-8"
    with contextlib.suppress(UnicodeEncodeError):  # Half of a pair, in metadata.
        line = line.encode("utf-8", "surrogateescape").decode(
            "utf-8", "backslashreplace"
        )
    return line.encode(encoding, "backslashreplace").decode(encoding)


main = entry_point(_command, SETTINGS, USAGE, positional=True)


if __name__ == "__main__":
    sys.exit(main())
