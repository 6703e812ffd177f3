"""
The audit: one line for every change of a deployment, and for every refused one: when, who, from where, what.

Lines are appended to `<log>/audit.jsonl`, one write each; with `STORK_LOG=stdout` they go there, as the prediction log
does. `off` keeps no prediction log, but the audit: below the root. A file that is large or old is renamed to
`audit-<time>.jsonl`, and removed once `STORK_AUDIT_DAYS` or `STORK_AUDIT_MB` say so.
"""

import contextlib
import os
import pwd
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from stork.config import Settings
from stork.errors import StorkError
from stork.store.files import locked

SEGMENTS = 16  # that the audit is kept in at least, so that what is removed at once is little of it
LARGEST_SEGMENT = 16 << 20  # bytes
SEGMENT_AGE = timedelta(days=30)


class Actor(msgspec.Struct, frozen=True):
    """Who changes something: their name (never a key), and whence: cli, api or page, address, program."""

    name: str
    door: str
    address: str = ""
    agent: str = ""


def operator() -> Actor:
    """Who runs this process: on the command line that is the person who does it."""
    try:
        return Actor(pwd.getpwuid(os.getuid()).pw_name, "cli")
    except KeyError:  # a container's user has often no name
        return Actor(f"uid {os.getuid()}", "cli")


# Who acts in this thread; whoever lets a request in sets it, so that what changes things need not be told.
acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


def who() -> Actor:
    """Who acts here."""
    return acting.get() or operator()


def audit(settings: Settings, what: str, outcome: str = "done", **facts: Any) -> None:
    """
    Add a line to the audit. `what` is the thing that changed, in one word; facts say which one, `before` and `after`.

    Never raises: a line that cannot be written is shown on stderr, so that it is not lost.
    """
    actor = who()
    line = {"time": datetime.now(UTC), "what": what, "outcome": outcome, "who": actor.name, "door": actor.door}
    line |= {"address": actor.address, "agent": actor.agent} if actor.address else {}
    line |= facts
    path = audit_path(settings)
    try:
        if path is not None:
            with contextlib.suppress(OSError, StorkError):  # a line more in this file is better than none
                rotate(path, settings)
        append(path, line)
    except OSError as error:
        shown = msgspec.json.encode(line).decode()
        print(f"stork: the audit cannot be written ({error}): {shown}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def audit_refusal(settings: Settings, what: str, **facts: Any) -> Iterator[None]:
    """Audit a change that a StorkError ends; one that succeeds is audited where it is written."""
    try:
        yield
    except StorkError as error:
        audit(settings, what, "refused", **facts, reason=str(error))
        raise


def audit_path(settings: Settings) -> Path | None:
    """The file of the audit; None where it goes to stdout."""
    if settings.log == "stdout":
        return None
    return (settings.root if settings.log == "off" else Path(settings.log)) / "audit.jsonl"


def rotate(path: Path, settings: Settings) -> None:
    """
    Begin a new file where the last one is full or old, and remove those that the settings no longer allow.

    Raises:
        OSError, RootNotWritable: the folder cannot be written.
    """
    if not is_due(path, settings):
        return
    with locked(path.parent / ".audit.lock"):
        if is_due(path, settings):  # nobody else did meanwhile
            path.rename(path.with_name(f"audit-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.jsonl"))
            remove_old_files(path, settings)


def is_due(path: Path, settings: Settings) -> bool:
    """Whether the file has had its time: by its size, or by the time of its first line."""
    try:
        size = path.stat().st_size
        if size == 0 or size > min(LARGEST_SEGMENT, (settings.audit_mb << 20) // SEGMENTS):
            return size > 0
        with path.open("rb") as stream:
            began = msgspec.json.decode(stream.readline(), type=Began).time
    except (FileNotFoundError, msgspec.MsgspecError):
        return False
    return datetime.now(UTC) - began > SEGMENT_AGE


class Began(msgspec.Struct):
    """The field of a file's first line that says how old the file is."""

    time: datetime


def remove_old_files(path: Path, settings: Settings) -> None:
    """Remove the files whose newest line is too old, then the oldest until the rest fits."""
    total = 0
    for rotated in reversed(rotated_files(path)):
        facts = rotated.stat()
        total += facts.st_size
        if time.time() - facts.st_mtime > settings.audit_days * 86_400 or total > settings.audit_mb << 20:
            rotated.unlink()


def rotated_files(path: Path) -> list[Path]:
    """The files that are no longer written to, oldest first."""
    return sorted(path.parent.glob("audit-*.jsonl"))


def append(path: Path | None, line: dict[str, Any]) -> None:
    """
    Raises:
        OSError: the line was not written, or not to its end.
    """
    if path is None:
        content = msgspec.json.encode({"severity": "NOTICE", "message": "audit", **line}) + b"\n"
        descriptor = os.dup(1)
    else:
        content = msgspec.json.encode(line) + b"\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        if os.write(descriptor, content) < len(content):
            os.write(descriptor, b"\n")
            raise OSError(28, "the disk is full: a line was cut short")
    finally:
        os.close(descriptor)


def last_lines(settings: Settings, count: int) -> list[dict[str, Any]]:
    """The newest `count` lines, oldest of them first; one that a full disk cut short is passed over."""
    path = audit_path(settings)
    found: list[dict[str, Any]] = []
    for file in [] if path is None else [path, *reversed(rotated_files(path))]:
        with contextlib.suppress(FileNotFoundError):  # none yet, or rotated meanwhile
            found = [*read_last(file, count - len(found)), *found]
        if len(found) >= count:
            break
    return found


def read_last(file: Path, count: int) -> deque[dict[str, Any]]:
    """
    Raises:
        FileNotFoundError: there is no such file.
    """
    found: deque[dict[str, Any]] = deque(maxlen=count)
    with file.open("rb") as stream:
        for line in stream:
            with contextlib.suppress(msgspec.MsgspecError):
                found.append(msgspec.json.decode(line))
    return found
