"""
Where a request enters: host, size, identity, deadline, and who answers it.

Predict routes are answered here by their dialect, without Flask: measured in docs/design.md. All else goes on to the
pages. The door is a plain WSGI callable.
"""

import contextlib
import functools
import math
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from stork.access.gate import Gate
from stork.config import Settings
from stork.errors import BadRequest, Overloaded, PayloadTooLarge, StorkError
from stork.serving.ask import Context
from stork.serving.predictor import Predictor
from stork.turn import pass_turn
from stork.web.admission import CHANGING, Admission, limit_headers
from stork.web.dialects import (
    Dialect,
    Reply,
    Request,
    api,
    container,
    invocations,
    mlengine,
    tensorflow_serving,
    v2,
    vertex,
)
from stork.web.trace import read_trace

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# The first that owns a path answers: ML Engine's are some of Vertex AI's, and all others of /v1 TensorFlow Serving's.
DIALECTS = (api.DIALECT, mlengine.DIALECT, vertex.DIALECT, tensorflow_serving.DIALECT, v2.DIALECT, invocations.DIALECT)

STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

# No script, style or frame but our own. Vega draws with `ast: true`, so nothing needs unsafe-eval.
PAGE_HEADERS = [
    ("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
     "form-action 'self'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
]  # fmt: skip
JSON_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]

# Bytes. Instances in a longer body take milliseconds to read and to answer.
LONG_BODY = 256 * 1024


class Door:
    """The WSGI application: `pages` answers what no dialect does."""

    def __init__(
        self,
        settings: Settings,
        predictor: Predictor,
        pages: "WSGIApplication",
        admission: Admission | None = None,
        project: str = "",
    ) -> None:
        self.settings = settings
        self.predictor = predictor
        self.pages = pages
        self.admission = admission or Admission(Gate(settings), settings)
        self.project = project
        self.dialects = (*container.make_dialects(settings), *DIALECTS)
        self._find_dialect = functools.lru_cache(maxsize=1024)(self.find_dialect)
        self._is_allowed_host = functools.lru_cache(maxsize=256)(self.is_allowed_host)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        dialect = self._find_dialect(path)
        if not self._is_allowed_host(environ.get("HTTP_HOST", "")):
            error = BadRequest("Host: expected a name in STORK_HOSTS, received another")
            reply = (dialect or api.DIALECT).refuse(error)
        elif dialect is None:
            pass_turn()
            page = self.pages(environ, with_page_headers(start_response))
            discard_body(environ, self.settings.max_body)
            return page
        else:
            reply = self.count(dialect, environ, path)
        headers = [*reply.headers, ("Content-Length", str(len(reply.body))), *JSON_HEADERS]
        start_response(STATUS_LINES[reply.status], headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [reply.body]

    def count(self, dialect: Dialect, environ: "WSGIEnvironment", path: str) -> Reply:
        """The answer to one request, counted with what is refused here, which the prediction log never sees."""
        self.predictor.metrics.enter()
        reply = self.answer(dialect, environ, path)
        self.predictor.metrics.leave(dialect.name, reply.status)
        return reply

    def answer(self, dialect: Dialect, environ: "WSGIEnvironment", path: str) -> Reply:
        """One request through one dialect; a defect of ours is a 500 that tells the caller nothing but that."""
        caller = None
        try:
            context = self.read_context(environ)
            method = environ["REQUEST_METHOD"]
            role = dialect.role(method, path)
            if role == "predict" and method == "POST":  # who only looks is always told
                check_excess(environ)
            caller = context.caller = self.admission.admit(environ, context.header, role)
            if caller is not None:
                caller.arrive()
            body = read_body(environ, self.settings.max_body)
            if len(body) > LONG_BODY or role in CHANGING:
                pass_turn()
            reply = dialect.answer(self.predictor, Request(method, path, body, context))
        except StorkError as error:
            discard_body(environ, self.settings.max_body)
            reply = dialect.refuse(error)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            reply = dialect.refuse(StorkError("internal error; it was logged"))
        reply.headers.extend(limit_headers(caller))
        return reply

    def read_context(self, environ: "WSGIEnvironment") -> Context:
        """
        What travels with the request.

        Raises:
            BadRequest: the deadline it names is none.
        """
        header = header_reader(environ)
        allowed, asked = self.settings.deadline, environ.get("HTTP_X_SERVER_TIMEOUT")
        if asked is not None:
            allowed = min(allowed, read_seconds(asked))
        arrived: float = environ.get("stork.arrived") or time.monotonic()
        waiting: int = environ.get("stork.waiting", 0)
        return Context(header, read_trace(environ, self.project), arrived, arrived + allowed, waiting=waiting)

    def find_dialect(self, path: str) -> Dialect | None:
        """The dialect whose route this is; None for pages and rare routes."""
        return next((dialect for dialect in self.dialects if dialect.owns(path)), None)

    def is_allowed_host(self, host: str) -> bool:
        """Whether the Host header names this service: a page of another name must not drive a browser to us."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        for allowed in self.settings.hosts:
            if name == allowed or allowed == "*" or (allowed.startswith(".") and name.endswith(allowed)):
                return True
        return False


def header_reader(environ: "WSGIEnvironment") -> Callable[[str], str]:
    """A function from a header's name to its value, empty where it was not sent."""

    def read(name: str) -> str:
        value: str = environ.get(environ_key(name), "")
        return value

    return read


@functools.lru_cache(maxsize=256)
def environ_key(name: str) -> str:
    """Where WSGI keeps a header: Content-Type in CONTENT_TYPE, X-Api-Key in HTTP_X_API_KEY."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def check_excess(environ: "WSGIEnvironment") -> None:
    """
    Raises:
        Overloaded: as many requests are answered and wait in this process as may.
    """
    if "stork.excess" in environ:
        raise Overloaded(f"{environ['stork.waiting']} requests wait here already; try again")


def read_seconds(text: str) -> float:
    """
    The value of X-Server-Timeout, as Google's clients send it: seconds, from 0.

    Raises:
        BadRequest: it is no such number.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise BadRequest(f"X-Server-Timeout: expected a number of seconds, received {text[:40]!r}")
    return seconds


def with_page_headers(start_response: "StartResponse") -> "StartResponse":
    """A start_response that adds the security headers a page did not set itself."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        given = {name.lower() for name, _ in headers}
        return start_response(status, headers + [h for h in PAGE_HEADERS if h[0].lower() not in given], exc_info)

    return start


def read_body(environ: "WSGIEnvironment", limit: int) -> bytes:
    """
    The request's body, unpacked.

    Raises:
        PayloadTooLarge: it is longer than `limit` bytes, packed or unpacked; it is not read to its end.
        BadRequest: it is not the gzip it says it is, or its chunks are none.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and int(length) > limit:
        raise PayloadTooLarge(f"body: expected at most {limit} bytes, received {length}")
    try:
        body = take_body(environ, limit)
    except Exception as error:  # an exception of gunicorn's for chunks that are none; OSError where the client is gone
        raise BadRequest("body: expected what its headers say, received chunks that are none, or less") from error
    encoding = environ.get("HTTP_CONTENT_ENCODING", "")
    if encoding:
        body = decode_body(body, encoding.lower(), limit)
    if len(body) > limit:
        raise PayloadTooLarge(f"body: expected at most {limit} bytes, received more")
    return body


def take_body(environ: "WSGIEnvironment", limit: int) -> bytes:
    """As it was sent; at most `limit` + 1 bytes of one that does not say how long it is."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() and not environ.get("wsgi.input_terminated"):
        return b""
    body: bytes = environ["wsgi.input"].read(int(length) if length.isdecimal() else limit + 1)
    return body


def discard_body(environ: "WSGIEnvironment", limit: int) -> None:
    """
    Read what nobody has read of a body that is not too long.

    gunicorn's gthread closes a connection whose answer promised to keep it, where more than 64 KiB are left unread.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or int(length) <= limit:
        with contextlib.suppress(Exception):  # who asked is answered already
            take_body(environ, limit)


def decode_body(body: bytes, encoding: str, limit: int) -> bytes:
    """At most `limit` + 1 bytes of a body sent with a Content-Encoding, whatever it claims to hold."""
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise BadRequest(f"Content-Encoding: expected gzip or none, received {encoding[:40]!r}")
    stream = zlib.decompressobj(wbits=31)
    try:
        return stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequest(f"body: expected gzip, as Content-Encoding says; {error}") from error
