"""Reading rows: what is kept, what is refused and counted, and what is an error."""

import gzip
from pathlib import Path

import pytest
from parcels import HEADER, parcel_rows, parcels, write_csv

from stork.data.sources import read_rows
from stork.errors import DataError

GOOD = "1.5,2,slow,true,north,9"


def file_of(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_a_row_becomes_values_of_the_declared_kinds(tmp_path: Path) -> None:
    """Text of a CSV file becomes numbers, integers, booleans and strings; a whole number may be written 2.0."""
    rows = read_rows(parcels(), [file_of(tmp_path, "1.5,2.0,slow,true,north,9")])
    assert rows.columns == {
        "kilograms": [1.5], "zone": [2], "service": ["slow"], "insured": [True], "shop": ["north"]
    }  # fmt: skip
    assert rows.label.tolist() == [9.0]


@pytest.mark.parametrize("empty", ["", '""', " "])
def test_empty_text_is_missing(tmp_path: Path, empty: str) -> None:
    """An optional value that is empty is missing, never a made-up default."""
    rows = read_rows(parcels(), [file_of(tmp_path, f"1.5,{empty},slow,{empty},{empty},9", GOOD)])
    assert [column[0] for column in rows.columns.values()] == [1.5, None, "slow", None, None]


def test_other_columns_are_ignored(tmp_path: Path) -> None:
    """A column that the declaration does not name changes nothing."""
    path = file_of(tmp_path, GOOD + ",x", header=HEADER + ",other")
    assert list(read_rows(parcels(), [path]).columns) == HEADER.split(",")[:-1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",2,slow,true,north,9", "kilograms: missing"),
        ("nan,2,slow,true,north,9", "kilograms: missing"),
        ("heavy,2,slow,true,north,9", "kilograms: not of its type"),
        ("31,2,slow,true,north,9", "kilograms: outside 0 to 30"),
        ("1.5,2.5,slow,true,north,9", "zone: not of its type"),
        ("1.5,10,slow,true,north,9", "zone: outside 1 to 9"),
        ("1.5,2,walking,true,north,9", "service: outside its vocabulary"),
        ("1.5,2,slow,maybe,north,9", "insured: not of its type"),
        ("1.5,2,slow,true,north,", "cost: missing"),
        ("1.5,2,slow,true,north,101", "cost: outside 0 to 100"),
    ],
)
def test_a_row_that_breaks_the_declaration_is_refused_and_counted(tmp_path: Path, line: str, reason: str) -> None:
    """Such a row is left out, and the reason says which column and why."""
    rows = read_rows(parcels(), [file_of(tmp_path, GOOD, line, line)])
    assert len(rows) == 1
    assert rows.refused == {reason: 2}


def test_a_missing_column_is_an_error(tmp_path: Path) -> None:
    """A declared column that no file has is named, beside those expected."""
    path = file_of(tmp_path, "1.5,2", header="kilograms,zone")
    with pytest.raises(DataError, match="not there: service, insured, shop, cost"):
        read_rows(parcels(), [path])


def test_a_column_that_one_file_lacks_is_missing_there(tmp_path: Path) -> None:
    """Files are joined by column name: what one never had stays empty."""
    (tmp_path / "old").mkdir()
    old = file_of(tmp_path / "old", "1.5,slow,true,north,9", header="kilograms,service,insured,shop,cost")
    rows = read_rows(parcels(), [old, file_of(tmp_path, GOOD)])
    assert rows.columns["zone"] == [None, 2]


def test_a_condition_chooses_rows(tmp_path: Path) -> None:
    """`where` is SQL over the columns of the file, those that are no features too; the source says it was applied."""
    path = file_of(tmp_path, GOOD + ",1988", GOOD + ",1989", header=HEADER + ",year")
    rows = read_rows(parcels(), [path], where="year::int >= 1989")
    assert len(rows) == 1
    assert rows.source == ("rows.csv where year::int >= 1989",)


def test_no_path_of_the_machine_is_kept(tmp_path: Path) -> None:
    """Only the file's name is remembered, since the source goes into the published manifest."""
    assert read_rows(parcels(), [file_of(tmp_path, GOOD)]).source == ("rows.csv",)


def test_csv_gzip_and_parquet_agree(tmp_path: Path) -> None:
    """The same rows read from .csv, .csv.gz and .parquet are the same rows."""
    import duckdb

    plain = write_csv(tmp_path / "rows.csv", parcel_rows(50))
    packed, parquet = tmp_path / "rows.csv.gz", tmp_path / "rows.parquet"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    duckdb.sql(f"COPY (SELECT * FROM read_csv('{plain}')) TO '{parquet}' (FORMAT parquet)")
    expected = read_rows(parcels(), [plain])
    for path in (packed, parquet):
        read = read_rows(parcels(), [path])
        assert read.columns == expected.columns
        assert read.label.tolist() == expected.label.tolist()


@pytest.mark.parametrize(
    ("name", "where", "message"),
    [
        ("none.csv", "true", "no such file"),
        ("rows.txt", "true", "expected a .csv, .csv.gz or .parquet file"),
        ("rows.csv", "no_such_column = 1", "no_such_column"),
        ("rows.csv", "kilograms = '0'", "no row is left"),
    ],
)
def test_rows_that_cannot_be_read_are_an_error(tmp_path: Path, name: str, where: str, message: str) -> None:
    """What is wrong with the file or the condition is said, and no traceback of the reader gets out."""
    file_of(tmp_path, GOOD)
    (tmp_path / "rows.txt").touch()
    with pytest.raises(DataError, match=message):
        read_rows(parcels(), [tmp_path / name], where)
