"""The API keys of a deployment: one small file each below the root, so that one is made or revoked in one step."""

import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from stork.access.keys import PREFIX, Role, hashed, write_secretly
from stork.access.limits import Allowance, parse_quota, parse_spike
from stork.errors import BadRequest, NotFound, RootNotWritable, StorkError
from stork.remote.mirror import mirror_of

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,59}")
TOKEN = re.compile(r"stork_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")


class Key(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What is kept of a key: never the key itself.

    `hash` is the SHA-256 of the token, in hex. A slow hash such as bcrypt protects what people choose, which can be
    guessed; 32 random bytes cannot, and every request would pay for it.
    """

    id: str
    name: str
    role: Role
    created: datetime
    hash: str
    expires: datetime | None = None
    requests: str = ""
    rows: str = ""
    spike: str = ""

    @property
    def allowance(self) -> Allowance:
        """
        Raises:
            BadRequest: a limit is none.
        """
        return Allowance(
            parse_quota(self.requests) if self.requests else None,
            parse_quota(self.rows) if self.rows else None,
            parse_spike(self.spike) if self.spike else None,
        )

    def matches(self, token: str) -> bool:
        """Whether this is the key's token; takes the same time whatever was given."""
        return hmac.compare_digest(self.hash.encode(), hashed(token).hex().encode())

    def is_expired(self) -> bool:
        return self.expires is not None and self.expires <= datetime.now(UTC)


class KeyStore:
    """The folder `<root>/keys`; `<id>.json` is a key."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "keys"

    def create(self, name: str, role: Role, lasts: timedelta | None = None, **limits: str) -> tuple[Key, str]:
        """
        A new key and its token, which is not kept.

        Limits are `requests` and `rows`, each such as `1000/hour`, and `spike`, such as `20/second`.

        Raises:
            BadRequest: the name or a limit is none.
            RootNotWritable: this deployment cannot keep a key.
        """
        if not NAME.fullmatch(name):
            raise BadRequest(f"name: expected up to 60 letters, digits, spaces and . _ @ -, received {name!r}")
        identity, now = secrets.token_hex(4), datetime.now(UTC)
        token = f"{PREFIX}{identity}_{secrets.token_urlsafe(32)}"
        key = Key(
            identity, name, role, now, hashed(token).hex(), expires=None if lasts is None else now + lasts, **limits
        )
        _ = key.allowance  # refuses limits that are none
        try:
            if not write_secretly(self._path(identity), msgspec.json.format(msgspec.json.encode(key)) + b"\n"):
                return self.create(name, role, lasts, **limits)  # one of four billion ids, taken
        except OSError as error:
            raise RootNotWritable(
                f"{self._folder} cannot be written ({error.strerror}); set STORK_ROOT to a folder that can"
            ) from error
        return key, token

    def find(self, token: str) -> Key | None:
        """The key of a token; None: there is none, or none any more."""
        named = TOKEN.fullmatch(token)
        key = self.get(named[1]) if named else None
        return key if key is not None and key.matches(token) else None

    def get(self, identity: str) -> Key | None:
        """The key of an id; None where there is none, or its file cannot be read: nobody gets in by damaging it."""
        if not re.fullmatch("[0-9a-f]{8}", identity):
            return None
        try:
            key = msgspec.json.decode(self._path(identity).read_bytes(), type=Key)
            return key if key.allowance else None
        except (OSError, msgspec.MsgspecError, StorkError):
            return None

    def list(self) -> list[Key]:
        """Every key, oldest first."""
        found = [self.get(path.stem) for path in self._folder.glob("*.json")]
        return sorted((key for key in found if key is not None), key=lambda key: key.created)

    def revoke(self, identity: str) -> Key:
        """
        Forget a key; every server process refuses it within a second.

        Raises:
            NotFound: there is no such key; the message names those there are.
            RootNotWritable: this deployment cannot change its keys.
        """
        key = self.get(identity)
        if key is None:
            known = ", ".join(f"{key.id} ({key.name})" for key in self.list())
            raise NotFound(f"no key has the id {identity!r}; there is: {known or 'none'}")
        try:
            if found := mirror_of(self._path(identity)):
                mirror, name = found
                mirror.withdraw(name)
            self._path(identity).unlink()
        except OSError as error:
            raise RootNotWritable(f"{self._folder} cannot be written ({error.strerror})") from error
        return key

    def _path(self, identity: str) -> Path:
        return self._folder / f"{identity}.json"
