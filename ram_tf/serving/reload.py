"""Asks an exported model as somebody without ram_tf does.

Run as a file, python -P reload.py FORMAT PATH IMAGES.npz OUTPUTS.npz, it can import
nothing of ram_tf, and of the rest only the runtime of its format.
"""

import pathlib
import sys
from collections.abc import Callable
from typing import Any

FILES = {"litert": "model.tflite", "onnx": "model.onnx"}


def _ask_saved_model(path: pathlib.Path, images: Any) -> dict[str, Any]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    found = loaded.signatures["serving_uint8"](images=tf.constant(images))
    return {key: value.numpy() for key, value in found.items()}


def _ask_litert(path: pathlib.Path, images: Any) -> dict[str, Any]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path / FILES["litert"]))
    found: dict[str, Any] = interpreter.get_signature_runner("serving_uint8")(
        images=images
    )
    return found


def _ask_onnx(path: pathlib.Path, images: Any) -> dict[str, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path / FILES["onnx"]))
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(names, {"images": images})
    return dict(zip(names, outputs, strict=True))


ASK: dict[str, Callable[[pathlib.Path, Any], dict[str, Any]]] = {
    "saved_model": _ask_saved_model,
    "litert": _ask_litert,
    "onnx": _ask_onnx,
}


def main(model_format: str, path: str, images: str, outputs: str) -> None:
    """Writes the outputs of serving_uint8 for the array `images` of an .npz."""
    import numpy as np

    with np.load(images) as arrays:
        found = ASK[model_format](pathlib.Path(path), arrays["images"])
    np.savez(outputs, **found)


if __name__ == "__main__":
    sys.modules["ram_tf"] = None  # type: ignore[assignment]  # Wherever it may be.
    main(*sys.argv[1:])
