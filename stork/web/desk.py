"""Where one thread at a time receives requests and answers them, as stork/turn.py says."""

import contextlib
import functools
import math
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stork.config import Settings
from stork.turn import take_turns
from stork.web.clients import SWEEP_SECONDS, Clients, Limits
from stork.web.connection import WRITE_SECONDS, Connection, Headers, Request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Between two answers newcomers are looked for, so many seconds apart at least.
LOOK_SECONDS = 0.005
# Who answers one request for longer than this loses the turn.
LONG_SECONDS = 0.05
# When it stops, a process tells whoever asks to leave: for so long at most, or until nobody has asked for so long.
DRAIN_SECONDS = 1.5
QUIET_SECONDS = 0.2

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
        limits: Limits,
    ) -> None:
        self._app = app
        self._threads = threads
        self._queue = settings.queue
        self._free = threading.Lock()  # held by the thread that has the turn
        self._turn = Turn()
        # Over all that threads without the turn touch: the turn, these three, and what Clients says.
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Connection, Request]] = deque()
        self._excess: deque[tuple[Connection, Request]] = deque()
        self._away = 0  # threads that answer without having the turn
        self._arrived = 0.0
        self._draining = self._stopped = False
        self._clients = Clients(listeners, settings, limits, self._lock, self._enqueue, self._room)
        self._crew = [
            threading.Thread(target=self._work, name=f"stork-desk-{n}", daemon=True) for n in range(threads + 2)
        ]

    def open(self) -> None:
        """Serve from now on."""
        self._clients.open()
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
        """
        Answer those who were received, to the last byte, and end. The listeners stay open: they are gunicorn's.

        Who has taken an answer before the others, and asks again, not knowing yet that this is the end, is answered.
        """
        self._draining = self._stopped = True
        self._clients.wake()
        for thread in self._crew:
            thread.join()
        self._clients.dismiss()
        until = time.monotonic() + WRITE_SECONDS
        while self._clients.are_owed() and time.monotonic() < until:
            self._clients.receive(SWEEP_SECONDS)
            while following := self._next(self._turn):
                self._answer(*following)
        self._clients.close_all()

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
            self._clients.receive(SWEEP_SECONDS)
            return True
        self._answer(*following)
        with self._lock:
            turn.since = 0.0
        if not turn.passed and time.monotonic() - self._clients.looked > LOOK_SECONDS:
            self._clients.receive(0)
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

    def _room(self) -> float:
        """How many more requests to read: no more than may wait, where they are answered soon; else all, to refuse."""
        return math.inf if self._away >= self._threads else max(1, self._queue) - len(self._waiting)

    def _enqueue(self, connection: Connection, request: Request) -> None:
        """Take a request in; the lock is held."""
        self._arrived = request.environ["stork.arrived"]
        waiting = request.environ["stork.waiting"] = len(self._waiting)
        if waiting >= self._queue and self._away >= self._threads:
            request.environ["stork.excess"] = True
            self._excess.append((connection, request))
        else:
            self._waiting.append((connection, request))

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
            self._clients.close(connection)
            return
        except Exception:
            traceback.print_exc(file=sys.stderr)
            with contextlib.suppress(OSError):
                connection.answer(request, *DEFECT, keep)
        self._clients.go_on(connection)


def join(parts: Iterable[bytes]) -> bytes:
    """The whole body of a page, which WSGI wants closed in the end."""
    try:
        return b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
