"""Who asks, and whether they may: a key, the admin key, or an identity proved by a token."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from stork.access.counters import MachineCounters, machine_path
from stork.access.id_tokens import IAP_ISSUER, Identities, Issuer
from stork.access.key_store import Key, KeyStore
from stork.access.keys import PREFIX, Role, hashed, includes, is_admin_key
from stork.access.limits import Allowance, Counters
from stork.access.redis_counters import RedisCounters
from stork.config import Settings
from stork.errors import Forbidden, QuotaExceeded, Unauthorized

RECHECK_SECONDS = 0.5  # a revoked key works no longer than this
ADMIN = "admin"
UNLIMITED = Allowance()
Counted = Literal["requests", "rows"]
HOW = "Authorization: Bearer <key>, or X-API-Key: <key>"


@dataclass(slots=True)
class Caller:
    """
    Who asks: `name` for the log, never a key; `role`, what they may do.

    `identity` is how a session finds them again. Only keys have an allowance.
    `counters` None: nothing is counted. `left` is what this request found left of each quota it was counted in.
    """

    name: str
    role: Role
    identity: str = ""
    allowance: Allowance = UNLIMITED
    counters: Counters | None = field(default=None, repr=False)
    left: dict[Counted, int] = field(default_factory=dict, compare=False)

    def arrive(self) -> None:
        """
        Count one request.

        Raises:
            QuotaExceeded: it is one too many, or too soon.
        """
        if self.counters is not None:
            self._take("requests", partial(self.counters.take_request, self.identity, self.allowance))

    def spend(self, rows: int) -> None:
        """
        Count the rows of one request.

        Raises:
            QuotaExceeded: there are not so many left in this window.
        """
        if self.allowance.rows is not None and self.counters is not None:
            self._take("rows", partial(self.counters.take_rows, self.identity, self.allowance.rows, rows))

    def _take(self, what: Counted, take: Callable[[], int | None]) -> None:
        """Take from a quota, and note what is left of it, also where that was too little."""
        left = None
        try:
            left = take()
        except QuotaExceeded as error:
            left = error.remaining
            raise
        finally:
            if left is not None:
                self.left[what] = left


class Gate:
    """
    One per server process. `header` is a function from a header's name to its value, empty where it was not sent.

    Where `STORK_ACCESS` is `open` anybody may predict and read; a key that is sent must be valid all the same, and
    its limits count.
    """

    def __init__(self, settings: Settings, admin_key: str = "") -> None:
        """
        Raises:
            SettingError: a setting of identities or limits cannot be used.
        """
        self.store = KeyStore(settings.root)
        self.counters = make_counters(settings) if settings.limits_url else None  # else made for the first limited key
        self._settings = settings
        self.is_open = settings.access == "open"
        self._admin_key = admin_key
        self._identities = Identities(settings.identities)
        self._iap = Issuer(IAP_ISSUER, settings.iap_audience, settings.iap_keys) if settings.iap_audience else None
        self._oidc = Issuer(settings.oidc_issuer, settings.oidc_audience) if settings.oidc_issuer else None
        self._known: dict[bytes, tuple[float, Caller]] = {}

    def admit(self, header: Callable[[str], str], role: Role) -> Caller | None:
        """
        Let a request in that needs `role`; None: nobody said who they are, and nobody need. It is not counted yet.

        Raises:
            Unauthorized: a key or an identity is needed, or the one that was sent is not valid.
            Forbidden: its role does not allow this.
        """
        if role == "anyone":
            return None
        caller = self.identify(header)
        self.check(caller, role)
        return caller

    def identify(self, header: Callable[[str], str]) -> Caller | None:
        """
        Who asks; None: they do not say, or not to us (an open deployment lets other services' tokens pass by).

        Raises:
            Unauthorized: what they say is not true.
        """
        key, bearer = header("X-API-Key"), header("Authorization")
        if bearer and not key:
            scheme, _, token = bearer.partition(" ")
            key = token.strip() if scheme.lower() == "bearer" else ""
        asserted = header("X-Goog-IAP-JWT-Assertion") if self._iap is not None else ""
        if not key and not asserted:
            return None
        if key.startswith(PREFIX):
            return self._find(key)
        if key and is_admin_key(self._admin_key, key):
            return Caller(ADMIN, "admin", ADMIN)
        if self._iap is not None and asserted:
            return self._person(self._iap.identify(asserted))
        if self._oidc is not None and key.count(".") == 2:
            return self._person(self._oidc.identify(key))
        if self.is_open and not header("X-API-Key"):
            return None
        raise Unauthorized(f"expected a key ({HOW}), received another")

    def check(self, caller: Caller | None, role: Role) -> None:
        """
        Raises:
            Unauthorized: somebody must say who they are.
            Forbidden: their role does not allow this.
        """
        if (self.is_open and role in ("anyone", "predict", "read")) or (caller and includes(caller.role, role)):
            return
        if caller is None:
            raise Unauthorized(f"expected a key ({HOW}), received none that this deployment knows")
        has = "no role" if caller.role == "anyone" else f"the role {caller.role}"
        raise Forbidden(f"{caller.name} has {has} here; this needs {role}")

    def sign_in(self, token: str) -> Caller:
        """
        Who a key typed into a form belongs to.

        Raises:
            Unauthorized: to nobody.
        """
        if is_admin_key(self._admin_key, token):
            return Caller(ADMIN, "admin", ADMIN)
        return self._find(token)

    def recall(self, identity: str) -> Caller | None:
        """Who signed in before; None once their key is revoked or has expired."""
        if identity == ADMIN:
            return Caller(ADMIN, "admin", ADMIN)
        key = self.store.get(identity)
        return None if key is None or key.is_expired() else self._holder(key)

    def _find(self, token: str) -> Caller:
        """
        Raises:
            Unauthorized: no key has this token, or it has expired.
        """
        digest = hashed(token)
        known = self._known.get(digest)
        now = time.monotonic()
        if known is not None and now < known[0]:
            caller = known[1]
            return caller if caller.counters is None else replace(caller, left={})  # others ask with this key too
        key = self.store.find(token)
        if key is None or key.is_expired():
            self._known.pop(digest, None)
            why = "one that has expired" if key else "one that was never given or is revoked"
            raise Unauthorized(f"expected a key ({HOW}), received {why}")
        caller = self._holder(key)
        self._known[digest] = now + RECHECK_SECONDS, caller
        return caller

    def _holder(self, key: Key) -> Caller:
        allowance, counters = key.allowance, None
        if allowance != UNLIMITED:
            counters = self.counters = self.counters or make_counters(self._settings)
        return Caller(f"{key.name}/{key.id}", key.role, key.id, allowance, counters)

    def _person(self, identity: str) -> Caller:
        return Caller(identity, self._identities.role(identity), identity)


def make_counters(settings: Settings) -> Counters | None:
    """The counters that the settings name; None where this machine lets us keep none, said once on stderr."""
    try:
        counters: Counters = MachineCounters(machine_path(Path(settings.root)))
    except OSError as error:
        print(f"stork: requests cannot be counted ({error}); quotas are not kept", file=sys.stderr)
        return None
    return RedisCounters(settings.limits_url, counters) if settings.limits_url else counters
