"""Bodies and answers of models that are not one number per row: bare values, [batch, 1], several outputs, bytes."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stork.declaration import Feature, Output, Tensor
from stork.errors import BadRequest
from stork.schema.frozen import Schema
from stork.schema.tensors import plain_values
from stork.web.dialects.tensorflow_serving import read_columns, read_rows, render

ONE = Schema(model="m", features=(Feature(name="x", kind="number"),), outputs=(Output(name="y"),))
WRAPPED = Schema(
    model="m",
    features=(
        Feature(name="x", kind="number", tensor=Tensor(shape=(-1, 1))),
        Feature(name="in", kind="string", tensor=Tensor(dtype="string")),
    ),
    outputs=(Output(name="y", tensor=Tensor(shape=(-1, 1))), Output(name="key", tensor=Tensor(dtype="string"))),
)


@pytest.mark.parametrize("values", [[1.0, 2.0], [{"x": 1.0}, {"x": 2.0}], [{"x": 1.0}, 2.0]])
def test_a_model_of_one_input_takes_bare_values(values: list[Any]) -> None:
    """`{"instances": [1.0, 2.0]}` is what clients of such models send."""
    assert read_rows(ONE, json.dumps(values).encode()) == [{"x": 1.0}, {"x": 2.0}]


def test_a_model_of_one_input_takes_a_bare_column() -> None:
    """`{"inputs": [1.0, 2.0]}` is the same in column form."""
    assert read_columns(ONE, b"[1.0, 2.0]") == [{"x": 1.0}, {"x": 2.0}]


def test_inputs_of_shape_batch_1_take_one_element_lists_and_bare_values() -> None:
    """A client that sends what the tensor's shape says is understood, and so is one that does not."""
    rows = read_rows(WRAPPED, b'[{"x": [1.0], "in": "a"}, {"x": 2.0, "in": "b"}]')

    assert rows == [{"x": 1.0, "in": "a"}, {"x": 2.0, "in": "b"}]
    assert read_columns(WRAPPED, b'{"x": [[1.0], [2.0]], "in": ["a", "b"]}') == rows


@pytest.mark.parametrize("inputs", [b'{"x": 1.0}', b'{"x": [], "in": []}', b'{"x": [1.0], "in": ["a", "b"]}', b"[1]"])
def test_columns_must_be_lists_of_one_length(inputs: bytes) -> None:
    """Columns that do not fit each other are no instances."""
    with pytest.raises(BadRequest, match=r"\$\.inputs: expected"):
        read_columns(WRAPPED, inputs)


@pytest.mark.parametrize(
    ("columnar", "expected"),
    [
        (False, {"predictions": [{"y": [7.1], "key": "a"}, {"y": [6.4], "key": "b"}]}),
        (True, {"outputs": {"y": [[7.1], [6.4]], "key": ["a", "b"]}}),
    ],
)
def test_several_outputs_keep_their_names_and_shapes(columnar: bool, expected: dict[str, Any]) -> None:
    """As TensorFlow Serving answers: objects by row, or columns by output."""
    columns = {"y": [7.1, 6.4], "key": ["a", "b"]}
    answered: Any = SimpleNamespace(loaded=SimpleNamespace(schema=WRAPPED), columns=columns, id="a-1", version=3)

    assert json.loads(render(answered, columnar).body) == expected


def test_values_come_out_as_what_they_are() -> None:
    """Rows of k numbers are lists; strings are text; bytes that are no text are base64, by the name of their output."""
    wide = plain_values(Output(name="p", tensor=Tensor(shape=(-1, 2))), np.array([[0.1, 0.9]], np.float32))
    text = plain_values(Output(name="label", tensor=Tensor(dtype="string")), np.array(["né".encode()], object))
    raw = plain_values(Output(name="image_bytes", tensor=Tensor(dtype="string")), np.array([b"\xff"], object))
    exact = plain_values(Output(name="n", tensor=Tensor(dtype="int64")), np.array([9007199254740993]))

    assert (wide, text, raw, exact) == ([[0.1, 0.9]], ["né"], [{"b64": "/w=="}], [9007199254740993])
