"""When the rows of a span are of: as they say themselves, or when they were ingested."""

import re
from datetime import UTC, datetime

from stork.data.spans import Span
from stork.errors import DataError


def time_of(span: Span, column: str = "") -> datetime:
    """
    The latest time that a test row of the span has in `column`; without a column, when the span was made.

    Raises:
        DataError: the column is not there, no row has a value in it, or one is no time.
    """
    if not column:
        return span.manifest.created
    import pyarrow.parquet

    path = span.path("test")
    where = f"span {span.number} ({', '.join(span.manifest.source)}): {column}"
    if column not in pyarrow.parquet.read_schema(path).names:
        raise DataError(f"{where}: expected the column that [data] time names, it is not there")
    texts = pyarrow.parquet.read_table(path, columns=[column]).column(column).unique().to_pylist()
    try:
        times = [as_time(str(text)) for text in texts if text is not None]
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
    if not times:
        raise DataError(f"{where}: expected a year or a date in some row, received none")
    return max(times)


def as_time(text: str) -> datetime:
    """
    A year, also as 1994.0, or a date with or without a time; UTC where no zone is given.

    >>> as_time("1994").isoformat(), as_time("1994-05-01T12:00").isoformat()
    ('1994-01-01T00:00:00+00:00', '1994-05-01T12:00:00+00:00')

    Raises:
        ValueError: it is neither.
    """
    year = re.fullmatch(r"(\d{4})(\.0+)?", text.strip())  # some exports write whole numbers so
    try:
        found = datetime(int(year[1]), 1, 1) if year else datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"expected a year or a date, received {text!r}") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
