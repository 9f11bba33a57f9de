"""The formats that an export is written in, and whether what was written outputs alike.

Each holds functions of images and nothing of ram_tf. SavedModel is TensorFlow's own;
LiteRT (TensorFlow Lite's successor) is for phones and small computers, ONNX for the
runtimes of others.
"""

import importlib.util
import logging
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ram_tf.errors import RamError, one_line
from ram_tf.files import read_arrays
from ram_tf.runtime.quiet_import import standard_error_held_back
from ram_tf.serving import reload
from ram_tf.serving.signatures import ServedModel

TOLERANCE = 1e-5
_MOST_OTHERS = 0.01  # A share of images beyond TOLERANCE that rounding explains.
_OPSET = 18
_PACKAGES = {
    "litert": ("ai_edge_litert",),
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
}
# The first argument of an operation that LiteRT's converter does not know.
_REFUSED = re.compile(r"'?(tf\.\w+)'? op is neither a custom op nor a flex op")


class Difference(NamedTuple):
    """How far the outputs of a written model are from those of the run's.

    Attributes:
      largest: of all outputs of all images.
      images: how many were asked.
      beyond: images with an output further away than TOLERANCE. Where the policy's mean
        is at the edge of a pixel, the last bit decides which patch is cut out.
    """

    largest: float
    images: int
    beyond: int


def write_model(served: ServedModel, folder: pathlib.Path, model_format: str) -> None:
    """Writes the signatures into a folder that exists.

    Args:
      served: with the signatures.
      folder: of the SavedModel, of model.tflite or of model.onnx.
      model_format: a key of FORMATS.

    Raises:
      RamError: when the converter refuses the model.
      OSError, tf.errors.OpError: when the folder cannot be written.
    """
    FORMATS[model_format](served, folder)


def _write_saved_model(served: ServedModel, folder: pathlib.Path) -> None:
    tf.saved_model.save(served.module(), str(folder), served.signatures)


def _without_empty(signature: Any) -> Any:
    """Leaves out arrays without elements, as the locations of a whole-image classifier.

    LiteRT cannot hold them.
    """

    def serve(*given: tf.Tensor) -> dict[str, tf.Tensor]:
        found = signature(*given)
        return {name: value for name, value in found.items() if 0 not in value.shape}

    return tf.function(
        serve, input_signature=signature.input_signature, autograph=False
    )


def _write_litert(served: ServedModel, folder: pathlib.Path) -> None:
    signatures = {name: _without_empty(s) for name, s in served.signatures.items()}
    with tempfile.TemporaryDirectory() as saved_model:
        tf.saved_model.save(served.module(), saved_model, signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            saved_model, signature_keys=list(served.signatures)
        )
        try:
            with standard_error_held_back():  # The refused program, hundreds of lines.
                content = converter.convert()
        except Exception as error:  # noqa: BLE001 - ConverterError is in no public place.
            names = _REFUSED.findall(str(error))
            raise _refusal("litert", names, one_line(error)) from None
    (folder / reload.FILES["litert"]).write_bytes(content)


def _write_onnx(served: ServedModel, folder: pathlib.Path) -> None:
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # Refusals are named below.
    serve = served.signatures["serving_uint8"]
    try:
        model, _ = tf2onnx.convert.from_function(
            serve,
            serve.input_signature,
            opset=_OPSET,
            custom_op_handlers={"MulNoNan": (_multiply_no_nan, [])},
        )
    except Exception as error:  # noqa: BLE001 - it raises what its parts raise.
        raise _refusal("onnx", [], one_line(error)) from None
    unknown = {
        node.op_type
        for node in _nodes(model.graph)
        if not onnx.defs.has(node.op_type, node.domain)
    }
    if unknown:
        raise _refusal("onnx", unknown, "")
    onnx.save(model, folder / reload.FILES["onnx"])


def require_converter(model_format: str) -> None:
    """Raises RamError when a format's converter or runtime is not installed."""
    for package in _PACKAGES.get(model_format, ()):
        if importlib.util.find_spec(package) is None:
            raise RamError(
                f"--format={model_format}: {package.replace('_', '-')} is not "
                f"installed: pip install 'ram-tf[{model_format}]'"
            )


def _multiply_no_nan(context: Any, node: Any, name: str, args: Any) -> None:
    """Writes MulNoNan, which tf2onnx does not know: 0 where the second factor is 0."""
    first, second = node.input
    zero = context.make_const(f"{name}_zero", np.zeros([], np.float32)).output[0]
    equal = context.make_node("Equal", [second, zero]).output[0]
    safe = context.make_node("Where", [equal, zero, first]).output[0]
    shapes, dtypes = node.output_shapes, node.output_dtypes
    context.remove_node(node.name)
    context.make_node(
        "Mul",
        [safe, second],
        name=name,
        outputs=node.output,
        shapes=shapes,
        dtypes=dtypes,
    )


def _nodes(graph: Any) -> Any:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _refusal(model_format: str, operations: Iterable[str], said: str) -> RamError:
    names = ", ".join(sorted(set(operations)))
    if names:
        said = f"the converter does not know {names}, an operation of this model"
    return RamError(f"--format={model_format}: {said}")


FORMATS: dict[str, Callable[[ServedModel, pathlib.Path], None]] = {
    "saved_model": _write_saved_model,
    "litert": _write_litert,
    "onnx": _write_onnx,
}


def reloaded_difference(
    served: ServedModel, path: pathlib.Path, model_format: str, images: np.ndarray
) -> Difference:
    """Asks a written model in a fresh process, without ram_tf, and compares.

    Args:
      served: that was written.
      path: where.
      model_format: a key of FORMATS.
      images: uint8 [n, H, W, C].

    Raises:
      RamError: when it cannot be read again, or more images have other outputs than
        rounding explains.
    """
    expected = served.signatures["serving_uint8"](tf.constant(images))
    with tempfile.TemporaryDirectory() as folder:
        asked, returned = (pathlib.Path(folder) / f"{name}.npz" for name in "ab")
        np.savez(asked, images=images)
        # -P: not the folder of this file, which is ram_tf's.
        words = [sys.executable, "-P", reload.__file__, model_format, path]
        done = subprocess.run(
            [*map(str, words), str(asked), str(returned)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise RamError(
                f"--format={model_format}: expected a model that a fresh process can "
                f"read, found: "
                f"{lines[-1][:300]}"
            )
        found = read_arrays(returned, "outputs")
    furthest = np.zeros(len(images))
    for key, value in expected.items():
        if not value.shape.num_elements():
            continue
        apart = np.abs(found[key].astype(np.float64) - value.numpy())
        apart = apart.reshape(len(images), -1)
        furthest = np.maximum(furthest, apart.max(-1))
    beyond = int(np.sum(~(furthest <= TOLERANCE)))
    if beyond > _MOST_OTHERS * len(images):
        raise RamError(
            f"--format={model_format}: expected the outputs of the run's model within "
            f"{TOLERANCE:g}, found {beyond} of {len(images)} images with others, the "
            f"furthest by {furthest.max():.2g}"
        )
    return Difference(float(furthest.max()), len(images), beyond)
