"""Quotas and spikes, by a clock that the test sets."""

import multiprocessing
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes import Clock

from stork.access.counters import MachineCounters, machine_path
from stork.access.limits import Allowance, Quota, parse_quota, parse_spike
from stork.errors import BadRequest, QuotaExceeded

NOON = datetime(2026, 12, 31, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def counters(tmp_path: Path, clock: Clock) -> Iterator[MachineCounters]:
    counters = MachineCounters(tmp_path / "own" / "limits", clock)
    yield counters
    counters.close()


def allowed(counters: MachineCounters, allowance: Allowance, tries: int, identity: str = "a") -> int:
    """How many of so many requests are let through."""
    count = 0
    for _ in range(tries):
        try:
            counters.take_request(identity, allowance)
            count += 1
        except QuotaExceeded:
            pass
    return count


@pytest.mark.parametrize(("unit", "left"), [("minute", 60), ("hour", 3600), ("day", 43_200), ("month", 43_200)])
def test_a_window_ends_with_the_clocks(unit: str, left: float) -> None:
    """Windows are those of the UTC calendar, at the end of a year too; after the last second the next begins."""
    quota = parse_quota(f"5/{unit}")

    assert quota.seconds_left(NOON) == left
    assert quota.window(NOON + left - 1) == quota.window(NOON) == quota.window(NOON + left) - 1


@pytest.mark.parametrize(
    "text", ["", "5", "/hour", "0/hour", "-1/hour", "1.5/hour", "5/second", "5/week", "5/hour ", "٣/day"]
)
def test_what_is_no_quota_is_refused(text: str) -> None:
    """The units are those of Apigee's quotas; a second is one of its spike limits."""
    with pytest.raises(BadRequest, match="expected a number per minute, hour, day, month"):
        parse_quota(text)


def test_a_quota_allows_so_many_and_says_when_there_is_more(counters: MachineCounters, clock: Clock) -> None:
    """The refusal carries the seconds to the end of the window, and takes nothing."""
    clock.now += 20
    with pytest.raises(QuotaExceeded, match="quota of 3 requests per minute: 1 more would exceed it") as refused:
        for _ in range(4):
            counters.take_request("a", Allowance(parse_quota("3/minute")))
    assert refused.value.retry_after == 40
    clock.now += 40
    assert allowed(counters, Allowance(parse_quota("3/minute")), 5) == 3


def test_rows_are_counted_by_themselves(counters: MachineCounters) -> None:
    """A request that does not fit is refused whole and takes nothing; a smaller one may still fit."""
    quota = Quota(1000, "day")
    counters.take_rows("a", quota, 900)
    with pytest.raises(QuotaExceeded, match="quota of 1000 rows per day: 200 more"):
        counters.take_rows("a", quota, 200)

    counters.take_rows("a", quota, 100)
    assert allowed(counters, Allowance(parse_quota("5/day")), 9) == 5


def test_keys_do_not_use_each_others_allowance(counters: MachineCounters) -> None:
    """Ten keys have ten times the allowance of one."""
    assert [allowed(counters, Allowance(parse_quota("2/hour")), 5, f"key{i}") for i in range(10)] == [2] * 10


@pytest.mark.parametrize(
    ("spike", "at_once"), [("1/second", 1), ("20/second", 2), ("1000/second", 100), ("60/minute", 1)]
)
def test_a_spike_is_spread(counters: MachineCounters, spike: str, at_once: int) -> None:
    """At once comes only a tenth of a second's worth, or a second's where the limit is per minute."""
    assert allowed(counters, Allowance(spike=parse_spike(spike)), 200) == at_once


def test_a_steady_stream_passes_a_spike_limit(counters: MachineCounters, clock: Clock) -> None:
    """Twenty a second pass for as long as they are twenty; forty become twenty."""
    allowance, passed = Allowance(spike=parse_spike("20/second")), [0, 0]
    for half, pause in enumerate((0.05, 0.025)):
        for _ in range(100):
            clock.now += pause
            passed[half] += allowed(counters, allowance, 1)

    assert passed[0] == 100 and 49 <= passed[1] <= 52


def test_a_spike_says_when_to_come_again(counters: MachineCounters, clock: Clock) -> None:
    """Whoever waits for as long as the refusal says is let through."""
    allowance = Allowance(spike=parse_spike("10/minute"))
    counters.take_request("a", allowance)
    with pytest.raises(QuotaExceeded) as refused:
        counters.take_request("a", allowance)
    clock.now += refused.value.retry_after

    assert refused.value.retry_after == pytest.approx(6) and allowed(counters, allowance, 1) == 1


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_a_clock_that_jumps_locks_nobody_out(counters: MachineCounters, clock: Clock, jump: float) -> None:
    """Set back or ahead, the key has the allowance of the window that the clock now says."""
    allowance = Allowance(parse_quota("3/hour"), spike=parse_spike("1/minute"))
    assert allowed(counters, allowance, 5) == 1
    clock.now += jump

    assert allowed(counters, allowance, 5) == 1


def test_more_keys_than_there_is_room_for_are_counted_still(counters: MachineCounters, clock: Clock) -> None:
    """The key that is idle longest is forgotten, never one that just asked."""
    for number in range(20_000):
        clock.now += 1e-3
        counters.take_request(f"key{number}", Allowance(parse_quota("1/month")))

    assert allowed(counters, Allowance(parse_quota("1/month")), 5, "key19999") == 0


def use(path: Path) -> int:
    counters = MachineCounters(path)
    count = allowed(counters, Allowance(parse_quota("1000/month")), 500)
    counters.close()
    return count


def test_processes_share_one_allowance_to_the_last_request(tmp_path: Path) -> None:
    """Four processes that ask 2000 times at once are let through exactly 1000 times."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert sum(pool.map(use, [tmp_path / "own" / "limits"] * 4, chunksize=1)) == 1000


def test_a_folder_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    """On a machine with other users nobody else sets our counters."""
    (tmp_path / "own").mkdir()
    os.chmod(tmp_path / "own", 0o777)
    with pytest.raises(PermissionError, match="nobody else can write"):
        MachineCounters(tmp_path / "own" / "limits")


def test_deployments_on_one_machine_have_counters_of_their_own(tmp_path: Path) -> None:
    """The file is named by the root, which the workers of one deployment have in common."""
    assert machine_path(tmp_path / "a") == machine_path(tmp_path / "a") != machine_path(tmp_path / "b")
