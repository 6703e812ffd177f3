"""Where one thread at a time receives requests and answers them, as stork/turn.py says."""

import contextlib
import functools
import selectors
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from stork.config import Settings
from stork.turn import take_turns
from stork.web.connection import WRITE_SECONDS, Connection, Environ, Headers, Request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
# Between two answers newcomers are looked for, so many seconds apart at least.
LOOK_SECONDS = 0.005
# How often clients that are silent for too long are let go of.
SWEEP_SECONDS = 1.0
# Who answers one request for longer than this loses the turn.
LONG_SECONDS = 0.05
# A process lets another be first to accept a client, the longer the more it has: so many seconds for each, so many at
# most, and only where clients come one by one, so many seconds apart at least.
POLITE_SECONDS, POLITE_MOST, POLITE_APART = 0.00005, 0.0005, 0.01
# So many bytes of bodies that are not whole yet may be held; who sends more is answered 503.
HELD_BYTES = 128 * 1024 * 1024
# When it stops, a process tells whoever asks to leave: for so long at most, or until nobody has asked for so long.
DRAIN_SECONDS = 1.5
QUIET_SECONDS = 0.2

CONSTANT: Environ = {
    "SCRIPT_NAME": "",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.url_scheme": "http",
    "wsgi.version": (1, 0),
}
DEFECT = "500 Internal Server Error", [("Content-Type", "text/plain")], b"internal error; it was logged"


@dataclass(slots=True)
class Turn:
    """One thread's turn. `since`: when it took up the request that it is answering; 0 while it receives."""

    since: float = 0.0
    passed: bool = False


class Desk:
    """
    At most `threads` requests are answered with `app` at the same time, while one more thread receives.

    Each environ says when its request was whole (`stork.arrived`, time.monotonic()) and how many waited then
    (`stork.waiting`). Where `threads` are answered and `settings.queue` wait, one more is answered at once, and marked
    (`stork.excess`): the application refuses it. For one that it does not refuse, but waits for, there is a spare
    thread. While threads are free nobody is refused: who is not read yet waits in the kernel.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        listeners: list[socket.socket],
        threads: int,
        settings: Settings,
        connections: int = 1000,
        idle_seconds: float = 75.0,
        proxies: Collection[str] = (),
    ) -> None:
        self._app = app
        self._listeners = listeners
        self._threads = threads
        self._settings = settings
        self._most = connections
        self._idle_seconds = idle_seconds
        self._proxies = proxies
        self._selector = selectors.DefaultSelector()
        self._listening = False
        self._full = False  # nobody is listened to until somebody leaves
        self._connections: set[Connection] = set()
        self._free = threading.Lock()  # held by the thread that has the turn
        self._turn = Turn()
        # Over all that threads without the turn touch: the turn, these three, and of a connection `busy`, `watched`,
        # `due` and `attended`, with what the selector is told of it. The rest is of the thread that has the turn.
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Connection, Request]] = deque()
        self._excess: deque[tuple[Connection, Request]] = deque()
        self._away = 0  # threads that answer without having the turn
        self._held = 0  # bytes of all bodies that are not whole yet
        self._looked = self._swept = self._arrived = self._offered = 0.0
        self._draining = self._stopped = False
        self._wake, self._woken = socket.socketpair()
        self._crew = [
            threading.Thread(target=self._work, name=f"stork-desk-{n}", daemon=True) for n in range(threads + 2)
        ]

    def open(self) -> None:
        """Serve from now on."""
        self._selector.register(self._woken, READ)
        for listener in self._listeners:
            listener.setblocking(False)
        self._listen(True)
        for thread in self._crew:
            thread.start()

    def watch(self) -> None:
        """
        Take the turn from who answers for long: to be called every now and then.

        Raises:
            RuntimeError: a thread has ended, by a defect that it told on stderr: the process had better end too.
        """
        if not all(thread.is_alive() for thread in self._crew):
            raise RuntimeError("a thread that answers has ended")
        with self._lock:
            since = self._turn.since
            if since and time.monotonic() - since > LONG_SECONDS:
                self._pass(self._turn)

    def drain(self) -> None:
        """Tell every client that asks to open no other connection here; return when nobody has asked for a while."""
        self._draining = True
        until = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < min(until, self._arrived + QUIET_SECONDS):
            time.sleep(QUIET_SECONDS / 4)
            self.watch()  # where nobody receives, nobody seems to ask

    def close(self) -> None:
        """Answer those who were received, to the last byte, and end. The listeners stay open: they are gunicorn's."""
        self._draining = self._stopped = True
        self._wake.send(b"!")
        for thread in self._crew:
            thread.join()
        self._see_off()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _see_off(self) -> None:
        """
        Close what is done with at once, and else when the client has taken its answer, or takes too long.

        Who has taken it before the others and asks again, not knowing yet that this is the end, is answered.
        """
        self._selector.unregister(self._woken)
        self._listen(False)
        for connection in list(self._connections):
            if not connection.unsent:
                self._close(connection)
        until = time.monotonic() + WRITE_SECONDS
        while any(connection.unsent for connection in self._connections) and time.monotonic() < until:
            self._receive(SWEEP_SECONDS)
            while following := self._next(self._turn):
                self._answer(*following)
        for connection in list(self._connections):
            self._close(connection)

    def _work(self) -> None:
        """A thread's life: it takes the turn, receives and answers until it passes the turn on, and so again."""
        while True:
            self._free.acquire()
            if self._stopped:
                self._free.release()
                return
            turn = self._turn = Turn()
            take_turns(functools.partial(self._pass_on, turn))
            while not turn.passed and self._step(turn):
                pass
            if not turn.passed:
                self._free.release()
            else:
                while following := self._next_away():
                    self._answer(*following)

    def _step(self, turn: Turn) -> bool:
        """Answer whose turn it is, or receive; False where all is over."""
        following = self._next(turn)
        if following is None:
            if self._stopped:
                return False
            self._receive(SWEEP_SECONDS)
            return True
        self._answer(*following)
        with self._lock:
            turn.since = 0.0
        if not turn.passed and time.monotonic() - self._looked > LOOK_SECONDS:
            self._receive(0)
        return True

    def _next(self, turn: Turn) -> tuple[Connection, Request] | None:
        """Who is to be answered by the thread that has the turn; None: nobody, or as many as may are being answered."""
        with self._lock:
            following = None
            if self._excess:
                following = self._excess.popleft()
            elif self._waiting and self._away < self._threads:
                following = self._waiting.popleft()
            if following is not None:
                turn.since = time.monotonic()
            return following

    def _next_away(self) -> tuple[Connection, Request] | None:
        """
        Who is one too many, or has waited longest; None: this thread is no longer away.

        Whom the thread that has the turn can answer is left to it: two that answer get into each other's way.
        """
        with self._lock:
            if self._excess and not self._turn.since:
                return self._excess.popleft()
            if self._waiting and (self._away == self._threads or (self._away < self._threads and not self._turn.since)):
                return self._waiting.popleft()
            self._away -= 1
            return None

    def _pass_on(self, turn: Turn) -> None:
        with self._lock:
            self._pass(turn)

    def _pass(self, turn: Turn) -> None:
        """Let another thread have the turn, if it is this one, and there is another."""
        if not turn.passed and self._away <= self._threads:
            turn.passed = True
            self._away += 1
            self._free.release()

    def _receive(self, seconds: float) -> None:
        """Take in all that clients have sent, waiting for the first of it at most so long."""
        if self._full and len(self._connections) < self._most:
            self._full = False
            self._listen(True)
        ready = self._selector.select(seconds)
        # Where there is no room for all: the kernel would name the same first each time.
        if len(ready) + len(self._waiting) > self._settings.queue:
            ready.sort(key=last_attended)
        for key, events in ready:
            if key.data is not None:
                if events & WRITE or self._has_room():
                    self._attend(key.data, events)
            elif key.fileobj is not self._woken:
                self._accept(key.fileobj)  # type: ignore[arg-type]
        self._looked = time.monotonic()
        if self._looked - self._swept > SWEEP_SECONDS:
            self._swept = self._looked
            self._sweep(self._looked)

    def _has_room(self) -> bool:
        """Whether to read a request: not while enough wait that will be answered soon."""
        return len(self._waiting) < max(1, self._settings.queue) or self._away >= self._threads

    def _attend(self, connection: Connection, events: int) -> None:
        """A client sent something, or takes more of its answer."""
        if connection.busy and not events & WRITE:
            self._look_away(connection)
            return
        try:
            if events & WRITE:
                connection.flush()
            elif not self._hear(connection):
                self._close(connection)
                return
        except OSError:
            self._close(connection)
            return
        except Exception:  # a defect costs one connection, not the process
            traceback.print_exc(file=sys.stderr)
            self._close(connection)
            return
        self._go_on(connection)

    def _hear(self, connection: Connection) -> bool:
        """Read what a client sent; False: it is gone. With whom there is too much of unfinished bodies is refused."""
        before = connection.held
        alive = connection.receive()
        self._held += connection.held - before
        limit = max(HELD_BYTES, 2 * self._settings.max_body)
        if connection.held and self._held > limit:
            self._count_held()  # some who held much may have left
            if self._held > limit:
                connection.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        return alive

    def _count_held(self) -> None:
        self._held = sum(connection.held for connection in list(self._connections))

    def _look_away(self, connection: Connection) -> None:
        """Of a client that sends more, or leaves, while it is being answered, nothing is seen until it is."""
        with self._lock:
            if connection.busy and connection.watched == READ:
                self._watch(connection, 0)

    def _go_on(self, connection: Connection) -> None:
        """
        What comes next on a connection: the rest of an answer, a request, silence, the end.

        Once the lock is let go of, another thread may have the connection.
        """
        with self._lock:
            connection.attended = time.monotonic()
            # First: the sweep looks at it.
            connection.due = connection.patience(connection.attended, self._idle_seconds)
            over, told = False, connection.closing and not connection.unsent
            if connection.unsent:
                connection.busy = True
                self._watch(connection, WRITE)
            elif connection.requests:
                connection.busy = True
                self._enqueue(connection, connection.requests.popleft())
            elif not connection.closing or connection.unread:
                connection.busy = False
                self._watch(connection, READ)
            else:
                over = True
        if over:
            self._close(connection)
        elif told:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_WR)

    def _enqueue(self, connection: Connection, request: Request) -> None:
        self._arrived = request.environ["stork.arrived"]
        waiting = request.environ["stork.waiting"] = len(self._waiting)
        if waiting >= self._settings.queue and self._away >= self._threads:
            request.environ["stork.excess"] = True
            self._excess.append((connection, request))
        else:
            self._waiting.append((connection, request))

    def _watch(self, connection: Connection, events: int) -> None:
        """Let the selector look for these events on a connection."""
        if events == connection.watched:
            return
        if not events:
            self._selector.unregister(connection.sock)
        elif connection.watched:
            self._selector.modify(connection.sock, events, connection)
        else:
            self._selector.register(connection.sock, events, connection)
        connection.watched = events

    def _answer(self, connection: Connection, request: Request) -> None:
        """Let the application answer; a defect is a 500, and said on stderr."""
        said: list[Any] = []

        def start(status: str, headers: Headers, exc_info: Any = None) -> None:
            said[:] = status, headers

        keep = request.keep and not self._draining
        try:
            try:
                parts: Iterable[bytes] = self._app(request.environ, start)  # type: ignore[arg-type]
                body = parts[0] if type(parts) is list and len(parts) == 1 else join(parts)
            except OSError as error:  # a disk, or another service: the client is still there
                raise RuntimeError("the application did not see to it") from error
            connection.answer(request, said[0], said[1], body, keep)
        except OSError:
            self._close(connection)
            return
        except Exception:
            traceback.print_exc(file=sys.stderr)
            with contextlib.suppress(OSError):
                connection.answer(request, *DEFECT, keep)
        self._go_on(connection)

    def _accept(self, listener: socket.socket) -> None:
        self._be_polite()
        try:
            sock, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:  # no more files can be opened: others may be closed until the next sweep
            self._listen(False)
            return
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = address[0] if isinstance(address, tuple) else ""
        name = sock.getsockname()
        base = CONSTANT | {
            "REMOTE_ADDR": client,
            "SERVER_NAME": name[0] if isinstance(name, tuple) else "localhost",
            "SERVER_PORT": str(name[1]) if isinstance(name, tuple) else "80",
        }
        proxied = "*" in self._proxies or client in self._proxies
        connection = Connection(sock, base, self._settings.max_body, self._settings.deadline, proxied)
        self._connections.add(connection)
        self._go_on(connection)
        if len(self._connections) >= self._most:
            self._full = True
            self._listen(False)

    def _be_polite(self) -> None:
        """Clients that keep their connections would all stay with the process that happens to be quicker."""
        now = time.monotonic()
        if now - self._offered > POLITE_APART:
            time.sleep(min(len(self._connections) * POLITE_SECONDS, POLITE_MOST))
        self._offered = now

    def _listen(self, yes: bool) -> None:
        yes = yes and not self._stopped
        if yes != self._listening:
            for listener in self._listeners:
                if yes:
                    self._selector.register(listener, READ)
                else:
                    self._selector.unregister(listener)
            self._listening = yes

    def _sweep(self, now: float) -> None:
        """Let go of clients that are silent for too long, and look for new ones again."""
        for connection in list(self._connections):
            if connection.due > now or (connection.busy and connection.watched != WRITE):
                continue
            with contextlib.suppress(OSError):
                if connection.watched == READ and connection.refuse_late():
                    self._go_on(connection)
                    continue
            self._close(connection)
        self._count_held()
        if len(self._connections) < self._most:
            self._listen(True)

    def _close(self, connection: Connection) -> None:
        with self._lock:
            connection.busy = True
            if connection.watched:
                self._watch(connection, 0)
        self._connections.discard(connection)
        connection.sock.close()


def last_attended(ready: tuple[selectors.SelectorKey, int]) -> float:
    """When somebody last saw to a client; what is no client comes first."""
    return ready[0].data.attended if ready[0].data is not None else 0.0


def join(parts: Iterable[bytes]) -> bytes:
    """The whole body of a page, which WSGI wants closed in the end."""
    try:
        return b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
