"""Rows from BigQuery: the real client, the queries of the repository, on a loopback server that runs them in DuckDB."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from bigquery_server import BigQueryServer, bigquery

from stork.config import PROJECT, Settings
from stork.data.bigquery import key_query, select_rows
from stork.data.fetch import Fetcher, write_rows
from stork.data.ingest import ingest
from stork.data.sample import generate, load_sample
from stork.data.sources import Rows
from stork.data.spans import SPLITS
from stork.data.split import bucket_of, fingerprints, row_keys
from stork.declaration import Data, Declaration, Source
from stork.errors import DataError

pytestmark = pytest.mark.tensorflow

HOME = PROJECT / "model" / "babyweight"
QUERY = (HOME / "rows.sql").read_text()
ROWS = 300


@pytest.fixture(scope="module")
def births(declaration: Declaration, tmp_path_factory: pytest.TempPathFactory) -> pyarrow.Table:
    """Generated births with a year and a month, in BigQuery's schema."""
    rows = generate(declaration, load_sample(HOME / "sample.json"), ROWS, seed=3)
    path = write_rows(declaration, rows, tmp_path_factory.mktemp("births") / "births.parquet")
    table = pyarrow.parquet.read_table(path)
    month = pyarrow.array([1 + place % 12 for place in range(ROWS)])
    return table.append_column("year", pyarrow.array([1995] * ROWS)).append_column("month", month)


@pytest.fixture(scope="module")
def hashes(declaration: Declaration, births: pyarrow.Table) -> dict[str, int]:
    """The fingerprint of every text that is asked for: that of rows.sql, and the rows' keys."""
    sampled = [f"{row['year']}-{row['month']}-{row['weight_pounds']}-{row['mother_age']}" for row in births.to_pylist()]
    rows = generate(declaration, load_sample(HOME / "sample.json"), ROWS, seed=3)
    labelled = Rows({"label": rows.label.tolist(), "age": rows.columns["mother_age"]}, rows.label, ())
    texts = sampled + row_keys(rows) + row_keys(labelled)
    return dict(zip(texts, fingerprints(texts).tolist(), strict=True))


@pytest.fixture
def service(births: pyarrow.Table, hashes: dict[str, int]) -> Iterator[BigQueryServer]:
    """BigQuery with those births; a query takes a moment."""
    with bigquery(births, hashes, busy=2) as running:
        yield running


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    found: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return found


def test_the_query_of_the_repository_selects_rows(
    service: BigQueryServer, births: pyarrow.Table, hashes: dict[str, int], tmp_path: Path
) -> None:
    """The condition on the fingerprint holds for exactly the rows that Python says."""
    widened = QUERY.replace("1000\n  ) = 0", "10\n  ) = 0")
    assert widened != QUERY
    count = select_rows(service.url, "p", widened, tmp_path / "rows.parquet")

    texts = [f"{row['year']}-{row['month']}-{row['weight_pounds']}-{row['mother_age']}" for row in births.to_pylist()]
    wanted = bucket_of(np.array([hashes[text] for text in texts]), 10) == 0
    assert 0 < count == wanted.sum() and len(read(tmp_path / "rows.parquet")) == count


@pytest.mark.parametrize("key", [(), ("weight_pounds", "mother_age")])
def test_sql_there_and_python_here_agree_on_every_split(
    service: BigQueryServer, declaration: Declaration, settings: Settings, tmp_path: Path, key: tuple[str, ...]
) -> None:
    """The key, its fingerprint and its bucket as BigQuery computes them, row for row, page after page."""
    declaration = msgspec.structs.replace(declaration, data=Data(key=key))
    query = key_query(declaration, "SELECT * FROM `bigquery-public-data.samples.natality`")
    path = tmp_path / "keyed.parquet"
    assert select_rows(service.url, "p", query, path) == ROWS
    scratch = tmp_path / "span"
    scratch.mkdir()
    fetched = Fetcher(settings, declaration, HOME, tmp_path).fetch(Source(files=(str(path),)))
    span = ingest(settings, declaration, fetched, scratch)

    assert span is not None and sum(span.manifest.rows.values()) == ROWS
    chosen = {"eval": ["8"], "test": ["9"], "train": [str(bucket) for bucket in range(8)]}
    for split in SPLITS:
        for row in read(span.path(split)):
            assert str(row["fingerprint"]) == row["stork_fingerprint"] and row["stork_bucket"] in chosen[split]


def test_a_declared_query_is_ingested(service: BigQueryServer, declaration: Declaration, tmp_path: Path) -> None:
    """The source says which query of which project its rows are from."""
    settings = Settings(root=tmp_path / "var", bigquery_api=service.url)
    (tmp_path / "all.sql").write_text("SELECT * FROM `bigquery-public-data.samples.natality`")
    fetched = Fetcher(settings, declaration, tmp_path, tmp_path).fetch(Source(bigquery="all.sql", project="mine"))
    assert fetched.describe() == ("300 rows of BigQuery, all.sql in mine",)


@pytest.mark.parametrize(
    ("query", "message"),
    [("SELECT nothing FROM nowhere", "bigquery: 400 Syntax error"), ("SELEKT", "bigquery: 400 Syntax error")],
)
def test_a_refused_query_says_why(service: BigQueryServer, tmp_path: Path, query: str, message: str) -> None:
    """In the service's own words."""
    with pytest.raises(DataError, match=message):
        select_rows(service.url, "p", query, tmp_path / "rows.parquet")


def test_a_query_that_is_not_there_is_named(declaration: Declaration, settings: Settings, tmp_path: Path) -> None:
    """Nothing is asked of the service."""
    with pytest.raises(DataError, match=r"missing\.sql: no such file"):
        Fetcher(settings, declaration, tmp_path, tmp_path).fetch(Source(bigquery="missing.sql", project="p"))


def test_a_service_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Nobody listens at the port: one line, after the client's own tries."""
    with pytest.raises(DataError, match="bigquery gives no answer: ConnectionRefusedError"):
        select_rows("http://127.0.0.1:9", "p", "SELECT 1", tmp_path / "rows.parquet")
