"""Vertex AI's and ML Engine's answers for models that are not one number per row, or cannot be explained."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from fakes import FakeBackend, FakePredictor, fake_declaration, fake_version

from stork.errors import BackendUnavailable
from stork.schema.tensors import Tensors
from stork.serving.ask import Context
from stork.web.dialects import Reply, Request, mlengine, vertex

ENDPOINT = "/v1/projects/p/locations/l/endpoints/fake"
X = {"name": "x", "kind": "number", "range": [0, 10], "tensor": {"shape": [-1, 1]}}
Y = {"name": "y", "tensor": {"shape": [-1, 1]}}
KIND = {"name": "kind", "tensor": {"dtype": "string"}}


def twice(tensors: Tensors) -> Tensors:
    """y = 2 x, of shape (n, 1), and what kind of number it is, of shape (n,)."""
    y = tensors["x"] * np.float32(2)
    return {"y": y, "kind": np.array([b"even"] * len(y), object)}


def fake(outputs: list[dict[str, Any]], background: Any = None) -> Any:
    declaration = fake_declaration([X], outputs)
    return FakePredictor(declaration, fake_version(declaration, twice, background))


def post(dialect: Any, predictor: Any, path: str, body: Any) -> Reply:
    reply: Reply = dialect.answer(predictor, Request("POST", path, json.dumps(body).encode(), Context()))
    return reply


@pytest.mark.parametrize("instance", [2.0, [2.0], {"x": 2.0}, {"x": [2.0]}])
def test_instances_may_be_written_as_the_tensor_is(instance: Any) -> None:
    """A model of one input takes the bare value; an input of shape [-1, 1] takes [value]."""
    reply = post(vertex, fake([Y]), f"{ENDPOINT}:predict", {"instances": [instance]})

    assert json.loads(reply.body)["predictions"] == [[4.0]]


def test_several_outputs_are_objects() -> None:
    """By name, each as its tensor's shape has it: in both dialects."""
    expected = [{"y": [4.0], "kind": "even"}]
    new = post(vertex, fake([Y, KIND]), f"{ENDPOINT}:predict", {"instances": [2.0]})
    old = post(mlengine, fake([Y, KIND]), "/v1/projects/p/models/fake:predict", {"instances": [2.0]})

    assert json.loads(new.body)["predictions"] == json.loads(old.body)["predictions"] == expected


def test_one_output_keeps_its_name_in_ml_engine() -> None:
    """Its programs read `predictions[0]["y"]`."""
    reply = post(mlengine, fake([Y]), "/v1/projects/p/models/fake:predict", {"instances": [2.0]})

    assert json.loads(reply.body) == {"predictions": [{"y": [4.0]}]}


def test_an_attribution_of_a_list_says_which_element() -> None:
    """An output of shape [-1, 1] has one element, and that is the one explained."""
    reply = post(vertex, fake([Y], [{"x": 1.0}]), f"{ENDPOINT}:explain", {"instances": [[3.0]]})

    assert json.loads(reply.body)["explanations"][0]["attributions"] == [
        {
            "baselineOutputValue": 2.0,
            "instanceOutputValue": 6.0,
            "featureAttributions": {"x": 4.0},
            "approximationError": 0.0,
            "outputName": "y",
            "outputIndex": [0],
        }
    ]


@pytest.mark.parametrize(
    ("outputs", "background", "reason"),
    [([Y], [], "without background examples"), ([KIND], [{"x": 1.0}], "does not predict a single number")],
)
def test_what_cannot_be_explained_is_refused_with_the_reason(outputs: Any, background: Any, reason: str) -> None:
    """Nothing is made up, and the client gets an error of its own kind."""
    reply = post(vertex, fake(outputs, background), f"{ENDPOINT}:explain", {"instances": [2.0]})
    error = json.loads(reply.body)["error"]

    assert (reply.status, error["status"]) == (400, "INVALID_ARGUMENT")
    assert reason in error["message"]


def test_an_answer_of_the_fallback_says_so() -> None:
    """In `metadata`, which the service leaves to the model."""

    def fail(tensors: Tensors) -> Tensors:
        raise BackendUnavailable("down")

    predictor = fake([Y])
    predictor.loaded = dataclasses.replace(predictor.loaded, remote=FakeBackend(fail))
    reply = post(vertex, predictor, f"{ENDPOINT}:predict", {"instances": [2.0]})

    assert json.loads(reply.body)["metadata"] == {"origin": "fallback"}
