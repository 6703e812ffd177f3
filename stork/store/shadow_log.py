"""What became of the copies a shadow was asked: one JSON line each, beside the prediction log, and their sums."""

import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from stork.store.prediction_log import Tail, segments

KIND = "shadow"

Outcome = Literal["compared", "refused", "failed", "dropped"]


class Difference(msgspec.Struct):
    """How far the shadow's predictions are from those that were answered: |difference| over the rows of a request."""

    mean: float
    max: float


class ShadowRecord(msgspec.Struct, omit_defaults=True):
    """
    A copy of the request with the prediction id `id`, which `version` answered, and what `shadow` made of it.

    `refused`: the shadow's schema or graph does not take it; `failed`: it could not answer. `dropped`: so many copies
    (`copies`) were not asked, for want of time. Latencies are the models' own, in milliseconds.
    """

    id: str
    time: datetime
    model: str
    version: int
    shadow: int
    outcome: Outcome
    copies: int = 1
    rows: int = 0
    predictions: dict[str, list[Any]] = {}
    shadow_predictions: dict[str, list[Any]] = {}
    difference: dict[str, Difference] = {}
    latency: dict[str, float] = {}
    error: str = ""


class Sums(msgspec.Struct):
    """
    All copies of what one version answered that one shadow was asked.

    `difference` is by output, over all `rows` of the compared copies; `latency` the mean of each, in milliseconds.
    """

    version: int
    shadow: int
    compared: int = 0
    refused: int = 0
    failed: int = 0
    dropped: int = 0
    rows: int = 0
    difference: dict[str, Difference] = {}
    latency: dict[str, float] = {}
    last_error: str = ""

    def add(self, record: ShadowRecord) -> None:
        """Count one record."""
        setattr(self, record.outcome, getattr(self, record.outcome) + record.copies)
        self.last_error = record.error or self.last_error
        if record.outcome != "compared":
            return
        self.rows += record.rows
        for name, found in record.difference.items():
            so_far = self.difference.setdefault(name, Difference(0.0, 0.0))
            so_far.mean += (found.mean - so_far.mean) * record.rows / self.rows
            so_far.max = max(so_far.max, found.max)
        for who, took in record.latency.items():
            mean = self.latency.get(who, 0.0)
            self.latency[who] = mean + (took - mean) / self.compared


class ShadowTally:
    """The sums of all server processes, by the log as it stands; each call reads only what is new."""

    def __init__(self, destination: str, model: str) -> None:
        self._folder = None if destination in ("stdout", "off") else Path(destination) / model
        self._tail = Tail(self._folder or Path(), KIND)
        self._read: set[Path] = set()
        self._sums: dict[tuple[int, int], Sums] = {}
        self._decode = msgspec.json.Decoder(ShadowRecord).decode
        self._lock = threading.Lock()

    def sums(self) -> list[Sums] | None:
        """The sums by shadow and answering version, newest first; None where the log is not kept in files."""
        if self._folder is None:
            return None
        with self._lock:
            self._start_over_without(segments(self._folder, KIND))
            for path, line in self._tail.read():
                self._read.add(path)
                try:
                    record = self._decode(line)
                except msgspec.MsgspecError:
                    continue
                pair = (record.shadow, record.version)
                self._sums.setdefault(pair, Sums(record.version, record.shadow)).add(record)
            return [self._sums[pair] for pair in sorted(self._sums, reverse=True)]

    def _start_over_without(self, present: Iterable[Path]) -> None:
        """What was removed from the log counts no longer."""
        if not self._read <= set(present):
            self._read, self._sums = set(), {}
            self._tail = Tail(self._folder or Path(), KIND)
