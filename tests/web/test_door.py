"""What enters: hosts, sizes, packings, and that nothing a client sends is a 500."""

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from server import BABY

from stork.config import Settings
from stork.serving.predictor import Predictor
from stork.web.door import Door


class Caller:
    """Calls the door as a WSGI server would, without one."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def __call__(self, path: str, body: Any = b"", method: str = "POST", **environ: Any) -> tuple[int, Any]:
        status, _, answer = self.raw(path, body, method, **environ)
        return status, json.loads(answer)

    def raw(self, path: str, body: Any, method: str = "POST", **environ: Any) -> tuple[int, dict[str, str], bytes]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        seen: list[Any] = []
        given = {
            "PATH_INFO": path,
            "REQUEST_METHOD": method,
            "HTTP_HOST": "127.0.0.1:8080",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.input": io.BytesIO(data),
            **environ,
        }
        answer = b"".join(self.door(given, lambda status, headers, exc_info=None: seen.append((status, headers))))
        return int(seen[0][0][:3]), dict(seen[0][1]), answer


def no_pages(environ: Any, start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"{}"]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A door over the shipped model, in this process."""
    folder = tmp_path_factory.mktemp("door")
    settings = Settings(root=folder / "var", log=str(folder / "log"), max_body=4096, max_instances=5)
    predictor = Predictor(settings)
    yield Caller(Door(settings, predictor, no_pages))
    predictor.stop()


def test_another_host_is_refused(call: Caller) -> None:
    """A page of another name cannot make a browser ask us: DNS rebinding ends at the door."""
    assert call("/api/predict", BABY, HTTP_HOST="evil.example:8080")[0] == 400
    assert call("/api/predict", BABY, HTTP_HOST="localhost")[0] == 200


@pytest.mark.parametrize("host", ["app.example.com", "x.app.example.com"])
def test_a_leading_dot_allows_every_name_below(call: Caller, host: str) -> None:
    """`.example.com` in STORK_HOSTS stands for the names below it, and for nothing that only ends alike."""
    door = Door(Settings(hosts=(".example.com",)), call.door.predictor, no_pages)

    assert door.is_allowed_host(host) and not door.is_allowed_host("badexample.com")


@pytest.mark.parametrize("length", ["5000", "99999999999999"])
def test_a_body_that_is_too_large_is_413_before_it_is_read(call: Caller, length: str) -> None:
    """The declared length decides: nothing is read into memory."""
    status, answer = call("/api/predict", BABY, CONTENT_LENGTH=length)

    assert (status, answer["error"]) == (413, f"body: expected at most 4096 bytes, received {length}")


def test_a_small_gzip_that_unpacks_to_much_is_413(call: Caller) -> None:
    """A bomb is unpacked no further than the limit."""
    packed = gzip.compress(b"0" * 2_000_000)

    assert call("/api/predict", packed, HTTP_CONTENT_ENCODING="gzip")[0] == 413


def test_gzip_is_understood_and_other_packings_are_named(call: Caller) -> None:
    """A packed body is the same request."""
    packed = gzip.compress(json.dumps(BABY).encode())

    assert call("/api/predict", packed, HTTP_CONTENT_ENCODING="gzip")[0] == 200
    assert call("/api/predict", b"not gzip", HTTP_CONTENT_ENCODING="gzip")[0] == 400
    assert "br" in call("/api/predict", BABY, HTTP_CONTENT_ENCODING="br")[1]["error"]


def test_more_instances_than_allowed_are_413(call: Caller) -> None:
    """The limit on instances is told apart from the one on bytes."""
    status, answer = call("/api/predict", {"instances": [BABY] * 6})

    assert status == 413 and "at most 5 instances, received 6" in answer["error"]


def test_every_answer_carries_the_safety_headers(call: Caller) -> None:
    """JSON cannot be sniffed into a page, nor framed; pages get their policy too."""
    _, headers, _ = call.raw("/api/predict", BABY)
    _, page, _ = call.raw("/elsewhere", b"", "GET")

    assert headers["X-Content-Type-Options"] == "nosniff" and "default-src 'none'" in headers["Content-Security-Policy"]
    assert (
        "unsafe" not in page["Content-Security-Policy"] and "frame-ancestors 'none'" in page["Content-Security-Policy"]
    )


PATHS = st.sampled_from(
    [
        "/api/predict",
        "/v1/models/babyweight:predict",
        "/v1/models/x:predict",
        "/v1/models/babyweight/metadata",
        "/v1/models",
        "/v1/projects/p/locations/l/endpoints/babyweight:predict",
        "/v1/projects/p/locations/l/endpoints/babyweight:explain",
        "/v1/projects/p/locations/l/endpoints/babyweight:rawPredict",
        "/v1/projects/p/models/babyweight:predict",
        "/v1/projects/p/models/babyweight/versions/v1",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["instances", "inputs", "model", "version", "alias", "parameters", "httpBody", "mother_age", "x"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)


@given(PATHS, JSON, st.sampled_from(["POST", "GET", "PUT", "HEAD"]))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
def test_nothing_a_client_sends_is_a_500(call: Caller, path: str, document: Any, method: str) -> None:
    """Whatever JSON arrives at a predict route, the answer is below 500 and is strict JSON."""
    status, _, answer = call.raw(path, json.dumps(document).encode(), method)

    assert status < 500
    assert method == "HEAD" or isinstance(json.loads(answer, parse_constant=pytest.fail), dict)


@given(PATHS, st.binary(max_size=60))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_no_bytes_are_a_500(call: Caller, path: str, body: bytes) -> None:
    """The same for bytes that are no JSON at all."""
    assert call.raw(path, body)[0] < 500


@pytest.mark.parametrize("key", ["instances", "inputs", "x"])
@pytest.mark.parametrize(
    "path", ["/api/predict", "/v1/models/babyweight:predict", "/v1/projects/p/models/babyweight:predict"]
)
def test_a_body_nested_too_deeply_is_400(call: Caller, path: str, key: str) -> None:
    """What exhausts a parser's stack is a bad request, and no defect."""
    body = b'{"%s": %s}' % (key.encode(), b"[" * 1500 + b"]" * 1500)

    assert call.raw(path, body)[0] == 400


def test_a_passed_deadline_is_504_before_the_model_is_asked(call: Caller) -> None:
    """Nobody waits any more, so nothing is computed; the request is logged as the failure it was."""
    status, answer = call("/api/predict", BABY, HTTP_X_SERVER_TIMEOUT="0")

    assert (status, answer["error"]) == (504, "the deadline passed before the model was asked")


@pytest.mark.parametrize("text", ["soon", "nan", "-1"])
def test_a_deadline_that_is_none_is_refused(call: Caller, text: str) -> None:
    """A header that means nothing is not passed over."""
    status, answer = call("/api/predict", BABY, HTTP_X_SERVER_TIMEOUT=text)

    assert (status, answer["error"]) == (400, f"X-Server-Timeout: expected a number of seconds, received {text!r}")


@pytest.mark.parametrize("path", ["/api/predict", "/v1/models/babyweight:predict", "/v1/projects/p/models/m:predict"])
def test_a_full_queue_is_429_at_once(call: Caller, path: str) -> None:
    """One request more than a process may hold is told when to come again, in the words of its dialect."""
    status, headers, body = call.raw(path, BABY, **{"stork.excess": True, "stork.waiting": 64})

    assert (status, headers["Retry-After"], list(json.loads(body))) == (429, "1", ["error"])
