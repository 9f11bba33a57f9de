"""The requests that TensorFlow Serving makes of a model before it takes others.

The first call of a signature is slow. A server that finds these records beside a
SavedModel makes the first calls itself, before it says that the model is there.
"""

import importlib.util
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

RECORDS = pathlib.Path("assets.extra") / "tf_serving_warmup_requests"


def write_warmup(signatures: dict[str, Any], folder: pathlib.Path) -> bool:
    """Writes a request of one black image for each signature.

    Args:
      signatures: tf.functions by the names of their signatures.
      folder: of the SavedModel.

    Returns:
      False, with nothing written, when tensorflow-serving-api is not installed.
    """
    if importlib.util.find_spec("tensorflow_serving") is None:
        return False
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = folder / RECORDS
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in signatures.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = name
            for spec in function.input_signature:
                shape = [side or 1 for side in spec.shape]
                zeros = np.zeros(shape, spec.dtype.as_numpy_dtype)
                request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(zeros))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(record.SerializeToString())
    return True
