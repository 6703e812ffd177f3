"""SavedModels as other people write them: TensorFlow 2, Keras 3, TensorFlow 1. Needs TensorFlow."""

from pathlib import Path
from typing import Any

from fakes import fake_declaration

from stork.schema.frozen import Schema


def export_tf2(folder: Path) -> None:
    """`add`: x + 2 y, of rank 1; and a second signature `twice` with another input."""
    import tensorflow as tf

    module = tf.Module()

    inputs = {"x": tf.TensorSpec([None], tf.float32, name="x"), "y": tf.TensorSpec([None], tf.int64, name="y")}

    @tf.function(input_signature=[inputs])
    def add(inputs: Any) -> Any:
        return {"sum": inputs["x"] + 2.0 * tf.cast(inputs["y"], tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def twice(x: Any) -> Any:
        return {"double": x * 2.0}

    module.add, module.twice = add, twice
    tf.saved_model.save(module, str(folder), signatures={"add": add, "twice": twice})


def export_keras(folder: Path) -> None:
    """Keras 3: a string and a number of shape [batch, 1]; a probability per class and the class's name come out."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    colour = keras.Input((1,), name="colour", dtype="string")
    size = keras.Input((1,), name="size")
    hot = keras.layers.StringLookup(vocabulary=["red", "green"], output_mode="one_hot")(colour)
    probabilities = keras.layers.Dense(3, activation="softmax")(keras.layers.Concatenate()([hot, size]))
    model = keras.Model({"colour": colour, "size": size}, probabilities)
    names = tf.constant(["small", "middle", "large"])

    def serve(inputs: Any) -> Any:
        found = model(inputs)
        return {"probabilities": found, "class_name": tf.gather(names, tf.argmax(found, axis=1))}

    archive = keras.export.ExportArchive()
    archive.track(model)
    inputs = {
        "colour": tf.TensorSpec([None, 1], tf.string, name="colour"),
        "size": tf.TensorSpec([None, 1], tf.float32, name="size"),
    }
    archive.add_endpoint("serving_default", serve, input_signature=[inputs])
    archive.write_out(str(folder), verbose=False)


def export_tf1(folder: Path) -> None:
    """TensorFlow 1: a graph with a variable, y = 3 in + b; the input is named `in`, of shape [batch, 1]."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 1], name="x")
        bias = v1.get_variable("bias", initializer=tf.constant(0.5), use_resource=True)
        y = x * 3.0 + bias
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"in": x}, {"y": y})


def export_image(folder: Path) -> None:
    """What Stork cannot serve: an input of rank 4."""
    import tensorflow as tf

    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, name="image")])
    def serve(image: Any) -> Any:
        return {"mean": tf.reduce_mean(image, [1, 2, 3])}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def export_picky(folder: Path) -> None:
    """A table of three prices by index, which refuses any other; the key of a row comes out as it went in."""
    import tensorflow as tf

    module = tf.Module()
    prices = tf.constant([1.5, 2.5, 3.5])
    inputs = {
        "index": tf.TensorSpec([None], tf.int32, name="index"),
        "key": tf.TensorSpec([None], tf.string, name="key"),
    }

    @tf.function(input_signature=[inputs])
    def serve(inputs: Any) -> Any:
        index = inputs["index"]
        with tf.control_dependencies([tf.debugging.assert_less(index, 3), tf.debugging.assert_non_negative(index)]):
            return {"price": tf.gather(prices, index), "key_out": inputs["key"], "total": tf.reduce_sum(prices)}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def export_echo(folder: Path, dtypes: list[str]) -> None:
    """A signature by the name of each dtype: what comes in as x goes out as y, in memory of its own."""
    import tensorflow as tf

    module = tf.Module()
    module.echoes = {
        dtype: tf.function(
            lambda x: {"y": tf.concat([x, x[:0]], 0)}, input_signature=[tf.TensorSpec([None], dtype, name="x")]
        )
        for dtype in dtypes
    }
    tf.saved_model.save(module, str(folder), signatures=dict(module.echoes))


def export_remembering(folder: Path) -> None:
    """It answers with what it was asked before, which it keeps."""
    import tensorflow as tf

    module = tf.Module()
    module.kept = tf.Variable([0.0], shape=[None])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(x: Any) -> Any:
        before = tf.identity(module.kept.read_value())
        with tf.control_dependencies([before]):
            module.kept.assign(x)
        return {"before": before}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def export_mixing(folder: Path) -> None:
    """How far x is from the mean of its batch: rows change each other; a second signature, `twice`, does not."""
    import tensorflow as tf

    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(x: Any) -> Any:
        return {"y": x - tf.reduce_mean(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def twice(x: Any) -> Any:
        return {"double": x * 2.0}

    module.serve, module.twice = serve, twice
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve, "twice": twice})


def export_nan(folder: Path) -> None:
    """A model whose every answer is no number."""
    import tensorflow as tf

    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(x: Any) -> Any:
        return {"y": x * float("nan")}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def export_scored(folder: Path) -> None:
    """
    TensorFlow 1, as its estimators export: tf.Examples of a number, a code and a word are regressed (y = x / 2 + 2),
    classified ("big" or "small", by whether x is above 0) and predicted; besides, a signature of plain integers, and
    one that nobody serves.
    """
    import tensorflow as tf

    v1, io = tf.compat.v1, tf.io
    info, build = v1.saved_model.build_tensor_info, v1.saved_model.build_signature_def
    with v1.Graph().as_default(), v1.Session() as session:
        n = v1.placeholder(tf.int64, [None], name="n")
        image = v1.placeholder(tf.float32, [None, 8, 8], name="image")
        examples = v1.placeholder(tf.string, [None], name="tf_example")
        code, word = io.FixedLenFeature([], tf.int64, 0), io.VarLenFeature(tf.string)
        features = {"x": io.FixedLenFeature([1], tf.float32), "code": code, "word": word}
        x = v1.parse_example(tf.identity(examples), features)["x"]
        y = x / 2 + 2
        scores = tf.concat([tf.sigmoid(x), 1 - tf.sigmoid(x)], axis=1)
        classes = tf.tile(tf.constant([["big", "small"]]), [tf.shape(scores)[0], 1])

        def signature(inputs: Any, outputs: Any, method: str = "predict") -> Any:
            sides = ({name: info(tensor) for name, tensor in side.items()} for side in (inputs, outputs))
            return build(*sides, f"tensorflow/serving/{method}")

        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": signature({"inputs": examples}, {"classes": classes, "scores": scores}, "classify"),
                "scores": signature({"inputs": examples}, {"scores": scores}, "classify"),
                "regression": signature({"inputs": examples}, {"outputs": y}, "regress"),
                "predict": signature({"examples": examples}, {"y": y, "classes": classes}),
                "next": signature({"n": n}, {"n_out": n + 1}),
                "image": signature({"image": image}, {"mean": tf.reduce_mean(image, [1, 2])}),
            },
        )
        builder.save()


def export_aborting(folder: Path) -> Schema:
    """y = 2 x, by a graph that ends its whole process where any x is below 0."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")

        def abort() -> Any:
            with tf.control_dependencies([tf.raw_ops.Abort(error_msg="a graph that aborts")]):
                return tf.identity(x)

        v1.disable_control_flow_v2()
        checked = v1.cond(tf.reduce_any(x < 0.0), abort, lambda: tf.identity(x))
        v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": 2.0 * checked})
    return Schema.of(fake_declaration([{"name": "x", "kind": "number"}], [{"name": "y"}]))
