"""What is sent to an online prediction service means what the tensors mean, and only predictions are read as such."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from server import BABY

from stork.declaration import Container, Feature, Output, Tensor, Value
from stork.errors import BackendError
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.serving.backends.prediction_json import compile_body, read_predictions

AGE = Feature(name="age", kind="integer", range=(0, 120), tensor=Tensor(name="in", dtype="int64", shape=(-1, 1)))
HEIGHT = Feature(name="height", kind="number", range=(0.1, 2.7), required=False, tensor=Tensor(missing=-1))
ALIVE = Feature(name="alive", kind="boolean", required=False, tensor=Tensor(missing=float("nan")))
NAME = Feature(name="name", kind="string", required=False, tensor=Tensor(dtype="string", missing=""))
CODE = Feature(name="code", kind="integer", range=(0, 10**9), tensor=Tensor(dtype="float64"))
COLOUR = Feature(
    name="colour",
    kind="category",
    required=False,
    values=(Value(value="red", encoded=0.1), Value(value="blue", encoded=0.2)),
    tensor=Tensor(missing=0.3),
)
PERSON = Schema(
    model="m", features=(AGE, HEIGHT, ALIVE, NAME, CODE, COLOUR), outputs=(Output(name="y"),), signature="ask"
)
PEOPLE = [
    {"age": 7, "height": 0.1, "alive": True, "name": "Ö", "code": 123456789, "colour": "red"},
    {"age": 90, "height": None, "alive": None, "name": None, "code": 0, "colour": None},
    {"age": 0, "height": 2.7, "alive": False, "name": "x", "code": 10**9, "colour": "blue"},
]


def body_for(container: Container, schema: Schema, instances: list[dict[str, Any]]) -> dict[str, Any]:
    """The body as the other side sees it."""
    body = compile_body(schema, container)(Decoder(schema, 10).decode(instances).tensors)
    decoded: dict[str, Any] = json.loads(json.dumps(body))
    return decoded


def test_a_custom_container_gets_tensors_as_strict_json(schema: Schema) -> None:
    """Tensor names, values as the model's signature takes them, null for NaN."""
    sent = body_for("custom", schema, [BABY])

    assert sent == {"instances": [{**BABY, "is_male": 1.0, "mother_married": 1.0}]}
    assert body_for("custom", PERSON, PEOPLE)["instances"][0]["in"] == [7]


def test_tensorflow_serving_gets_nan_and_the_signature() -> None:
    """It refuses null for a number; an integer must not be written as 7.0."""
    sent = body_for("tensorflow", PERSON, PEOPLE)
    unknown = sent["instances"][1]

    assert sent["signature_name"] == "ask" and repr(sent["instances"][0]["in"]) == "[7]"
    assert (repr(unknown["alive"]), unknown["height"], unknown["name"]) == ("nan", -1, "")


@pytest.mark.parametrize("container", ["custom", "tensorflow", "stork"])
def test_bytes_that_are_no_text_are_sent_as_base64(container: Any) -> None:
    """No container gets others than were asked."""
    text = Feature(name="x", kind="string", tensor=Tensor(dtype="string"))
    schema = Schema(model="m", signature="s", features=(text,), outputs=())
    body = compile_body(schema, container)({"x": np.array([b"\xff", "né".encode()], object)})

    assert body["instances"] == [{"x": {"b64": "/w=="}}, {"x": "né"}]


def test_a_stork_container_gets_the_features_that_were_asked() -> None:
    """Names and values are those of the JSON API again, so its checks pass and its tensors are the same."""
    sent = body_for("stork", PERSON, PEOPLE)["instances"]
    there, here = Decoder(PERSON, 10).decode(sent).tensors, Decoder(PERSON, 10).decode(PEOPLE).tensors

    assert sent == PEOPLE
    assert all(np.array_equal(there[name], here[name], equal_nan=name == "alive") for name in here)


def test_the_shipped_model_survives_the_way_to_a_stork_container(schema: Schema) -> None:
    """What a person asked is what the container is asked."""
    assert body_for("stork", schema, [BABY]) == {"instances": [BABY]}


@pytest.mark.parametrize("prediction", [5.5, [5.5], {"y": 5.5}, {"y": [5.5]}, {"tensor": 5.5}])
def test_every_form_a_prediction_can_take_is_read(prediction: Any) -> None:
    """A bare number, a list of one, an object by output or by tensor."""
    schema = msgspec.structs.replace(PERSON, outputs=(Output(name="y", tensor=Tensor(name="tensor")),))

    assert read_predictions(schema, {"predictions": [prediction]}, 1)["tensor"].tolist() == [5.5]


@pytest.mark.parametrize(
    ("tensor", "value", "held"),
    [
        (Tensor(), 5, 5.0),
        (Tensor(shape=(-1, 1)), 5.5, [5.5]),
        (Tensor(shape=(-1, 2)), [1, 2.5], [1.0, 2.5]),
        (Tensor(dtype="int64"), 2**62, 2**62),
        (Tensor(dtype="int32"), 3.0, 3),
        (Tensor(dtype="bool"), True, True),
        (Tensor(dtype="string"), "Ö", "Ö".encode()),
        (Tensor(dtype="string"), {"b64": "/w=="}, b"\xff"),
    ],
)
def test_a_prediction_gets_the_declared_type_and_shape(tensor: Tensor, value: Any, held: Any) -> None:
    """Nothing is lost on the way through JSON."""
    schema = msgspec.structs.replace(PERSON, outputs=(Output(name="y", tensor=tensor),))

    assert read_predictions(schema, {"predictions": [value]}, 1)["y"].tolist() == [held]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float32", "5.5"), ("float32", True), ("float32", None), ("float32", float("nan")), ("float32", 1e300),
        ("float64", float("inf")), ("float64", 10**400), ("float64", [1, 2]), ("float64", []), ("float64", {"z": 1}),
        ("int32", 1.5), ("int32", 2**31), ("uint8", -1), ("bool", 1), ("string", 5), ("string", {"b64": "?"}),
        ("string", "\ud800"),
    ],
)  # fmt: skip
def test_what_is_no_value_of_the_output_is_refused(dtype: Any, value: Any) -> None:
    """Nothing is rounded, cut, or read as something it is not; the error says which prediction and what it was."""
    schema = msgspec.structs.replace(PERSON, outputs=(Output(name="y", tensor=Tensor(dtype=dtype)),))

    with pytest.raises(BackendError, match=f"prediction 0: expected 'y' to be a {dtype}, received"):
        read_predictions(schema, {"predictions": [value]}, 1)


def test_several_outputs_need_their_names() -> None:
    """A bare number cannot be told to be one or the other."""
    schema = msgspec.structs.replace(PERSON, outputs=(Output(name="y"), Output(name="z")))
    found = read_predictions(schema, {"predictions": [{"z": 2, "y": 1}]}, 1)

    assert {name: values.tolist() for name, values in found.items()} == {"y": [1.0], "z": [2.0]}
    with pytest.raises(BackendError, match="expected 'y'"):
        read_predictions(schema, {"predictions": [1]}, 1)


@pytest.mark.parametrize(
    "answer",
    [{}, [], "text", None, {"predictions": 5}, {"predictions": []}, {"predictions": [1, 2]}, {"error": "out of memory"},
     {"error": "out of memory", "predictions": [1]}],
)  # fmt: skip
def test_an_answer_without_one_prediction_per_instance_is_refused(answer: Any) -> None:
    """Also an error that comes with status 200, whatever is beside it."""
    with pytest.raises(BackendError, match=r"expected .* predictions, received"):
        read_predictions(PERSON, answer, 1)
