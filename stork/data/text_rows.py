"""Rows that come one by one as JSON, kept as a Parquet file of text: ingestion then reads them as it reads a CSV."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CHUNK = 50_000  # rows in memory at a time


def as_text(value: Any) -> str | None:
    """
    A JSON value as a CSV file would have it; None where it is missing.

    >>> [as_text(value) for value in (True, 7.5, "a", None, [1])]
    ['true', '7.5', 'a', None, '[1]']
    """
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def write_text_rows(rows: Iterable[dict[str, Any]], names: list[str], path: Path) -> int:
    """Write these columns of all rows; how many rows there were. What a row lacks is missing."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(name, pyarrow.string()) for name in names])
    count = 0
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        chunk: list[dict[str, str | None]] = []
        for row in rows:
            chunk.append({name: as_text(row.get(name)) for name in names})
            count += 1
            if len(chunk) == CHUNK:
                writer.write_table(pyarrow.Table.from_pylist(chunk, schema))
                chunk = []
        writer.write_table(pyarrow.Table.from_pylist(chunk, schema))
    return count
