"""One connection's bytes, without a socket: however they are split, they are the same requests."""

import random
from typing import Any

import pytest

from stork.web.connection import READ_BYTES, Connection

GET = b"GET /next HTTP/1.1\r\nHost: localhost\r\nX-Empty:\r\n\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAE\r\nUpgrade: h2c\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-Late: 1\r\n\r\n"
MAX_BODY = 1000
STREAMS = [
    GET + b"\r\n" + GET,
    b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde" + GET,
    b"POST /a HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000 + GET,
    b"POST /a HTTP/1.1\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001 + GET,
    b"POST /a HTTP/1.1\r\nCookie: a\r\nCookie: b\r\n" + CHUNKS + GET,
    b"POST /a HTTP/1.1\r\n" + UPGRADE + CHUNKS + GET,
    b"POST /a HTTP/1.1\r\n" + UPGRADE + b"Content-Length: 5\r\n\r\nabcde" + GET,
    b"GET /a HTTP/1.1\r\n" + UPGRADE + b"\r\n" + GET,
    b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + GET,
    b"HEAD http://localhost/a%20b?q=%20 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET,
    b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n" + GET,
    b"GET / HTTP/1.1\r\nX: " + b"y" * 3000 + b"\r\n\r\n" + GET,
]


class Client:
    """What a socket would give, in these pieces at most."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def recv(self, size: int) -> bytes:
        piece = self.pieces.pop(0)
        if piece[size:]:
            self.pieces.insert(0, piece[size:])
        return piece[:size]

    def send(self, content: bytes) -> int:
        return len(content)


def read(*pieces: bytes) -> list[tuple[dict[str, Any], bytes | str, bool]]:
    """Environ, body, and whether another may follow, of each request up to one after which none may."""
    client = Client(*pieces)
    connection = Connection(client, {}, MAX_BODY, 10.0, False)  # type: ignore[arg-type]
    found: list[tuple[dict[str, Any], bytes | str, bool]] = []
    while client.pieces and (not found or found[-1][2]):
        assert connection.receive()
        for environ, keep in connection.requests:
            try:
                body = environ.pop("wsgi.input").read()
            except ValueError:
                body = "torn"
            del environ["stork.arrived"]
            found.append((environ, body, keep))
            if not keep:
                break
        connection.requests.clear()
    return found


@pytest.mark.parametrize("stream", STREAMS)
def test_however_a_stream_is_split_it_is_the_same_requests(stream: bytes) -> None:
    """Byte by byte, in two pieces at every place, and at random."""
    whole = read(stream)
    dice = random.Random(7)
    splits = [list(range(len(stream))), *([0, at] for at in range(1, min(len(stream), 400)))]
    splits += [[0, *sorted(dice.sample(range(1, len(stream)), 5))] for _ in range(100)]

    assert whole
    for starts in splits:
        pieces = [stream[start:end] for start, end in zip(starts, [*starts[1:], len(stream)], strict=True)]
        assert read(*pieces) == whole, starts


@pytest.mark.parametrize("framing", [b"Content-Length: 200000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n30d40\r\n"])
def test_what_follows_a_long_body_is_read_in_small_pieces(framing: bytes) -> None:
    """Else a client that asks for nothing but this has thousands of requests made of one read."""
    end = b"" if b"Length" in framing else b"\r\n0\r\n\r\n"
    client = Client(b"POST / HTTP/1.1\r\n" + framing, b"x" * 199_990, b"x" * 10 + end + GET * 20_000)
    connection = Connection(client, {}, 1_000_000, 10.0, False)  # type: ignore[arg-type]
    while not connection.requests:
        connection.receive()

    assert len(connection.requests) <= 1 + READ_BYTES / len(GET)


def test_a_head_that_came_with_the_end_of_a_long_body_is_not_too_long() -> None:
    """Only its own bytes count."""
    client = Client(b"POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n", b"x" * 200_000 + GET[:-5], GET[-5:])
    connection = Connection(client, {}, 1_000_000, 10.0, False)  # type: ignore[arg-type]
    while client.pieces:
        connection.receive()

    assert [request.environ["REQUEST_METHOD"] for request in connection.requests] == ["POST", "GET"]
    assert not connection.unread
