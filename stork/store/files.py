"""
Writes that are seen whole or not at all, and the checksums that prove it.

Below a root in a bucket they are seen by all who share it: what is written goes into the bucket first.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from stork.errors import RootNotWritable
from stork.remote.mirror import mirror_of

REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR)


def checksum(path: Path) -> str:
    """The file's SHA-256, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes, over: int | None = None) -> None:
    """
    Replace a file in one step: a reader sees the old content or the new one, also after a power cut.

    `over`: in a bucket only if its generation is this one (see `refresh`).

    Raises:
        ObjectChanged: it is of another generation.
        RootNotWritable: the folder cannot be written.
    """
    with writing(path.parent), ExitStack() as stack:
        if found := mirror_of(path):
            mirror, name = found
            stack.enter_context(mirror.locked())
            mirror.bucket.write(name, content, over)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
                os.fchmod(stream.fileno(), 0o644)  # mkstemp's 0600 would hide it from a server of another user
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
        sync_folder(path.parent)


def publish_folder(source: Path, target: Path) -> None:
    """
    Copy a folder so that `target` appears whole, in one rename.

    Raises:
        FileExistsError: there is a `target` already; it is left as it is.
        RootNotWritable: the parent cannot be written.
    """
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        try:
            shutil.copytree(source, beside, dirs_exist_ok=True)
            for path in beside.rglob("*"):
                if path.is_file():
                    with path.open("rb") as stream:
                        os.fsync(stream.fileno())
            beside.chmod(0o755)  # mkdtemp's 0700 would hide the version from a server of another user
            if target.exists():
                raise FileExistsError(target)
            share_folder(beside, target)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        sync_folder(target.parent)


def share_folder(beside: Path, target: Path) -> None:
    """
    Move a whole folder to where it is seen, in one step.

    Raises:
        FileExistsError: in the bucket there is a `target` already.
        RootNotWritable, RootUnreachable: the bucket did not take it; nobody sees it.
    """
    found = mirror_of(target)
    if found is None:
        os.rename(beside, target)
        return
    mirror, name = found
    mirror.send_folder(beside, name)
    with mirror.locked():
        shutil.rmtree(target, ignore_errors=True)  # its manifest, if it was followed meanwhile
        os.rename(beside, target)


def share_file(path: Path) -> None:
    """Let a file that was written bit by bit be seen by all who share the root."""
    if found := mirror_of(path):
        mirror, name = found
        mirror.bucket.write(name, path)


def refresh(path: Path) -> int | None:
    """
    Let a file be as it is for all who share the root; its generation there, None where it is on this machine only.

    Raises:
        RootUnreachable: the bucket does not answer.
    """
    if found := mirror_of(path):
        mirror, name = found
        return mirror.refresh(name)
    return None


def withdraw(path: Path) -> None:
    """Let nobody who shares the root see a file, or anything of a folder, any more; here it stays."""
    if found := mirror_of(path):
        mirror, name = found
        mirror.withdraw(name)


def size_of(folder: Path) -> int:
    """The bytes in a folder; of one in a bucket, those there."""
    if found := mirror_of(folder):
        mirror, name = found
        return sum(blob.size for blob in mirror.bucket.list(f"{name}/").values())
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def unfinished(home: Path, seconds: float) -> list[Path]:
    """Numbered folders of a bucket that somebody began and, for so many seconds, did not finish; nobody sees them."""
    if found := mirror_of(home):
        mirror, name = found
        return [home / number for number in mirror.unfinished(name, seconds)]
    return []


def remove_file(path: Path) -> None:
    """Remove a file, where there is one."""
    withdraw(path)
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` for the length of a block; other processes wait."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w")
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a refusal of the file system into an error that names the setting to change."""
    try:
        yield
    except OSError as error:
        is_file_in_the_way = isinstance(error, FileExistsError) and not folder.is_dir()
        if is_file_in_the_way or error.errno in REFUSALS:
            raise RootNotWritable(
                f"{folder} cannot be written ({error.strerror}); set STORK_ROOT to a folder that can"
            ) from error
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
