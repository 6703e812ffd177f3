"""A candidate is held to the version it replaces, and chance is not held against it."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import fake_declaration

from stork.declaration import Ramp
from stork.evaluation.comparison import Comparison, Figures, Logged, exceeds, judge
from stork.schema.frozen import Schema

SCHEMA = Schema.of(fake_declaration([{"name": "x", "kind": "number"}], [{"name": "y", "range": [0, 10]}]))


def figures(answered: int = 100, errors: int = 0, outside: int = 0, took: float = 1.0, sample: float = 1.0) -> Figures:
    found = Figures({"y": (0.0, 10.0)}, sample)
    for number in range(answered):
        value = 11.0 if number < outside else 5.0
        found.add(Logged(status=200, predictions={"y": [value]}, latency={"total": took}))
    for _ in range(errors):
        found.add(Logged(status=502))
    return found


@pytest.mark.parametrize(
    ("candidate", "replaced", "reasons"),
    [
        (figures(), figures(), []),
        (figures(97, errors=3), figures(), []),
        (figures(90, errors=10), figures(), ["error rate: expected at most 1.00%, received 10.00%"]),
        (figures(90, errors=10), figures(900, errors=100), []),
        (figures(outside=1), figures(), ["predictions out of range: expected at most 0.00%, received 1.00%"]),
        (figures(outside=9), figures(1000, outside=90), []),
        (figures(took=31), figures(took=20), ["p99 latency: expected at most 30.0 ms, received 31.0 ms"]),
        (figures(took=19), figures(took=1), []),
        (figures(took=500), figures(0), []),
    ],
)
def test_a_candidate_stops_when_it_is_worse(candidate: Figures, replaced: Figures, reasons: list[str]) -> None:
    """By errors, by predictions outside the declared range, by latency: each beyond the other's, and beyond chance."""
    assert judge(Ramp(), candidate, replaced, whole=True) == reasons


def test_latency_counts_when_the_step_is_over() -> None:
    """The p99 of the first few requests is that of the slowest."""
    assert judge(Ramp(), figures(took=500), figures(), whole=False) == []


@pytest.mark.parametrize(
    ("count", "of", "allowed", "answer"), [(3, 100, 0.01, False), (4, 100, 0.01, True), (1, 9, 0, True)]
)
def test_chance_is_three_standard_errors(count: int, of: float, allowed: float, answer: bool) -> None:
    """1 of 100 is expected, 3.98 is what chance allows."""
    assert exceeds(count, of, allowed) is answer


def test_what_the_log_left_out_is_reckoned_in() -> None:
    """Errors are always logged: with one answered request in ten kept, 5 errors beside 50 records are of 505."""
    found = figures(50, errors=5, sample=0.1)

    assert (found.logged, found.requests, round(found.error_rate, 4)) == (55, 505.0, 0.0099)


def test_who_asked_too_much_says_nothing_of_the_version() -> None:
    """A refused quota is no error of it."""
    found = figures()
    found.add(Logged(status=429))

    assert (found.errors, found.logged) == (0, 100)


def line(**fields: Any) -> str:
    record = {"version": 2, "alias": "canary", "status": 200, "predictions": {"y": [[5.0, 11.0]]}, **fields}
    return json.dumps(record) + "\n"


def test_only_what_the_split_sent_from_now_on_counts(tmp_path: Path) -> None:
    """Neither what was logged before, nor what pinned the version, nor another version of the same alias."""
    segment = tmp_path / "predictions-1-1.jsonl"
    segment.write_text(line())
    comparison = Comparison(tmp_path, 1.0, {"canary": (2, SCHEMA), "stable": (1, SCHEMA)})
    with segment.open("a") as stream:
        stream.write(line() + line(alias="") + line(version=3) + line(version=1, alias="stable") + "torn\n")
    (tmp_path / "predictions-2-2.jsonl").write_text(line() + line()[:-9])
    found = comparison.look()

    assert (found["canary"].answered, found["canary"].predictions, found["canary"].out_of_range) == (2, 4, 2)
    assert comparison.look()["stable"].answered == 1
