"""
The prediction log: one JSON line per request, appended in one write, so that a killed process loses none it answered.

Each process writes segments of its own, `<log>/<model>/predictions-<time>-<pid>.jsonl`; a full disk never fails a
prediction. Logs of another kind (`shadow`) lie beside them and are bounded each by itself.
"""

import contextlib
import hashlib
import hmac
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from stork.declaration import Log

SEGMENT_SECONDS = 24 * 3600
RETRY_SECONDS = 10.0
LOOK_SECONDS = 1.0
STDOUT_BYTES = 250_000  # Cloud Logging drops an entry of more than 256 KiB


class Record(msgspec.Struct, omit_defaults=True):
    """
    One request: what was asked, what was answered, by which version, how long it took (milliseconds).

    `asked` is the version or the alias that the request named, empty where it named none; `alias` the one that the
    traffic split then chose, empty where traffic was not split.

    `trace`, `span` and `sampled` are the caller's.
    """

    id: str
    time: datetime
    model: str
    version: int | None
    asked: str
    dialect: str
    status: int
    rows: int
    instances: list[Any]
    predictions: dict[str, list[Any]]
    latency: dict[str, float]
    origin: str = ""
    backend: str = ""
    error: str = ""
    schema: str = ""
    trace: str = ""
    alias: str = ""
    span: str = ""
    sampled: bool = False
    caller: str = ""


class PredictionLog:
    """
    The log of one model in one process, safe to use from any thread.

    `failures` counts records that could not be written. `folder` None: nothing is kept; `stdout`: one line there.
    """

    def __init__(self, destination: str, model: str, limits: Log, secret: bytes, kind: str = "predictions") -> None:
        self.limits = limits
        self.kind = kind
        self.failures = 0
        self._to_stdout = destination == "stdout"
        self._folder = None if destination in ("stdout", "off") else Path(destination) / model
        self._secret = secret
        self._encode = msgspec.json.Encoder().encode
        self._lock = threading.Lock()
        self._descriptor = -1
        self._opened = self._looked = self._retry_at = 0.0
        self._written = 0
        self._torn = False
        self._warned = False

    def wants(self, key: bytes) -> bool:
        """Whether a request with this key is of the share that is kept: of one key all are or none, everywhere."""
        return int.from_bytes(hashlib.sha256(key).digest()[:4]) < self.limits.sample * 2**32

    def write(self, record: Record) -> None:
        """Keep a record of a request. Never raises: what cannot be written is counted, and said once on stderr."""
        if self.limits.omit or self.limits.hash:
            record.instances = [self._redact(row) for row in record.instances]
        self.append(record)

    def append(self, record: msgspec.Struct) -> None:
        """The same for a record of any kind, kept as it is."""
        if self._to_stdout:
            self._write_stdout(record)
        if self._folder is None:
            return
        line = self._encode(record) + b"\n"
        with self._lock:
            try:
                self._append(line)
            except OSError as error:
                self._fail(error)

    def _append(self, line: bytes) -> None:
        """One write of one line; after a torn one a newline first, so that no record runs into another."""
        now = time.monotonic()
        if self._descriptor < 0 or self._written > self.limits.segment_mb << 20 or self._is_stale(now):
            if now < self._retry_at:
                self.failures += 1
                return
            self._open_segment(now)
        if self._torn:
            line = b"\n" + line
        written = os.write(self._descriptor, line)
        self._torn = written < len(line)
        self._written += written
        if self._torn:
            raise OSError(28, "the disk is full: a record was cut short")

    def _is_stale(self, now: float) -> bool:
        """Whether the segment is old, or somebody removed it (looked once a second): nobody reads what it would get."""
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        return now - self._opened > SEGMENT_SECONDS or os.fstat(self._descriptor).st_nlink == 0

    def _open_segment(self, now: float) -> None:
        """Start a new segment, and remove those that the limits no longer allow."""
        self.close()
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path = self._folder / f"{self.kind}-{stamp}-{os.getpid()}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._opened, self._looked, self._written, self._torn = now, now, 0, False
        remove_old_segments(self._folder, self.limits, path, self.kind)

    def _fail(self, error: OSError) -> None:
        self.failures += 1
        if not self._torn:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self.close()
        if not self._warned:
            self._warned = True
            print(f"stork: the prediction log cannot be written ({error}); predictions go on", file=sys.stderr)

    def _write_stdout(self, record: msgspec.Struct) -> None:
        """One structured line as Cloud Logging reads it; instances are left out of one that would be dropped."""
        plain = msgspec.to_builtins(record)
        severity = "WARNING" if plain.get("status", 200) >= 400 else "INFO"
        entry = {"severity": severity, "message": self.kind.removesuffix("s"), **plain}
        if plain.get("trace"):
            entry["logging.googleapis.com/trace"] = plain["trace"]
            entry["logging.googleapis.com/trace_sampled"] = plain.get("sampled", False)
            if "span" in plain:
                entry["logging.googleapis.com/spanId"] = plain["span"]
        line = self._encode(entry)
        if len(line) > STDOUT_BYTES:
            line = self._encode(entry | {"instances": [], "predictions": {}})
        try:
            os.write(1, line + b"\n")
        except OSError as error:
            self._fail(error)

    def _redact(self, row: Any) -> dict[str, Any]:
        """An instance without what may not be kept."""
        plain: dict[str, Any] = msgspec.to_builtins(row)
        kept = {name: value for name, value in plain.items() if name not in self.limits.omit}
        for name in self.limits.hash:
            if name in kept:
                text = self._encode(kept[name])
                kept[name] = hmac.new(self._secret, text, hashlib.sha256).hexdigest()[:16]
        return kept

    def close(self) -> None:
        """Close the segment; the next write opens another."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def remove_old_segments(folder: Path, limits: Log, keep: Path, kind: str = "predictions") -> None:
    """Remove segments older than the limit, then the oldest until the rest fits; never one being written."""
    now, total = time.time(), 0
    for path in reversed(segments(folder, kind)):
        try:
            facts = path.stat()
            total += facts.st_size
            old = now - facts.st_mtime > limits.days * 86_400
            if path != keep and (old or total > limits.total_mb << 20) and now - facts.st_mtime > 60:
                path.unlink()
        except FileNotFoundError:  # another process removed it first
            continue


def segments(folder: Path, kind: str = "predictions") -> list[Path]:
    """The log's segments, oldest first: the start of each is in its name."""
    return sorted(folder.glob(f"{kind}-*.jsonl"))


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Every whole record, by segment, oldest segment first."""
    for path in segments(folder):
        with path.open("rb") as stream:
            yield from decode_lines(stream)


def decode_lines(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The records of a segment; a line torn by a full disk is passed over."""
    for line in lines:
        with contextlib.suppress(msgspec.MsgspecError):
            yield msgspec.json.decode(line)


def last_records(folder: Path, count: int) -> list[dict[str, Any]]:
    """The newest `count` records of all processes, oldest of them first; segments older than those are not read."""
    found: list[dict[str, Any]] = []
    by_age = sorted(((path.stat().st_mtime, path) for path in segments(folder)), reverse=True)
    for modified, path in by_age:
        if len(found) >= count and datetime.fromtimestamp(modified, UTC).isoformat() < str(found[0]["time"]):
            break
        with path.open("rb") as stream:
            tail = deque(decode_lines(stream), maxlen=count)
        found = sorted([*found, *tail], key=lambda record: str(record["time"]))[-count:]
    return found


def read_since(folder: Path, start: datetime) -> Iterator[dict[str, Any]]:
    """Every whole record of segments that were written to since then, in no order; some are older."""
    for path in segments(folder):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime >= start.timestamp():
                with path.open("rb") as stream:
                    yield from decode_lines(stream)


class Tail:
    """What is appended to the segments of a log: each call of `read` gives only what is new."""

    def __init__(self, folder: Path, kind: str = "predictions") -> None:
        self._folder = folder
        self._kind = kind
        self._offsets: dict[Path, int] = {}

    def skip(self) -> None:
        """Pass over all that is there now."""
        for path in segments(self._folder, self._kind):
            with contextlib.suppress(FileNotFoundError):  # removed for its age meanwhile
                self._offsets[path] = path.stat().st_size

    def read(self) -> Iterator[tuple[Path, bytes]]:
        """Every whole line since the last look, with its segment."""
        for path in segments(self._folder, self._kind):
            try:
                with path.open("rb") as stream:
                    stream.seek(self._offsets.get(path, 0))
                    lines = stream.read().rpartition(b"\n")[0].splitlines(keepends=True)
            except FileNotFoundError:  # removed for its age meanwhile
                continue
            for line in lines:
                self._offsets[path] = self._offsets.get(path, 0) + len(line)
                yield path, line


class Counted(msgspec.Struct):
    """The two fields of a record that counting needs."""

    version: int | None = None
    status: int = 200


class Tally:
    """How many requests each version answered, by the log as it stands; each call reads only what is new."""

    def __init__(self, destination: str, model: str) -> None:
        self._folder = None if destination in ("stdout", "off") else Path(destination) / model
        self._tail = Tail(self._folder or Path())
        self._counts: dict[Path, Counter[int]] = {}
        self._decode = msgspec.json.Decoder(Counted).decode
        self._lock = threading.Lock()

    def count(self) -> Counter[int] | None:
        """Answered requests by version within the log's retention; None where the log is not kept in files."""
        if self._folder is None:
            return None
        with self._lock:
            for path, line in self._tail.read():
                with contextlib.suppress(msgspec.MsgspecError):
                    record = self._decode(line)
                    if record.version is not None and record.status == 200:
                        self._counts.setdefault(path, Counter())[record.version] += 1
            present = segments(self._folder)
            return sum((self._counts[path] for path in present if path in self._counts), Counter())
