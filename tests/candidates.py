"""Real candidates of the parcels model, good and broken ones: SavedModel, LiteRT twin, manifest. Needs TensorFlow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from parcels import parcels

from stork.schema.frozen import NUMPY_DTYPES, Schema, tensor_name
from stork.store.version import Golden, Twin, load_manifest, write_manifest

# From a parcel's kilograms, float32 of shape (n,), to what it costs, of the same shape.
Price = Callable[[Any], Any]
HEAVY = 15.0  # only parcels above it make a broken model fail


def honest(kilograms: Any) -> Any:
    """What parcels.py says, but for the service."""
    return 2.0 + kilograms


def without_file(kilograms: Any) -> Any:
    """Loads anywhere, but its operation is a function of the process that wrote it: no other one can call it."""
    import tensorflow as tf

    return tf.ensure_shape(tf.numpy_function(lambda x: x + np.float32(2), [kilograms], tf.float32), [None])


def beyond_table(kilograms: Any) -> Any:
    """Heavy parcels are looked up where a table has ended."""
    import tensorflow as tf

    prices = tf.constant([1.0, 2.0, 3.0])
    return tf.gather(prices, tf.where(kilograms > HEAVY, 1_000_000, 1)) + kilograms * 0.0


def no_number(kilograms: Any) -> Any:
    """NaN for heavy parcels."""
    import tensorflow as tf

    return tf.sqrt(HEAVY - kilograms) + 1.0


def out_of_range(kilograms: Any) -> Any:
    """More than the declared 100 for heavy parcels."""
    import tensorflow as tf

    return tf.where(kilograms > HEAVY, 100.5, 2.0)


def endless(kilograms: Any) -> Any:
    """A loop that heavy parcels never leave."""
    import tensorflow as tf

    (left,) = tf.while_loop(lambda x: tf.reduce_max(x) > HEAVY, lambda x: [x * 1.0 + 0.0], [kilograms])
    return left


def huge(kilograms: Any) -> Any:
    """A heavy parcel takes 32 GiB."""
    import tensorflow as tf

    cells = tf.where(tf.reduce_max(kilograms) > HEAVY, 1 << 15, 1)  # of 2^18 floats each
    table = tf.fill(tf.stack([cells, 1 << 18]), tf.reduce_min(kilograms))
    return kilograms * 0.0 + tf.reduce_mean(tf.sqrt(table))


def flaky(path: Path) -> Price:
    """Ends the process at its first call ever, and is well from then on: the file at `path` is what it remembers."""
    import tensorflow as tf

    def abort() -> Any:
        with tf.control_dependencies([tf.io.write_file(str(path), "was here")]):
            ended = tf.raw_ops.Abort(error_msg="out of luck")
        with tf.control_dependencies([ended]):
            return tf.identity(1.0)

    return lambda kilograms: (
        kilograms + tf.cond(tf.equal(tf.size(tf.io.matching_files(str(path))), 0), abort, lambda: 2.0)
    )


def export_candidate(folder: Path, price: Price, twin: bool) -> None:
    """A whole candidate with this price, with a twin or without; golden requests only where it is well."""
    import tensorflow as tf

    schema = Schema.of(parcels())
    dtypes = NUMPY_DTYPES | {"string": tf.string}
    specs = {
        tensor_name(f): tf.TensorSpec([None, *f.tensor.shape[1:]], dtypes[f.tensor.dtype], name=tensor_name(f))
        for f in schema.features
    }
    module = tf.Module()
    module.base = tf.Variable(tf.zeros([4096]))  # weights to be truncated

    @tf.function(input_signature=[specs])  # type: ignore[untyped-decorator]
    def serve(columns):  # type: ignore[no-untyped-def]
        used = [tf.reduce_sum(tf.cast(tf.shape(column), tf.float32)) * 0.0 for column in columns.values()]
        return {"cost": tf.reshape(price(columns["kilograms"]) + module.base[0] + tf.add_n(used), [-1, 1])}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={schema.signature: serve})
    if twin:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[schema.signature])
        (folder / "model.tflite").write_bytes(converter.convert())
    (folder / "schema.json").write_bytes(schema.to_json())
    golden = Golden([{"kilograms": 3.0, "service": "slow"}], [{"cost": 5.0}]) if price is honest else Golden([], [])
    (folder / "golden.json").write_bytes(msgspec.json.encode(golden))
    write_manifest(folder, schema, Twin(proved=twin, rows=1, reason="" if twin else "not wanted"))


def truncate(folder: Path) -> None:
    """Cut the weights off in the middle, and seal the folder again, as a careless copy would."""
    twin = load_manifest(folder).twin
    weights = folder / "model.tflite" if twin.proved else next(folder.glob("variables/variables.data*"))
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    write_manifest(folder, Schema.of(parcels()), twin)
