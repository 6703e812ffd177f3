"""What the keys of a deployment have used on this machine: a small mapped file that its server processes share."""

import fcntl
import hashlib
import mmap
import os
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stork.access.limits import Allowance, Quota, quota_exceeded, spike_arrested

# A key's digest; window and count of requests, window and count of rows; when the next request is due; last use.
SLOT = struct.Struct("<16sqqqqdd")
SLOTS = 16_384
NEIGHBOURS = 32


class MachineCounters:
    """
    Counters in a file of fixed slots, found by the key's digest; one lock for a few microseconds.

    A machine that is started anew counts from nothing. Of more keys than fit, the one idle longest is forgotten.
    """

    problem = ""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._descriptor = open_own(path)
        os.ftruncate(self._descriptor, SLOTS * SLOT.size)
        self._map = mmap.mmap(self._descriptor, SLOTS * SLOT.size)
        self._lock = threading.Lock()  # flock holds off other processes, not other threads
        self._found: dict[str, tuple[int, bytes]] = {}

    def close(self) -> None:
        self._map.close()
        os.close(self._descriptor)

    def take_request(self, identity: str, allowance: Allowance) -> int | None:
        """
        Count one request; what is left of the quota.

        Raises:
            QuotaExceeded: it came too soon after the one before it, or the quota of this window is used up.
        """
        now = self._clock()
        quota, spike = allowance.requests, allowance.spike
        with self._lock:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                offset, digest = self._find(identity)
                _, window, count, rows_window, rows, due, _ = SLOT.unpack_from(self._map, offset)
                if spike is not None:
                    # A due time further away than any this limit sets: the clock was set back meanwhile.
                    due = now if not now < due <= now + spike.slack + 1e-6 else due
                    if due + spike.spacing > now + spike.slack + 1e-6:
                        raise spike_arrested(spike, due + spike.spacing - now - spike.slack)
                    due += spike.spacing
                if quota is not None:
                    window, count = add(quota, "requests", (window, count), 1, now)
                SLOT.pack_into(self._map, offset, digest, window, count, rows_window, rows, due, now)
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return None if quota is None else quota.amount - count

    def take_rows(self, identity: str, quota: Quota, rows: int) -> int:
        """
        Count the rows of one request; what is left of the quota.

        Raises:
            QuotaExceeded: there are not so many left in this window.
        """
        now = self._clock()
        with self._lock:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                offset, digest = self._find(identity)
                _, window, count, rows_window, used, due, _ = SLOT.unpack_from(self._map, offset)
                rows_window, used = add(quota, "rows", (rows_window, used), rows, now)
                SLOT.pack_into(self._map, offset, digest, window, count, rows_window, used, due, now)
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return quota.amount - used

    def _find(self, identity: str) -> tuple[int, bytes]:
        """Where the key's slot begins, and its digest."""
        found = self._found.get(identity)
        if found is not None and self._map[found[0] : found[0] + 16] == found[1]:
            return found
        found = self._found[identity] = self._search(hashlib.blake2b(identity.encode(), digest_size=16).digest())
        return found

    def _search(self, digest: bytes) -> tuple[int, bytes]:
        """The slot of a digest, made if there is none, in the place of the neighbour that is idle longest."""
        home = int.from_bytes(digest[:4])
        offsets = [(home + step) % SLOTS * SLOT.size for step in range(NEIGHBOURS)]
        for offset in offsets:
            if self._map[offset : offset + 16] == digest:
                return offset, digest
        free = min(offsets, key=lambda offset: SLOT.unpack_from(self._map, offset)[-1])
        SLOT.pack_into(self._map, free, digest, 0, 0, 0, 0, 0.0, 0.0)
        return free, digest


def add(quota: Quota, what: str, used: tuple[int, int], amount: int, now: float) -> tuple[int, int]:
    """
    A window's number and count, `amount` further; another window than this one (also a later) counts from nothing.

    Raises:
        QuotaExceeded: the quota does not allow so many.
    """
    window = quota.window(now)
    count = used[1] if used[0] == window else 0
    if count + amount > quota.amount:
        raise quota_exceeded(what, quota, amount, count, now)
    return window, count + amount


def machine_path(root: Path) -> Path:
    """The file that the server processes of one deployment, one user and one machine have in common."""
    memory = Path("/dev/shm")
    base = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    deployment = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    return base / f"stork-{os.getuid()}" / f"limits-{deployment}"


def open_own(path: Path) -> int:
    """
    A descriptor of the file, made if it is not there, in a folder that nobody else can write.

    Raises:
        PermissionError: the folder is another user's, who could set our counters.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    facts = os.lstat(path.parent)
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o022:
        raise PermissionError(f"{path.parent}: expected a folder of our own that nobody else can write")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
