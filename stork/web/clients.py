"""Who is connected to a server process: whom it accepts, what they send, and what they are yet to be sent."""

import contextlib
import selectors
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus

from stork.config import Settings
from stork.web.connection import Connection, Environ, Request

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
# How often clients that are silent for too long are let go of.
SWEEP_SECONDS = 1.0
# A process lets another be first to accept a client, the longer the more it has: so many seconds for each, so many at
# most, and only where clients come one by one, so many seconds apart at least.
POLITE_SECONDS, POLITE_MOST, POLITE_APART = 0.00005, 0.0005, 0.01
# So many bytes of bodies that are not whole yet may be held; who sends more is answered 503.
HELD_BYTES = 128 * 1024 * 1024
# So many bytes of answers may wait for clients to take them; beyond, who has taken nothing for longest is let go.
OWED_BYTES = 128 * 1024 * 1024

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


@dataclass(frozen=True)
class Limits:
    """How many connections there may be, for how many seconds one may be idle, and whose X-Forwarded-Proto is heard."""

    connections: int = 1000
    idle_seconds: float = 75.0
    proxies: Collection[str] = ()


class Clients:
    """
    The connections of a process. One thread at a time may `receive`; any may `go_on` with a connection that it answers,
    or `close` it.

    `lock` is over what both touch: of a connection `busy`, `watched`, `due` and `attended`, and what the selector is
    told of it. `enqueue` takes a whole request, under that lock; `room` says how many more are to be read.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        settings: Settings,
        limits: Limits,
        lock: threading.Lock,
        enqueue: Callable[[Connection, Request], None],
        room: Callable[[], float],
    ) -> None:
        self.looked = 0.0  # when newcomers were last looked for
        self._listeners = listeners
        self._settings = settings
        self._limits = limits
        self._lock = lock
        self._enqueue = enqueue
        self._room = room
        self._selector = selectors.DefaultSelector()
        self._listening = False
        self._leaving = False
        self._full = False  # nobody is listened to until somebody leaves
        self._connections: set[Connection] = set()
        self._held = 0  # bytes of all bodies that are not whole yet
        self._owed = 0  # bytes of all answers that are not taken yet, and of some that were
        self._swept = self._offered = 0.0
        self._wake, self._woken = socket.socketpair()

    def open(self) -> None:
        """Accept from now on."""
        self._selector.register(self._woken, READ)
        for listener in self._listeners:
            listener.setblocking(False)
        self._listen(True)

    def wake(self) -> None:
        """Let whoever receives return, now and from now on."""
        self._wake.send(b"!")

    def dismiss(self) -> None:
        """Accept nobody any more, and close all connections but those that are owed the rest of an answer."""
        self._selector.unregister(self._woken)
        self._leaving = True
        self._listen(False)
        for connection in list(self._connections):
            if not connection.unsent:
                self.close(connection)

    def are_owed(self) -> bool:
        """Whether somebody has not taken all of an answer."""
        return any(connection.unsent for connection in self._connections)

    def close_all(self) -> None:
        """Close every connection. The listeners stay open: they are gunicorn's."""
        for connection in list(self._connections):
            self.close(connection)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def receive(self, seconds: float) -> None:
        """Take in all that clients have sent, waiting for the first of it at most so long."""
        if self._full and len(self._connections) < self._limits.connections:
            self._full = False
            self._listen(True)
        ready = self._selector.select(seconds)
        # Where there is no room for all: the kernel would name the same first each time.
        if len(ready) > self._room():
            ready.sort(key=last_attended)
        for key, events in ready:
            if key.data is not None:
                if events & WRITE or self._room() > 0:
                    self._attend(key.data, events)
            elif key.fileobj is not self._woken:
                self._accept(key.fileobj)  # type: ignore[arg-type]
        self.looked = time.monotonic()
        if self.looked - self._swept > SWEEP_SECONDS:
            self._swept = self.looked
            self._sweep(self.looked)

    def _attend(self, connection: Connection, events: int) -> None:
        """A client sent something, or takes more of its answer."""
        if connection.busy and not events & WRITE:
            self._look_away(connection)
            return
        try:
            if events & WRITE:
                connection.flush()
            elif not self._hear(connection):
                self.close(connection)
                return
        except OSError:
            self.close(connection)
            return
        except Exception:  # a defect costs one connection, not the process
            traceback.print_exc(file=sys.stderr)
            self.close(connection)
            return
        self.go_on(connection)

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

    def go_on(self, connection: Connection) -> None:
        """
        What comes next on a connection: the rest of an answer, a request, silence, the end.

        Once the lock is let go of, another thread may have the connection.
        """
        with self._lock:
            connection.attended = time.monotonic()
            # First: the sweep looks at it.
            connection.due = connection.patience(connection.attended, self._limits.idle_seconds)
            over, told = False, connection.closing and not connection.unsent
            if connection.unsent:
                connection.busy = True
                if connection.watched != WRITE:
                    self._owe(connection)
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
            self.close(connection)
        elif told:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_WR)

    def _owe(self, connection: Connection) -> None:
        """One more has not taken all of an answer; where all of these are too much, those seen to longest ago go."""
        self._owed += connection.owed
        if self._owed <= OWED_BYTES:
            return
        self._owed = connection.owed
        others = [other for other in list(self._connections) if other.unsent and other is not connection]
        for other in sorted(others, key=lambda other: other.attended, reverse=True):
            if self._owed + other.owed <= OWED_BYTES:
                self._owed += other.owed
            else:
                other.given_up = True
                self._swept = 0.0

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
        proxied = "*" in self._limits.proxies or client in self._limits.proxies
        connection = Connection(sock, base, self._settings.max_body, self._settings.deadline, proxied)
        self._connections.add(connection)
        self.go_on(connection)
        if len(self._connections) >= self._limits.connections:
            self._full = True
            self._listen(False)

    def _be_polite(self) -> None:
        """Clients that keep their connections would all stay with the process that happens to be quicker."""
        now = time.monotonic()
        if self._connections and now - self._offered > POLITE_APART:  # also a sleep of nothing takes time
            time.sleep(min(len(self._connections) * POLITE_SECONDS, POLITE_MOST))
        self._offered = now

    def _listen(self, yes: bool) -> None:
        yes = yes and not self._leaving
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
            patient = connection.due > now and not connection.given_up
            if patient or (connection.busy and connection.watched != WRITE):
                continue
            with contextlib.suppress(OSError):
                if connection.watched == READ and connection.refuse_late():
                    self.go_on(connection)
                    continue
            self.close(connection)
        self._count_held()
        if len(self._connections) < self._limits.connections:
            self._listen(True)

    def close(self, connection: Connection) -> None:
        with self._lock:
            connection.busy = True
            if connection.watched:
                self._watch(connection, 0)
        self._connections.discard(connection)
        connection.close()


def last_attended(ready: tuple[selectors.SelectorKey, int]) -> float:
    """When somebody last saw to a client; what is no client comes first."""
    return ready[0].data.attended if ready[0].data is not None else 0.0
