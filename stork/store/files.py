"""Writes that are seen whole or not at all, and the checksums that prove it."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stork.errors import RootNotWritable

REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR)


def checksum(path: Path) -> str:
    """The file's SHA-256, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """
    Replace a file in one step: a reader sees the old content or the new one, also after a power cut.

    Raises:
        RootNotWritable: the folder cannot be written.
    """
    with writing(path.parent):
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
            os.rename(beside, target)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        sync_folder(target.parent)


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
