"""
What is known of the rows of a span, column by column: plain figures, whose size does not grow with the rows.

Every number follows from what `accumulators` gathered, so it is the same in whatever order and places that was done.
"""

from typing import Literal

import msgspec

Kind = Literal["integer", "number", "boolean", "text", "nothing"]
ALL = "all"  # the split that holds every row that came, the refused ones too
LISTED = 100  # so many values are listed with their counts; of a column that has more, the most frequent
BUCKETS = 10  # of a histogram, as TFDV has


class Bucket(msgspec.Struct, frozen=True):
    """So many values from `low` to `high`; the last bucket holds its upper end, the others do not."""

    low: float
    high: float
    count: int


class Cells(msgspec.Struct, frozen=True):
    """How many numbers are in each cell of a grid, by the cells' places in ascending order; `cells.py` makes them."""

    shift: int = 0
    places: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()


class NumberStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """
    Of a column's numbers (a boolean counts as 0 or 1), all but `nans` and `infinities`, which are counted only.

    `quantiles` are the 11 deciles, the two ends included; `histogram` has 10 buckets of equal width. `cells` are what
    comparisons are made of: exact also where those two are estimates.
    """

    min: float
    max: float
    mean: float
    sd: float
    nans: int
    infinities: int
    quantiles: tuple[float, ...]
    histogram: tuple[Bucket, ...]
    cells: Cells


class ValueCount(msgspec.Struct, frozen=True):
    """How many values are this one, and the mean of the label there, where it is known."""

    value: str
    count: int
    label_mean: float | None = None


class ColumnStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """
    One column.

    `declared` is its kind in the declaration, empty where it is not declared; `kind` what its values are. `missing`
    counts rows without a value, `unparsed` values that are not of the declared kind, of which `strange` has a few;
    `min_values` and `max_values` how many values a row has that has any. `values` lists values with their counts: all
    of them if `complete`, else the most frequent. `exact` is false for a column of so many different values that
    `unique`, counts and quantiles are estimates. `label_correlation` is Pearson's, over the rows where both are known;
    None where it is no number.
    """

    name: str
    declared: str
    kind: Kind
    rows: int
    missing: int
    unparsed: int
    strange: tuple[str, ...]
    min_values: int
    max_values: int
    unique: int
    exact: bool
    complete: bool
    values: tuple[ValueCount, ...]
    numbers: NumberStatistics | None
    label_correlation: float | None

    @property
    def known(self) -> int:
        """How many rows have a value."""
        return self.rows - self.missing


class Agreement(msgspec.Struct, frozen=True):
    """In how many of the rows where both columns are known they are equal."""

    one: str
    other: str
    known: int
    equal: int


class SplitStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of some rows, in the order of the span's files, and which pairs agree in nearly all rows."""

    rows: int
    columns: tuple[ColumnStatistics, ...]
    agreements: tuple[Agreement, ...]

    def column(self, name: str) -> ColumnStatistics | None:
        """The column of this name."""
        return next((column for column in self.columns if column.name == name), None)


class SpanStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """
    A span: its splits by name (`train`, `eval`, `test`, `refused`, and `all`), and where its rows come from.

    `digest` is the SHA-256 of the span's manifest, `made_by` a hash of the code that made this.
    """

    model: str
    span: int
    digest: str
    made_by: str
    source: tuple[str, ...]
    refused: dict[str, int]
    splits: dict[str, SplitStatistics]
