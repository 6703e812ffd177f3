"""Small real versions for tests: the shipped model's schema, a prediction that is easy to know."""

from pathlib import Path

import msgspec
from server import BABY

from stork.schema.frozen import NUMPY_DTYPES, Schema, tensor_name
from stork.store.version import Golden, Twin, write_manifest


def export_version(folder: Path, schema: Schema, pounds: float, products: int = 0) -> None:
    """
    A whole version folder that predicts `pounds` + mother_age / 100 for everybody; SavedModel, proved twin, manifest.

    Before 28 weeks so many `products` of matrices (256, 256) take their time first.
    Needs TensorFlow.
    """
    import tensorflow as tf

    specs = {
        tensor_name(f): tf.TensorSpec([None], NUMPY_DTYPES[f.tensor.dtype], name=tensor_name(f))
        for f in schema.features
    }
    module = tf.Module()

    @tf.function(input_signature=[specs])  # type: ignore[untyped-decorator]
    def serve(columns):  # type: ignore[no-untyped-def]
        used = tf.add_n([tf.cast(column, tf.float32) * 0.0 for name, column in columns.items() if name == "mother_age"])
        left = tf.where(tf.reduce_min(tf.cast(columns["gestation_weeks"], tf.float32)) < 28.0, products, 0)
        _, matrix = tf.while_loop(
            lambda left, _: left > 0,
            lambda left, matrix: (left - 1, tf.matmul(matrix, matrix)),  # (256, 256), and the same again
            (left, tf.fill([256, 256], 1 / 256)),
        )
        return {"weight_pounds": pounds + columns["mother_age"] / 100.0 + used + matrix[0, 0] - 1 / 256}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={schema.signature: serve})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[schema.signature])
    (folder / "model.tflite").write_bytes(converter.convert())
    (folder / "schema.json").write_bytes(schema.to_json())
    golden = Golden([BABY], [{"weight_pounds": pounds + BABY["mother_age"] / 100}])
    (folder / "golden.json").write_bytes(msgspec.json.encode(golden))
    write_manifest(folder, schema, Twin(proved=True, rows=1))
