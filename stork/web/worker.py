"""
A gunicorn worker that hands no request from thread to thread.

gunicorn keeps what it is good at: the listening socket, the worker processes, signals. httptools parses HTTP. Who of a
process's threads receives and answers is said by the desk.
"""

import os
import select
import time

from gunicorn.workers.base import Worker

from stork.config import Settings
from stork.web.clients import Limits
from stork.web.desk import Desk

WATCH_SECONDS = 0.05
HEARTBEAT_SECONDS = 1.0


class DeskWorker(Worker):  # type: ignore[misc]
    """`gunicorn -k stork.web.worker.DeskWorker`: HTTP/1.1 without TLS."""

    def run(self) -> None:
        """Serve until gunicorn says stop; then let clients go, and end when all are answered."""
        desk = Desk(
            self.wsgi,
            [listener.sock for listener in self.sockets],
            self.cfg.threads,
            Settings.from_environment(),
            Limits(self.cfg.worker_connections, self.cfg.keepalive, self.cfg.forwarded_allow_ips),
        )
        desk.open()
        beaten = 0.0
        while self.alive and os.getppid() == self.ppid:
            if time.monotonic() - beaten > HEARTBEAT_SECONDS:
                self.notify()
                beaten = time.monotonic()
            desk.watch()
            self._sleep()
        desk.drain()
        desk.close()

    def _sleep(self) -> None:
        """
        Until there is something to watch, or a signal: each is a byte in gunicorn's pipe.

        A handler that sets a threading.Event for which the thread it interrupts waits would now and then wait for ever.
        """
        if select.select(self.PIPE[:1], [], [], WATCH_SECONDS)[0]:
            os.read(self.PIPE[0], 4096)
