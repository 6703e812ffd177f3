"""A real server process for an exam: gunicorn as `stork serve` starts it, on loopback, within limits, and watched."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from stork.config import PROJECT, Settings
from stork.serving.backends.saved_model_process import ENDED_LOADING
from stork.serving.routing import NOT_LOADED

LOOK_SECONDS = 0.05
STDERR_LENGTH = 4000
# What gunicorn says of a worker that ended, the template of a TensorFlow process: by a signal, or with an exit code.
ENDED = re.compile(
    r"Worker \(pid:\d+\) (?:was sent (SIG\w+)|exited with code (-?\d+))"
    r"|stork: the process of .+ ended \((?:signal (\d+)|exit code (\d+))\)"
)


class NotServed(Exception):
    """The server did not answer as one that is well; the text says how."""


class Dropped(NotServed):
    """It broke the connection off, or has no process that could answer: one of it may have ended."""


class ExamServer:
    """
    One server process with one worker, from its start to its end.

    `peak_mb` is the largest memory one process of it had, in MB; 0 where the system does not tell.
    """

    def __init__(self, settings: Settings, stderr: Path) -> None:
        self.settings = settings
        self.peak_mb = 0.0
        self._stderr = stderr
        self._ended = threading.Event()
        # Bound here and handed on, so that nobody else can take the port in between.
        with socket.create_server(("127.0.0.1", 0)) as listener, stderr.open("wb") as stream:
            self.port: int = listener.getsockname()[1]
            self._process = start_process(settings, listener, stream)
        self._watcher = threading.Thread(target=self._watch, name="stork-exam", daemon=True)
        self._watcher.start()

    def __enter__(self) -> "ExamServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_ready(self, seconds: float) -> None:
        """
        Raises:
            NotServed: it said what keeps it from serving, crashed, or is not ready in time.
        """
        deadline = time.monotonic() + seconds
        problem = ""
        while time.monotonic() < deadline and self._process.poll() is None and not self.fate():
            with (
                contextlib.suppress(OSError, http.client.HTTPException, ValueError),
                self.connect(max(0.1, deadline - time.monotonic())) as connection,
            ):
                status, document = exchange(connection, "GET", "/readyz")
                if status == 200:
                    return
                problem = "; ".join(document["problems"].values())
                if problem and problem != NOT_LOADED:
                    failure = Dropped if ENDED_LOADING in problem else NotServed
                    raise failure(f"it cannot serve: {problem}")
            time.sleep(LOOK_SECONDS)
        if fate := self.fate():
            raise NotServed(f"it crashed while it loaded: {fate}")
        raise NotServed(f"it was not ready within {seconds:g} s{f' ({problem})' if problem else ''}")

    @contextlib.contextmanager
    def connect(self, seconds: float) -> Iterator[http.client.HTTPConnection]:
        """A connection on which no answer may take longer."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)) as connection:
            yield connection

    def fate(self) -> str:
        """How a process of it first ended: a signal or an exit code; empty while all live."""
        if found := ENDED.search(self._said()):
            worker_signal, worker_code, model_signal, model_code = found.groups()
            name = worker_signal or (model_signal and signal.Signals(int(model_signal)).name)
            return f"signal {name}" if name else f"exit code {worker_code or model_code}"
        code = self._process.poll()
        if code is None or self._ended.is_set():
            return ""
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def stderr(self) -> str:
        """The end of what the server said."""
        return self._said()[-STDERR_LENGTH:].strip()

    def stop(self) -> None:
        """End the server and its workers at once, whatever they do: nobody else asks them anything."""
        if self._ended.is_set():
            return
        self._look()
        self._ended.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self._look()

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            return self._stderr.read_text(errors="replace")
        return ""

    def _look(self) -> None:
        """Note the memory of the processes there are."""
        for pid in descendants(self._process.pid):
            with contextlib.suppress(OSError):
                peak = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
                self.peak_mb = max(self.peak_mb, round(int(peak[1]) * 1024 / 1e6, 1) if peak else 0.0)


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process and its descendants started, also from other threads than the first."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, children.read_text().split()):
                yield child
                yield from descendants(child)


def start_process(settings: Settings, listener: socket.socket, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    """The server, one worker, in a process group of its own; it inherits the listening socket."""
    environment = {**os.environ, **settings.environment(), "STORK_WORKERS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    gunicorn = ["-m", "gunicorn", "-c", "gunicorn.conf.py", "-b", f"fd://{listener.fileno()}", "main:app"]
    return subprocess.Popen(
        [sys.executable, "-m", "stork.evaluation.limited", *gunicorn],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )


def exchange(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> Any:
    """One request: the status, and the JSON that came back."""
    connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, json.loads(content, parse_constant=refuse_constant)


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
