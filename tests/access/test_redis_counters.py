"""Limits that machines share: against a real Redis server, and without one."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis_server import start_redis
from server import free_port

from stork.access.counters import MachineCounters
from stork.access.limits import Allowance, Quota, parse_quota, parse_spike
from stork.access.redis_counters import RedisCounters
from stork.errors import QuotaExceeded, SettingError


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[MachineCounters]:
    counters = MachineCounters(tmp_path / "own" / "limits")
    yield counters
    counters.close()


@pytest.fixture
def two_machines(redis: str, machine: MachineCounters) -> Iterator[list[RedisCounters]]:
    """Two that share nothing but the Redis server."""
    machines = [RedisCounters(redis, machine), RedisCounters(redis, machine)]
    yield machines
    for counters in machines:
        counters.close()


def is_allowed(counters: RedisCounters, identity: str, allowance: Allowance) -> bool:
    try:
        counters.take_request(identity, allowance)
    except QuotaExceeded:
        return False
    return True


def test_machines_share_a_quota_to_the_last_request(two_machines: list[RedisCounters]) -> None:
    """Eight threads on two machines ask 400 times at once: exactly 100 are let through."""
    allowance = Allowance(parse_quota("100/month"))
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(is_allowed, two_machines[i % 2], "shared", allowance) for i in range(400)]

    assert sum(future.result() for future in asked) == 100


def test_machines_share_rows(two_machines: list[RedisCounters]) -> None:
    """What one machine answered, the other no longer has to give."""
    first, second = two_machines
    assert first.take_rows("rows", Quota(1000, "month"), 900) == 100
    with pytest.raises(QuotaExceeded, match="quota of 1000 rows per month: 101 more") as refused:
        second.take_rows("rows", Quota(1000, "month"), 101)

    assert 0 < refused.value.retry_after <= 31 * 86_400 and refused.value.remaining == 100


def test_machines_share_a_spike_limit(two_machines: list[RedisCounters]) -> None:
    """One at once for both together, and the refusal says when to come again."""
    first, second = two_machines
    allowance = Allowance(spike=parse_spike("10/minute"))
    first.take_request("spike", allowance)
    with pytest.raises(QuotaExceeded, match="spike limit of 10 requests per minute") as refused:
        second.take_request("spike", allowance)

    assert 4 < refused.value.retry_after <= 6


def test_what_a_spike_refuses_takes_nothing_of_the_quota(two_machines: list[RedisCounters]) -> None:
    """Nor does what the quota refuses delay the next request."""
    both = Allowance(parse_quota("2/month"), spike=parse_spike("1/minute"))
    assert [is_allowed(two_machines[0], "both", both) for _ in range(3)] == [True, False, False]

    assert is_allowed(two_machines[0], "both", Allowance(parse_quota("2/month")))


def test_counts_do_not_stay_for_ever(two_machines: list[RedisCounters], redis: str) -> None:
    """Every key in Redis ends by itself, so nobody has to clean it."""
    from redis import Redis

    two_machines[0].take_request("kept", Allowance(parse_quota("5/minute"), spike=parse_spike("5/second")))
    with Redis.from_url(redis) as client:
        lives = [client.ttl(key) for key in client.scan_iter("stork:{kept}:*")]

    assert len(lives) == 2 and all(0 < life <= 120 for life in lives)


def test_without_redis_each_machine_counts_for_itself(
    machine: MachineCounters, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is locked out, nobody is unlimited; it is said once, and told as a problem until Redis is back."""
    port = free_port()
    counters = RedisCounters(f"redis://127.0.0.1:{port}/0", machine)
    allowance = Allowance(parse_quota("3/month"))
    assert [is_allowed(counters, "alone", allowance) for _ in range(5)] == [True] * 3 + [False] * 2
    assert "each machine counts for itself" in counters.problem and capsys.readouterr().err.count("\n") == 1

    with start_redis(tmp_path, port):
        deadline = time.monotonic() + 10
        while counters.problem and time.monotonic() < deadline:
            counters.take_rows("alone", Quota(1000, "month"), 1)
            time.sleep(0.05)
        assert counters.problem == ""
    counters.close()


@pytest.mark.parametrize("url", ["localhost:6379", "http://127.0.0.1:6379", "redis://127.0.0.1:port/0"])
def test_an_address_of_no_redis_is_refused_at_the_start(machine: MachineCounters, url: str) -> None:
    """A misspelt setting does not wait for the first request."""
    with pytest.raises(SettingError, match="STORK_LIMITS_URL: expected redis://"):
        RedisCounters(url, machine)
