"""
A gunicorn worker whose HTTP is spoken by granian: Rust accepts, parses and writes; Python only answers.

gunicorn keeps what it is good at: the listening socket, the worker processes, signals. granian's own process manager is
not used: it gives up on a worker that dies twice in five seconds, and each of its workers has a socket of its own, so
that connections waiting at one that dies are lost.

What this uses of granian is not its public interface: requirements.txt pins it, tests/web/test_servers.py holds it.
"""

import contextlib
import io
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from granian._futures import _new_cbscheduler
from granian._granian import SocketHolder, WorkerSignal, WSGIWorker
from granian._loops import loops
from granian.http import HTTP1Settings
from gunicorn.workers.base import Worker

from stork.config import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Threads that take requests over from Rust, beyond those that answer: to let others wait, or wait for a slow body. Each
# is one more that wants the interpreter: with eight the p99 under 32 connections was half as long again.
RECEIVERS = 2
# A client has as many seconds to send its headers, and they may be as long as this, in bytes.
HEADER_SECONDS = 10
HEADER_BYTES = 64 * 1024
# When it stops, a worker answers for so long that clients on kept-alive connections are told to leave.
DRAIN_SECONDS = 1.5
QUIET_SECONDS = 0.2

Environ = dict[str, Any]
Answer = Callable[[Any, Environ], int]


class GranianWorker(Worker):  # type: ignore[misc]
    """`gunicorn -k stork.web.granian_worker.GranianWorker`: one TCP socket, no TLS, HTTP/1.1."""

    def run(self) -> None:
        """Serve until gunicorn says stop; then let clients go, and end when all are answered."""
        desk = Desk(self.wsgi, self.cfg.threads, Settings.from_environment())
        stop, stopped = WorkerSignal(), threading.Event()
        stop.add_cb(stopped.set)
        self._serve(desk.receive, stop)
        while self.alive and os.getppid() == self.ppid:
            self.notify()
            self._told.wait(1.0)
        desk.drain()
        stop.set()
        stopped.wait()

    def init_signals(self) -> None:
        self._told = threading.Event()
        super().init_signals()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: stop gracefully, at once and not only at the next heartbeat."""
        super().handle_exit(sig, frame)
        self._told.set()

    def _serve(self, receive: Answer, stop: WorkerSignal) -> None:
        """Start granian's threads on gunicorn's socket."""
        listener = self.sockets[0].sock
        listener.setblocking(False)
        loop = loops.get("asyncio")
        worker = WSGIWorker(
            self.age,
            (None, SocketHolder(listener.fileno(), False, self.cfg.backlog)),
            None,  # no metrics of granian's own
            1,  # thread of Rust
            1,
            self.cfg.threads + RECEIVERS,
            600,  # seconds an idle receiver is kept
            self.cfg.worker_connections,
            "1",
            HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=HEADER_BYTES),
            None,
            None,  # no static files
            *(False, None, None, None, "tls1.3", None, [], False),  # no TLS
            (None, None),
        )
        worker.serve_mtr(_new_cbscheduler(loop, receive, impl_asyncio=True), loop, stop)


class Desk:
    """
    Where at most `threads` requests are answered with `app` at the same time, and the others wait.

    Each environ says when its request arrived (`stork.arrived`, time.monotonic()), and, if it has to wait, how many did
    already (`stork.waiting`). One that finds `settings.queue` is answered at once: the application refuses it.
    """

    def __init__(self, app: "WSGIApplication", threads: int, settings: Settings) -> None:
        self._app = app
        self._threads = threads
        self._settings = settings
        self._lock = threading.Lock()
        self._busy = 0
        self._waiting: deque[tuple[Any, Environ]] = deque()
        self._arrived = 0.0
        self._closing: list[tuple[str, str]] = []

    def receive(self, protocol: Any, environ: Environ) -> int:
        """
        What granian calls for each request, in one of its threads; it goes by what `protocol` is given, now or later.

        A thread that gets to answer goes on with those who wait: handing each to another thread costs more.
        """
        self._arrived = environ["stork.arrived"] = time.monotonic()
        # granian lets go of the body when this returns.
        environ["wsgi.input"] = io.BytesIO(receive_body(environ, self._settings.max_body))
        if self._enter(protocol, environ):
            self._respond(protocol, environ)
            while following := self._next():
                self._respond(*following)
        elif environ["stork.waiting"] >= self._settings.queue:
            self._respond(protocol, environ)
        return 200

    def _enter(self, protocol: Any, environ: Environ) -> bool:
        """Whether this thread answers now; if not, the request waits, or is told that too many do."""
        with self._lock:
            if self._busy < self._threads:
                self._busy += 1
                return True
            environ["stork.waiting"] = waiting = len(self._waiting)
            if waiting < self._settings.queue:
                self._waiting.append((protocol, environ))
            return False

    def _next(self) -> tuple[Any, Environ] | None:
        """The request that has waited longest; None if there is none: then this thread is free."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._busy -= 1
            return None

    def drain(self) -> None:
        """Tell every client that asks to open no other connection here; return when nobody has asked for a while."""
        self._closing = [("Connection", "close")]
        until = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < min(until, self._arrived + QUIET_SECONDS):
            time.sleep(QUIET_SECONDS / 4)

    def _respond(self, protocol: Any, environ: Environ) -> None:
        """Let the application answer, and hand what it says to granian; a defect is a 500, and said on stderr."""
        said: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            said[:] = status, headers

        environ |= CONSTANT
        try:
            parts: Iterable[bytes] = self._app(environ, start)  # type: ignore[arg-type]
            body = parts[0] if type(parts) is list and len(parts) == 1 else join(parts)
            protocol.response_bytes(int(said[0][:3]), said[1] + self._closing, body)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            with contextlib.suppress(Exception):  # if nobody listens any more, this thread goes on all the same
                protocol.response_bytes(500, [("Content-Type", "text/plain")], b"internal error; it was logged")


def receive_body(environ: Environ, limit: int) -> bytes:
    """The body; one of more than `limit` bytes is not read to its end, and the application refuses it."""
    length = environ.get("CONTENT_LENGTH")
    body: bytes
    if length is None:
        body = environ["wsgi.input"].read(limit + 1)
    elif length == "0" or not length.isdecimal() or int(length) > limit:
        body = b""
    else:
        body = environ["wsgi.input"].read(int(length))
    return body


def join(parts: Iterable[bytes]) -> bytes:
    """The whole body of a page, which WSGI wants closed in the end."""
    try:
        return b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()


CONSTANT: Environ = {
    "SCRIPT_NAME": "",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}
