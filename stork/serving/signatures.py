"""The signatures of a version besides the one its schema describes, each loaded when it is first asked for."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from stork.errors import BackendUnavailable, BadRequest, StorkError
from stork.schema.frozen import Schema
from stork.store.version import FurtherSignature
from stork.turn import pass_turn

Loaded = TypeVar("Loaded")


class FurtherSignatures(Generic[Loaded]):
    """
    Safe to use from any thread. `load` makes what answers a signature, a LoadedVersion, of whether it is steady and its
    schema; `when_loaded` then hears of it.

    One that cannot be loaded is not tried again: nothing about a version ever changes.
    """

    def __init__(
        self, listed: dict[str, FurtherSignature], load: Callable[[bool, Schema], Loaded] | None = None
    ) -> None:
        self.listed = listed
        self.when_loaded: Callable[[Loaded], None] | None = None
        self._load = load
        self._loaded: dict[str, Loaded] = {}
        self._failures: dict[str, str] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Loaded:
        """
        What answers the signature of this name.

        Raises:
            BadRequest: there is none, in TensorFlow Serving's words, or it cannot be served; the message says why.
            BackendUnavailable: it cannot be loaded here.
        """
        loaded = self._loaded.get(name)
        if loaded is not None:
            return loaded
        schema = self.schema(name)
        pass_turn()
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._try(name, schema)
            return self._loaded[name]

    def schema(self, name: str) -> Schema:
        """
        Raises:
            BadRequest: as `find` says.
        """
        if name not in self.listed:
            known = f"; besides its own, the version has {', '.join(sorted(self.listed))}" if self.listed else ""
            raise BadRequest(f'Serving signature name: "{name}" not found in signature def{known}')
        schema = self.listed[name].schema
        if schema is None:
            raise BadRequest(f'Serving signature name: "{name}" cannot be served: {self.listed[name].reason}')
        return schema

    def _try(self, name: str, schema: Schema) -> Loaded:
        if name not in self._failures and self._load is not None:
            try:
                loaded = self._load(self.listed[name].steady, schema)
                if self.when_loaded is not None:
                    self.when_loaded(loaded)
                return loaded
            except StorkError as error:
                self._failures[name] = str(error)
        raise BackendUnavailable(f"signature {name!r} cannot be loaded: {self._failures.get(name, 'not here')}")
