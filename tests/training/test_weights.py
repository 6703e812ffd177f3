"""Rows that count more than others, and spans that do not have the same columns."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from parcels import HEADER, parcel_rows, parcels, write_csv

from stork.config import Settings
from stork.data.ingest import ingest
from stork.data.sources import Fetched, Rows
from stork.data.spans import Span, read_split, read_splits
from stork.declaration import Declaration
from stork.errors import DataError
from stork.schema.frozen import Schema
from stork.training.trainer import Trained, train_model
from stork.training.transform import encode_rows, fit_constants

pytestmark = pytest.mark.tensorflow

SCHEMA = Schema.of(parcels())
WEIGHTED = msgspec.structs.replace(
    parcels(), training=msgspec.structs.replace(parcels().training, weight="times", epochs=4, batch_size=32)
)


def take(home: Path, content: str, declaration: Declaration = WEIGHTED) -> Span:
    """A span of these lines of CSV."""
    path = home / f"rows-{len(list(home.iterdir()))}.csv"
    path.write_text(content)
    scratch = path.with_suffix("")
    scratch.mkdir()
    span = ingest(Settings(root=home / "var"), declaration, Fetched((path,)), scratch)
    assert span is not None
    return span


def weighted_lines(home: Path, weight: str) -> str:
    """A hundred rows, each of which has this weight."""
    head, *lines = write_csv(home / "plain.csv", parcel_rows(100)).read_text().splitlines()
    return "\n".join([f"{head},times", *(f"{line},{weight}" for line in lines)])


def train(rows: Rows, stop: Rows) -> Trained:
    """A small model of these rows."""
    return train_model(SCHEMA, WEIGHTED.training, fit_constants(SCHEMA, "cost", rows), rows, stop)


def test_a_span_keeps_the_weights(tmp_path: Path) -> None:
    """The column that [training] weight names is read with the rows, as numbers."""
    rows = read_split(WEIGHTED, [take(tmp_path, weighted_lines(tmp_path, "2.5"))], "train")
    assert rows.weights is not None and rows.weights.tolist() == [2.5] * len(rows)


@pytest.mark.parametrize(
    ("weight", "received"), [("", "nothing"), ("-1", "'-1'"), ("many", "'many'"), ("nan", "'nan'")]
)
def test_a_row_without_a_weight_is_an_error(tmp_path: Path, weight: str, received: str) -> None:
    """Missing, negative or no number: the span, the file, the row and the value are named."""
    span = take(tmp_path, weighted_lines(tmp_path, weight))
    expected = f"span 1 .*train.parquet, row 1: times: expected a weight of 0 or more, received {received}"
    with pytest.raises(DataError, match=expected):
        read_split(WEIGHTED, [span], "train")


def test_test_rows_need_no_weight(tmp_path: Path) -> None:
    """Versions are scored on all spans there are, also on those from before anybody weighted rows."""
    rows = read_split(WEIGHTED, [take(tmp_path, weighted_lines(tmp_path, ""))], "test")
    assert len(rows) and rows.weights is None


def test_a_span_without_the_column_of_weights_is_an_error(tmp_path: Path) -> None:
    """Rows that all count the same would be taken for weighted ones."""
    span = take(tmp_path, write_csv(tmp_path / "plain.csv", parcel_rows(100)).read_text())
    with pytest.raises(DataError, match=r"span 1 .*expected the column 'times', which .training. weight names"):
        read_split(WEIGHTED, [span], "eval")


def test_a_row_that_counts_nothing_teaches_nothing() -> None:
    """With rows of nonsense at weight 0 the model is as good as without them, and far from what they say."""
    good, nonsense, stop = parcel_rows(600), parcel_rows(600, seed=5), parcel_rows(100, seed=1)
    columns = {name: good.columns[name] + nonsense.columns[name] for name in good.columns}
    label, weights = np.concatenate([good.label, 100 - nonsense.label]), np.repeat([1.0, 0.0], 600)
    error = train(Rows(columns, label, (), weights=weights), stop).predict(encode_rows(SCHEMA, stop)) - stop.label
    assert np.sqrt(np.mean(error**2)) < 3.0


def test_stopping_heeds_the_weights() -> None:
    """The error on eval is that of the rows that count."""
    rows, stop = parcel_rows(200), parcel_rows(100, seed=1)
    weights = np.arange(100) % 2.0
    error = train(rows, Rows(stop.columns, stop.label, (), weights=weights)).history[0].eval_rmse
    assert error == pytest.approx(train(rows, stop.select(weights > 0)).history[0].eval_rmse, rel=1e-5)


def test_rows_that_all_count_nothing_are_an_error() -> None:
    """There is nothing to learn from."""
    rows = parcel_rows(50)
    with pytest.raises(DataError, match="expected a row whose weight is more than 0"):
        train(Rows(rows.columns, rows.label, ("made up",), weights=np.zeros(50)), rows)


def test_spans_of_different_columns_train_together(tmp_path: Path) -> None:
    """A span that lacks an optional column, and one that has a column nobody declared: both are learned from."""
    whole = take(tmp_path, write_csv(tmp_path / "plain.csv", parcel_rows(300)).read_text(), parcels())
    lines = [f"{kilograms},slow,{2 + kilograms},x" for kilograms in range(20)]
    other = take(tmp_path, "\n".join(["kilograms,service,cost,colour", *lines]), parcels())
    rows = read_splits(parcels(), [whole, other]).train
    assert list(rows.columns) == HEADER.split(",")[:-1] and rows.columns["shop"][-1] is None
    assert np.isfinite(train(rows, parcel_rows(50)).history[-1].eval_rmse)
