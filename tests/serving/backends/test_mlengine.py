"""Forwarding to ML Engine: the real Google client against a loopback model. What it shares is in test_vertex.py."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from server import BABY, start_server
from vertex_server import MODEL, VertexServer

from stork.config import Settings
from stork.declaration import MLEngine
from stork.errors import BackendError, ConfigurationError
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.schema.tensors import Tensors
from stork.serving.backends.mlengine import MLEngineBackend
from stork.store.prediction_log import last_records

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"

MakeBackend = Callable[..., MLEngineBackend]


@pytest.fixture
def backend_for(remote: VertexServer, schema: Schema) -> Iterator[MakeBackend]:
    """A function that makes backends for the remote, with options of `[serving.mlengine]`; closed after the test."""
    made: list[MLEngineBackend] = []

    def make(**options: Any) -> MLEngineBackend:
        declared = msgspec.convert({"deadline": 1, **options}, MLEngine)
        made.append(MLEngineBackend(schema, declared, MODEL, remote.url))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def test_tensors_go_out_and_outputs_come_back(remote: VertexServer, backend_for: MakeBackend, schema: Schema) -> None:
    """One prediction per instance, of the declared type."""
    found = backend_for().predict(Decoder(schema, 10).decode([BABY, BABY]).tensors)

    assert found["weight_pounds"].tolist() == [5.5, 5.5] and found["weight_pounds"].dtype == np.float32
    assert len(remote.requests[0].instances) == 2


@pytest.mark.parametrize("answer", [{"weight_pounds": [5.5]}, {"weight_pounds": 5.5}, [5.5]])
def test_predictions_may_be_objects_or_lists(
    remote: VertexServer, backend_for: MakeBackend, tensors: Tensors, answer: Any
) -> None:
    """The service answered objects by output name; a one-element list is its value."""
    remote.answer = answer

    assert backend_for().predict(tensors)["weight_pounds"].tolist() == [5.5]


@pytest.mark.parametrize(("container", "unknown"), [("custom", None), ("stork", None), ("tensorflow", "nan")])
def test_every_container_gets_what_it_reads(
    remote: VertexServer, backend_for: MakeBackend, tensors: Tensors, container: str, unknown: Any
) -> None:
    """The service hands bodies on unread, so NaN needs no other method here."""
    backend_for(container=container).predict(tensors)

    assert str(remote.requests[0].instances[0]["cigarette_use"]) == str(unknown)


@pytest.mark.parametrize("trouble", ["error 200", "400", "503", "hang", "html", "short", "null", "garbage"])
def test_whatever_goes_wrong_is_a_backend_error_in_time(
    remote: VertexServer, backend_for: MakeBackend, tensors: Tensors, trouble: str
) -> None:
    """Above all a 200 that holds an error, which Google's client takes for an answer."""
    remote.trouble = trouble
    backend, began = backend_for(), time.monotonic()

    with pytest.raises(BackendError):
        backend.predict(tensors)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("model", ["", "m", "projects/p/locations/l/models/m", MODEL + "/x"])
def test_a_model_must_be_named_as_the_service_names_it(schema: Schema, model: str) -> None:
    """A wrong setting is found when the version is loaded, not at the first request."""
    with pytest.raises(ConfigurationError, match="expected projects/<project>/models/<name>"):
        MLEngineBackend(schema, MLEngine(), model)


def test_the_service_itself_is_asked_where_nothing_else_is_said(schema: Schema) -> None:
    """Its one address for all regions; a model alone asks for its default version."""
    backend = MLEngineBackend(schema, MLEngine(), "projects/p/models/m")
    backend.close()

    assert backend.client.api == "https://ml.googleapis.com"


def test_the_server_forwards_and_falls_back(remote: VertexServer, settings: Settings) -> None:
    """The remote's number, or the local one where the remote refuses in a body that says 200; the trace goes along."""
    chosen = {"STORK_BACKEND": "mlengine", "STORK_MLENGINE_MODEL": MODEL, "STORK_MLENGINE_API": remote.url}
    with start_server(settings, **chosen) as server:
        answers = [server.request("POST", "/api/predict", BABY, Traceparent=PARENT).json]
        remote.trouble = "error 200"
        answers.append(server.predict().json)
    records = last_records(Path(settings.log) / "babyweight", 2)

    assert [answer.get("origin", "dynamic") for answer in answers] == ["dynamic", "fallback"]
    assert [record["backend"] for record in records] == ["mlengine", "litert"]
    assert answers[0]["predictions"] == [{"weight_pounds": 5.5}] and "Prediction failed" in records[1]["error"]
    assert [seen.traceparent for seen in remote.requests] == [PARENT, None]
