"""Both ways of speaking HTTP under gunicorn: how they stop, what they cut off, and what waits."""

import contextlib
import http.client
import json
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from load import Load
from server import BABY, Response, Server, start_server
from vertex_server import ENDPOINT, VertexServer, vertex_server

from stork.config import Settings
from stork.store.prediction_log import read_records

SERVERS = ["stork", "gthread"]


@pytest.fixture(params=SERVERS)
def either(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Server]:
    """A server with one worker, by either way."""
    with start_server(settings, STORK_SERVER=request.param) as running:
        yield running


@pytest.mark.parametrize("kind", SERVERS)
def test_stopping_under_load_loses_no_request(settings: Settings, kind: str) -> None:
    """After SIGTERM every client is answered and told to go elsewhere: none gets an error, every answer is logged."""
    with start_server(settings, workers=2, STORK_SERVER=kind) as server, Load(server, clients=8) as load:
        time.sleep(1.0)
        server.process.send_signal(signal.SIGTERM)
        stopped = server.process.wait(20)

    assert (stopped, load.failures, load.sent_away) == (0, [], 8) and len(load.answers) > 100
    assert {json.loads(body)["id"] for _, body in load.answers} == {
        record["id"] for record in read_records(Path(settings.log) / "babyweight")
    }


def test_clients_that_keep_their_connections_are_shared_out(settings: Settings) -> None:
    """Twelve that come one by one are answered by both processes, not all by the one that is quicker to accept."""
    with start_server(settings, workers=2, STORK_SERVER="stork") as server, contextlib.ExitStack() as stack:
        answered: Counter[str] = Counter()
        for _ in range(12):
            connection = stack.enter_context(
                contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20))
            )
            connection.request("POST", "/api/predict", json.dumps(BABY), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            answered[answer.headers["X-Prediction-Id"].partition("-")[0]] += 1
            time.sleep(0.03)

    assert len(answered) == 2 and min(answered.values()) >= 3


def test_a_page_and_a_file_come_whole(either: Server) -> None:
    """What Flask answers goes through either server as it is, HEAD without a body."""
    page = either.request("GET", "/")
    script = either.request("GET", "/static/vendor/htmx.min.js")
    head = either.request("HEAD", "/healthz")

    assert page.status == 200 and b"</html>" in page.body and "content-security-policy" in page.headers
    assert int(script.headers["content-length"]) == len(script.body) > 10_000
    assert (head.status, head.body) == (200, b"")


def test_a_body_in_chunks_is_read(either: Server) -> None:
    """Clients that stream do not say how long their body is."""
    body = json.dumps(BABY).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:20], body[20:])) + b"0\r\n\r\n"
    head = b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

    answer = exchange(either, head + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks)

    assert answer.startswith(b"HTTP/1.1 200") and b"weight_pounds" in answer


def exchange(server: Server, sent: bytes, seconds: float = 15.0) -> bytes:
    """What the server answers to these bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        with contextlib.suppress(OSError):  # it may close before it has read them all
            connection.sendall(sent)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                received += part
        return received


def test_a_chunk_that_is_none_is_the_clients_fault(either: Server) -> None:
    """400 in the dialect's words by either server, and no traceback."""
    head = b"POST /v2/models/babyweight/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    answer = exchange(either, head + b"Connection: close\r\n\r\nzz\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400") and b'{"error":"' in answer
    assert "Traceback" not in either.stderr.read_text()


# Method, path, status, and the keys that a client of that dialect looks for in an error.
ASTRAY = [
    ("GET", "/v1", 400, ["error"]),
    ("GET", "/v1/nowhere", 400, ["error"]),
    ("PUT", "/v1/models/babyweight:predict", 400, ["error"]),
    ("GET", "/v1/projects/p", 404, ["error", "code", "message", "status", "details"]),
    ("POST", "/v1/projects/p/locations/l/endpoints/babyweight:guess", 404, ["error", "code", "message"]),
    ("GET", "/v1/projects/p/models/babyweight:predict", 405, ["error", "code", "message"]),
    ("GET", "/v1beta1/nowhere", 404, ["error", "code", "message"]),
    ("GET", "/v2/nowhere", 404, ["error"]),
    ("POST", "/v2/repository/nowhere", 404, ["error"]),
    ("PUT", "/v2/models/babyweight", 405, ["error"]),
    ("GET", "/api", 404, ["error"]),
    ("GET", "/api/nowhere", 404, ["error"]),
    ("DELETE", "/api/models", 405, ["error"]),
    ("GET", "/invocations/nowhere", 404, ["error_code", "message"]),
    ("PUT", "/invocations", 405, ["error_code", "message"]),
    ("POST", "/readyz", 405, ["error"]),
    ("GET", "/nowhere", 404, ["error"]),
]


def test_who_goes_astray_is_told_in_the_dialects_shape(either: Server) -> None:
    """Unknown routes and wrong methods: a client reads why, and never meets a page."""
    for method, path, status, keys in ASTRAY:
        answer = either.request(method, path)
        document = answer.json
        found = {*document, *(document["error"] if isinstance(document.get("error"), dict) else ())}

        assert (answer.status, answer.headers["content-type"]) == (status, "application/json"), path
        assert found >= set(keys), path


def test_a_body_that_nobody_read_costs_no_connection(either: Server) -> None:
    """What is refused or needs no body is answered, and so is the next request on the same connection."""
    connection = http.client.HTTPConnection("127.0.0.1", either.port, timeout=20)
    for path in ("/healthz", "/nowhere", "/v2/nowhere", "/api/models/babyweight/traffic", "/api/predict"):
        connection.request("PUT", path, b"[" * 200_000)
        connection.getresponse().read()
        kept = connection.sock
        connection.request("GET", "/healthz")

        assert (connection.getresponse().read(), connection.sock is kept) == (b'{"live":true}\n', True), path
    connection.close()


def test_headers_without_end_are_cut(either: Server) -> None:
    """A megabyte of headers is refused, and nobody else notices."""
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 1_000_000
    answer = exchange(either, head)

    assert answer == b"" or 400 <= int(answer.split()[1]) < 500
    assert either.request("GET", "/healthz").status == 200


def test_slow_headers_are_cut(settings: Settings) -> None:
    """Who does not send headers within ten seconds is told 408; gthread waits in a thread of its own."""
    with start_server(settings, STORK_SERVER="stork") as server:
        assert exchange(server, b"GET /healthz HTTP/1.1\r\nHost: lo", seconds=20).startswith(b"HTTP/1.1 408")


def test_slow_bodies_hold_up_nobody_else(either: Server) -> None:
    """Three clients that never finish their bodies take three threads; the others are answered meanwhile."""
    head = b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with contextlib.ExitStack() as open_ones:
        for _ in range(3):
            connection = open_ones.enter_context(socket.create_connection(("127.0.0.1", either.port), timeout=10))
            connection.sendall(head + b"Content-Length: 999\r\n\r\n{")
        statuses = [either.predict().status for _ in range(20)]

    assert set(statuses) == {200}


@pytest.fixture
def slow_remote(settings: Settings) -> Iterator[tuple[Server, VertexServer]]:
    """A server that answers one request at a time, lets one wait, and forwards to a service that hangs for 3 s."""
    with vertex_server() as vertex:
        forwarding = {
            "STORK_BACKEND": "vertex",
            "STORK_VERTEX_ENDPOINT": ENDPOINT,
            "STORK_VERTEX_API": vertex.url,
            "STORK_THREADS": "1",
            "STORK_QUEUE": "1",
        }
        with start_server(settings, **forwarding) as server:
            vertex.trouble = "hang"
            yield server, vertex


def test_a_full_queue_is_429_and_says_when_to_come_again(slow_remote: tuple[Server, VertexServer]) -> None:
    """One is answered, one waits, the others are told at once."""
    server, _ = slow_remote
    with ThreadPoolExecutor(6) as pool:
        answers: list[Response] = list(pool.map(lambda _: server.predict(), range(6)))
    refused = [answer for answer in answers if answer.status == 429]

    assert len(refused) >= 3 and {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert {answer.status for answer in answers} <= {200, 429}


def test_work_whose_deadline_passed_while_waiting_is_not_started(slow_remote: tuple[Server, VertexServer]) -> None:
    """A request that waited too long is 504, and the service behind was never asked for it."""
    server, vertex = slow_remote
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.predict)
        time.sleep(0.5)
        late = server.request("POST", "/api/predict", BABY, X_Server_Timeout="0.2")
        asked_until_then = len(vertex.requests)
        first.result()

    assert (late.status, asked_until_then) == (504, 1)
    assert "before the model was asked" in late.json["error"]


def test_clients_that_hang_up_take_no_thread_with_them(either: Server) -> None:
    """Many more than there are threads leave without their answer; the next client is answered as before."""
    body = json.dumps(BABY).encode()
    head = f"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", either.port), timeout=10) as connection:
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset

    assert {either.predict().status for _ in range(10)} == {200}
    assert "Traceback" not in either.stderr.read_text()
