"""The sample: no figure of fewer rows than the declared cell, and drawn rows that look like the real ones."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from parcels import parcel_rows, parcels

from stork.config import PROJECT
from stork.data.sample import SampleTables, generate, load_sample, summarise
from stork.data.sources import Rows
from stork.declaration import Declaration
from stork.errors import DataError
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema


@pytest.fixture(scope="module")
def tables() -> SampleTables:
    """The tables of 2,000 made-up parcels, as read back from their JSON."""
    written = msgspec.json.encode(summarise(parcels(), parcel_rows(2000)))
    return msgspec.json.decode(written, type=SampleTables)


def counts(tables: SampleTables) -> Iterator[int]:
    """Every number of rows that stands in the tables."""
    for table in tables.tables:
        for frequencies in table.frequencies:
            yield from frequencies.counts
    yield from (cell.count for cell in tables.cells)
    yield from (offset.count for offset in tables.offsets)


def column(rows: Rows, name: str) -> "np.ndarray":
    """A column as floats, NaN where missing; a category as 0, 1, ... in the order of its values."""
    codes = {value: float(index) for index, value in enumerate(sorted({str(v) for v in rows.columns[name]}))}
    return np.array([np.nan if v is None else codes[v] if isinstance(v, str) else float(v) for v in rows.columns[name]])


def test_no_count_is_below_the_cell(tables: SampleTables) -> None:
    """Not one figure of the sample stands for fewer rows than `[sample] cell`."""
    assert min(counts(tables)) >= tables.cell == parcels().sample.cell


def test_the_shipped_sample_has_no_cell_under_10() -> None:
    """The same for the sample.json that is committed: nobody's birth can be read out of it."""
    tables = load_sample(PROJECT / "model" / "babyweight" / "sample.json")
    assert min(counts(tables)) >= tables.cell >= 10


def test_rare_values_are_left_out() -> None:
    """A value that fewer rows than a cell have is in no table, and so is never drawn."""
    rows = parcel_rows(2000)
    rows.columns["shop"][:9] = ["secret"] * 9
    assert "secret" not in msgspec.json.encode(summarise(parcels(), rows)).decode()


def test_a_range_holds_a_cell_or_more() -> None:
    """Rare numbers at the ends are pooled with their neighbours instead of standing alone."""
    rows = parcel_rows(2000)
    rows.columns["zone"] = [1] * 3 + [2] * 500 + [5] * 1480 + [9] * 17
    (table,) = (t for t in summarise(parcels(), rows).tables if t.feature == "zone")
    assert table.frequencies[0].levels == [(1, 2), (5, 5), (9, 9)]
    assert table.frequencies[0].counts == [503, 1480, 17]


def test_drawn_rows_have_the_shares_of_the_real_ones(tables: SampleTables) -> None:
    """Values, and missing ones, come as often as in the rows that were counted."""
    real, drawn = parcel_rows(2000), generate(parcels(), tables, 20_000, seed=1)
    for name in ("zone", "insured", "shop"):
        share = np.isnan(column(real, name)).mean()
        assert np.isnan(column(drawn, name)).mean() == pytest.approx(share, abs=0.02)
    assert drawn.columns["service"].count("fast") / 20_000 == pytest.approx(
        real.columns["service"].count("fast") / 2000, abs=0.02
    )


def test_drawn_labels_depend_on_the_features(tables: SampleTables) -> None:
    """Mean, spread and correlation of the label are those of the real rows."""
    real, drawn = parcel_rows(2000), generate(parcels(), tables, 20_000, seed=1)
    assert drawn.label.mean() == pytest.approx(real.label.mean(), rel=0.02)
    assert drawn.label.std() == pytest.approx(real.label.std(), rel=0.03)
    expected = np.corrcoef(column(real, "kilograms"), real.label)[0, 1]
    assert np.corrcoef(column(drawn, "kilograms"), drawn.label)[0, 1] == pytest.approx(expected, abs=0.03)


def test_one_seed_draws_one_sample(tables: SampleTables) -> None:
    """The same seed gives the same rows, another seed gives others; both say how they were made."""
    first, again, other = (generate(parcels(), tables, 100, seed) for seed in (1, 1, 2))
    assert first.columns == again.columns != other.columns
    assert first.source == ("100 rows generated from sample.json, seed 1",)


def test_drawn_rows_keep_the_declaration(declaration: Declaration, schema: Schema) -> None:
    """What is drawn from the shipped tables would be accepted as a request."""
    drawn = generate(declaration, load_sample(PROJECT / "model" / "babyweight" / "sample.json"), 2000, seed=3)
    assert len(Decoder(schema, 2000).decode(drawn.instances())) == 2000
    assert 0 < drawn.label.min() < drawn.label.max() < 20


def test_a_sample_needs_a_table_for_every_feature() -> None:
    """A declaration that does not say how a feature is counted is told which."""
    bare = msgspec.structs.replace(parcels(), sample=msgspec.structs.replace(parcels().sample, tables=()))
    with pytest.raises(DataError, match="kilograms"):
        summarise(bare, parcel_rows(100))


def test_without_a_sample_the_way_out_is_said() -> None:
    """A model without sample.json says how to give rows, or how to make one."""
    with pytest.raises(DataError, match="--data"):
        load_sample(PROJECT / "model" / "none" / "sample.json")
