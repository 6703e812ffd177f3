"""Answering concurrent requests together, for backends where one call of many rows costs what one of one row does."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stork.errors import BackendError, DeadlineExceeded, Overloaded
from stork.schema.tensors import Array, Tensors, concatenate_rows
from stork.serving.backends import Backend
from stork.turn import pass_turn

# Beyond this many rows a call costs in proportion to them, and nobody should wait for a neighbour's.
MAX_ROWS = 1024


@dataclass(slots=True)
class Call:
    """One caller's rows, and what becomes of them: an answer, an error, or a batch that this caller is to ask for."""

    tensors: Tensors
    rows: int
    deadline: float = math.inf
    woken: "threading.Lock" = field(default_factory=threading.Lock)
    answer: Tensors | None = None
    error: BackendError | None = None
    batch: "list[Call] | None" = None

    def __post_init__(self) -> None:
        self.woken.acquire()  # released once, by whoever has news


def note_nothing(rows: int) -> None:
    """Where nobody wants to hear of calls."""


class BatchingBackend:
    """
    A backend that is asked by one caller for many, when many come at once.

    Who finds it idle goes through at once: nothing ever waits for company. Who comes meanwhile waits, `max_waiting` of
    them, and when the call under way is done the first of them asks for all. If a batch fails, each caller's rows are
    asked alone, so nobody gets another's error. `note_call` hears how many rows each call of the backend has.
    """

    def __init__(self, backend: Backend, max_waiting: int, max_rows: int = MAX_ROWS) -> None:
        self.name = backend.name
        self.note_call: Callable[[int], None] = note_nothing
        self._backend = backend
        self._max_waiting = max_waiting
        self._max_rows = max_rows
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: list[Call] = []

    def predict(self, tensors: Tensors, deadline: float = math.inf) -> Tensors:
        """
        The caller's own rows, in order, whoever asked for them.

        Raises:
            Overloaded: too many calls wait already.
            DeadlineExceeded: the deadline passed before the backend was free; it was not asked.
            BackendError: as the backend says it.
        """
        pass_turn()  # one that answers nobody else meanwhile would never have company
        with self._lock:
            call = self._enter(tensors, deadline)
        if call is None:
            try:
                return self._call(tensors, deadline)
            finally:
                self._leave()
        self._wait(call, deadline)
        if call.batch is not None:
            try:
                self._ask(call.batch)
            finally:
                self._leave()
        if call.answer is None:
            raise call.error or BackendError("the call this one was answered with failed")
        return call.answer

    def close(self) -> None:
        self._backend.close()

    def _enter(self, tensors: Tensors, deadline: float) -> Call | None:
        """Go through (None), or take a place among those who wait."""
        if not self._busy:
            self._busy = True
            return None
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(f"{len(self._waiting)} calls wait for this model already; try again")
        call = Call(tensors, len(next(iter(tensors.values()))), deadline)
        self._waiting.append(call)
        return call

    def _wait(self, call: Call, deadline: float) -> None:
        """Until there is news; a call still waiting at its deadline leaves."""
        seconds = -1 if deadline == math.inf else max(0.0, deadline - time.monotonic())
        if call.woken.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)):
            return
        with self._lock:
            if call in self._waiting:
                self._waiting.remove(call)
                raise DeadlineExceeded("the deadline passed before the model was free")
        call.woken.acquire()  # it is being asked for right now

    def _leave(self) -> None:
        """The call is done: the first who waits asks for itself and those behind it that fit."""
        with self._lock:
            if not self._waiting:
                self._busy = False
                return
            batch = [self._waiting.pop(0)]
            rows = batch[0].rows
            while self._waiting and rows + self._waiting[0].rows <= self._max_rows:
                rows += self._waiting[0].rows
                batch.append(self._waiting.pop(0))
        batch[0].batch = batch
        batch[0].woken.release()

    def _ask(self, batch: list[Call]) -> None:
        """One call for all; if it fails, or its outputs cannot be told apart, each alone. The others are woken."""
        try:
            latest = max(call.deadline for call in batch)
            together = self._call(concatenate_rows(call.tensors for call in batch), latest)
            shares = split_rows(together, [call.rows for call in batch])
        except BackendError:
            shares = None
        for number, call in enumerate(batch):
            try:
                if shares is not None:
                    call.answer = shares[number]
                else:
                    self._ask_alone(call)
            finally:
                if number:
                    call.woken.release()

    def _call(self, tensors: Tensors, deadline: float) -> Tensors:
        self.note_call(len(next(iter(tensors.values()))))
        return self._backend.predict(tensors, deadline)

    def _ask_alone(self, call: Call) -> None:
        try:
            call.answer = self._call(call.tensors, call.deadline)
        except BackendError as error:
            call.error = error


def split_rows(tensors: Tensors, rows: list[int]) -> list[Tensors]:
    """
    Each caller's rows of every output.

    Raises:
        BackendError: an output has another number of rows than was asked for.
    """
    total = sum(rows)
    for name, values in tensors.items():
        if values.shape[:1] != (total,):
            raise BackendError(f"output {name!r}: expected {total} rows, received shape {list(values.shape)}")
    shares, start = [], 0
    for count in rows:
        share: dict[str, Array] = {name: values[start : start + count] for name, values in tensors.items()}
        shares.append(share)
        start += count
    return shares
