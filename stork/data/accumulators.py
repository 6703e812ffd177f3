"""
What is gathered of one column: values counted exactly while there are few different ones, sketched beyond that.

Parts merge in any order.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stork.data.coding import SORTS, Coded, Floats, Integers, Sort, Values, read_values
from stork.data.sketches import Sketches

DISTINCT = 20_000
STRANGE = 5  # so many are kept


@dataclass
class Moments:
    """
    Of pairs (x, y): how many, the means, and the sums of squares and products of the differences from them.

    They merge by the formula of Chan, Golub and LeVeque, which loses no digits to large means.
    """

    count: int = 0
    mean_x: float = 0.0
    mean_y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    @classmethod
    def of(cls, x: Floats, weights: Floats, y: "Labels | None" = None) -> "Moments":
        """Of so many (`weights`) of each x, both of shape (k,), and the labels there (none: y is x)."""
        count = float(weights.sum())
        if not count:
            return cls()
        mean_x = float((weights * x).sum()) / count
        dx = x - mean_x
        xx = float((weights * dx * dx).sum())
        if y is None:
            return cls(int(count), mean_x, mean_x, xx, xx, xx)
        mean_dy = float(y.sums.sum()) / count  # of what is left when y.mean is taken away
        yy = float(y.squares.sum()) - count * mean_dy * mean_dy
        return cls(int(count), mean_x, y.mean + mean_dy, xx, yy, float((dx * y.sums).sum()))

    def merge(self, other: "Moments") -> None:
        """The pairs of the other, too."""
        count = self.count + other.count
        if not count:
            return
        dx, dy = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        share, crossed = other.count / count, self.count * other.count / count
        self.mean_x += dx * share
        self.mean_y += dy * share
        self.xx += other.xx + dx * dx * crossed
        self.yy += other.yy + dy * dy * crossed
        self.xy += other.xy + dx * dy * crossed
        self.count = count


@dataclass(frozen=True)
class Labels:
    """The label by value of a column, shape (k,): in how many rows it is known, sums of what differs from `mean`."""

    mean: float
    counts: Integers
    sums: Floats
    squares: Floats

    @classmethod
    def of(cls, coded: Coded, label: Floats) -> "Labels":
        """The labels, shape (n,), of the rows of a column, NaN where it is not known."""
        labels = label[coded.rows]
        known = np.isfinite(labels)
        codes, labels, k = coded.codes[known], labels[known], len(coded.values.texts)
        mean = float(labels.mean()) if len(labels) else 0.0
        left = labels - mean
        sums = np.bincount(codes, weights=left, minlength=k).astype(np.float64)  # of nothing they are integers
        squares = np.bincount(codes, weights=left * left, minlength=k).astype(np.float64)
        return cls(mean, np.bincount(codes, minlength=k), sums, squares)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Labels":
        """Those of some of the values."""
        return Labels(self.mean, self.counts[chosen], self.sums[chosen], self.squares[chosen])


@dataclass(slots=True)
class Tally:
    """How many of a value, in how many of its rows the label is known, and the label's sum there."""

    count: int = 0
    labelled: int = 0
    label_sum: float = 0.0

    def merge(self, other: "Tally") -> None:
        self.count += other.count
        self.labelled += other.labelled
        self.label_sum += other.label_sum


@dataclass
class ColumnAccumulator:
    """
    One column of so many rows. `tallies` counts each value by its text, None once `sketches` took over.

    `sorts` counts values by sort, `strange` has a few of those not of the declared kind. `alone` has the moments of the
    finite numbers, `with_label` those of (number, label).
    """

    kind: str
    rows: int = 0
    missing: int = 0
    unparsed: int = 0
    strange: tuple[str, ...] = ()
    lengths: tuple[int, int] = (0, 0)
    sorts: dict[Sort, int] = field(default_factory=dict)
    nans: int = 0
    infinities: int = 0
    low: float = np.inf
    high: float = -np.inf
    alone: Moments = field(default_factory=Moments)
    with_label: Moments = field(default_factory=Moments)
    tallies: dict[str, Tally] | None = field(default_factory=dict)
    sketches: Sketches | None = None

    def add(self, coded: Coded, label: Floats) -> None:
        """The column of a batch, and the label of its rows, shape (n,), NaN where it is not known."""
        self.rows += coded.size
        self.missing += coded.missing
        self.widen(coded.lengths)
        if coded.values.texts:
            counts, labels, strange = coded.counts, Labels.of(coded, label), ~coded.values.fits
            for sort, count in zip(SORTS, np.bincount(coded.values.sorts, counts, len(SORTS)).tolist(), strict=True):
                self.sorts[sort] = self.sorts.get(sort, 0) + int(count)
            self.unparsed += int(counts[strange].sum())
            self.know_strange(coded.values.at(np.flatnonzero(strange)).texts)
            self.add_numbers(coded, counts, labels)
            self.add_values(coded, counts, labels)

    def add_numbers(self, coded: Coded, counts: Integers, labels: Labels) -> None:
        numbers, numeric = coded.values.numbers, coded.values.sorts != SORTS.index("text")
        finite = np.isfinite(numbers)
        self.nans += int(counts[numeric & np.isnan(numbers)].sum())
        self.infinities += int(counts[np.isinf(numbers)].sum())
        if finite.any():
            x = numbers[finite]
            self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
            self.alone.merge(Moments.of(x, counts[finite].astype(np.float64)))
            labelled = labels.where(finite)
            self.with_label.merge(Moments.of(x, labelled.counts.astype(np.float64), labelled))

    def add_values(self, coded: Coded, counts: Integers, labels: Labels) -> None:
        if len(coded.values.texts) > DISTINCT:
            self.leave_tallies()
        if self.tallies is None:
            self.sketch(coded.values, counts)
            return
        sums = labels.sums + labels.counts * labels.mean
        tallies = map(Tally, counts.tolist(), labels.counts.tolist(), sums.tolist())
        self.count(zip(coded.values.texts, tallies, strict=True))

    def count(self, tallies: Iterable[tuple[str, Tally]]) -> None:
        """So many of each value, too, until there are too many different ones."""
        assert self.tallies is not None
        for text, tally in tallies:
            mine = self.tallies.setdefault(text, tally)
            if mine is not tally:
                mine.merge(tally)
        if len(self.tallies) > DISTINCT:
            self.leave_tallies()

    def leave_tallies(self) -> None:
        """Sketch what was counted."""
        import pyarrow

        if self.tallies is not None:
            values = read_values(pyarrow.array(list(self.tallies), pyarrow.string()), self.kind)
            counts = np.array([tally.count for tally in self.tallies.values()], np.int64)
            self.tallies = None
            self.sketch(values, counts)

    def sketch(self, values: Values, counts: Integers) -> None:
        if self.sketches is None:
            self.sketches = Sketches()
        self.sketches.add(values.texts, counts.tolist())
        finite = np.isfinite(values.numbers)
        self.sketches.add_numbers(values.numbers[finite], counts[finite])

    def merge(self, other: "ColumnAccumulator") -> None:
        """The rows of the other, too; it is used up."""
        self.rows += other.rows
        self.missing += other.missing
        self.unparsed += other.unparsed
        self.know_strange(other.strange)
        self.widen(other.lengths)
        for sort, count in other.sorts.items():
            self.sorts[sort] = self.sorts.get(sort, 0) + count
        self.nans += other.nans
        self.infinities += other.infinities
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.alone.merge(other.alone)
        self.with_label.merge(other.with_label)
        self.merge_values(other)

    def merge_values(self, other: "ColumnAccumulator") -> None:
        if self.tallies is not None and other.tallies is not None:
            self.count(other.tallies.items())
            return
        for each in (self, other):
            each.leave_tallies()
        assert self.sketches is not None and other.sketches is not None
        self.sketches.merge(other.sketches)

    def know_strange(self, texts: Iterable[str]) -> None:
        """Keep the first few by the alphabet, so that the order in which they come does not matter."""
        self.strange = tuple(sorted({*self.strange, *texts})[:STRANGE])

    def widen(self, lengths: tuple[int, int]) -> None:
        """Rows that have values have between so many."""
        if lengths[1]:
            low = min(self.lengths[0], lengths[0]) if self.lengths[1] else lengths[0]
            self.lengths = (low, max(self.lengths[1], lengths[1]))
