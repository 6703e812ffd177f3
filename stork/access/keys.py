"""The admin key: given by the environment, or made once and kept below the root; and the secret derived from it."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Literal, get_args

from stork.config import Settings
from stork.errors import ObjectChanged, SettingError, StorkError
from stork.remote.mirror import attach, mirror_of

SHORTEST = 16
PREFIX = "stork_"  # of every key but the admin's, so that neither is taken for the other

# What a caller may do; each includes those before it. `anyone`: also who does not say who they are, always.
Role = Literal["anyone", "predict", "read", "operate", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


def includes(role: Role, needed: Role) -> bool:
    """Whether who has `role` may do what needs `needed`."""
    return ROLES.index(role) >= ROLES.index(needed)


def load_admin_key(settings: Settings) -> str:
    """
    The admin key: `STORK_ADMIN_KEY`, else the one in `<root>/keys/admin`, which is made if it is not there.

    Empty where none was given and none can be kept: then nothing can be changed with it through this deployment.

    Raises:
        SettingError: the given key is too short to keep anybody out, or looks like another.
    """
    if settings.admin_key:
        if len(settings.admin_key) < SHORTEST:
            raise SettingError(
                f"STORK_ADMIN_KEY: expected at least {SHORTEST} characters, received {len(settings.admin_key)}"
            )
        if settings.admin_key.startswith(PREFIX):
            raise SettingError(f"STORK_ADMIN_KEY: expected anything but {PREFIX}..., which is how other keys begin")
        return settings.admin_key
    attach(settings)
    path = settings.root / "keys" / "admin"
    try:
        make_key(path)
        return path.read_text().strip()
    except (OSError, StorkError):
        return ""


def make_key(path: Path) -> None:
    """Make a key file that only its owner reads; one that is there is left alone, also when two processes race."""
    if path.exists():
        return
    write_secretly(path, secrets.token_urlsafe(24).encode())


def write_secretly(path: Path, content: bytes) -> bool:
    """
    Make a file that only its owner reads, whole at once. False: there was one, and it is left alone.

    Raises:
        OSError: the folder cannot be written.
        RootNotWritable, RootUnreachable: it is that of a bucket, which did not take it.
    """
    if found := mirror_of(path):
        mirror, name = found
        try:
            mirror.bucket.write(name, content, over=0)
        except ObjectChanged:
            mirror.refresh(name)
            return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        os.link(beside, path)  # fails where another process was first
    except FileExistsError:
        return False
    finally:
        os.unlink(beside)
    return True


def derive_secret(admin_key: str) -> bytes:
    """What signs sessions and form tokens: the same in every server process that has the key, never the key itself."""
    if not admin_key:
        return secrets.token_bytes(32)  # nobody can sign in for long anyway, so nothing needs to outlive this process
    return hmac.new(admin_key.encode(), b"stork: sessions and form tokens", hashlib.sha256).digest()


def is_admin_key(admin_key: str, given: str) -> bool:
    """Whether this is the admin key; an empty one opens nothing. Takes the same time whatever was given."""
    return bool(admin_key) and hmac.compare_digest(hashed(admin_key), hashed(given))


def hashed(key: str) -> bytes:
    """A digest of fixed length, so that comparing keys takes the same time whatever was given."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
