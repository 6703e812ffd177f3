"""Clients that keep asking a real server, and waiting for something to become true."""

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from server import BABY, Server


class Load:
    """
    Clients that ask without a pause, each on a connection of its own, until stopped; every answer is kept.

    One that is told `Connection: close` leaves, as a load balancer would, and is counted in `sent_away`.
    """

    def __init__(self, server: Server, clients: int = 4) -> None:
        self.answers: list[tuple[str, bytes]] = []
        self.failures: list[str] = []
        self.sent_away = 0
        self.stopped = threading.Event()
        self.server = server
        self.threads = [threading.Thread(target=self.ask) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        with contextlib.closing(connection):
            while not self.stopped.is_set():
                try:
                    connection.request("POST", "/api/predict", json.dumps(BABY), {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    body = answer.read()
                except (OSError, http.client.HTTPException) as error:
                    self.failures.append(repr(error))
                    connection.close()
                    continue
                if answer.status == 200:
                    self.answers.append((answer.headers["X-Model-Version"], body))
                else:
                    self.failures.append(body.decode())
                if answer.headers["Connection"] == "close":
                    self.sent_away += 1
                    return


def wait_for(condition: Callable[[], bool], seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def freeze(pid: int) -> None:
    """Stop a process until it is told to go on; returns when each of its threads stands still, which takes a while."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")
    assert wait_for(lambda: all("\nState:\tT" in (path / "status").read_text() for path in threads.iterdir()))
