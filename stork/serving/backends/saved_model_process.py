"""The TensorFlow backend of a server: each SavedModel in a process of its own, which loads and may crash by itself."""

import math
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import msgspec

from stork.errors import BackendError, BackendUnavailable, DeadlineExceeded, StorkError, ValuesRefused
from stork.schema.frozen import Schema
from stork.schema.tensors import Tensors
from stork.serving.backends.frames import Channel, Frame
from stork.serving.backends.template import LOAD_SECONDS, Template
from stork.turn import pass_turn

CALL_SECONDS = 60.0  # a process that has answered for longer hangs
# A request waits so many seconds for a process that is started anew: its thread is wanted for other models.
PATIENCE = 1.0
# A request that ends its process is asked twice among others and twice alone: so many deaths in a row, with no answer
# between them, say nothing of the model. After more there is a pause, in seconds, that doubles each time.
DEATHS = 4
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 60.0
ENDED_LOADING = "its process ended while it was loaded; see stderr"


class ProcessEnded(BackendUnavailable):
    """The process ended, perhaps before it heard the question."""


class Lane:
    """The way to a running process, for one call at a time; safe to use from any thread."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.pid = pid
        self.ended = False
        self.answered = False
        self._channel = Channel(connection)
        self._free = threading.Lock()
        self._asked_at = 0.0
        self._owing = False  # the process has not answered yet what somebody asked who has left

    def ask(self, frame: Frame, deadline: float, seconds: float) -> Frame:
        """
        The answer to a frame. A process that takes longer than so many seconds for one is killed.

        Raises:
            DeadlineExceeded: it has passed.
            ProcessEnded: the process ended, or was killed.
        """
        left = -1 if deadline == math.inf else min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
        if not self._free.acquire(timeout=left):
            raise DeadlineExceeded("the deadline passed before the model was free")
        try:
            while self._owing:
                self._receive(deadline, seconds)
            if self.ended:
                raise EOFError
            self._asked_at, self._owing = time.monotonic(), True
            self._channel.send(frame)
            return self._receive(deadline, seconds)
        except TimeoutError as error:
            if time.monotonic() - self._asked_at < seconds:
                raise DeadlineExceeded("the deadline passed before the model answered") from error
            os.kill(self.pid, signal.SIGKILL)
            self._end()
            raise ProcessEnded(f"the process that answers for this version took {seconds:g} s: it was ended") from error
        except (EOFError, OSError) as error:
            self._end()
            raise ProcessEnded("the process that answers for this version ended before it answered") from error
        finally:
            self._free.release()

    def close(self) -> None:
        """Let the process end, once it has answered."""
        with self._free:
            self._end()

    def _receive(self, deadline: float, seconds: float) -> Frame:
        answered = self._channel.receive(min(deadline, self._asked_at + seconds))
        self._owing = False
        return answered

    def _end(self) -> None:
        self.ended, self._owing = True, False
        self._channel.close()


class ProcessBackend:
    """
    One signature of a SavedModel, answered by TensorFlow in a process of its own; safe to use from any thread.

    When that ends a new one is started, and the call that met its end is made once more: asking a model changes
    nothing. It ends with this object.

    Raises:
        ConfigurationError: TensorFlow is not installed.
        BackendError: the folder cannot be loaded, or has no such signature.
    """

    name = "saved_model"

    def __init__(self, folder: Path, schema: Schema, template: Template, call_seconds: float = CALL_SECONDS) -> None:
        self._title = f"{folder.parent.name} version {folder.name}"
        opening = {"folder": str(folder), "schema": msgspec.to_builtins(schema)}
        self._opening = Frame("open", msgspec.json.encode(opening).decode())
        self._template = template
        self._call_seconds = call_seconds
        self._lock = threading.Lock()
        self._starting: Future[Lane] | None = None
        self._closed = False
        self._idle_deaths = 0  # processes in a row that ended before they answered anything
        self._resume_at = 0.0
        self._lane = self._start()

    def predict(self, tensors: Tensors, deadline: float = math.inf) -> Tensors:
        """
        Every output by tensor name, as the model gives it.

        Raises:
            ValuesRefused: the model does not take these values.
            DeadlineExceeded: it has passed.
            BackendUnavailable: there is no process now, or two of them ended before they answered.
            BackendError: the model failed otherwise.
        """
        frame = Frame("ask", "", tensors)
        pass_turn()
        lane = self._find_lane(deadline)
        try:
            answered = lane.ask(frame, deadline, self._call_seconds)
        except ProcessEnded:
            lane = self._find_lane(deadline)
            answered = lane.ask(frame, deadline, self._call_seconds)
        lane.answered = True
        if answered.kind == "answer":
            return answered.tensors
        raise (ValuesRefused if answered.kind == "refused" else BackendError)(answered.text)

    @property
    def pid(self) -> int:
        """The process's id; of the last one where it has ended."""
        return self._lane.pid

    def close(self) -> None:
        """Let the process end, once it has answered."""
        self._closed = True
        self._lane.close()

    def __del__(self) -> None:
        if "_lane" in self.__dict__:
            self.close()

    def _find_lane(self, deadline: float) -> Lane:
        """
        The way to the process, to a new one if it has ended.

        Raises:
            BackendUnavailable: there is none now.
        """
        with self._lock:
            if self._closed:
                raise BackendUnavailable("this version was let go")
            if not self._lane.ended:
                return self._lane
            if self._starting is None:
                self._begin_anew()
            starting = self._starting
        assert starting is not None
        try:
            return starting.result(min(PATIENCE, max(0.0, deadline - time.monotonic())))
        except TimeoutError as error:
            raise BackendUnavailable(f"{self._title} is being loaded anew; try again in a moment") from error

    def _begin_anew(self) -> None:
        """Start a process in a thread of its own: whoever asks waits no longer than they may."""
        left = self._resume_at - time.monotonic()
        if left > 0:
            raise BackendUnavailable(f"{self._title} ended as soon as it was asked; it is started anew in {left:.1f} s")
        self._idle_deaths = 0 if self._lane.answered else self._idle_deaths + 1
        self._lane.answered = False  # of this end all is said
        if self._idle_deaths > DEATHS:
            pause = min(FIRST_PAUSE * 2.0 ** (self._idle_deaths - DEATHS - 1), LONGEST_PAUSE)
            self._resume_at = time.monotonic() + pause
        self._starting = Future()
        threading.Thread(target=self._start_anew, args=(self._starting,), daemon=True).start()

    def _start_anew(self, starting: "Future[Lane]") -> None:
        print(f"stork: {self._title} is started anew", file=sys.stderr)
        try:
            lane = self._start()
        except StorkError as error:
            with self._lock:
                self._starting = None
            starting.set_exception(error)
            return
        with self._lock:
            self._lane, self._starting = lane, None
        if self._closed:
            lane.close()
        starting.set_result(lane)

    def _start(self) -> Lane:
        """
        A process that has the model loaded.

        Raises:
            BackendError: it cannot be loaded, or the process ended meanwhile.
        """
        lane = Lane(*self._template.copy(self._title))
        try:
            answered = lane.ask(self._opening, math.inf, LOAD_SECONDS)
        except ProcessEnded as error:
            raise BackendError(ENDED_LOADING) from error
        if answered.kind != "answer":
            lane.close()
            raise BackendError(answered.text)
        return lane
