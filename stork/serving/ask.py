"""What a caller asks, what travels with it from the door to the log, and what it is answered."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from stork.schema.held import HeldColumns
from stork.schema.instances import Columns, Instances
from stork.serving.loader import LoadedVersion
from stork.serving.trace import NO_TRACE, Trace


class Caller(Protocol):
    """
    Who asks. `name` is what the log calls it, never the key itself.

    `spend` takes rows from the caller's allowance before they are answered.

    Raises:
        QuotaExceeded: there is none left in this window.
    """

    name: str

    def spend(self, rows: int) -> None: ...


def no_header(name: str) -> str:
    """A request that came without headers."""
    return ""


@dataclass(slots=True)
class Context:
    """
    What travels with a request, whatever dialect it speaks.

    `header` gives a header by name (empty where not sent); `arrived` and `deadline` are on time.monotonic()'s clock;
    `waiting` is how many requests waited in this process when it arrived; `caller` None: this deployment asks nobody
    who they are.
    """

    header: Callable[[str], str] = no_header
    trace: Trace = NO_TRACE
    arrived: float = 0.0
    deadline: float = math.inf
    caller: Caller | None = None
    waiting: int = 0


@dataclass(slots=True)
class Ask:
    """
    What a caller asks: instances as JSON bytes, parsed values or columns, of which model, and how to name their place.

    `model` empty: the default model. `single`: `instances` is one object, not a list of them. `signature` names another
    signature of the SavedModel than the one that the version's schema describes; empty: that one. `charge` is how many
    rows an instance takes of the caller's allowance. `settled`: the alias and the version that answer, where they are
    chosen already.
    """

    instances: bytes | list[Any] | dict[str, Any] | Columns | HeldColumns
    model: str = ""
    version: int | None = None
    alias: str | None = None
    path: str = "$.instances"
    single: bool = False
    signature: str = ""
    charge: int = 1
    dialect: str = "api"
    context: Context = field(default_factory=Context)
    settled: tuple[str, LoadedVersion] | None = None


@dataclass(slots=True)
class Answer:
    """Predictions by output name, in the order of the instances, and where they come from."""

    id: str
    model: str
    version: int
    columns: dict[str, list[Any]]
    loaded: LoadedVersion
    origin: str
    backend: str

    @property
    def predictions(self) -> list[dict[str, Any]]:
        """One dict per instance."""
        names = list(self.columns)
        if len(names) == 1:
            return [{names[0]: value} for value in self.columns[names[0]]]
        return [dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


def check(loaded: LoadedVersion, ask: Ask) -> Instances:
    """The instances of a request, checked against the schema of the version that answers."""
    if isinstance(ask.instances, HeldColumns):
        return loaded.held.decode(ask.instances, ask.path)
    if isinstance(ask.instances, Columns):
        return loaded.decoder.decode_columns(ask.instances, ask.path)
    if isinstance(ask.instances, bytes):
        return loaded.decoder.decode_json(ask.instances, ask.path, ask.single)
    return loaded.decoder.decode_parsed(ask.instances, ask.path, ask.single)
