"""A server's way to processes that TensorFlow answers in: copies of one that has it loaded."""

import os
import socket
import subprocess
import sys
import threading

from stork.config import PROJECT
from stork.errors import BackendUnavailable
from stork.serving.backends.tensorflow_library import find_tensorflow

PROGRAM = "stork.serving.backends.tensorflow_template"
LOAD_SECONDS = 600.0  # a process that has loaded for longer hangs
PID_BYTES = 8
NAME_BYTES = 1024
# Threads of a linear algebra library would keep a process from being copied; tables gain nothing from them.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Template:
    """
    The process that has TensorFlow loaded; started when first needed, and again when it has ended.

    Safe to use from any thread. It ends with this object, and copies of it end with their connections. Where it cannot
    be copied it serves the model itself, and another is started for the next one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._used: list[subprocess.Popen[bytes]] = []

    def copy(self, title: str) -> tuple[socket.socket, int]:
        """
        The connection to a new process, and its id; `title` is what it is called on stderr.

        Raises:
            ConfigurationError: TensorFlow is not installed.
            BackendUnavailable: no process can be started.
        """
        find_tensorflow()
        with self._lock:
            self._used = [process for process in self._used if process.poll() is None]
            for _ in range(2):  # the template may have ended since it was last asked
                try:
                    return self._ask_for_copy(title)
                except (OSError, EOFError) as error:
                    self._end()
                    reason = str(error) or "it ended"
        raise BackendUnavailable(f"no process can be started for TensorFlow: {reason}; see stderr")

    def __del__(self) -> None:
        self._end()
        for process in self._used:
            process.kill()
            process.wait()

    def _ask_for_copy(self, title: str) -> tuple[socket.socket, int]:
        control = self._control or self._start()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(control, [title.encode()[:NAME_BYTES]], [theirs.fileno()])
            told = control.recv(PID_BYTES)
            if not told:
                raise EOFError
        except BaseException:
            ours.close()
            raise
        pid = int.from_bytes(told)
        if self._process is not None and pid == self._process.pid:  # it cannot be copied, and serves itself
            self._used.append(self._process)
            self._process = None
            self._end()
        return ours, pid

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(LOAD_SECONDS)
        self._control = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM], cwd=PROJECT, stdin=theirs.fileno(), env={**os.environ, **ONE_THREAD}
            )
        return ours

    def _end(self) -> None:
        """Kill it: it holds nothing but TensorFlow."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
