"""
CSV files as DuckDB reads them: columns and delimiter are taken from the header alone, nothing is guessed from rows.

So a row that does not fit the header is an error with its line, and never changes how the others are read.
"""

import csv
import gzip
import re
import zlib
from pathlib import Path

from stork.data.sql import literal, quoted
from stork.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
NO_TEXT = "\ufffd"  # what stands for bytes that are not UTF-8
LINE = re.compile(r"CSV Error on Line: (\d+)")
FILE = re.compile(r"^\s*file = (.+)$", re.MULTILINE)
# What DuckDB says of a line, and what is wrong with it.
FAULTS = (
    (
        re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)"),
        "expected {} values as in the header, received {}",
    ),
    (re.compile(r"(?i)invalid unicode|not utf-8"), "expected UTF-8, received other bytes"),
    (re.compile(r"(?i)unterminated quote"), "expected a quote that is closed, received none to the end of the file"),
)


def csv_sql(path: Path) -> str:
    """
    A SELECT over a CSV file, every column of which is text.

    Raises:
        DataError: it is empty, not UTF-8 or not compressed as its name says, or its header names a column twice.
    """
    delimiter, names = read_header(path)
    columns = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in names)
    dialect = f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', header = true, auto_detect = false"
    return f"SELECT * FROM read_csv({literal(str(path))}, columns = {{{columns}}}, {dialect})"


def read_header(path: Path) -> tuple[str, list[str]]:
    """
    The delimiter that makes most columns of the header, and their names; one without a name is `column` and its place.

    Raises:
        DataError: as for `csv_sql`.
    """
    found = max(((delimiter, first_record(path, delimiter)) for delimiter in DELIMITERS), key=lambda each: len(each[1]))
    delimiter, names = found[0], [name.strip() or f"column{place}" for place, name in enumerate(found[1])]
    if not names:
        raise DataError(f"{path.name}: expected a header and rows, received none")
    if any(NO_TEXT in name or "\0" in name for name in names):
        raise DataError(f"{path.name}, line 1: expected a header in UTF-8, received other bytes")
    folded = [name.lower() for name in names]  # SQL does not tell cases apart
    twice = [name for place, name in enumerate(names) if folded[place] in folded[:place]]
    if twice:
        raise DataError(f"{path.name}, line 1: expected every column once, received {', '.join(twice)} again")
    return delimiter, names


def first_record(path: Path, delimiter: str) -> list[str]:
    """The fields of the first line."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as stream:
            return next(csv.reader(stream, delimiter=delimiter), [])
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise DataError(f"{path.name}: {error}") from error


def explain_reading(error: Exception, files: str) -> str:
    """
    What DuckDB could not read, in a line: of a CSV file which line, what was expected and what received.

    >>> told = "CSV Error on Line: 7\\nExpected Number of Columns: 6 Found: 3\\n  file = /rows/may.csv"
    >>> explain_reading(Exception(told), "rows")
    'may.csv, line 7: expected 6 values as in the header, received 3'
    """
    told = str(error)
    line, file = LINE.search(told), FILE.search(told)
    for fault, words in FAULTS:
        if line and (found := fault.search(told)):
            name = Path(file[1]).name if file else files
            return f"{name}, line {line[1]}: {words.format(*found.groups())}"
    return f"{files}: {told.partition(chr(10) * 2)[0].strip()}"  # then come options, or our own SQL
