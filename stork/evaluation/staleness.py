"""
How versions age: the last blessed ones on the test rows of every span that is newer than what they learned from.

Versions by spans make a triangle, in which no version has seen a row that it is scored on (progressive validation).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from stork.data.sources import Rows
from stork.data.span_time import time_of
from stork.data.spans import Span, read_split
from stork.declaration import Declaration
from stork.errors import DataError, StorkError
from stork.evaluation.earlier import EarlierVersion
from stork.evaluation.intervals import ALL, Ends, find_intervals
from stork.evaluation.metrics import measure
from stork.store.registry import Registry

DAY = 24 * 3600.0
AGED = "a version that aged"  # a part of an evaluation, when it is done


@dataclass(frozen=True)
class Age:
    """
    A version's RMSE on the test rows of one span, or, at 0 days, of all spans that it learned from.

    `days` since the newest rows that it learned from; None where that is not on record.
    """

    span: int
    days: float | None
    rows: int
    rmse: float
    ends: Ends


@dataclass(frozen=True)
class Curve:
    """
    How a version aged: its `ages` in the order of days; `newest` is the one on the newest span.

    `days` until its RMSE is above `limit`, by a straight line between two ages; None where that is not within what was
    seen, `seen` days. `rise` is the interval of the ratio of its last RMSE to its first, which are of other rows.
    `problems` say what it could not be scored on, and why.
    """

    version: int
    ages: tuple[Age, ...] = ()
    newest: Age | None = None
    limit: float | None = None
    days: float | None = None
    seen: float = 0.0
    rise: Ends | None = None
    problems: tuple[str, ...] = ()

    @property
    def has_aged(self) -> bool:
        """Whether it was scored on rows that are newer, by a day at least, than what it learned from."""
        return any((age.days or 0.0) >= 1 for age in self.ages)


@dataclass(frozen=True)
class Staleness:
    """
    The curves of the versions, oldest first; `span` is the newest one, `problems` say which spans are of no known time.

    A version is stale when its RMSE is above (1 + `rise`) x that at 0 days. `time` names the column that says when rows
    are of; empty: a span is of the time when it was made.
    """

    rise: float
    time: str
    span: int
    curves: tuple[Curve, ...]
    problems: tuple[str, ...] = ()

    @property
    def unknown(self) -> str:
        """Why nobody can say how long a version that has not aged takes to be stale."""
        return "no span is newer by a day" if self.time else "the spans have no time ([data] time names no column)"


@dataclass(frozen=True)
class Ground:
    """What versions are scored on: the test rows of spans, oldest first, and when each is of, or why nobody knows."""

    tests: dict[int, Rows]
    times: dict[int, datetime]
    problems: tuple[str, ...]

    @classmethod
    def read(cls, declaration: Declaration, spans: Sequence[Span]) -> "Ground":
        """The spans that have test rows."""
        tests, times, problems = {}, {}, []
        for span in spans:
            if rows := read_split(declaration, [span], "test"):
                tests[span.number] = rows
                try:
                    times[span.number] = time_of(span, declaration.data.time)
                except DataError as error:
                    problems.append(str(error))
        return cls(tests, times, tuple(problems))

    def days(self, span: int, learned: Sequence[int]) -> float | None:
        """From the newest rows of the spans `learned` to those of `span`; 0 where it is one of them."""
        if span in learned:
            return 0.0
        known = [self.times[number] for number in learned if number in self.times]
        if not known or span not in self.times:
            return None
        return (self.times[span] - max(known)).total_seconds() / DAY


def find_staleness(
    registry: Registry,
    declaration: Declaration,
    versions: Sequence[int],
    spans: Sequence[Span],
    told: Callable[[str], None] = lambda part: None,
) -> Staleness:
    """Of these versions, on these spans, oldest first; `AGED` is `told` after each version."""
    ground, rise = Ground.read(declaration, spans), declaration.evaluation.staleness_rise
    curves = []
    for version in versions:
        try:
            asked = EarlierVersion(registry, declaration, version)
        except StorkError as error:
            curves.append(Curve(version, problems=(str(error),)))
        else:
            curves.append(follow(asked, ground, rise))
        told(AGED)
    return Staleness(rise, declaration.data.time, max(ground.tests, default=0), tuple(curves), ground.problems)


def follow(asked: EarlierVersion, ground: Ground, rise: float) -> Curve:
    """How one version aged."""
    learned = [used.span for used in asked.loaded.manifest.spans]
    ages, problems = [], [] if learned else ["the spans that it learned from are not on record"]
    newest = max(ground.tests, default=0)
    own = [number for number in learned if number in ground.tests]
    wanted = [own] if own else []
    wanted += [[number] for number in ground.tests if number > max(learned, default=newest - 1)]
    if learned and not own:
        problems.append(f"the spans that it learned from ({', '.join(map(str, learned))}) are gone")
    for numbers in wanted:
        days = ground.days(numbers[-1], learned)
        if days is not None and days < 0:
            problems.append(f"span {numbers[-1]} is older than what it learned from")
            continue
        try:
            ages.append(score(asked, [ground.tests[number] for number in numbers], numbers[-1], days))
        except DataError as error:
            problems.append(f"span {numbers[-1]}: {error}")
    known = sorted((age for age in ages if age.days is not None), key=lambda age: age.days or 0.0)
    limit = known[0].rmse * (1 + rise) if known and known[0].days == 0 else None
    return Curve(
        version=asked.version,
        ages=tuple(known),
        newest=next((age for age in ages if age.span == newest), None),
        limit=limit,
        days=None if limit is None else days_until(limit, [(age.days or 0.0, age.rmse) for age in known]),
        seen=(known[-1].days or 0.0) if known else 0.0,
        rise=rise_ends(known[0], known[-1]) if len(known) > 1 else None,
        problems=tuple(problems),
    )


def score(asked: EarlierVersion, tests: Sequence[Rows], span: int, days: float | None) -> Age:
    """
    The version's error on these rows together.

    Raises:
        DataError: it does not take them.
    """
    label = np.concatenate([rows.label for rows in tests])
    prediction = np.concatenate([asked.predict(rows) for rows in tests])
    interval = find_intervals(prediction - label, {ALL: np.ones(len(label), bool)})[ALL]
    return Age(span, days, len(label), measure(label, prediction).rmse, interval.rmse)


def rise_ends(first: Age, last: Age) -> Ends:
    """
    The interval of the ratio of two RMSEs of different rows, from that of each, on the scale of their logarithms.

    Two that are sure to 3% and 4% have a ratio that is sure to 5%:

    >>> first, last = (Age(1, 0, 9, 1.0, Ends(1 / (1 + s), 1 + s)) for s in (0.03, 0.04))
    >>> round(rise_ends(first, last).high, 2)
    1.05
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        widths = [(np.log(age.ends.high) - np.log(age.ends.low)) / 2 for age in (first, last)]
        middle, half = np.log(last.rmse) - np.log(first.rmse), np.hypot(*widths)
    return Ends(float(np.exp(middle - half)), float(np.exp(middle + half)))


def days_until(limit: float, points: Sequence[tuple[float, float]]) -> float | None:
    """
    When a line through points (days, RMSE), by days, first comes above a limit; None where it does not.

    From 1.0 at 0 days to 1.2 at 100 it passes 1.05 at 25:

    >>> days_until(1.05, [(0.0, 1.0), (100.0, 1.2)]), days_until(1.3, [(0.0, 1.0), (100.0, 1.2)])
    (25.0, None)
    """
    for (before, low), (after, high) in pairwise(points):
        if low <= limit < high:
            return round(before + (limit - low) / (high - low) * (after - before), 6)
    return None
