"""What a graph expects in a tf.Example, read from the graph; made-up tf.Examples that it takes."""

from typing import Any

import pytest

from stork.publishing.example_probe import ExampleFeature, probe_examples, read_features

pytestmark = pytest.mark.tensorflow

EXPECTED = {
    "word": ExampleFeature("string", 1),
    "code": ExampleFeature("int64", 1),
    "x": ExampleFeature("float32", 6),
}


def parse(op: str, serialized: Any) -> None:
    """The same features, parsed by the operation of today or of TensorFlow 1.14 and before."""
    import tensorflow as tf

    none, shapes = tf.constant([], tf.string), [[], [2, 3]]
    defaults = [tf.constant([0], tf.int64), tf.constant([], tf.float32)]
    if op == "ParseExampleV2":
        tf.raw_ops.ParseExampleV2(
            serialized=serialized, names=none, sparse_keys=["word"], dense_keys=["code", "x"], ragged_keys=none,
            dense_defaults=defaults, num_sparse=1, sparse_types=[tf.string], ragged_value_types=[],
            ragged_split_types=[], dense_shapes=shapes,
        )  # fmt: skip
    else:
        tf.raw_ops.ParseExample(
            serialized=serialized, names=none, sparse_keys=[tf.constant("word")],
            dense_keys=[tf.constant("code"), tf.constant("x")], dense_defaults=defaults, sparse_types=[tf.string],
            dense_shapes=shapes,
        )  # fmt: skip


@pytest.mark.parametrize("op", ["ParseExample", "ParseExampleV2"])
def test_the_features_are_those_that_the_graph_parses(op: str) -> None:
    """Names, types and numbers of values, of dense and sparse features, through whatever hands the input on."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        serialized = tf.compat.v1.placeholder(tf.string, [None], name="given")
        other = tf.compat.v1.placeholder(tf.string, [None], name="other")
        parse(op, tf.identity(tf.identity(serialized)))
    definition = graph.as_graph_def()

    assert read_features(definition, serialized.name) == EXPECTED
    assert read_features(definition, other.name) == {}


def test_made_up_examples_hold_what_is_expected() -> None:
    """As many values as the feature has; always the same ones."""
    import tensorflow as tf

    examples = probe_examples(EXPECTED, 3)
    features = tf.train.Example.FromString(examples[2]).features.feature

    assert examples.tolist() == probe_examples(EXPECTED, 3).tolist()
    assert len(features["x"].float_list.value) == 6 and len(features["code"].int64_list.value) == 1
