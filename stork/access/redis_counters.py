"""What the keys have used on many machines: counters in Redis, one round trip each; this machine's when it fails."""

import sys
import time
from typing import Any

from stork.access.limits import SECONDS, Allowance, Counters, Quota, Spike, quota_exceeded, spike_arrested
from stork.errors import SettingError
from stork.turn import pass_turn

TIMEOUT = 0.25
RETRY_SECONDS = 1.0

# KEYS: the window's count, the spike's due time. ARGV: amount, limit ('' none), seconds the count is kept, the spike's
# spacing ('' none) and slack. Times are Redis's own, so that machines need not agree on a clock to a millisecond.
# Returns '' (counted), 'quota', or the seconds to wait; and the window's count.
TAKE = """
local due
local used = tonumber(redis.call('GET', KEYS[1]) or 0)
if ARGV[4] ~= '' then
  local time = redis.call('TIME')
  local now, spacing, slack = time[1] + time[2] / 1000000, tonumber(ARGV[4]), tonumber(ARGV[5])
  due = tonumber(redis.call('GET', KEYS[2]) or now)
  if due < now or due > now + slack + 0.000001 then due = now end
  due = due + spacing
  if due > now + slack + 0.000001 then return {string.format('%.6f', due - now - slack), used} end
end
if ARGV[2] ~= '' then
  if used + ARGV[1] > tonumber(ARGV[2]) then return {'quota', used} end
  used = redis.call('INCRBY', KEYS[1], ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
if due then redis.call('SET', KEYS[2], string.format('%.6f', due), 'EX', 120) end
return {'', used}
"""


class RedisCounters:
    """
    Counters that all machines share through one Redis server.

    While it does not answer, `fallback` counts: each machine then gives the whole allowance, and nobody is locked out.
    """

    def __init__(self, url: str, fallback: Counters) -> None:
        """
        Raises:
            SettingError: the address is none of a Redis server.
        """
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        try:
            self._client = Redis.from_url(
                url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 1)
            )
        except ValueError as error:
            raise SettingError(f"STORK_LIMITS_URL: expected redis://host:port/number; {error}") from None
        self._take = self._client.register_script(TAKE)
        self._fallback = fallback
        self._retry_at = 0.0
        self._warned = False
        self.problem = ""

    def close(self) -> None:
        self._client.close()

    def take_request(self, identity: str, allowance: Allowance) -> int | None:
        """
        Count one request; what is left of the quota.

        Raises:
            QuotaExceeded: it came too soon after the one before it, or the quota of this window is used up.
        """
        answer = self._ask(identity, "requests", allowance.requests, 1, allowance.spike)
        if answer is None:
            return self._fallback.take_request(identity, allowance)
        refused, used = answer
        if refused == b"quota" and allowance.requests is not None:
            raise quota_exceeded("requests", allowance.requests, 1, used, time.time())
        if refused and allowance.spike is not None:
            raise spike_arrested(allowance.spike, float(refused))
        return None if allowance.requests is None else allowance.requests.amount - int(used)

    def take_rows(self, identity: str, quota: Quota, rows: int) -> int:
        """
        Count the rows of one request; what is left of the quota.

        Raises:
            QuotaExceeded: there are not so many left in this window.
        """
        answer = self._ask(identity, "rows", quota, rows)
        if answer is None:
            return self._fallback.take_rows(identity, quota, rows)
        refused, used = answer
        if refused:
            raise quota_exceeded("rows", quota, rows, used, time.time())
        return quota.amount - int(used)

    def _ask(self, identity: str, what: str, quota: Quota | None, amount: int, spike: Spike | None = None) -> Any:
        """What the script says; None where Redis does not answer, or did not a moment ago."""
        from redis import RedisError

        if time.monotonic() < self._retry_at:
            return None
        window, kept = (quota.window(time.time()), 2 * SECONDS[quota.unit]) if quota else (0, 0)
        keys = [f"stork:{{{identity}}}:{what}:{window}", f"stork:{{{identity}}}:spike"]
        limits = (quota.amount if quota else "", kept, *((spike.spacing, spike.slack) if spike else ("", "")))
        pass_turn()
        try:
            answer = self._take(keys, (amount, *limits))
        except RedisError as error:
            self._fail(error)
            return None
        self.problem = ""
        return answer

    def _fail(self, error: Exception) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self.problem = f"STORK_LIMITS_URL does not answer ({error}): each machine counts for itself"
        if not self._warned:
            self._warned = True
            print(f"stork: {self.problem}", file=sys.stderr)
