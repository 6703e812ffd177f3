"""A row that shows an anomaly, from the files of its span; values of features that the log omits are masked."""

from typing import Any

from stork.data.anomalies import Anomaly, Comparison, Example
from stork.data.concealing import MASK
from stork.data.ingest import FINGERPRINT
from stork.data.spans import REFUSED, SPLITS, Span
from stork.data.sql import literal, quoted
from stork.declaration import Declaration

REASONS = {4: "not of its type", 5: "missing", 6: "several values"}


class ExampleFinder:
    """Looks for rows of a span."""

    def __init__(self, span: Span, declaration: Declaration) -> None:
        self.span = span
        self.hidden = declaration.log.hidden

    def find(self, anomaly: Anomaly, comparison: Comparison | None = None) -> Example | None:
        """The first row that shows it; None where no single row does."""
        for file, condition in self.places(anomaly, comparison):
            found = self.first(file, condition)
            if found is not None:
                return found
        return None

    def places(self, anomaly: Anomaly, comparison: Comparison | None) -> list[tuple[str, str]]:
        """Files and SQL conditions, in the order in which they are tried."""
        name = quoted(anomaly.column)
        if not anomaly.column:
            return []
        if comparison is not None and comparison.measure == "fraction_present":
            fewer = (
                comparison.treatment.known * comparison.control.rows
                < comparison.control.known * comparison.treatment.rows
            )
            return [(split, f"{name} IS {'NULL' if fewer else 'NOT NULL'}") for split in (*SPLITS, REFUSED)]
        if comparison is not None:
            value = "" if anomaly.column in self.hidden else comparison.largest  # a hidden one is only numbered
            return [(split, f"{name}::VARCHAR = {literal(value)}") for split in SPLITS if value]
        if anomaly.name == "SCHEMA_NEW_COLUMN":
            return [(split, f"{name} IS NOT NULL") for split in (*SPLITS, REFUSED)]
        if anomaly.name == "SCHEMA_MISSING_COLUMN":  # every row shows it, and files may not have the column at all
            return [(file, "true") for file in (*SPLITS, REFUSED)]
        if anomaly.question in (2, 5):
            return [(file, f"{name} IS NULL") for file in (*SPLITS, REFUSED)]
        reason = f"{anomaly.column}: {REASONS.get(anomaly.question, 'outside')}"
        return [(REFUSED, f"starts_with(reason, {literal(reason)})")]

    def first(self, file: str, condition: str) -> Example | None:
        """The first row of a file where the condition holds."""
        import duckdb

        path = self.span.path(file)
        if not path.is_file():
            return None
        with duckdb.connect() as connection:
            source = f"read_parquet({literal(str(path))}, file_row_number = true)"
            cursor = connection.execute(f"SELECT * FROM {source} WHERE {condition} ORDER BY file_row_number LIMIT 1")
            names = [column[0] for column in cursor.description]
            row = cursor.fetchone()
        if row is None:
            return None
        values: dict[str, Any] = dict(zip(names, row, strict=True))
        number = values.pop("file_row_number") + 1
        values.pop(FINGERPRINT, None)
        shown = {name: MASK if name in self.hidden else value for name, value in values.items() if value is not None}
        return Example(span=self.span.number, file=path.name, row=number, values=shown)
