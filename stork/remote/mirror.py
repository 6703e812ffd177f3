"""
The local copy of a root in a bucket. All other code reads and writes files below it, as it does below any root.

What is in the bucket counts: whatever is made goes there first, and nothing else changes what is here. Small files,
which say what there is, are always here; versions, spans and what steps left are brought when somebody needs them.
A name that begins with a dot, in any part of a path, is this machine's own, and stays here.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

from stork.config import Settings
from stork.errors import ObjectChanged, RootUnreachable
from stork.remote.bucket import Blob, Bucket

PARTS = ("keys", "models", "serving", "runs", "spans")
SERVED = ("keys", "models", "serving")  # what a server reads
# Written last, and removed first: without it what is beside it is not there.
MANIFESTS = ("manifest.json", "span.json", "run.json")
SMALL = re.compile(
    r"models/[^/]+/([^/]+|\d+/(manifest\.json|(INFRA_)?(NOT_)?BLESSED))"
    r"|serving/.+|keys/[^/]+|runs/[^/]+/run\.json|spans/[^/]+/\d+/span\.json"
)
CLAIM = ".claim"  # who makes a numbered folder first writes this
FOLLOWED = ".followed"


class Mirror:
    """One root: its local folder, and its bucket. `problem` says why the bucket could not be followed, or is empty."""

    def __init__(self, root: Path, bucket: Bucket) -> None:
        self.root = root
        self.bucket = bucket
        self.problem = ""
        self._seen: dict[str, int] = {}

    def sync(self, parts: tuple[str, ...] = PARTS) -> None:
        """
        Let the small files of these parts be what the bucket has.

        Raises:
            RootUnreachable: it does not answer; what was here stays.
        """
        with self.locked():
            # The state is listed before the versions that it names, and written after them.
            listed = {part: self.bucket.list(f"{part}/") for part in reversed(parts)}
            for part in parts:
                wanted = {name: blob for name, blob in listed[part].items() if SMALL.fullmatch(name)}
                for name, blob in wanted.items():
                    self._take(name, blob)
                self._drop_others(part, wanted)

    def is_known(self) -> bool:
        """Whether the bucket was ever followed here; before, nobody can say what it wants served."""
        return (self.root / FOLLOWED).exists()

    def follow(self, seconds: float = 0.0) -> None:
        """
        Follow what servers read of the bucket; at most once in so many seconds on this machine, by any process.

        Never raises: `problem` says what is wrong.
        """
        began = self.root / ".following"
        try:
            with contextlib.suppress(FileNotFoundError):
                if 0 <= time.time() - began.stat().st_mtime < seconds:
                    return
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            began.touch()
            self.sync(SERVED)
            (self.root / FOLLOWED).touch()
            problem = ""
        except (RootUnreachable, OSError) as error:
            problem = f"{self.bucket.url} cannot be followed ({error}); what was known of it goes on"
        if problem and not self.problem:
            print(f"stork: {problem}", file=sys.stderr, flush=True)
        self.problem = problem

    def keep_following(self, seconds: float) -> None:
        """Follow the bucket for as long as this process lives."""

        def go_on() -> None:
            while True:
                time.sleep(seconds)
                self.follow(seconds)

        threading.Thread(target=go_on, name="stork-mirror", daemon=True).start()

    def refresh(self, name: str) -> int:
        """
        Let one file be what the bucket has; its generation, 0: there is none.

        Raises:
            RootUnreachable: the bucket does not answer, or others write it all the time.
        """
        with self.locked():
            for _ in range(10):
                blob = self.bucket.stat(name)
                if blob is None:
                    (self.root / name).unlink(missing_ok=True)
                    return 0
                if self._take(name, blob):
                    return blob.generation
        raise RootUnreachable(f"{self.bucket.url}/{name} is written all the time")

    def send_folder(self, source: Path, name: str) -> None:
        """
        Put the files of a folder below `name`, its manifest last.

        Raises:
            FileExistsError: somebody else makes or has made this folder.
            RootNotWritable, RootUnreachable: they are not there, or not all.
        """
        if any((source / manifest).is_file() for manifest in MANIFESTS):
            try:
                self.bucket.write(f"{name}/{CLAIM}", f"{platform.node()} {os.getpid()}\n".encode(), over=0)
            except ObjectChanged as error:
                raise FileExistsError(f"{self.bucket.url}/{name}") from error
        else:
            self.withdraw(name)  # what a try that was killed left
        paths = (path for path in source.rglob("*") if path.is_file())
        for path in sorted(paths, key=lambda path: (path.name in MANIFESTS, path)):
            self.bucket.write(f"{name}/{path.relative_to(source).as_posix()}", path)

    def bring(self, name: str) -> None:
        """
        Have a whole folder here, where the bucket has it.

        Raises:
            RootUnreachable: the bucket does not answer, or a file was changed while it was read.
        """
        folder = self.root / name
        if is_whole(folder):
            return
        with self.locked(".bring.lock"):
            listed = {} if is_whole(folder) else self.bucket.list(f"{name}/")
            if not listed:
                return
            folder.parent.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            try:
                for other, blob in listed.items():
                    if other == f"{name}/{CLAIM}":
                        continue
                    path = beside / other.removeprefix(f"{name}/")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if not self.bucket.read(other, blob, path):
                        raise RootUnreachable(f"{self.bucket.url}/{other} changed while it was read; try again")
                beside.chmod(0o755)
                settle(beside, folder)
            finally:
                shutil.rmtree(beside, ignore_errors=True)

    def withdraw(self, name: str) -> None:
        """
        Remove a file, or a folder whole, from the bucket.

        Raises:
            RootNotWritable, RootUnreachable: it is there, or some of it.
        """
        names = [other for other in self.bucket.list(name) if other == name or other.startswith(f"{name}/")]
        for other in sorted(names, key=lambda other: Path(other).name not in MANIFESTS):
            self.bucket.delete(other)

    def unfinished(self, name: str, seconds: float) -> list[str]:
        """The numbered folders below `name` that have no manifest, and that nothing was added to for so long."""
        newest: dict[str, float] = {}
        listed = self.bucket.list(f"{name}/")
        for other, blob in listed.items():
            number = other.removeprefix(f"{name}/").partition("/")[0]
            newest[number] = max(newest.get(number, 0.0), blob.updated)
        begun = {number: at for number, at in newest.items() if number.isdecimal() and time.time() - at > seconds}
        return [n for n in sorted(begun) if not any(f"{name}/{n}/{manifest}" in listed for manifest in MANIFESTS)]

    @contextlib.contextmanager
    def locked(self, name: str = ".mirror.lock") -> Iterator[None]:
        """Let nobody on this machine change what is here while something is put both into the bucket and here."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.root / name).open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _take(self, name: str, blob: Blob) -> bool:
        """Write a listed file, unless it is here. False: it is another one by now."""
        path = self.root / name
        if self._seen.get(name) == blob.generation and path.is_file():
            return True
        if not is_same(path, blob):
            is_key = name.startswith("keys/")
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if is_key else 0o755)
            descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            os.close(descriptor)
            try:
                if not self.bucket.read(name, blob, Path(beside)):
                    return False
                os.chmod(beside, 0o600 if is_key else 0o644)
                os.replace(beside, path)
            finally:
                Path(beside).unlink(missing_ok=True)
        self._seen[name] = blob.generation
        return True

    def _drop_others(self, part: str, wanted: dict[str, Blob]) -> None:
        """Remove what the bucket has no more; where it is a manifest, all that it stood for."""
        for path in list((self.root / part).rglob("*")):
            name = path.relative_to(self.root).as_posix()
            if name in wanted or "/." in name or not SMALL.fullmatch(name) or not path.is_file():
                continue
            if path.name in MANIFESTS:
                gone = path.parent.with_name(f".gone-{path.parent.name}")
                path.parent.rename(gone)
                shutil.rmtree(gone)
            else:
                path.unlink()


_attached: dict[Path, Mirror] = {}


def attach(settings: Settings) -> Mirror | None:
    """The mirror of a root in a bucket, which files below it then follow; None where the root is a local folder."""
    if not settings.bucket:
        return None
    if settings.root not in _attached:
        _attached[settings.root] = Mirror(settings.root, Bucket(settings.bucket, settings.storage_api))
    return _attached[settings.root]


def mirror_of(path: Path) -> tuple[Mirror, str] | None:
    """The mirror that a file or folder is in, and its name there; None: it is on this machine only."""
    for root, mirror in _attached.items():
        if path.is_relative_to(root):
            name = path.relative_to(root).as_posix()
            return None if name.startswith(".") or "/." in name else (mirror, name)
    return None


def bring(folder: Path) -> Path:
    """The folder, with all that is in it here."""
    if found := mirror_of(folder):
        mirror, name = found
        mirror.bring(name)
    return folder


def is_same(path: Path, blob: Blob) -> bool:
    """Whether a local file is the listed object."""
    try:
        if path.stat().st_size != blob.size or not blob.md5:
            return False
        return b64encode(hashlib.md5(path.read_bytes(), usedforsecurity=False).digest()).decode() == blob.md5
    except OSError:
        return False


def is_whole(folder: Path) -> bool:
    """Whether every file that the folder's manifest names is here; without a manifest, whether the folder is."""
    for manifest in MANIFESTS:
        with contextlib.suppress(OSError, ValueError, KeyError, AttributeError, TypeError):
            files = json.loads((folder / manifest).read_bytes())["files"]
            return all((folder / file).stat().st_size == facts["bytes"] for file, facts in files.items())
        if (folder / manifest).exists():
            return False
    return folder.is_dir()


def settle(beside: Path, folder: Path) -> None:
    """Move a folder to its place; where its small files are there already, file by file, its manifest last."""
    if not folder.exists():
        os.rename(beside, folder)
        return
    paths = (path for path in beside.rglob("*") if path.is_file())
    for path in sorted(paths, key=lambda path: (path.name in MANIFESTS, path)):
        target = folder / path.relative_to(beside)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
