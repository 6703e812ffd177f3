"""
Gathering what statistics need, in parts: a part is one row group of one file, and parts merge in any order.

So the same functions serve threads here and workers elsewhere; what travels between them is an accumulator, never rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from stork.data.accumulators import ColumnAccumulator
from stork.data.coding import Coded, Floats, Values, code_column
from stork.data.sources import label_of
from stork.data.spans import REFUSED, SPLITS, Span
from stork.data.sql import is_text
from stork.declaration import SPAN_COLUMNS, Declaration

PAIRED = 64  # so many columns are compared with each other


@dataclass(frozen=True)
class WorkItem:
    """One row group of one of a span's files."""

    path: str
    row_group: int
    split: str


@dataclass(frozen=True)
class Plan:
    """What is declared of the columns: the kind of each (`integer`, `number`, `boolean`, `text`), and the label."""

    kinds: dict[str, str]
    label: str

    @classmethod
    def of(cls, declaration: Declaration) -> "Plan":
        label = label_of(declaration)
        kinds = {
            feature.name: "text" if is_text(feature) else "integer" if feature.kind == "category" else feature.kind
            for feature in declaration.features
        }
        return cls(kinds | {label.name: "number"}, label.name)


def work_items(span: Span) -> Iterator[WorkItem]:
    """Every row group of every file of a span."""
    import pyarrow.parquet

    for split in (*SPLITS, REFUSED):
        path = span.path(split)
        if path.is_file():
            for row_group in range(pyarrow.parquet.ParquetFile(path).num_row_groups):
                yield WorkItem(str(path), row_group, split)


def accumulate(item: WorkItem, plan: Plan) -> "SplitAccumulator":
    """What a row group has."""
    import pyarrow.parquet

    table = pyarrow.parquet.ParquetFile(item.path).read_row_group(item.row_group)
    found = SplitAccumulator(plan)
    names = [name for name in table.column_names if name not in SPAN_COLUMNS]
    found.add(table.num_rows, {name: code_column(table.column(name), plan.kinds.get(name, "")) for name in names})
    return found


@dataclass
class SplitAccumulator:
    """All columns of some rows; `pairs` counts for two columns the rows where both are known, and are equal."""

    plan: Plan
    rows: int = 0
    columns: dict[str, ColumnAccumulator] = field(default_factory=dict)
    pairs: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def add(self, rows: int, coded: dict[str, Coded]) -> None:
        """A batch of so many rows, by column."""
        absent = Coded(rows, Values.none(), np.zeros(0, np.int64), np.zeros(0, np.int64), rows, (0, 0))
        label = coded.get(self.plan.label, absent).spread()
        batch = {name: ColumnAccumulator(self.plan.kinds.get(name, "")) for name in coded}
        for name, column in batch.items():
            column.add(coded[name], label)
        self.merge(SplitAccumulator(self.plan, rows, batch, dict(compare_pairs(coded, self.plan))))

    def merge(self, other: "SplitAccumulator") -> None:
        """The rows of the other, too; it is used up. A column that one lacks is missing in all of its rows."""
        for name, column in other.columns.items():
            mine = self.columns.get(name)
            if mine is None:
                mine = self.columns[name] = ColumnAccumulator(column.kind, rows=self.rows, missing=self.rows)
            mine.merge(column)
        self.rows += other.rows
        for column in self.columns.values():
            column.missing += self.rows - column.rows
            column.rows = self.rows
        for pair, (known, equal) in other.pairs.items():
            before = self.pairs.get(pair, (0, 0))
            self.pairs[pair] = (before[0] + known, before[1] + equal)


def compare_pairs(coded: dict[str, Coded], plan: Plan) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    """For each pair of columns whose values compare: in how many rows both are known, and equal."""
    numbers: dict[str, Floats] = {}
    texts: list[str] = []
    for name in sorted(coded)[:PAIRED]:
        if plan.kinds.get(name, "") in ("integer", "number", "boolean"):
            numbers[name] = coded[name].spread()
        else:
            texts.append(name)
    known = {name: ~np.isnan(column) for name, column in numbers.items()}
    for one, other in combinations(numbers, 2):
        if (plan.kinds[one] == "boolean") == (plan.kinds[other] == "boolean"):
            both = int((known[one] & known[other]).sum())
            if both:
                yield (one, other), (both, int((numbers[one] == numbers[other]).sum()))
    yield from compare_texts({name: coded[name] for name in texts})


def compare_texts(coded: dict[str, Coded]) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    """The same for columns of text, by one numbering of all their values."""
    numbering: dict[str, int] = {}
    spread = {}
    for name, column in coded.items():
        places = np.array([numbering.setdefault(text, len(numbering)) for text in column.values.texts], np.int64)
        spread[name] = np.full(column.size, -1, np.int64)
        spread[name][column.rows] = places[column.codes] if len(places) else -1
    for one, other in combinations(coded, 2):
        both = (spread[one] >= 0) & (spread[other] >= 0)
        if both.any():
            yield (one, other), (int(both.sum()), int((both & (spread[one] == spread[other])).sum()))


def merge_all(parts: Sequence[SplitAccumulator], plan: Plan) -> SplitAccumulator:
    """The rows of all parts; they are used up."""
    found = SplitAccumulator(plan)
    for part in parts:
        found.merge(part)
    return found
