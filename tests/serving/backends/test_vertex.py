"""Forwarding: the real Google client against a loopback endpoint that behaves, and misbehaves."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from server import BABY, start_server
from signing import make_certificate, make_service_account
from vertex_server import ENDPOINT, TOKEN, TROUBLES, VertexServer, vertex_server

from stork.config import PROJECT, Settings
from stork.declaration import Vertex
from stork.errors import BackendError, BackendUnavailable, ConfigurationError, DeadlineExceeded
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.schema.tensors import Tensors
from stork.serving.backends.breaker import Breaker
from stork.serving.backends.vertex import VertexBackend
from stork.store.prediction_log import last_records

MakeBackend = Callable[..., VertexBackend]


@pytest.fixture
def backend_for(remote: VertexServer, schema: Schema) -> Iterator[MakeBackend]:
    """A function that makes backends for the remote, with options of `[serving.vertex]`; closed after the test."""
    made: list[VertexBackend] = []

    def make(**options: Any) -> VertexBackend:
        vertex = msgspec.convert({"deadline": 1, **options}, Vertex)
        made.append(VertexBackend(schema, vertex, ENDPOINT, remote.url))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def test_tensors_go_out_and_outputs_come_back(remote: VertexServer, backend_for: MakeBackend, schema: Schema) -> None:
    """One prediction per instance, of the declared type."""
    found = backend_for().predict(Decoder(schema, 10).decode([BABY, BABY]).tensors)

    assert found["weight_pounds"].tolist() == [5.5, 5.5] and found["weight_pounds"].dtype == np.float32
    assert len(remote.requests[0].instances) == 2 and remote.requests[0].method == "predict"


@pytest.mark.parametrize(
    ("container", "method", "unknown"),
    [("custom", "predict", None), ("stork", "predict", None), ("tensorflow", "rawPredict", "nan")],
)
def test_every_container_accepts_a_baby_of_whom_not_all_is_known(
    remote: VertexServer, backend_for: MakeBackend, tensors: Tensors, container: str, method: str, unknown: Any
) -> None:
    """The service parses what `predict` carries and knows no NaN; TensorFlow Serving knows no null."""
    backend_for(container=container).predict(tensors)
    seen = remote.requests[0]

    assert seen.method == method
    assert str(seen.instances[0]["cigarette_use"]) == str(unknown)


@pytest.mark.parametrize("trouble", sorted(TROUBLES))
def test_whatever_goes_wrong_is_a_backend_error_in_time(
    remote: VertexServer, backend_for: MakeBackend, tensors: Tensors, trouble: str
) -> None:
    """No trouble of the remote is another exception, or takes longer than the deadline and a little."""
    remote.trouble = trouble
    backend = backend_for()
    began = time.monotonic()

    with pytest.raises(BackendError):
        backend.predict(tensors)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("trouble", ["hang", "trickle"])
def test_a_slow_remote_exceeds_the_deadline(
    remote: VertexServer, backend_for: MakeBackend, tensors: Tensors, trouble: str
) -> None:
    """Also one that sends a byte now and then. The error says how long was waited; nobody asks twice."""
    remote.trouble = trouble
    with pytest.raises(DeadlineExceeded, match=r"within 0\.3 s"):
        backend_for(deadline=0.3).predict(tensors)
    time.sleep(0.5)

    assert len(remote.requests) == 1


def test_retries_are_part_of_the_deadline(remote: VertexServer, backend_for: MakeBackend, tensors: Tensors) -> None:
    """However many are allowed, they end with it."""
    remote.trouble = "503"
    backend, began = backend_for(retries=10, deadline=0.5), time.monotonic()
    with pytest.raises((BackendUnavailable, DeadlineExceeded)):  # by what the last one met
        backend.predict(tensors)

    assert time.monotonic() - began < 5
    assert 1 < len(remote.requests) < 6


@pytest.mark.parametrize("trouble", ["503", "429", "close"])
def test_a_passing_trouble_is_retried(
    remote: VertexServer, backend_for: MakeBackend, tensors: Tensors, trouble: str
) -> None:
    """One retry, and the caller never knows."""
    remote.trouble, remote.times = trouble, 1

    assert backend_for(retries=1).predict(tensors)["weight_pounds"] == 5.5
    assert len(remote.requests) == 2


def test_a_connection_closed_meanwhile_costs_no_prediction(schema: Schema, tensors: Tensors) -> None:
    """The service closes idle connections, and is restarted, whenever it likes."""
    with vertex_server() as first:
        backend = VertexBackend(schema, Vertex(retries=0), ENDPOINT, first.url)
        backend.predict(tensors)
    with vertex_server(port=first.server_address[1]):
        again = backend.predict(tensors)
    backend.close()

    assert again["weight_pounds"] == 5.5


def test_a_refused_request_is_not_retried_and_opens_no_breaker(
    remote: VertexServer, backend_for: MakeBackend, tensors: Tensors
) -> None:
    """The service works; its message reaches the caller."""
    remote.trouble = "400"
    backend = backend_for(breaker_failures=1, retries=3)
    for _ in range(3):
        with pytest.raises(BackendError, match="mother_age: bad"):
            backend.predict(tensors)

    assert len(remote.requests) == 3


@pytest.mark.parametrize(("trouble", "retries", "asked"), [("503", 0, 2), ("503", 1, 4), ("403", 1, 2), ("text", 1, 2)])
def test_the_breaker_stops_hammering(
    remote: VertexServer, backend_for: MakeBackend, tensors: Tensors, trouble: str, retries: int, asked: int
) -> None:
    """Of 50 predictions those that open it are asked, then none; when the remote is back, one finds out."""
    remote.trouble, now = trouble, [0.0]
    backend = backend_for(retries=retries)
    backend.breaker = Breaker(failures=2, seconds=10, clock=lambda: now[0])
    for _ in range(50):
        with pytest.raises(BackendError):
            backend.predict(tensors)
    hammered = len(remote.requests)
    remote.trouble, now[0] = "", 10.0

    assert backend.predict(tensors)["weight_pounds"] == 5.5
    assert (hammered, len(remote.requests)) == (asked, asked + 1)


def test_a_caller_in_a_hurry_opens_no_breaker(remote: VertexServer, backend_for: MakeBackend, tensors: Tensors) -> None:
    """Who asks for an answer at once gets none, and takes nothing from those who wait."""
    backend = backend_for(breaker_failures=1)
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            backend.predict(tensors, deadline=time.monotonic())

    assert backend.predict(tensors)["weight_pounds"] == 5.5


def test_threads_do_not_share_a_connection(remote: VertexServer, backend_for: MakeBackend, tensors: Tensors) -> None:
    """Eight threads at once get eight times their own answers."""
    backend, answers = backend_for(deadline=5), []

    def ask() -> None:
        answers.extend(backend.predict(tensors)["weight_pounds"].tolist() for _ in range(20))

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


def test_the_region_of_the_endpoint_is_asked(schema: Schema) -> None:
    """There is no other address that knows it."""
    backend = VertexBackend(schema, Vertex(), ENDPOINT)
    backend.close()

    assert backend.client.api == "https://us-central1-aiplatform.googleapis.com"


def test_the_client_is_imported_only_to_forward() -> None:
    """It takes a fifth of a second and 30 MB, which a server that answers itself does not have to spend."""
    command = "import sys, stork.serving.backends.vertex; print('googleapiclient' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", command], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "False"


def forwarding(remote: VertexServer) -> dict[str, str]:
    """The settings that choose the remote."""
    return {"STORK_BACKEND": "vertex", "STORK_VERTEX_ENDPOINT": ENDPOINT, "STORK_VERTEX_API": remote.url}


def test_the_server_forwards(remote: VertexServer, settings: Settings) -> None:
    """The answer is the remote's, and the log says who gave it; nobody signs what travels in the clear."""
    with start_server(settings, **forwarding(remote)) as server:
        answer = server.predict().json
    record = last_records(Path(settings.log) / "babyweight", 1)[0]

    assert answer["predictions"] == [{"weight_pounds": 5.5}] and "origin" not in answer
    assert (record["origin"], record["backend"], remote.requests[0].authorization) == ("dynamic", "vertex", None)


def test_the_callers_trace_goes_on_to_the_service(remote: VertexServer, settings: Settings) -> None:
    """With each try, under the caller's own span; a request that is part of no trace makes none."""
    remote.trouble, remote.times = "503", 1
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with start_server(settings, **forwarding(remote), GOOGLE_CLOUD_PROJECT="p") as server:
        traced = server.request("POST", "/api/predict", BABY, Traceparent=parent)
        server.predict()

    assert traced.json["predictions"] == [{"weight_pounds": 5.5}]
    assert [seen.traceparent for seen in remote.requests] == [parent, parent, None]


def test_the_server_falls_back(remote: VertexServer, settings: Settings) -> None:
    """When the remote is slow, down or wrong the local copy answers, and everybody can see so."""
    answers = []
    with start_server(settings, **forwarding(remote)) as server:
        for remote.trouble in ("hang", "503", "short"):
            answers.append(server.predict().json)
        form = b"mother_race=1&mother_age=28&gestation_weeks=39&plurality=1"
        page = server.request("POST", "/", form, Content_Type="application/x-www-form-urlencoded")
    records = last_records(Path(settings.log) / "babyweight", 4)[:3]

    assert all(a["origin"] == "fallback" and 7 < a["predictions"][0]["weight_pounds"] < 9 for a in answers)
    assert [(r["origin"], r["backend"]) for r in records] == [("fallback", "litert")] * 3
    assert [r["error"].partition(": ")[2] or r["error"] for r in records] == [
        f"{ENDPOINT} did not answer within 2 s", "503 try again", "expected 1 predictions, received 2",
    ]  # fmt: skip
    assert b"did not answer" in page.body


def test_requests_over_https_are_signed(settings: Settings, tmp_path: Path) -> None:
    """As in production: a checked certificate, and the token that the machine's service account gets."""
    tls, certificate = make_certificate(tmp_path)
    with vertex_server(tls) as remote:
        account = make_service_account(tmp_path, f"{remote.url}/token")
        trusting = {"HTTPLIB2_CA_CERTS": str(certificate), "GOOGLE_APPLICATION_CREDENTIALS": str(account)}
        with start_server(settings, **forwarding(remote), **trusting) as server:
            answers = [server.predict().json for _ in range(2)]

    assert [json.dumps(answer["predictions"]) for answer in answers] == ['[{"weight_pounds": 5.5}]'] * 2
    assert [seen.authorization for seen in remote.requests] == [f"Bearer {TOKEN}"] * 2


def test_a_certificate_nobody_knows_is_not_trusted(
    schema: Schema, tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent to whoever only pretends to be the service."""
    tls, _ = make_certificate(tmp_path)
    with vertex_server() as tokens, vertex_server(tls) as remote:
        account = make_service_account(tmp_path, f"{tokens.url}/token")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
        backend = VertexBackend(schema, Vertex(retries=0), ENDPOINT, remote.url)
        with pytest.raises(BackendUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            backend.predict(tensors)
        backend.close()

    assert remote.requests == []
