"""
The shadow: a version that answers copies of live requests, off their path, so that it can be judged before it serves.

Copies wait in one bounded queue per process and are answered by one thread. What does not fit, and all that waits
when live requests begin to queue up, is dropped and counted: a copy never delays a request.
"""

import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from stork.errors import StorkError, TooManyRequests
from stork.schema.tensors import plain_values
from stork.serving.ask import Answer, Ask, check
from stork.serving.loader import LoadedVersion
from stork.store.prediction_log import PredictionLog
from stork.store.shadow_log import Difference, ShadowRecord

COPIES = 64  # that may wait
ROWS = 10_000  # that the waiting copies may hold together


class ShadowVersion(NamedTuple):
    """A version loaded to be asked copies of `share` percent of the requests."""

    loaded: LoadedVersion
    share: int


class Copy(NamedTuple):
    """One live request, its answer and the milliseconds that took, and who is to answer it again."""

    ask: Ask
    answer: Answer
    took: float
    shadow: LoadedVersion

    @property
    def rows(self) -> int:
        return len(next(iter(self.answer.columns.values())))


class Shadows:
    """
    The copies of this process, of all its models.

    `open_log` makes the shadow log of a model. A copy may take `deadline` seconds.
    """

    def __init__(self, open_log: Callable[[str], PredictionLog], deadline: float) -> None:
        self.logs: dict[str, PredictionLog] = {}
        self._open_log = open_log
        self._deadline = deadline
        self._copies: deque[Copy] = deque()
        self._rows = 0
        self._dropped: Counter[tuple[str, int, int]] = Counter()
        self._ready = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def offer(self, copy: Copy, busy: bool = False) -> None:
        """
        Take a copy, or drop it where there is no room for it. Never waits for the shadow.

        `busy`: live requests wait for this process, so that this copy and all that wait are dropped.
        """
        with self._ready:
            if busy:
                self._drop(*self._copies, copy)
                self._copies.clear()
                self._rows = 0
            elif len(self._copies) >= COPIES or self._rows + copy.rows > ROWS:
                self._drop(copy)
            else:
                self._copies.append(copy)
                self._rows += copy.rows
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="stork-shadow", daemon=True)
                    self._thread.start()
                self._ready.notify()

    def flush(self) -> None:
        """Write down how many copies were dropped since the last time."""
        if not self._dropped:
            return
        with self._ready:
            dropped, self._dropped = self._dropped, Counter()
        for (model, version, shadow), copies in dropped.items():
            record = ShadowRecord("", datetime.now(UTC), model, version, shadow, "dropped", copies)
            self._log(model).append(record)

    def stop(self) -> None:
        """Answer no more copies."""
        with self._ready:
            self._stopped = True
            self._ready.notify()

    def _drop(self, *copies: Copy) -> None:
        for copy in copies:
            self._dropped[copy.answer.model, copy.answer.version, copy.shadow.version] += 1

    def _work(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._copies or self._stopped)
                if self._stopped:
                    return
                copy = self._copies.popleft()
                self._rows -= copy.rows
            log = self._log(copy.answer.model)
            log.append(answer_copy(copy, self._deadline, log.limits.rows))

    def _log(self, model: str) -> PredictionLog:
        with self._ready:
            if model not in self.logs:
                self.logs[model] = self._open_log(model)
            return self.logs[model]


def answer_copy(copy: Copy, deadline: float, kept: int) -> ShadowRecord:
    """Ask the shadow, here and never a remote, within `deadline` seconds; of predictions the first `kept` are kept."""
    answer, shadow = copy.answer, copy.shadow
    record = ShadowRecord(answer.id, datetime.now(UTC), answer.model, answer.version, shadow.version, "compared")
    record.rows, record.latency["live"] = copy.rows, copy.took
    record.predictions = {name: values[:kept] for name, values in answer.columns.items()}
    try:
        instances = check(shadow, copy.ask)
        began = time.perf_counter()
        outputs = shadow.predict(instances.tensors, time.monotonic() + deadline)
        record.latency["shadow"] = round((time.perf_counter() - began) * 1000, 3)
        columns = {o.name: plain_values(o, outputs[o.name]) for o in shadow.schema.outputs}
        record.shadow_predictions = {name: values[:kept] for name, values in columns.items()}
        record.difference = {
            name: compare(values, columns[name]) for name, values in answer.columns.items() if name in columns
        }
    except TooManyRequests as error:
        record.outcome, record.error = "dropped", str(error)
    except StorkError as error:
        record.outcome, record.error = "refused" if error.status < 500 else "failed", str(error)
    except Exception as error:  # whatever a model does, its copies must not stop those of the others
        traceback.print_exc(file=sys.stderr)
        record.outcome, record.error = "failed", repr(error)
    return record


def compare(answered: list[Any], shadowed: list[Any]) -> Difference:
    """
    The difference of two columns of predictions of one length.

    >>> compare([1.0, 2.0], [1.5, 2.0])
    Difference(mean=0.25, max=0.5)
    """
    distances = [distance(one, other) for one, other in zip(answered, shadowed, strict=True)]
    return Difference(sum(distances) / len(distances), max(distances))


def distance(one: Any, other: Any) -> float:
    """|one - other| of numbers; of lists that of their farthest elements; of anything else 0 if equal, else 1."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return float(abs(one - other))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(map(distance, one, other), default=0.0)
    return float(one != other)
