"""Serialized tf.Examples: TensorFlow reads back what was written."""

from typing import Any

import pytest

from stork.schema.tf_example import encode_example

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("float_list", [0.5, -3.0]),
        ("int64_list", [0, 1, 300, -1, 2**63 - 1, -(2**63)]),
        ("bytes_list", [b"", "é".encode(), b"\xff" * 300]),
    ],
)
def test_tensorflow_reads_what_is_written(kind: str, values: list[Any]) -> None:
    """Every type of list, the ends of 64 bits, names and strings of any length."""
    import tensorflow as tf

    read = tf.train.Example.FromString(encode_example({"ä" * 100: values, "": values, "none": []}))

    assert [list(getattr(read.features.feature[name], kind).value) for name in ("ä" * 100, "")] == [values, values]
    assert read.features.feature["none"].WhichOneof("kind") is None
