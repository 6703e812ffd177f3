"""Bodies and answers of models that are not one number per row: bare values, [batch, 1], several outputs, bytes."""

import dataclasses
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from fakes import FakePredictor, fake_declaration, fake_version

from stork.declaration import Feature, Output, Tensor
from stork.errors import BadRequest
from stork.schema.decode import Decoder, parse_json, repeated_keys
from stork.schema.frozen import Schema
from stork.schema.instances import Columns
from stork.schema.tensors import plain_values
from stork.serving.ask import Answer, Ask, Context
from stork.serving.loader import LoadedVersion
from stork.serving.signatures import FurtherSignatures
from stork.store.version import FurtherSignature
from stork.web.dialects import Request, tensorflow_serving
from stork.web.dialects.column_form import read_columns
from stork.web.dialects.row_form import read_rows

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


def test_inputs_of_shape_batch_1_take_one_element_lists_and_bare_values() -> None:
    """A client that sends what the tensor's shape says is understood, and so is one that does not."""
    rows = read_rows(WRAPPED, b'[{"x": [1.0], "in": "a"}, {"x": 2.0, "in": "b"}]')
    columns, is_scalar = read_columns(WRAPPED, b'{"x": [[1.0], [2.0]], "in": ["a", "b"]}')

    assert rows == list(columns) == [{"x": 1.0, "in": "a"}, {"x": 2.0, "in": "b"}]
    assert not is_scalar


@pytest.mark.parametrize(
    "text", [b'[{"x": [[1.0]], "in": {"b64": "YQ=="}}]', b'[{"x": [1.0], "x": [2.0]}]', b'[1.0, {"b64": "YQ=="}]']
)
def test_parsed_rows_are_read_by_each_schema_as_they_were_sent(text: bytes) -> None:
    """While traffic is split by a feature, two may read the same ones: the first takes off no list for the second."""
    values = parse_json(text)
    for schema in (ONE, WRAPPED, WRAPPED):
        rows = read_rows(schema, values)

        assert rows == read_rows(schema, text)
        assert [repeated_keys(row) for row in rows] == [repeated_keys(row) for row in read_rows(schema, text)]


@pytest.mark.parametrize(
    ("inputs", "rows", "is_scalar"),
    [
        (b"[1.0, 2.0]", [{"x": 1.0}, {"x": 2.0}], False),
        (b'{"x": [1.0]}', [{"x": 1.0}], False),
        (b'{"x": 1.0}', [{"x": 1.0}], True),
        (b"1.0", [{"x": 1.0}], True),
    ],
)
def test_a_model_of_one_input_takes_bare_columns_and_scalars(inputs: bytes, rows: Any, is_scalar: bool) -> None:
    """`{"inputs": [1.0, 2.0]}` is row form's bare values in column form; a scalar is one instance."""
    columns, scalar = read_columns(ONE, inputs)

    assert (list(columns), scalar) == (rows, is_scalar)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (b'{"x": [1.0], "in": "a"}', "lists of one length, at least 1, received x: 1, in: a scalar"),
        (b'{"x": [], "in": []}', "received x: 0, in: 0"),
        (b'{"x": [1.0], "in": ["a", "b"]}', "received x: 1, in: 2"),
        (b"[1]", "an object of lists, one per input, received a list of 1"),
        (b"{}", "received none"),
        (b'{"x": [1.0], "x": [1.0], "in": ["a"]}', "expected each key once"),
    ],
)
def test_columns_must_be_lists_of_one_length(inputs: bytes, message: str) -> None:
    """Columns that do not fit each other are no instances."""
    with pytest.raises(BadRequest, match=rf"\$\.inputs.*{message}"):
        read_columns(WRAPPED, inputs)


@pytest.mark.parametrize(
    ("sent", "received"),
    [("Y2Fmw6k=", "café"), ("/w==", b"\xff"), ("%", {"b64": "%"}), ("Y2Fmw6k", {"b64": "Y2Fmw6k"})],
)
def test_base64_is_text_or_bytes_in_row_and_column_form(sent: str, received: Any) -> None:
    """Bytes that are no text reach the model as they are; what is no base64 is left, and refused as no string."""
    body = json.dumps([{"x": 1.0, "in": {"b64": sent}}]).encode()
    (row,) = read_rows(WRAPPED, body)
    columns, _ = read_columns(WRAPPED, json.dumps({"x": [1.0], "in": [{"b64": sent}]}).encode())

    assert row["in"] == received and columns.values["in"] == [received]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"instances": [{"x": [1.5], "in": "a"}, {"x": 2.0, "in": {"b64": "Yg=="}}]},
            {"predictions": [{"y": [3.0], "key": "a"}, {"y": [4.0], "key": "b"}]},
        ),
        ({"inputs": {"x": [1.5, 2.0], "in": ["a", "b"]}}, {"outputs": {"y": [[3.0], [4.0]], "key": ["a", "b"]}}),
        ({"inputs": {"x": 1.5, "in": "a"}}, {"outputs": {"y": [3.0], "key": "a"}}),
    ],
)
def test_several_outputs_keep_their_names_and_shapes(body: Any, expected: Any) -> None:
    """As TensorFlow Serving answers: objects by row, columns by output, scalars for scalars."""
    features, outputs = (msgspec.to_builtins(parts) for parts in (WRAPPED.features, WRAPPED.outputs))
    declaration = fake_declaration(list(features), list(outputs))
    twice = fake_version(declaration, lambda tensors: {"y": tensors["x"] * np.float32(2), "key": tensors["in"]})
    predictor: Any = FakePredictor(declaration, twice)
    request = Request("POST", "/v1/models/fake:predict", json.dumps(body).encode(), Context())

    assert json.loads(tensorflow_serving.answer(predictor, request).body) == expected


def test_bytes_reach_the_model_as_they_are() -> None:
    """A string tensor holds any bytes; JSON cannot."""
    column = Columns({"x": [1.0, 2.0], "in": [b"\xff", "é"]})
    tensors = Decoder(WRAPPED, max_instances=2).decode_columns(column).tensors

    assert tensors["in"].tolist() == [b"\xff", "é".encode()]


def test_values_come_out_as_what_they_are() -> None:
    """Rows of k numbers are lists; strings are text; bytes that are no text are base64, by the name of their output."""
    wide = plain_values(Output(name="p", tensor=Tensor(shape=(-1, 2))), np.array([[0.1, 0.9]], np.float32))
    text = plain_values(Output(name="label", tensor=Tensor(dtype="string")), np.array(["né".encode()], object))
    raw = plain_values(Output(name="image_bytes", tensor=Tensor(dtype="string")), np.array([b"\xff"], object))
    exact = plain_values(Output(name="n", tensor=Tensor(dtype="int64")), np.array([9007199254740993]))

    assert (wide, text, raw, exact) == ([[0.1, 0.9]], ["né"], [{"b64": "/w=="}], [9007199254740993])


class SplitPredictor(FakePredictor):
    """Where stable is asked for, stable; the split chooses the canary."""

    def __init__(self, stable: LoadedVersion, canary: LoadedVersion) -> None:
        super().__init__(fake_declaration([{"name": "x", "kind": "number"}], [{"name": "y"}]), canary)
        self.stable = stable

    def version(self, name: str, version: int | None = None, alias: str | None = None) -> LoadedVersion:
        return self.stable

    def predict(self, ask: Ask) -> Answer:
        self.loaded = self.loaded.signature(ask.signature)
        return super().predict(ask)


def test_examples_are_for_the_signature_of_the_version_that_answers() -> None:
    """While traffic is split: the canary calls its input of tf.Examples by another name than stable."""
    declaration = fake_declaration([{"name": "x", "kind": "number"}], [{"name": "y"}])
    versions = []
    for name in ("input", "examples"):
        feature = {"name": name, "kind": "string", "tensor": {"dtype": "string"}}
        text = fake_declaration([feature], [{"name": "outputs"}])
        scored = fake_version(text, lambda tensors: {"outputs": np.array([3.5], np.float32)})
        listed = {"serving_default": FurtherSignature("regress", scored.schema)}
        loaded = fake_version(declaration, lambda tensors: {})
        further = FurtherSignatures(listed, lambda _, __, scored=scored: scored)  # type: ignore[misc]
        schema = msgspec.structs.replace(loaded.schema, signature="own")
        versions.append(dataclasses.replace(loaded, schema=schema, further=further))
    request = Request("POST", "/v1/models/fake:regress", b'{"examples": [{"x": 1.0}]}', Context())

    reply = tensorflow_serving.DIALECT.answer(SplitPredictor(*versions), request)  # type: ignore[arg-type]

    assert (reply.status, json.loads(reply.body)) == (200, {"results": [3.5]})
