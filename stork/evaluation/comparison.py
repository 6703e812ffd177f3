"""A candidate beside the version it replaces, by what the prediction log says of both while traffic was split."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from stork.declaration import Ramp
from stork.schema.frozen import Schema
from stork.store.prediction_log import Tail

TOO_MANY_REQUESTS = 429  # says something of the caller, nothing of the version
CHANCE = 3.0  # standard errors that a rate may lie above its limit by chance


class Logged(msgspec.Struct):
    """What comparing needs of a record."""

    version: int | None = None
    alias: str = ""
    status: int = 200
    predictions: dict[str, list[Any]] = {}
    latency: dict[str, float] = {}


@dataclass
class Figures:
    """
    One version's requests of a step. `sample` is the share of answered requests that the log keeps (errors: all).

    `predictions` and `out_of_range` count those of the logged rows that the declared `ranges` of the outputs are for.
    """

    ranges: dict[str, tuple[float, float]]
    sample: float = 1.0
    answered: int = 0
    errors: int = 0
    predictions: int = 0
    out_of_range: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def logged(self) -> int:
        """How many of its requests the log holds."""
        return self.answered + self.errors

    @property
    def requests(self) -> float:
        """How many requests it was asked: those that the log left out are reckoned in."""
        return self.answered / self.sample + self.errors

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def out_of_range_rate(self) -> float:
        return self.out_of_range / self.predictions if self.predictions else 0.0

    @property
    def p99(self) -> float:
        """The 99th percentile of the total latency of answered requests (nearest rank), in milliseconds; 0 of none."""
        if not self.latencies:
            return 0.0
        return sorted(self.latencies)[math.ceil(0.99 * len(self.latencies)) - 1]

    def add(self, record: Logged) -> None:
        """Count one record."""
        if record.status == TOO_MANY_REQUESTS:
            return
        if record.status >= 400:
            self.errors += 1
            return
        self.answered += 1
        self.latencies.append(record.latency.get("total", 0.0))
        for name, (low, high) in self.ranges.items():
            for value in flatten(record.predictions.get(name, [])):
                self.predictions += 1
                self.out_of_range += not low <= value <= high

    def __str__(self) -> str:
        return (
            f"{self.logged} requests, errors {self.error_rate:.2%}, p99 {self.p99:.1f} ms, "
            f"out of range {self.out_of_range_rate:.2%}"
        )


def flatten(values: Iterable[Any]) -> Iterator[float]:
    """The numbers in a column of predictions, also those in lists."""
    for value in values:
        if isinstance(value, list):
            yield from flatten(value)
        elif isinstance(value, int | float):
            yield value


class Comparison:
    """The figures of versions from now on, by the aliases that the split chooses between."""

    def __init__(self, log: Path, sample: float, schemas: dict[str, tuple[int, Schema]]) -> None:
        self.figures = {
            alias: Figures({o.name: o.range for o in schema.outputs if o.range is not None}, sample)
            for alias, (_, schema) in schemas.items()
        }
        self._versions = {alias: version for alias, (version, _) in schemas.items()}
        self._decode = msgspec.json.Decoder(Logged).decode
        self._tail = Tail(log)
        self._tail.skip()

    def look(self) -> dict[str, Figures]:
        """Count what was logged since the last look, and only what the split sent to these versions."""
        for _, line in self._tail.read():
            try:
                record = self._decode(line)
            except msgspec.MsgspecError:
                continue
            if self._versions.get(record.alias, 0) == record.version:
                self.figures[record.alias].add(record)
        return self.figures


def judge(limits: Ramp, candidate: Figures, replaced: Figures, whole: bool) -> list[str]:
    """
    Why the candidate must not go on, one sentence each; empty: it may.

    `whole`: its step is over, so latency counts too: the p99 of a few requests is chance.
    """
    found = []
    for what, count, of, rate, allowed in (
        ("error rate", candidate.errors, candidate.requests, replaced.error_rate, limits.max_error_rate),
        (
            "predictions out of range",
            candidate.out_of_range,
            candidate.predictions,
            replaced.out_of_range_rate,
            limits.max_out_of_range,
        ),
    ):
        if exceeds(count, of, rate + allowed):
            found.append(f"{what}: expected at most {rate + allowed:.2%}, received {count / of:.2%}")
    longest = max(limits.min_latency, limits.max_latency_ratio * replaced.p99)
    if whole and replaced.answered and candidate.p99 > longest:
        found.append(f"p99 latency: expected at most {longest:.1f} ms, received {candidate.p99:.1f} ms")
    return found


def exceeds(count: int, of: float, allowed: float) -> bool:
    """
    Whether `count` of `of` are more than the allowed share, by more than three standard errors of that share.

    >>> exceeds(3, 100, 0.01), exceeds(4, 100, 0.01), exceeds(1, 100, 0.0)
    (False, True, True)
    """
    allowed = min(allowed, 1.0)
    return count > of * allowed + CHANCE * math.sqrt(of * allowed * (1 - allowed))
