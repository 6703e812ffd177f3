"""
A gunicorn worker whose HTTP is spoken by granian: Rust accepts, parses and writes; Python only answers.

gunicorn keeps what it is good at: the listening socket, the worker processes, signals. granian's own process manager is
not used: it gives up on a worker that dies twice in five seconds, and each of its workers has a socket of its own, so
that connections waiting at one that dies are lost.

What this uses of granian is not its public interface: requirements.txt pins it, tests/web/test_servers.py holds it.
"""

import io
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from granian._futures import _new_cbscheduler
from granian._granian import SocketHolder, WorkerSignal, WSGIWorker
from granian._loops import loops
from granian.http import HTTP1Settings
from gunicorn.workers.base import Worker

from stork.config import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Threads that take requests over from Rust. One that waits for a slow body holds up nobody but itself.
RECEIVERS = 8
# A client has as many seconds to send its headers, and they may be as long as this, in bytes.
HEADER_SECONDS = 10
HEADER_BYTES = 64 * 1024

Environ = dict[str, Any]
Answer = Callable[[Any, Environ], int]


class GranianWorker(Worker):  # type: ignore[misc]
    """`gunicorn -k stork.web.granian_worker.GranianWorker`: one TCP socket, no TLS, HTTP/1.1."""

    def run(self) -> None:
        """Serve until gunicorn says stop; then take no more connections and answer those under way."""
        listener = self.sockets[0].sock
        listener.setblocking(False)
        answer = answer_in_turn(self.wsgi, self.cfg.threads, Settings.from_environment())
        loop = loops.get("asyncio")
        self._stop, stopped = WorkerSignal(), threading.Event()
        self._stop.add_cb(stopped.set)
        worker = WSGIWorker(
            self.age,
            (None, SocketHolder(listener.fileno(), False, self.cfg.backlog)),
            None,  # no metrics of granian's own
            1,  # thread of Rust
            1,
            RECEIVERS,
            600,  # seconds an idle receiver is kept
            self.cfg.worker_connections,
            "1",
            HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=HEADER_BYTES),
            None,
            None,  # no static files
            *(False, None, None, None, "tls1.3", None, [], False),  # no TLS
            (None, None),
        )
        worker.serve_mtr(_new_cbscheduler(loop, answer, impl_asyncio=True), loop, self._stop)
        while self.alive and os.getppid() == self.ppid:
            self.notify()
            stopped.wait(1.0)
        self._stop.set()
        stopped.wait()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: stop gracefully, at once and not only at the next heartbeat."""
        super().handle_exit(sig, frame)
        self._stop.set()


def answer_in_turn(app: "WSGIApplication", threads: int, settings: Settings) -> Answer:
    """
    What granian calls for each request: it waits here until one of `threads` is free to answer it.

    Each environ says when its request arrived (`stork.arrived`, time.monotonic()); one that finds `settings.queue`
    waiting is answered at once, with how many there were (`stork.waiting`): the application refuses it.
    """
    waiting: SimpleQueue[tuple[Any, Environ]] = SimpleQueue()

    def work() -> None:
        while True:
            respond(app, *waiting.get())

    for number in range(threads):
        threading.Thread(target=work, name=f"stork-answer-{number}", daemon=True).start()

    def receive(protocol: Any, environ: Environ) -> int:
        environ["stork.arrived"] = time.monotonic()
        # granian lets go of the body when this returns.
        environ["wsgi.input"] = io.BytesIO(receive_body(environ, settings.max_body))
        if waiting.qsize() >= settings.queue:
            environ["stork.waiting"] = waiting.qsize()
            respond(app, protocol, environ)
        else:
            waiting.put((protocol, environ))
        return 200

    return receive


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


def respond(app: "WSGIApplication", protocol: Any, environ: Environ) -> None:
    """Let the application answer, and hand what it says to granian; a defect is a 500, and said on stderr."""
    said: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        said[:] = status, headers

    environ |= CONSTANT
    try:
        parts: Iterable[bytes] = app(environ, start)  # type: ignore[arg-type]
        body = parts[0] if type(parts) is list and len(parts) == 1 else join(parts)
        protocol.response_bytes(int(said[0][:3]), said[1], body)
    except Exception:
        traceback.print_exc(file=sys.stderr)
        protocol.response_bytes(500, [("Content-Type", "text/plain")], b"internal error; it was logged")


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
