"""A lock that all who share a root in a bucket respect: an object that its holder writes anew while it works."""

import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stork.errors import Conflict, ObjectChanged, StorkError
from stork.remote.bucket import Bucket
from stork.remote.mirror import mirror_of

LASTS = 120.0  # seconds without a sign of its holder until somebody else may take it
RENEWED = 20.0
LOOKED = 1.0


@contextmanager
def leased(path: Path, refusal: Callable[[], str], patience: float = 0.0) -> Iterator[None]:
    """
    Hold the lease at `path` below a root while a block runs; below one that is this machine's own there is none.

    Whoever holds it is waited for, so many seconds.

    Raises:
        Conflict: somebody holds it; the message is the `refusal`, and when they were last heard of.
        RootNotWritable, RootUnreachable: it cannot be taken.
    """
    found = mirror_of(path)
    if found is None:
        yield
        return
    mirror, name = found
    holding = Lease(mirror.bucket, name)
    holding.wait(refusal, patience)
    done = threading.Event()
    renewing = threading.Thread(target=holding.renew, args=(done,), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()
        holding.drop()


class Lease:
    """One object of a bucket that stands for a lock; `generation` is that of our own last writing."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self.bucket = bucket
        self.name = name
        self.generation = 0
        self._content = json.dumps({"machine": platform.node(), "pid": os.getpid()}).encode()

    def take(self, refusal: Callable[[], str]) -> None:
        """
        Raises:
            Conflict: somebody holds it.
        """
        held = self.bucket.stat(self.name)
        if held is not None and time.time() - held.updated < LASTS:
            raise Conflict(
                f"{refusal()} ({self.bucket.url}/{self.name} was renewed {time.time() - held.updated:.0f} s ago; "
                f"if its process was killed, try again in {LASTS - time.time() + held.updated:.0f} s)"
            )
        try:
            self.generation = self.bucket.write(self.name, self._content, over=held.generation if held else 0)
        except ObjectChanged:
            raise Conflict(refusal()) from None

    def wait(self, refusal: Callable[[], str], patience: float) -> None:
        """
        Take it as soon as nobody holds it.

        Raises:
            Conflict: somebody still does after so many seconds.
        """
        until = time.monotonic() + patience
        while True:
            try:
                return self.take(refusal)
            except Conflict:
                if time.monotonic() > until:
                    raise
            time.sleep(LOOKED)

    def renew(self, done: threading.Event) -> None:
        """Show now and then that we are at work, until we are done."""
        while not done.wait(RENEWED):
            try:
                self.generation = self.bucket.write(self.name, self._content, over=self.generation)
            except StorkError as error:
                print(f"stork: {self.name} cannot be renewed ({error})", file=sys.stderr, flush=True)

    def drop(self) -> None:
        """Let the next one have it; one that somebody else took meanwhile stays theirs."""
        try:
            self.bucket.delete(self.name, self.generation)
        except StorkError as error:
            print(f"stork: {self.name} ends in {LASTS:.0f} s ({error})", file=sys.stderr, flush=True)
