"""The instances of a request: by column as some clients send them, and checked as a backend takes them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from stork.schema.tensors import Column, Tensors


class Rows(Protocol):
    """Instances one by one: structs or dicts of the features given, as JSON would write them."""

    def __len__(self) -> int: ...

    def __getitem__(self, wanted: slice, /) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Columns:
    """
    Instances by column: feature name -> its values as JSON would hold them, one per instance; None where missing.

    A string may be bytes, which JSON cannot hold: whoever makes the columns has them from base64 or a binary body.
    The lists are of one length, at least 1: whoever makes them has seen to it.
    """

    values: dict[str, Column]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self[:])

    def __getitem__(self, wanted: slice) -> list[dict[str, Any]]:
        """Some instances as dicts of the features given: what the log keeps."""
        columns = [column[wanted] for column in self.values.values()]
        rows = list(map(dict, map(zip, itertools.repeat(self.values), zip(*columns, strict=True))))
        if any(None in column for column in columns):
            rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
        return rows


@dataclass(frozen=True, slots=True)
class Instances:
    """
    Checked instances of one request.

    `rows` are the features as they were given, `tensors` what the model takes.
    """

    rows: Rows
    tensors: Tensors

    def __len__(self) -> int:
        return len(self.rows)
