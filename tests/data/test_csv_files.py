"""CSV files as they come: what is read whatever its form, and what is an error that says where."""

import gzip
from pathlib import Path

import pytest
from parcels import HEADER, parcels

from stork.data.sources import read_rows
from stork.errors import DataError

ROWS = [f"{place}.5,2,slow,true,north,9" for place in range(20)]
TEXT = "\n".join([HEADER, *ROWS]) + "\n"


def read(folder: Path, content: bytes, name: str = "rows.csv") -> int:
    """How many rows are accepted of such a file."""
    (folder / name).write_bytes(content)
    return len(read_rows(parcels(), [folder / name]))


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "\ufeff" + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace(",", ";"),
        TEXT.replace(",", "\t"),
        TEXT.replace(HEADER, HEADER.replace(",", ", ")),
        TEXT.replace(HEADER, HEADER.upper()),
        TEXT.replace("north", '"north, at\nthe corner"'),
        TEXT.replace("\n", "\n\n"),
        TEXT.removesuffix("\n"),
    ],
    ids=["plain", "bom", "crlf", "semicolons", "tabs", "spaces", "capitals", "quoted", "blank", "unended"],
)
def test_every_form_of_a_file_has_the_same_rows(tmp_path: Path, text: str) -> None:
    """Byte order mark, ends of lines, delimiter, quotes, case of names, blank lines: twenty rows are twenty."""
    assert read(tmp_path, text.encode()) == len(ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"rows\.csv: expected a header and rows, received none"),
        (f"{TEXT}1,1,slow\n{TEXT}".encode(), r"rows\.csv, line 22: expected 6 values as in the header, received 3"),
        (f"{TEXT}1,1,slow,true,a,9,x\n".encode(), r"rows\.csv, line 22: expected 6 values .*, received 7"),
        (f"{TEXT}1,1,slow,true,Zürich,9\n".encode("latin-1"), r"rows\.csv, line 22: expected UTF-8"),
        (TEXT.encode("utf-16"), r"rows\.csv, line 1: expected a header in UTF-8"),
        (f'{TEXT}1,1,slow,true,"a,9\n{TEXT}'.encode(), r"rows\.csv, line 22: expected a quote that is closed"),
        (TEXT.replace("zone", "Kilograms").encode(), r"line 1: expected every column once, received Kilograms again"),
    ],
    ids=["empty", "short", "long", "latin-1", "utf-16", "open quote", "twice"],
)
def test_what_is_no_table_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    """With file and line, what was expected and what received: a bad line never changes how others are read."""
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("content", [b"kilograms\n1\n", gzip.compress(TEXT.encode())[:-20]], ids=["plain", "cut"])
def test_a_broken_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    """What is not compressed, or was cut off, is not read as far as it goes."""
    with pytest.raises(DataError, match=r"rows\.csv\.gz: "):
        read(tmp_path, content, "rows.csv.gz")
