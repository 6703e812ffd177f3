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

Part = Feature | Output  # whatever is a column of the rows
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

    def instances(self) -> list[dict[str, Any]]:
        """The features of each row as a request would give them: what is missing is absent."""
        return [
            {name: value for name, value in zip(self.columns, values, strict=True) if value is not None}
            for values in zip(*self.columns.values(), strict=True)
        ]


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
        raise DataError(f"{describe(files)}: {error}") from error
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
    present = {row[0] for row in connection.execute("DESCRIBE source").fetchall()}
    missing = [part.name for part in parts if part.name not in present]
    if missing:
        expected = ", ".join(part.name for part in parts)
        raise DataError(f"{describe(files)}: expected the columns {expected}; not there: {', '.join(missing)}")


def sort_out(connection: Any, parts: list[Part], where: str) -> tuple[dict[str, Column], dict[str, int]]:
    """The columns of the rows that keep the declaration, and how many do not, by the first thing wrong with each."""
    typed = ", ".join(f"{typed_sql(part)} AS {quoted(part.name)}" for part in parts)
    held = ", ".join(f"{text_sql(part)} IS NOT NULL AS {quoted('held ' + part.name)}" for part in parts)
    checks = " ".join(f"WHEN {test} THEN {literal(reason)}" for part in parts for test, reason in checks_of(part))
    connection.execute(
        f"CREATE TABLE checked AS WITH chosen AS (SELECT * FROM source WHERE {where}), "
        f"typed AS (SELECT {typed}, {held} FROM chosen) SELECT *, CASE {checks} END AS reason FROM typed"
    )
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
        reader = FORMATS.get(path.suffix.lower())
        if reader is None:
            raise DataError(f"{path}: expected a .csv, .csv.gz or .parquet file")
        options = ", all_varchar = true, header = true" if reader == "read_csv" else ""
        selects.append(f"SELECT * FROM {reader}({literal(str(path))}{options})")
    return " UNION ALL BY NAME ".join(selects)


def is_text(part: Part) -> bool:
    """Whether the column holds text, and not a number or a boolean."""
    return isinstance(part, Feature) and (
        part.kind == "string" or (bool(part.values) and isinstance(part.values[0].value, str))
    )


def text_sql(part: Part) -> str:
    """A column as text; NULL where it is empty, or a number that is NaN, which is how some writers spell missing."""
    text = f"nullif(trim({quoted(part.name)}::VARCHAR), '')"
    return text if is_text(part) else f"CASE WHEN lower({text}) <> 'nan' THEN {text} END"


def typed_sql(part: Part) -> str:
    """A column as the feature's own type; NULL where it is missing or of another type."""
    text = text_sql(part)
    if is_text(part):
        return text
    if isinstance(part, Feature) and part.kind == "boolean":
        return f"try_cast({text} AS BOOLEAN)"
    number = f"try_cast({text} AS DOUBLE)"
    if isinstance(part, Feature) and part.kind in ("integer", "category"):
        return f"CASE WHEN {number} = trunc({number}) THEN try_cast({text} AS BIGINT) END"
    return number


def checks_of(part: Part) -> list[tuple[str, str]]:
    """SQL conditions that refuse a row, each with its reason; they read the typed column."""
    name = quoted(part.name)
    found = [(f"{name} IS NULL AND {quoted('held ' + part.name)}", f"{part.name}: not of its type")]
    if isinstance(part, Output) or part.required:
        found.append((f"{name} IS NULL", f"{part.name}: missing"))
    if isinstance(part, Feature) and part.values and part.kind != "boolean":
        listed = ", ".join(literal(value.value) for value in part.values)
        found.append((f"{name} NOT IN ({listed})", f"{part.name}: outside its vocabulary"))
    elif isinstance(part, Output) or part.kind in ("number", "integer"):
        low, high = numeric_limits(part)
        found.append((f"NOT {name} BETWEEN {low} AND {high}", f"{part.name}: outside {low:g} to {high:g}"))
    return found


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """An SQL literal."""
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def describe(files: list[Path]) -> str:
    """The files by name, without the folders of the machine they were read on."""
    return ", ".join(path.name for path in files)
