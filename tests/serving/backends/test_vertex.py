"""Forwarding: the real Google client against a loopback endpoint that behaves, and misbehaves."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from server import BABY, start_server
from vertex_server import ENDPOINT, TROUBLES, VertexServer, vertex_server

from stork.config import Settings
from stork.declaration import Vertex
from stork.errors import BackendError, BackendUnavailable, ConfigurationError, DeadlineExceeded
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.serving.backends.vertex import VertexBackend, read_predictions
from stork.store.prediction_log import last_records

MakeBackend = Callable[..., VertexBackend]


@pytest.fixture
def remote() -> Iterator[VertexServer]:
    with vertex_server() as server:
        yield server


@pytest.fixture
def backend_for(remote: VertexServer, schema: Schema) -> Iterator[MakeBackend]:
    """A function that makes backends for the remote, with options of `[serving.vertex]`; closed after the test."""
    made: list[VertexBackend] = []

    def make(**options: Any) -> VertexBackend:
        made.append(VertexBackend(schema, Vertex(**{"deadline": 0.5, **options}), ENDPOINT, remote.url))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def tensors_of(schema: Schema, *instances: dict[str, Any]) -> dict[str, Any]:
    return Decoder(schema, 10).decode(list(instances)).tensors


def test_instances_travel_as_strict_json_and_come_back_as_outputs(
    remote: VertexServer, backend_for: MakeBackend, schema: Schema
) -> None:
    """The service sees tensor names and null for what is not known; the answer has the declared type."""
    found = backend_for().predict(tensors_of(schema, BABY, BABY))

    assert found["weight_pounds"].tolist() == [5.5, 5.5] and found["weight_pounds"].dtype == np.float32
    assert remote.requests[0]["instances"][0] == {**BABY, "is_male": 1.0, "mother_married": 1.0}


@pytest.mark.parametrize("form", [[[5.5]], [{"weight_pounds": 5.5}], [{"weight_pounds": [5.5]}], [5.5]])
def test_every_form_a_prediction_can_take_is_read(schema: Schema, form: list[Any]) -> None:
    """A bare number, a list of one, an object by output."""
    assert read_predictions(schema, {"predictions": form}, 1)["weight_pounds"].tolist() == [5.5]


@pytest.mark.parametrize("trouble", sorted(TROUBLES))
def test_whatever_goes_wrong_is_a_backend_error_in_time(
    remote: VertexServer, backend_for: MakeBackend, schema: Schema, trouble: str
) -> None:
    """No trouble of the remote is another exception, or takes longer than the deadline and a little."""
    remote.trouble = trouble
    began = time.monotonic()

    with pytest.raises(BackendError):
        backend_for().predict(tensors_of(schema, BABY))
    assert time.monotonic() - began < 1.5


def test_a_remote_that_hangs_exceeds_the_deadline(
    remote: VertexServer, backend_for: MakeBackend, schema: Schema
) -> None:
    """The error says how long was waited."""
    remote.trouble = "hang"

    with pytest.raises(DeadlineExceeded, match=r"within 0\.3 s"):
        backend_for(deadline=0.3).predict(tensors_of(schema, BABY))


@pytest.mark.parametrize("trouble", ["503", "429", "close"])
def test_a_passing_trouble_is_retried(
    remote: VertexServer, backend_for: MakeBackend, schema: Schema, trouble: str
) -> None:
    """One retry, and the caller never knows."""
    remote.trouble, remote.times = trouble, 1

    assert backend_for(retries=1).predict(tensors_of(schema, BABY))["weight_pounds"] == 5.5
    assert len(remote.requests) == 2


def test_a_refused_request_is_not_retried_and_opens_no_breaker(
    remote: VertexServer, backend_for: MakeBackend, schema: Schema
) -> None:
    """The service works; its message reaches the caller."""
    remote.trouble = "400"
    backend = backend_for(breaker_failures=1, retries=3)
    for _ in range(3):
        with pytest.raises(BackendError, match="mother_age: bad"):
            backend.predict(tensors_of(schema, BABY))

    assert len(remote.requests) == 3


def test_the_breaker_stops_hammering(remote: VertexServer, backend_for: MakeBackend, schema: Schema) -> None:
    """After the failures that open it no request reaches the remote; when it is back, one finds out."""
    remote.trouble = "503"
    backend = backend_for(breaker_failures=2, breaker_seconds=0.3, retries=0)
    for _ in range(50):
        with pytest.raises(BackendUnavailable):
            backend.predict(tensors_of(schema, BABY))
    hammered = len(remote.requests)
    remote.trouble = ""
    time.sleep(0.35)

    assert backend.predict(tensors_of(schema, BABY))["weight_pounds"] == 5.5
    assert (hammered, len(remote.requests)) == (2, 3)


def test_threads_do_not_share_a_connection(remote: VertexServer, backend_for: MakeBackend, schema: Schema) -> None:
    """Eight threads at once get eight times their own answers."""
    backend, answers = backend_for(deadline=5), []

    def ask() -> None:
        answers.extend(backend.predict(tensors_of(schema, BABY))["weight_pounds"].tolist() for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [[5.5]] * 160


@pytest.mark.parametrize("endpoint", ["", "123", "projects/p/endpoints/1", ENDPOINT + "/x"])
def test_an_endpoint_must_be_named_as_the_service_names_it(schema: Schema, endpoint: str) -> None:
    """A wrong setting is found when the version is loaded, not at the first request."""
    with pytest.raises(ConfigurationError, match="expected projects/<project>/locations"):
        VertexBackend(schema, Vertex(), endpoint)


def test_the_server_forwards_and_falls_back(remote: VertexServer, settings: Settings) -> None:
    """While the remote answers it is asked; when it does not, the local copy answers and everybody can see so."""
    forwarding = {"STORK_BACKEND": "vertex", "STORK_VERTEX_ENDPOINT": ENDPOINT, "STORK_VERTEX_API": remote.url}
    with start_server(settings, **forwarding) as server:
        forwarded = server.predict().json
        remote.trouble = "503"
        fallen = server.predict().json
        page = server.request(
            "POST", "/", b"mother_race=1&mother_age=28&gestation_weeks=39&plurality=1",
            Content_Type="application/x-www-form-urlencoded",
        )  # fmt: skip
    first, second, _ = last_records(Path(settings.log) / "babyweight", 3)

    assert forwarded["predictions"] == [{"weight_pounds": 5.5}] and "origin" not in forwarded
    assert fallen["origin"] == "fallback" and 7 < fallen["predictions"][0]["weight_pounds"] < 9
    assert (first["origin"], first["backend"]) == ("dynamic", "vertex")
    assert (second["origin"], second["backend"], "503" in second["error"]) == ("fallback", "litert", True)
    assert b"did not answer" in page.body
