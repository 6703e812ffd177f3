"""
Numbers that the processes of one deployment count together, on one machine, without a server between them.

Each process publishes its own in a file; whoever reads adds them up. What a dead process counted is kept, so that a
counter never goes back; when the deployment is started anew, all begins at nothing.
"""

import os
import shutil
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from stork.config import Settings
from stork.errors import StorkError
from stork.store.files import locked

# Numbers by what they count: its name, then its labels' values. Those of one name are of one length.
Table = dict[tuple[str, ...], list[float]]
Pairs = list[tuple[tuple[str, ...], list[float]]]


class Numbers(msgspec.Struct):
    """
    What one process counted since its start, and what it is like now; or, of `folded` processes, what they counted.

    A folded process's file is passed over: it may outlive the folding by a moment, and must not count twice.
    """

    counters: Pairs = []
    gauges: Pairs = []
    folded: list[str] = []


class SharedCounters:
    """The numbers of this process, and the way to those of its siblings in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / f"{os.getpid()}-{os.urandom(4).hex()}.json"
        self._mine = Numbers()
        self._published = b""
        self._warned = False
        self._turn = threading.Lock()  # the next second's numbers and a scraper's may come at once
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Numbers).decode

    def publish(self, counters: Table, gauges: Table) -> None:
        """Let the siblings see these numbers. Where that fails they stay this process's own, said once on stderr."""
        mine = Numbers(list(counters.items()), list(gauges.items()))
        content = self._encode(mine)
        with self._turn:
            self._mine = mine
            if content == self._published:
                return
            try:
                replace(self._file, content)
                self._published = content
            except OSError as error:
                if not self._warned:
                    self._warned = True
                    print(f"stork: metrics cannot be shared by the processes ({error})", file=sys.stderr)

    def total(self) -> tuple[Table, Table]:
        """Counters of all processes there ever were, gauges of those alive, as last published; sums where they meet."""
        try:
            with locked(self.folder / ".lock"):
                past = self._fold_dead()
                alive = [self._read(path) for path in self._files() if path.name not in past.folded]
        except (OSError, StorkError):
            past, alive = Numbers(), []
        if not self._published:
            alive.append(self._mine)
        everything = [past.counters, *(numbers.counters for numbers in alive)]
        return add_up(everything), add_up(numbers.gauges for numbers in alive)

    def _fold_dead(self) -> Numbers:
        """Add what dead processes left to what is remembered, and remove their files."""
        kept = self.folder / "past.json"
        past = self._read(kept)
        dead = [path for path in self._files() if not is_alive(int(path.name.partition("-")[0]))]
        new = [path for path in dead if path.name not in past.folded]
        if new:
            counters = add_up([past.counters, *(self._read(path).counters for path in new)])
            past = Numbers(list(counters.items()), folded=[path.name for path in dead])
            replace(kept, self._encode(past))
        for path in dead:
            path.unlink(missing_ok=True)
        return past

    def _files(self) -> list[Path]:
        return list(self.folder.glob("[0-9]*-*.json"))

    def _read(self, path: Path) -> Numbers:
        try:
            return self._decode(path.read_bytes())
        except (OSError, msgspec.MsgspecError):
            return Numbers()


def add_up(tables: Iterable[Pairs]) -> Table:
    """The sums, number by number, of what is counted under the same name and labels."""
    total: Table = {}
    for key, numbers in (pair for table in tables for pair in table):
        before = total.get(key)
        total[key] = numbers if before is None else [a + b for a, b in zip(before, numbers, strict=True)]
    return total


def replace(path: Path, content: bytes) -> None:
    """Replace a file in one step. Nothing here needs to outlive the machine, so the disk is not waited for."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
    except FileNotFoundError:  # no folder yet, or no longer
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside.write_bytes(content)
    os.replace(beside, path)


def deployment_folder(settings: Settings) -> Path:
    """
    The folder that this process shares with those its parent started over the same root, and with no others.

    Temporary, since counters end with the deployment, and since a root need not be writable. Those of deployments that
    ended are removed.
    """
    home = Path(tempfile.gettempdir()) / f"stork-{os.getuid()}"
    parent = os.getppid()
    for folder in home.glob("*-*-*"):
        pid, started = folder.name.split("-")[:2]
        if pid.isdecimal() and start_of(int(pid)) != started:
            shutil.rmtree(folder, ignore_errors=True)
    return home / f"{parent}-{start_of(parent)}-{zlib.crc32(os.fsencode(settings.root)):08x}"


def start_of(pid: int) -> str:
    """When a process started, in ticks since the machine did; empty where there is no such process, or no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
