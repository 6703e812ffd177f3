"""What a key may use: quotas per window and a spike limit, in the words of Apigee's API products."""

import calendar
import math
import re
import time
from dataclasses import dataclass
from typing import Protocol

from stork.errors import BadRequest, QuotaExceeded

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "month": 31 * 86_400}
QUOTA_UNITS = ("minute", "hour", "day", "month")
# A spike limit lets through at once what its rate allows in this many seconds: a tenth of a second, or a second.
SPIKE_UNITS = {"second": 0.1, "minute": 1.0}


@dataclass(frozen=True, slots=True)
class Quota:
    """So many in each window of the UTC clock: `1000/hour` begins anew at every full hour, `1/month` on the first."""

    amount: int
    unit: str

    def __str__(self) -> str:
        return f"{self.amount}/{self.unit}"

    def window(self, now: float) -> int:
        """The number of the window that a time (seconds since 1970) is in."""
        if self.unit == "month":
            date = time.gmtime(now)
            return date.tm_year * 12 + date.tm_mon - 1
        return int(now // SECONDS[self.unit])

    def seconds_left(self, now: float) -> float:
        """Until the next window begins."""
        if self.unit == "month":
            year, month = divmod(self.window(now) + 1, 12)
            return calendar.timegm((year, month + 1, 1, 0, 0, 0)) - now
        return (self.window(now) + 1) * SECONDS[self.unit] - now


@dataclass(frozen=True, slots=True)
class Spike:
    """
    So many a second or a minute, spread evenly: a token bucket that holds a tenth of a second's worth, or a second's.

    `spacing` seconds lie between two requests of a steady stream; `slack` seconds' worth may come at once.
    """

    amount: int
    unit: str

    def __str__(self) -> str:
        return f"{self.amount}/{self.unit}"

    @property
    def spacing(self) -> float:
        return SECONDS[self.unit] / self.amount

    @property
    def slack(self) -> float:
        return max(1, math.floor(SPIKE_UNITS[self.unit] / self.spacing)) * self.spacing


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key may use; None: as much as it likes."""

    requests: Quota | None = None
    rows: Quota | None = None
    spike: Spike | None = None


class Counters(Protocol):
    """
    What the keys have used, counted together by all who share them. A key's `identity` is its id.

    `problem` says why they are not shared as they should be; empty when all is well. What is taken from a quota is
    answered with what is left of it in this window; None where there is no such quota.

    Raises:
        QuotaExceeded: nothing was counted.
    """

    @property
    def problem(self) -> str: ...

    def take_request(self, identity: str, allowance: Allowance) -> int | None: ...

    def take_rows(self, identity: str, quota: Quota, rows: int) -> int: ...


def parse_quota(text: str) -> Quota:
    """
    `1000/hour` as a Quota.

    Raises:
        BadRequest: it is not a whole number above 0 and a unit.
    """
    return Quota(*read_rate(text, QUOTA_UNITS))


def parse_spike(text: str) -> Spike:
    """
    `20/second` as a Spike.

    Raises:
        BadRequest: it is not a whole number above 0 and a unit.
    """
    return Spike(*read_rate(text, tuple(SPIKE_UNITS)))


def read_rate(text: str, units: tuple[str, ...]) -> tuple[int, str]:
    """The number and the unit of a rate."""
    found = re.fullmatch(r"([1-9][0-9]{0,14})/([a-z]+)", text)
    if found is None or found[2] not in units:
        raise BadRequest(f"expected a number per {', '.join(units)}, such as 100/{units[0]}; received {text!r}")
    return int(found[1]), found[2]


def quota_exceeded(what: str, quota: Quota, asked: int, used: int, now: float) -> QuotaExceeded:
    """The refusal of `asked` more requests or rows, where so many are used; it ends with the window."""
    left = quota.seconds_left(now)
    begins = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now + left))
    return QuotaExceeded(
        f"quota of {quota.amount} {what} per {quota.unit}: {asked} more would exceed it; it begins anew at {begins}",
        left,
        max(0, quota.amount - used),
    )


def spike_arrested(spike: Spike, wait: float) -> QuotaExceeded:
    """The refusal of a request that came too soon after the ones before it."""
    return QuotaExceeded(
        f"spike limit of {spike.amount} requests per {spike.unit}, spread evenly: come again in {wait:.3f} s", wait
    )
