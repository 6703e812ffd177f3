"""Ingestion: a span is whole, append-only, in order, and says what it refused and why."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from parcels import HEADER, parcel_rows, parcels, write_csv

from stork.config import Settings
from stork.data.ingest import ingest
from stork.data.sources import Fetched, Rows
from stork.data.spans import SPLITS, Span, choose_spans, find_spans, list_spans, read_split, read_splits
from stork.data.split import fingerprints, key_sql, row_keys
from stork.declaration import Data
from stork.errors import DataError, NotFound

pytestmark = pytest.mark.tensorflow

Ingest = Callable[..., Span | None]


@pytest.fixture
def take(settings: Settings, tmp_path: Path) -> Ingest:
    """Ingest some text, or a file, as rows of the parcels."""

    def take(content: str | Path, where: str = "true", **declared: object) -> Span | None:
        path = content if isinstance(content, Path) else tmp_path / "rows.csv"
        if isinstance(content, str):
            path.write_text(content)
        scratch = tmp_path / f"scratch{len(list(tmp_path.iterdir()))}"
        scratch.mkdir()
        declaration = msgspec.structs.replace(parcels(), **declared)
        return ingest(settings, declaration, Fetched((path,), where), scratch)

    return take


def test_a_span_holds_every_row_once(take: Ingest, tmp_path: Path) -> None:
    """The splits together are the rows of the file, each in its order."""
    rows = parcel_rows(500)
    span = take(write_csv(tmp_path / "rows.csv", rows))

    assert span is not None
    found = [read_split(parcels(), [span], split).instances() for split in SPLITS]
    wanted = rows.instances()
    assert sorted(map(str, wanted)) == sorted(str(row) for split in found for row in split)
    assert found[0] == [row for row in wanted if row in found[0]]


def test_a_refused_row_is_kept_with_its_reason(take: Ingest) -> None:
    """As the source had it, all of its columns."""
    span = take(f"{HEADER},note\n1,1,slow,true,a,9,x\nheavy,1,slow,true,a,9,y\n99,1,slow,true,a,9,z\n")

    assert span is not None
    refused = pyarrow.parquet.read_table(span.path("refused")).to_pylist()
    assert [(row["kilograms"], row["note"], row["reason"]) for row in refused] == [
        ("heavy", "y", "kilograms: not of its type"),
        ("99", "z", "kilograms: outside 0 to 30"),
    ]
    assert span.manifest.refused == {"kilograms: not of its type": 1, "kilograms: outside 0 to 30": 1}


def test_refused_rows_can_be_put_right_and_taken(take: Ingest, tmp_path: Path) -> None:
    """They have ingestion's own column, `reason`, which the next span makes anew; it says that it left that out."""
    span = take(f"{HEADER}\n1,1,slow,true,a,9\n2,1,sail,true,a,9\n")
    assert span is not None
    path = tmp_path / "again.parquet"
    duckdb.sql(f"COPY (SELECT * REPLACE ('fast' AS service) FROM '{span.path('refused')}') TO '{path}'")
    again = take(path)

    assert again is not None and (sum(again.manifest.rows.values()), again.manifest.refused) == (1, {})
    assert again.manifest.left_out == ("reason",)


def test_names_of_columns_have_no_case(take: Ingest, tmp_path: Path) -> None:
    """As in SQL: a column is there however it is written, under its declared name."""
    path = tmp_path / "rows.parquet"
    duckdb.sql(f"COPY (SELECT 1 AS Kilograms, 'slow' AS SERVICE, 9 AS cost, 'x' AS Note) TO '{path}'")
    span = take(path)

    assert span is not None and span.manifest.absent == ("zone", "insured", "shop")
    (row,) = (row for split in SPLITS for row in pyarrow.parquet.read_table(span.path(split)).to_pylist())
    assert (row["kilograms"], row["service"], row["Note"]) == (1.0, "slow", "x")


def test_a_column_that_is_not_there_is_missing(take: Ingest) -> None:
    """An optional one in every row; a required one refuses them all, and the span says so."""
    header = HEADER.replace("zone,", "")
    optional = take(f"{header}\n1,slow,true,a,9\n")
    required = take(f"{HEADER.replace('service,', '')}\n1,1,true,a,9\n")

    assert optional is not None and sum(optional.manifest.rows.values()) == 1
    assert required is not None and required.manifest.refused == {"service: missing": 1}


def test_the_same_rows_are_not_taken_twice(take: Ingest, settings: Settings) -> None:
    """The same content and condition make no second span, whatever the file is called."""
    text = f"{HEADER}\n1,1,slow,true,a,9\n"
    assert take(text) is not None
    assert take(text) is None
    assert take(text, where="zone = '1'") is not None
    assert [span.number for span in list_spans(settings, "parcels")] == [1, 2]


def test_rows_read_again_do_not_count_twice(take: Ingest, settings: Settings) -> None:
    """After the declaration changed, the later span of the same file stands for the earlier one."""
    text = f"{HEADER}\n1,1,slow,true,a,9\n"
    take(text)
    take(text, data=Data(key=("shop",)))

    assert [span.number for span in choose_spans(list_spans(settings, "parcels"))] == [2]


def test_the_key_can_be_another_column(take: Ingest) -> None:
    """Rows of one entity stand on one side, though their features differ."""
    rows = "".join(f"{weight},1,slow,true,a,9,{weight % 7}\n" for weight in range(1, 29))
    span = take(f"{HEADER},customer\n{rows}", data=Data(key=("customer",)))

    assert span is not None
    sides = [set(pyarrow.parquet.read_table(span.path(split))["customer"].to_pylist()) for split in SPLITS]
    assert sum(map(len, sides)) == 7


def test_the_key_can_name_the_label(take: Ingest) -> None:
    """Its number is written as Python writes it, beside a feature and a column that is not declared."""
    rows = "1,1,slow,true,a,9.0,x\n2,,slow,true,a,9.25,y|z\n"
    span = take(f"{HEADER},customer\n{rows}", data=Data(key=("cost", "zone", "customer")))

    assert span is not None
    found = [row for split in SPLITS for row in pyarrow.parquet.read_table(span.path(split)).to_pylist()]
    keys = row_keys(Rows({"cost": [9.0, 9.25], "zone": [1, None], "customer": ["x", "y|z"]}, np.zeros(2), ()))
    assert keys == ["9|1|x", r"9.25||y\|z"]
    assert {row["cost"]: row["fingerprint"] for row in found} == dict(zip([9.0, 9.25], fingerprints(keys), strict=True))


def test_a_key_that_is_nowhere_is_an_error(take: Ingest) -> None:
    """The message names it and the columns there are."""
    with pytest.raises(DataError, match=r"\[data\] key: expected the columns customer; received kilograms, zone"):
        take(f"{HEADER}\n1,1,slow,true,a,9\n", data=Data(key=("customer",)))


@pytest.mark.parametrize(
    ("text", "message"), [(f"{HEADER}\n", "expected rows, received none"), ("", "expected a header")]
)
def test_nothing_is_no_span(take: Ingest, settings: Settings, text: str, message: str) -> None:
    """A file without rows is an error, and leaves nothing."""
    with pytest.raises(DataError, match=message):
        take(text)
    assert list_spans(settings, "parcels") == []


def test_a_span_that_is_not_there_is_named(take: Ingest, settings: Settings) -> None:
    """With those there are."""
    take(f"{HEADER}\n1,1,slow,true,a,9\n")
    with pytest.raises(NotFound, match="has no span 4; it has 1"):
        find_spans(settings, "parcels", [4])


def test_an_empty_split_is_an_error(take: Ingest) -> None:
    """Training says which split has no rows, and how many were refused."""
    span = take(f"{HEADER}\n1,1,slow,true,a,9\n99,1,slow,true,a,9\n")
    assert span is not None
    with pytest.raises(DataError, match=r"received none in .*spans: 1; 1 rows refused"):
        read_splits(parcels(), [span])


NUMBERS = st.floats(0, 30, allow_nan=False).map(lambda x: x + 0.0)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1)


ROWS = st.tuples(NUMBERS, st.integers(1, 9) | st.none(), st.just("slow"), st.booleans() | st.none(), TEXTS | st.none())
TYPES = (pyarrow.float64(), pyarrow.int64(), pyarrow.string(), pyarrow.bool_(), pyarrow.string())


@given(st.lists(ROWS, min_size=1))
@hypothesis_settings(max_examples=50, deadline=None)
def test_sql_and_python_agree_on_every_key(rows: list[tuple[object, ...]]) -> None:
    """Any decimal, any text, anything missing: SQL writes the key that Python does."""
    names = HEADER.split(",")[:-1]
    columns = {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    arrays = [pyarrow.array(column, kind) for column, kind in zip(columns.values(), TYPES, strict=True)]
    with duckdb.connect() as connection:
        connection.register("held", pyarrow.table(arrays, names=names))
        found = connection.execute(f"SELECT {key_sql(parcels())} FROM held").fetchall()

    assert [key for (key,) in found] == row_keys(Rows(columns, np.zeros(len(rows)), ()))


def test_several_values_in_a_row_are_refused_and_kept(take: Ingest, tmp_path: Path) -> None:
    """One value in a list is a value; a row of two is refused with both, and a list that is not declared stays one."""
    path = tmp_path / "rows.parquet"
    rows = "([1.5], [2], ['x', 'y'], 9), ([1.5], [2, 3], ['z'], 9), ([], [4], NULL, 9)"
    named = "t(kilograms, zone, tags, cost)"
    duckdb.sql(f"COPY (SELECT *, 'slow' AS service FROM (VALUES {rows}) {named}) TO '{path}' (FORMAT parquet)")
    span = take(path)

    assert span is not None
    assert span.manifest.refused == {"kilograms: missing": 1, "zone: several values": 1}
    refused = pyarrow.parquet.read_table(span.path("refused")).to_pylist()
    assert sorted((row["zone"], row["tags"]) for row in refused) == [([2, 3], ["z"]), ([4], None)]
    accepted = [row for split in SPLITS for row in pyarrow.parquet.read_table(span.path(split)).to_pylist()]
    assert [(row["kilograms"], row["zone"], row["tags"]) for row in accepted] == [(1.5, 2, ["x", "y"])]
