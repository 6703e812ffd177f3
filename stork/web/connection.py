"""One client's connection: from the bytes it sends to WSGI environs, and from answers to bytes."""

import functools
import io
import re
import socket
import time
from collections import deque
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

# A client has so many seconds to send its headers; they may be so long, in bytes, and so many.
HEADER_SECONDS = 10.0
HEADER_BYTES = 64 * 1024
HEADERS = 200
# So long it may take no byte of its answer; after it was refused, send nothing; and send what nobody reads, in all.
WRITE_SECONDS = 30.0
LINGER_SECONDS = 2.0
UNREAD_SECONDS = 30.0
# What is read at once: at most so much of a body whose length is known, and else, lest it be too many requests.
BODY_BYTES = 256 * 1024
READ_BYTES = 16 * 1024

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
NOBODYS = HttpRequestParser(object())

Environ = dict[str, Any]
Headers = list[tuple[str, str]]


class Request(NamedTuple):
    """A whole request; `keep`: another may follow on its connection."""

    environ: Environ
    keep: bool


class TornBody(io.BytesIO):
    """A body in chunks that are none."""

    def read(self, size: int | None = -1) -> bytes:
        raise ValueError("chunks that are none")


class Connection:
    """
    What a client sent so far, which requests are whole, and what it is yet to be sent.

    `requests` are in the order in which they came; `owed`: the bytes of an answer of which some are `unsent`. `busy`:
    one is being answered; `watched`: the events the selector looks for; `due`: when the client has been silent for too
    long, on time.monotonic()'s clock; `attended`: when something was last done for it; `given_up`: it is to be closed,
    whatever the client does. `closing`: no other request is read; `unread`: the client may be sending what nobody
    reads. One thread at a time may use it.
    """

    def __init__(self, sock: socket.socket, base: Environ, max_body: int, body_seconds: float, proxied: bool) -> None:
        self.sock = sock
        self.requests: deque[Request] = deque()
        self.busy = False
        self.watched = 0
        self.due = self.attended = 0.0
        self.unsent: memoryview | bytes = b""
        self.owed = 0
        self.given_up = False
        self.closing = False
        self.unread = False
        self._base = base
        self._max_body = max_body
        self._body_seconds = body_seconds
        self._proxied = proxied
        self._parser = HttpRequestParser(self)
        self._part = "nothing"  # of a request that is being read: nothing, its head, its body; or the rest, unread
        self._began = self._ended = 0.0
        self._url = b""
        self._environ: Environ = {}
        self._body = io.BytesIO()
        self._fields = 0
        self._length = 0  # of the headers, then of the body, as parsed
        self._received = 0  # the same, as it came; chunks and what is not parsed yet make it longer
        self._expected = 0  # the body's length, where it is told
        self._expects = False
        self._told_again = False

    @property
    def held(self) -> int:
        """Bytes of a body that is not whole yet."""
        return self._length if self._part == "body" and not self.unread else 0

    def close(self) -> None:
        """Let go of all that was received and is unsent: the parser, which knows this connection, would keep it."""
        self.sock.close()
        self.unsent = b""
        self._parser = NOBODYS

    def patience(self, now: float, idle_seconds: float) -> float:
        """Until when the client may be silent, or slow."""
        if self.unsent:
            return now + WRITE_SECONDS
        if self.closing:
            return min(now + LINGER_SECONDS, self._ended + UNREAD_SECONDS)
        if self._part == "nothing":
            return now + idle_seconds
        return self._began + (HEADER_SECONDS if self._part == "head" else self._body_seconds)

    def receive(self) -> bool:
        """
        Read what is there, and put requests that are whole by it into `requests`; False: the client is gone.

        What is no HTTP is refused here, and ends the connection.

        Raises:
            OSError: the connection is broken.
        """
        try:
            data = self.sock.recv(max(READ_BYTES, min(BODY_BYTES, self._expected - self._length)))
        except BlockingIOError:
            return True
        if data and not self.unread:
            self._feed(data)
        return bool(data)

    def refuse_late(self) -> bool:
        """Tell a client that began a request and did not end it in time; False where there is none to tell."""
        if self.closing or self._part == "nothing":
            return False
        self.refuse(HTTPStatus.REQUEST_TIMEOUT)
        return True

    def refuse(self, status: HTTPStatus) -> None:
        """
        Answer what never became a request; who sent requests before it is answered those, and nothing more.

        Raises:
            OSError: the connection is broken.
        """
        self.unread = True
        if self.requests:
            self.requests.append(self.requests.pop()._replace(keep=False))
            return
        self._end()
        self._send(
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
        )

    def answer(self, request: Request, status: str, headers: Headers, body: bytes, keep: bool) -> None:
        """
        Send an answer, or as much of it as the client takes now; without its body where HTTP has none.

        Raises:
            ValueError: a header is longer than a line, or not Latin-1; nothing was sent.
            OSError: the connection is broken.
        """
        lines = [f"HTTP/1.1 {status}", f"Date: {http_date(int(time.time()))}"]
        bare = request.environ["REQUEST_METHOD"] == "HEAD" or status.startswith(("1", "204", "304"))
        sized = bare
        for name, value in headers:
            lines.append(f"{name}: {value}")
            sized = sized or name == "Content-Length"
        if not keep:
            lines.append("Connection: close")
        elif request.environ["SERVER_PROTOCOL"] == "HTTP/1.0":
            lines.append("Connection: keep-alive")
        if not sized:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
            raise ValueError(f"expected headers of one line, received {headers}")
        content = b"".join((head.encode("latin-1"), b"\r\n\r\n", b"" if bare else body))
        if not keep:
            self.unread = self.unread or request.keep  # who was not told before may have sent more
            self._end()
        elif self._expects and not self.requests:  # whoever asked while this was not answered yet
            self._expects = False
            content += CONTINUE
        self._send(content)

    def flush(self) -> None:
        """
        Send what the client takes now of what is unsent.

        Raises:
            OSError: the connection is broken.
        """
        try:
            sent = self.sock.send(self.unsent)
        except BlockingIOError:
            return
        self.unsent = memoryview(self.unsent)[sent:] if sent < len(self.unsent) else b""

    def _send(self, content: bytes) -> None:
        self.unsent = content if not self.unsent else bytes(self.unsent) + content
        self.owed = len(self.unsent)
        self.flush()

    def _end(self) -> None:
        self.closing = True
        self._ended = time.monotonic()
        self.requests.clear()

    def _feed(self, data: bytes) -> None:
        unread = data
        while unread and not self.unread:
            unread = self._parse(unread)
        if self.unread or self._part == "nothing":
            return
        self._received += len(data)
        if self._part == "head" and max(self._length, self._received) > HEADER_BYTES:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._part == "body" and self._received > 2 * self._max_body + HEADER_BYTES:
            self._cut(TornBody())
        elif self._expects and not self.requests:
            self._expects = False
            self._send(CONTINUE)

    def _parse(self, data: bytes) -> bytes:
        """What is to be parsed after this: nothing, but where a client asks for another protocol."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            return self._decline() + data[upgrade.args[0] :]
        except HttpParserCallbackError:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except HttpParserError:
            if self._part == "body":
                self._cut(TornBody())
            elif not self.unread:
                self.refuse(HTTPStatus.BAD_REQUEST)
        return b""

    def _decline(self) -> bytes:
        """
        Stay with HTTP/1, whatever other protocol the client would like, as Java's does by default.

        The parser takes what follows such headers for that protocol: a new one is told of the body by headers without.
        """
        if self._parser.get_method() == b"CONNECT":
            self.refuse(HTTPStatus.METHOD_NOT_ALLOWED)
            return b""
        names = {"Content-Length": "CONTENT_LENGTH", "Transfer-Encoding": "HTTP_TRANSFER_ENCODING"}
        lines = [f"{name}: {self._environ[key]}" for name, key in names.items() if key in self._environ]
        lines.append(f"Connection: {'keep-alive' if self._keeps() else 'close'}")
        version = self._parser.get_http_version()
        head = "\r\n".join([f"{self._parser.get_method().decode()} / HTTP/{version}", *lines])
        self._parser, self._told_again = HttpRequestParser(self), True
        return head.encode() + b"\r\n\r\n"

    def _keeps(self) -> bool:
        """Whether the client would go on: where it names another protocol the parser does not say."""
        named = {word.strip() for word in self._environ.get("HTTP_CONNECTION", "").lower().split(",")}
        return "close" not in named if self._parser.get_http_version() == "1.1" else "keep-alive" in named

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._told_again:
            return
        self._part = "head"
        self._fields = self._length = self._received = self._expected = 0
        self._began = time.monotonic()
        self._url = b""
        self._environ = self._base.copy()
        self._body = io.BytesIO()

    def on_url(self, part: bytes) -> None:
        if not self._told_again:
            self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        self._length += len(name) + len(value)
        if self._part != "head" or self._told_again or self._fields > HEADERS:  # a trailer says nothing of who asks
            return
        key, text = environ_key(name), value.decode("latin-1")
        if key in self._environ:
            text = self._environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + text
        if key:
            self._environ[key] = text

    def on_headers_complete(self) -> None:
        self._told_again = False
        if self._fields > HEADERS or self._length + len(self._url) > HEADER_BYTES:
            raise ValueError("headers that are too long, or too many")
        self._part = "body"
        self._length = self._received = 0
        self._expected = int(self._environ.get("CONTENT_LENGTH", 0))
        if self._expected > self._max_body:
            self._cut(self._body)
        else:
            asks = self._environ.get("HTTP_EXPECT", "").lower() == "100-continue"
            self._expects = asks and self._parser.get_http_version() != "1.0"

    def on_body(self, part: bytes) -> None:
        if self._part == "body":
            self._body.write(part)
            self._length += len(part)
            if self._length > self._max_body:
                self._cut(self._body)

    def on_message_complete(self) -> None:
        if self._part == "body" and not self._parser.should_upgrade():
            self._add(self._body, self._parser.should_keep_alive())
            self._part = "nothing"
            self._expects = False

    def _cut(self, body: io.BytesIO) -> None:
        """Read no more of this body, which the application is to refuse, nor of what follows it."""
        self._add(body, False)
        self._part = "rest"
        self.unread = True

    def _add(self, body: io.BytesIO, keep: bool) -> None:
        """One more request. WSGI wants its path with percent signs resolved, and as if it were Latin-1."""
        environ, url = self._environ, self._url
        if not url.startswith(b"/"):
            url = relative(url)
        path, _, query = url.partition(b"#")[0].partition(b"?")
        environ["REQUEST_METHOD"] = self._parser.get_method().decode()
        environ["PATH_INFO"] = (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1")
        environ["QUERY_STRING"] = query.decode("latin-1")
        environ["SERVER_PROTOCOL"] = "HTTP/" + self._parser.get_http_version()
        body.seek(0)
        environ["wsgi.input"] = body
        environ["stork.arrived"] = time.monotonic()
        if self._proxied and environ.get("HTTP_X_FORWARDED_PROTO") == "https":
            environ["wsgi.url_scheme"] = "https"
        self.requests.append(Request(environ, keep))


@functools.lru_cache(maxsize=1024)
def environ_key(name: bytes) -> str:
    """Where WSGI keeps a header; empty for one with an underscore, which would pass for another with a dash."""
    if b"_" in name:
        return ""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


@functools.lru_cache(maxsize=2)
def http_date(second: int) -> str:
    """As the Date header has it."""
    return formatdate(second, usegmt=True)


def relative(url: bytes) -> bytes:
    """A whole address, as proxies are sent it, without scheme and host, whatever these are; `*` as it is."""
    rest = re.sub(rb"^\w+://[^/?#]*", b"", url)
    return rest if rest.startswith((b"/", b"*")) else b"/" + rest
