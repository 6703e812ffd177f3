"""Where rows come from: CSV and Parquet files, read by DuckDB."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stork.data.csv_files import csv_sql, explain_reading
from stork.data.sql import Part, judged_sql, literal, quoted
from stork.declaration import Declaration, Output
from stork.errors import DataError
from stork.schema.tensors import Column


@dataclass(frozen=True)
class Rows:
    """
    Rows that keep the declaration: features by column (None where missing), the label as float64, shape (n,).

    `refused` counts the rows left out, by the first thing wrong with each; `source` says where they come from.
    `weights` are what `[training] weight` names, shape (n,): what each row counts; None where all count the same.
    """

    columns: dict[str, Column]
    label: npt.NDArray[np.float64]
    source: tuple[str, ...]
    refused: dict[str, int] = field(default_factory=dict)
    weights: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.label)

    def select(self, mask: npt.NDArray[np.bool_]) -> "Rows":
        """The rows where `mask`, shape (n,), is true."""
        kept = np.flatnonzero(mask)
        columns = {name: [column[i] for i in kept] for name, column in self.columns.items()}
        weights = None if self.weights is None else self.weights[kept]
        return Rows(columns, self.label[kept], self.source, weights=weights)

    def instances(self) -> list[dict[str, Any]]:
        """The features of each row as a request would give them: what is missing is absent."""
        return [
            {name: value for name, value in zip(self.columns, values, strict=True) if value is not None}
            for values in zip(*self.columns.values(), strict=True)
        ]


@dataclass(frozen=True)
class Fetched:
    """
    Rows that wait to be read: the files that hold them, the SQL condition on them, and where they are from.

    `finish` is called once they are in a span; `note` says what else a person should know.
    """

    files: tuple[Path, ...]
    where: str = "true"
    said: str = ""
    note: str = ""
    finish: Callable[[], None] = lambda: None

    def describe(self) -> tuple[str, ...]:
        """A line for a person, without the folders of the machine."""
        condition = f" where {self.where}" if self.where != "true" else ""
        return ((self.said or describe(list(self.files))) + condition,)


def read_rows(declaration: Declaration, files: list[Path], where: str = "true") -> Rows:
    """
    The rows of the files for which the SQL condition `where` holds. Columns the declaration does not name are ignored.

    A row is refused when a required feature or the label is missing, or a value is outside its domain. In `where` every
    column of a CSV file is text (`year::int >= 1989`), and empty text is NULL.

    Raises:
        DataError: no such file, an unknown format, a column missing, a condition DuckDB does not take, or no row left.
    """
    import duckdb

    label = label_of(declaration)
    connection = duckdb.connect()
    try:
        connection.execute(f"CREATE VIEW source AS {union_of(files)}")
        check_columns(connection, [*declaration.features, label], files)
        good, refused = sort_out(connection, [*declaration.features, label], where)
    except duckdb.Error as error:
        raise DataError(explain_reading(error, describe(files))) from error
    rows = Rows(
        columns={feature.name: good[feature.name] for feature in declaration.features},
        label=np.array(good[label.name], np.float64),
        source=(f"{describe(files)} where {where}" if where != "true" else describe(files),),
        refused=refused,
    )
    if not len(rows):
        raise DataError(f"{rows.source[0]}: no row is left; refused: {refused or 'none'}")
    return rows


def check_columns(connection: Any, parts: list[Part], files: list[Path]) -> None:
    """
    Raises:
        DataError: a declared column is in none of the files.
    """
    present = {row[0].lower() for row in connection.execute("DESCRIBE source").fetchall()}
    missing = [part.name for part in parts if part.name.lower() not in present]
    if missing:
        expected = ", ".join(part.name for part in parts)
        raise DataError(f"{describe(files)}: expected the columns {expected}; not there: {', '.join(missing)}")


def sort_out(connection: Any, parts: list[Part], where: str) -> tuple[dict[str, Column], dict[str, int]]:
    """The columns of the rows that keep the declaration, and how many do not, by the first thing wrong with each."""
    connection.execute(f"CREATE TABLE checked AS {judged_sql(parts, [], where)}")
    counted = connection.execute(
        "SELECT reason, count(*) FROM checked WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    names = ", ".join(quoted(part.name) for part in parts)
    good = connection.sql(f"SELECT {names} FROM checked WHERE reason IS NULL").to_arrow_table().to_pydict()
    return good, dict(counted)


def label_of(declaration: Declaration) -> Output:
    """
    The output that is learned.

    Raises:
        DataError: the declaration names none, or has others besides, which nothing would learn.
    """
    wanted = declaration.training.label
    if [output.name for output in declaration.outputs] != [wanted]:
        names = ", ".join(output.name for output in declaration.outputs)
        raise DataError(
            f"{declaration.model.name}: expected one output, the one that [training] label names; "
            f"received the outputs {names} and the label {wanted!r}"
        )
    return declaration.outputs[0]


def union_of(files: list[Path]) -> str:
    """A SELECT over all files; a column that one file does not have is empty there, never made up."""
    selects = []
    for path in files:
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        suffix = path.suffix.lower()
        if suffix not in (".csv", ".gz", ".parquet"):
            raise DataError(f"{path}: expected a .csv, .csv.gz or .parquet file")
        is_parquet = suffix == ".parquet"
        selects.append(f"SELECT * FROM read_parquet({literal(str(path))})" if is_parquet else csv_sql(path))
    return " UNION ALL BY NAME ".join(selects)


def describe(files: list[Path]) -> str:
    """The files by name, without the folders of the machine they were read on."""
    return ", ".join(path.name for path in files)
