"""Instances as pandas writes a frame to JSON, split into columns and data, or as records; NaN is a missing value."""

from typing import Any

from stork.errors import BadRequest
from stork.schema.feature import describe
from stork.schema.frozen import Schema
from stork.schema.instances import Columns
from stork.web.dialects.column_form import make_columns
from stork.web.dialects.envelope import kind_of
from stork.web.dialects.row_form import read_rows

SPLIT = ("columns", "index", "data")


def read_split(schema: Schema, frame: Any, path: str = "$.dataframe_split") -> Columns:
    """
    `{"columns": [names], "index": [any], "data": [rows]}` as columns; the index is not looked at.

    Raises:
        BadRequest: not such an object, a name twice, or a row of another length than the names.
    """
    if not isinstance(frame, dict) or not {"columns", "data"} <= frame.keys() <= set(SPLIT):
        raise BadRequest(f"{path}: expected an object of columns, data and perhaps index, received {kind_of(frame)}")
    names, rows = frame["columns"], frame["data"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
        raise BadRequest(f"{path}.columns: expected a list of names, received {kind_of(names)}")
    if len(set(names)) < len(names):
        raise BadRequest(f"{path}.columns: expected each name once, received {describe(names)}")
    if not isinstance(rows, list) or not rows:
        raise BadRequest(f"{path}.data: expected a list of at least one row, received {kind_of(rows)}")
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise BadRequest(f"{path}.data[{index}]: expected a list of {len(names)} values, received {kind_of(row)}")
    columns = (list(map(known, column)) for column in zip(*rows, strict=True))
    return make_columns(schema, dict(zip(names, columns, strict=True)))


def read_records(schema: Schema, values: Any) -> Any:
    """A list of objects as rows. Bytes are JSON without NaN, and stay bytes where rows do."""
    rows = read_rows(schema, values)
    if isinstance(rows, list):
        for row in rows:
            if isinstance(row, dict):
                row.update({name: None for name, value in row.items() if known(value) is None})
    return rows


def known(value: Any) -> Any:
    """The value, None for NaN."""
    return None if isinstance(value, float) and value != value else value
