"""A trained model as a SavedModel in TensorFlow Serving's layout: raw tensors in, declared outputs out."""

from pathlib import Path
from typing import Any

from stork.schema.frozen import NUMPY_DTYPES, Schema, tensor_name
from stork.training.trainer import Trained


def export_model(trained: Trained, schema: Schema, folder: Path) -> None:
    """
    Write saved_model.pb and variables/ into `folder`; the signature's inputs and outputs are those of the schema.

    The one output has the shape its tensor declares, (n,) or (n, 1).
    """
    import tensorflow as tf

    (output,) = schema.outputs
    specs = {
        tensor_name(f): tf.TensorSpec(
            [None, *f.tensor.shape[1:]],
            tf.string if f.tensor.dtype == "string" else NUMPY_DTYPES[f.tensor.dtype],
            name=tensor_name(f),
        )
        for f in schema.features
    }

    def serve(tensors: dict[str, Any]) -> dict[str, Any]:
        found = tf.cast(trained(tensors), output.tensor.dtype)  # (n,)
        return {tensor_name(output): tf.reshape(found, [-1, *output.tensor.shape[1:]])}  # (n,) or (n, 1)

    module = tf.Module()
    module.net = [variable.value for variable in trained.net.variables]  # what the SavedModel must hold, no more
    module.serve = tf.function(serve, input_signature=[specs])
    tf.saved_model.save(module, str(folder), signatures={schema.signature: module.serve})
