"""Letting a request in: who asks, whether they may, and that whoever changes something is in the audit."""

import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from stork.access.gate import Caller, Gate
from stork.access.keys import Role
from stork.access.limits import SECONDS
from stork.config import Settings
from stork.errors import Forbidden, StorkError, Unauthorized
from stork.store.audit import Actor, acting, audit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CHANGING = ("operate", "admin")
REFUSALS_PER_MINUTE = 60


class Admission:
    """One per server process: the gate, and the audit of those it turns away from changing anything."""

    def __init__(self, gate: Gate, settings: Settings) -> None:
        self.gate = gate
        self._settings = settings
        self._minute = self._written = self._unsaid = 0

    def admit(self, environ: "WSGIEnvironment", header: Callable[[str], str], role: Role) -> Caller | None:
        """
        Let a program's request in; None: nobody said who they are, and nobody need. It is not counted yet.

        Raises:
            Unauthorized, Forbidden: as `Gate.admit` says.
        """
        if role not in CHANGING:
            return self.gate.admit(header, role)
        acting.set(read_actor(environ, None, "api"))
        try:
            caller = self.gate.identify(header)
        except Unauthorized as error:
            self.note_refusal("access", error, environ)
            raise
        self.require(role, caller, environ, "api")
        return caller

    def require(self, role: Role, caller: Caller | None, environ: "WSGIEnvironment", door: str) -> None:
        """
        Check the role of whoever changes something, and remember them for the audit.

        Raises:
            Unauthorized, Forbidden: they may not; or a page of another site makes their browser ask, which would send
                along what an identity proxy knows of them.
        """
        acting.set(read_actor(environ, caller, door))
        try:
            self.gate.check(caller, role)
            if environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("same-origin", "none"):
                raise Forbidden("a page of another site asked for this change")
        except (Unauthorized, Forbidden) as error:
            self.note_refusal("access", error, environ)
            raise

    def note_refusal(self, what: str, error: StorkError, environ: "WSGIEnvironment") -> None:
        """Audit an attempt that was refused; of very many in a minute only how many, so that none can fill the disk."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._written = minute, 0
        if self._written >= REFUSALS_PER_MINUTE:
            self._unsaid += 1
            return
        more = {"unsaid_before": self._unsaid} if self._unsaid else {}
        self._written, self._unsaid = self._written + 1, 0
        audit(self._settings, what, "refused", path=environ.get("PATH_INFO", "")[:200], reason=str(error), **more)


def limit_headers(caller: Caller | None) -> list[tuple[str, str]]:
    """
    What the caller's quotas are and what is left of them, where this request was counted in one.

    X-RateLimit-* tell of requests, of rows where only those are limited; their reset is in seconds since 1970. The
    other two tell of both, as https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10 has it.
    """
    if caller is None or not caller.left:
        return []
    now = time.time()
    allowed = {"requests": caller.allowance.requests, "rows": caller.allowance.rows}
    found = [(what, quota, left) for what, left in sorted(caller.left.items()) if (quota := allowed[what])]
    policies, states = [], []
    for what, quota, left in found:
        unit = "" if what == "requests" else f';qu="{what}"'
        policies.append(f'"{what}";q={quota.amount}{unit};w={SECONDS[quota.unit]}')
        states.append(f'"{what}";r={left};t={math.ceil(quota.seconds_left(now))}')
    _, quota, left = found[0]
    return [
        ("X-RateLimit-Limit", str(quota.amount)),
        ("X-RateLimit-Remaining", str(left)),
        ("X-RateLimit-Reset", str(round(now + quota.seconds_left(now)))),
        ("RateLimit-Policy", ", ".join(policies)),
        ("RateLimit", ", ".join(states)),
    ]


def read_actor(environ: "WSGIEnvironment", caller: Caller | None, door: str) -> Actor:
    """Who asks, and whence; on App Engine the front end, which nobody gets around, says the address."""
    address = environ.get("REMOTE_ADDR", "")
    if os.environ.get("GAE_ENV") == "standard":
        address = environ.get("HTTP_X_APPENGINE_USER_IP", address)
    return Actor(caller.name if caller else "nobody", door, address, environ.get("HTTP_USER_AGENT", "")[:200])
