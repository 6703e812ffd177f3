"""Which alias answers a request that asks for no version: the traffic split, and what keeps a caller on one side."""

import bisect
import hashlib
import itertools
import random
from collections.abc import Callable, Mapping
from typing import Any

from stork.declaration import Entity
from stork.errors import StorkError
from stork.serving.ask import Ask
from stork.serving.entity import EntityReader
from stork.serving.loader import LoadedVersion
from stork.store.serving_state import STABLE

BUCKETS = 10_000


class Split:
    """
    A traffic split with the versions that its aliases name; it never changes, a new split replaces it.

    A key falls into one of 10,000 buckets, always the same for one model. The lowest belong to the aliases other than
    stable, in alphabetical order, the rest to stable: so whoever is on `canary` at 10% is still there at 25%.
    `feature` is the one that is the key, empty where none is.
    """

    def __init__(self, model: str, sticky: Entity, traffic: Mapping[str, int], loaded: Mapping[str, LoadedVersion]):
        aliases = sorted(traffic, key=lambda alias: (alias == STABLE, alias))
        self._ends = list(itertools.accumulate(traffic[alias] * (BUCKETS // 100) for alias in aliases))
        self._answers = [(alias, loaded[alias]) for alias in aliases]
        self._salt = model.encode()
        self._entity = EntityReader(sticky)
        self.feature = self._entity.feature

    def read(self, read: Callable[[LoadedVersion], Any]) -> tuple[LoadedVersion, Any]:
        """
        The first version, stable last, for which `read` does not refuse a request, and what it reads.

        Raises:
            StorkError: it refuses for all of them; the first one's reason.
        """
        refused: StorkError | None = None
        for _, loaded in self._answers:
            try:
                return loaded, read(loaded)
            except StorkError as error:
                refused = refused or error
        assert refused is not None  # a split has versions
        raise refused

    def choose(self, ask: Ask) -> tuple[str, LoadedVersion]:
        """The alias and the version that answer this request: its key's, or without a key any by its percents."""
        key = self._entity.read(ask)
        bucket = find_bucket(self._salt, key) if key else int(random.random() * BUCKETS)
        return self._answers[bisect.bisect_right(self._ends, bucket)]


def find_bucket(salt: bytes, key: bytes) -> int:
    """The bucket of a key, from 0 to 9999: the salt deals callers anew for each model."""
    digest = hashlib.blake2b(key, digest_size=8, key=salt[:64]).digest()
    return int.from_bytes(digest) % BUCKETS
