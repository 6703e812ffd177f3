"""Training rows from CSV or Parquet files, held to the declaration; DuckDB does the reading."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stork.declaration import Declaration, Feature, Output
from stork.errors import DataError
from stork.schema.frozen import numeric_limits
from stork.schema.tensors import Column

FORMATS = {".csv": "read_csv", ".gz": "read_csv", ".parquet": "read_parquet"}


@dataclass(frozen=True)
class Rows:
    """
    Rows that keep the declaration: features by column (None where missing), the label as float64, shape (n,).

    `refused` counts the rows left out, by the first thing wrong with each; `source` says where they come from.
    """

    columns: dict[str, Column]
    label: npt.NDArray[np.float64]
    source: tuple[str, ...]
    refused: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.label)

    def select(self, mask: npt.NDArray[np.bool_]) -> "Rows":
        """The rows where `mask`, shape (n,), is true."""
        kept = np.flatnonzero(mask)
        columns = {name: [column[i] for i in kept] for name, column in self.columns.items()}
        return Rows(columns, self.label[kept], self.source)


def read_rows(declaration: Declaration, files: list[Path], where: str = "true") -> Rows:
    """
    The rows of the files for which the SQL condition `where` holds. Columns the declaration does not name are ignored.

    A row is refused when a required feature or the label is missing, or a value is outside its domain.

    Raises:
        DataError: no such file, an unknown format, a column missing, a condition DuckDB does not take, or no row left.
    """
    import duckdb

    connection = duckdb.connect()
    label = label_of(declaration)
    names = [feature.name for feature in declaration.features]
    try:
        connection.execute(f"CREATE VIEW source AS {union_of(files)}")
        present = {row[0] for row in connection.execute("DESCRIBE source").fetchall()}
        missing = [name for name in (*names, label.name) if name not in present]
        if missing:
            raise DataError(f"{describe(files)}: expected the columns {', '.join(names)}, {label.name}; "
                            f"not there: {', '.join(missing)}")  # fmt: skip
        parts: list[Feature | Output] = [*declaration.features, label]
        typed = ", ".join(f"{typed_sql(part)} AS {quoted(part.name)}" for part in parts)
        checks = " ".join(f"WHEN {test} THEN {literal(reason)}" for part in parts for test, reason in checks_of(part))
        held = ", ".join(f"{quoted(part.name)} IS NOT NULL AS {quoted('held ' + part.name)}" for part in parts)
        connection.execute(
            f"CREATE TABLE checked AS WITH typed AS (SELECT {typed}, {held} FROM source WHERE {where}) "
            f"SELECT *, CASE {checks} END AS reason FROM typed"
        )
        counted = connection.execute("SELECT reason, count(*) FROM checked GROUP BY 1 ORDER BY 2 DESC").fetchall()
        chosen = ", ".join(quoted(part.name) for part in parts)
        good = connection.sql(f"SELECT {chosen} FROM checked WHERE reason IS NULL").to_arrow_table().to_pydict()
    except duckdb.Error as error:
        raise DataError(f"{describe(files)}: {error}") from error
    rows = Rows(
        columns={name: good[name] for name in names},
        label=np.array(good[label.name], np.float64),
        source=(f"{describe(files)} where {where}" if where != "true" else describe(files),),
        refused={reason: count for reason, count in counted if reason is not None},
    )
    if not len(rows):
        raise DataError(f"{describe(files)}: no row is left; refused: {rows.refused or 'none'}")
    return rows


def label_of(declaration: Declaration) -> Output:
    """
    The output that is learned.

    Raises:
        DataError: the declaration names none.
    """
    for output in declaration.outputs:
        if output.name == declaration.training.label:
            return output
    raise DataError(f"{declaration.model.name}: [training] label names no output; expected one to learn")


def union_of(files: list[Path]) -> str:
    """A SELECT over all files; a column that one file does not have is empty there, never made up."""
    selects = []
    for path in files:
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        reader = FORMATS.get(path.suffix)
        if reader is None:
            raise DataError(f"{path}: expected a .csv, .csv.gz or .parquet file")
        options = ", all_varchar = true" if reader == "read_csv" else ""
        selects.append(f"SELECT * FROM {reader}({literal(str(path))}{options})")
    return " UNION ALL BY NAME ".join(selects)


def typed_sql(part: Feature | Output) -> str:
    """A column as the feature's own type; NULL where it is empty or of another type."""
    text = f"nullif(trim({quoted(part.name)}::VARCHAR), '')"
    if isinstance(part, Feature) and (part.kind == "string" or has_text_values(part)):
        return text
    if isinstance(part, Feature) and part.kind == "boolean":
        return f"try_cast({text} AS BOOLEAN)"
    number = f"try_cast({text} AS DOUBLE)"
    if isinstance(part, Feature) and part.kind in ("integer", "category"):
        return f"CASE WHEN {number} = trunc({number}) THEN {number}::BIGINT END"
    return number


def checks_of(part: Feature | Output) -> list[tuple[str, str]]:
    """SQL conditions that refuse a row, each with its reason; they read the typed column."""
    name = quoted(part.name)
    found = []
    if isinstance(part, Output) or part.required:
        found.append((f"{name} IS NULL", f"{part.name}: missing, or not of its type"))
    else:
        found.append((f"{name} IS NULL AND {quoted('held ' + part.name)}", f"{part.name}: not of its type"))
    if isinstance(part, Feature) and part.values and part.kind != "boolean":
        listed = ", ".join(literal(value.value) for value in part.values)
        found.append((f"{name} NOT IN ({listed})", f"{part.name}: outside its vocabulary"))
    elif isinstance(part, Output) or part.kind in ("number", "integer"):
        low, high = numeric_limits(part)
        found.append((f"NOT {name} BETWEEN {low} AND {high}", f"{part.name}: outside {low:g} to {high:g}"))
    return found


def has_text_values(feature: Feature) -> bool:
    return bool(feature.values) and isinstance(feature.values[0].value, str)


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """An SQL literal."""
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def describe(files: list[Path]) -> str:
    """The files by name, without the folders of the machine they were read on."""
    return ", ".join(path.name for path in files)
