"""The admin key: given by the environment, or made once and kept below the root; and the secret derived from it."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from stork.config import Settings
from stork.errors import SettingError, Unauthorized

SHORTEST = 16

# What a caller may do; each includes those before it.
Role = Literal["predict", "read", "operate", "admin"]


def load_admin_key(settings: Settings) -> str:
    """
    The admin key: `STORK_ADMIN_KEY`, else the one in `<root>/keys/admin`, which is made if it is not there.

    Empty where none was given and none can be kept: then nothing can be changed through this deployment.

    Raises:
        SettingError: the given key is too short to keep anybody out.
    """
    if settings.admin_key:
        if len(settings.admin_key) < SHORTEST:
            raise SettingError(
                f"STORK_ADMIN_KEY: expected at least {SHORTEST} characters, received {len(settings.admin_key)}"
            )
        return settings.admin_key
    path = settings.root / "keys" / "admin"
    try:
        make_key(path)
        return path.read_text().strip()
    except OSError:
        return ""


def make_key(path: Path) -> None:
    """Make a key file that only its owner reads; one that is there is left alone, also when two processes race."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_urlsafe(24))
    try:
        os.link(beside, path)  # fails where another process was first: both then read that one
    except FileExistsError:
        pass
    finally:
        os.unlink(beside)


def derive_secret(admin_key: str) -> bytes:
    """What signs sessions and form tokens: the same in every server process that has the key, never the key itself."""
    if not admin_key:
        return secrets.token_bytes(32)  # nothing can be changed anyway, so nothing needs to outlive this process
    return hmac.new(admin_key.encode(), b"stork: sessions and form tokens", hashlib.sha256).digest()


def check_admin_key(admin_key: str, given: str) -> None:
    """
    Raises:
        Unauthorized: the given key is not the admin key, or this deployment has none.
    """
    if not admin_key:
        raise Unauthorized("no admin key is set here, so nothing can be changed; set STORK_ADMIN_KEY")
    if not hmac.compare_digest(hashed(admin_key), hashed(given)):
        raise Unauthorized(
            "expected the admin key (Authorization: Bearer <key>), received " + ("another" if given else "none")
        )


def hashed(key: str) -> bytes:
    """A digest of fixed length, so that comparing keys takes the same time whatever was given."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def require_role(admin_key: str, header: Callable[[str], str], role: Role) -> None:
    """
    Let anybody predict and read; whoever changes anything shows the admin key, as `Authorization: Bearer <key>`.

    Raises:
        Unauthorized: the key is needed, and is not there or another.
    """
    if role in ("operate", "admin"):
        scheme, _, key = header("Authorization").partition(" ")
        check_admin_key(admin_key, key.strip() if scheme.lower() == "bearer" else "")
