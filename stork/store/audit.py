"""
The audit: one line for every change of a deployment, and for every refused one: when, who, from where, what.

Lines are appended to `<log>/audit.jsonl`, one write each, and never removed; with `STORK_LOG=stdout` they go there, as
the prediction log does. `off` keeps no prediction log, but the audit: below the root.
"""

import contextlib
import os
import pwd
import sys
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from stork.config import Settings
from stork.errors import StorkError


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
    try:
        append(audit_path(settings), line)
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
    found: deque[dict[str, Any]] = deque(maxlen=count)
    if path is not None and path.is_file():
        with path.open("rb") as stream:
            for line in stream:
                with contextlib.suppress(msgspec.MsgspecError):
                    found.append(msgspec.json.decode(line))
    return list(found)
