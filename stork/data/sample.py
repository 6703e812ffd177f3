"""
A sample of examples without anybody's row in it: frequency tables computed from real rows, and rows drawn from them.

`sample.json` holds, for each table of `[sample]`, how often each value of a feature occurs given the values of others;
for the label its mean and standard deviation in each cell of `label_given`, and what each value of every other feature
adds to it. A number is counted in ranges. Every count is at least `[sample] cell`: a value or group with fewer rows is
left out, a range is widened until it has enough.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stork.data.sources import Rows, label_of
from stork.declaration import Declaration, Feature
from stork.errors import DataError

Level = Any  # a value, None where missing, or a closed range (low, high) of a number
Group = tuple[Any, ...]
ROUNDS = 3  # of fitting the offsets to each other; a fourth changes no digit that is kept
RANGES = 40  # at most this many of a number that has a different value in nearly every row


class Frequencies(msgspec.Struct, frozen=True):
    """How often each level of a feature occurs in one group; `group` None: in all rows."""

    group: list[Any] | None
    levels: list[Level]
    counts: list[int]


class FrequencyTable(msgspec.Struct, frozen=True):
    """The frequencies of `feature` given the values of `given`."""

    feature: str
    given: list[str]
    frequencies: list[Frequencies]


class LabelCell(msgspec.Struct, frozen=True):
    """The label where the first of `label_given` is at `level` and the others are `group`."""

    group: list[Any]
    level: Level
    mean: float
    sd: float
    count: int


class Offset(msgspec.Struct, frozen=True):
    """What a level of a feature adds to the label."""

    feature: str
    level: Level
    add: float
    count: int


class SampleTables(msgspec.Struct, frozen=True):
    """All of sample.json; `rows` is how many real rows it sums up."""

    rows: int
    cell: int
    tables: list[FrequencyTable]
    cells: list[LabelCell]
    offsets: list[Offset]


def load_sample(path: Path) -> SampleTables:
    """
    Raises:
        DataError: there is no sample.json, or it is not one.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=SampleTables)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path}: {error}; give rows with --data, or make it with `stork sample`") from error


def summarise(declaration: Declaration, rows: Rows) -> SampleTables:
    """
    The tables of real rows.

    Raises:
        DataError: `[sample]` does not say how every feature and the label are counted, or there are too few rows.
    """
    sample = declaration.sample
    features = {feature.name: feature for feature in declaration.features}
    uncounted = [name for name in features if name not in {table.feature for table in sample.tables}]
    if uncounted or not sample.label_given:
        raise DataError(f"[sample]: expected a table for every feature, and label_given; not there: {uncounted}")
    tables = []
    for table in sample.tables:
        groups = [(None, np.arange(len(rows))), *(group_rows(rows, table.given) if table.given else ())]
        found = [count_levels(features[table.feature], rows, group, where, sample.cell) for group, where in groups]
        tables.append(FrequencyTable(table.feature, list(table.given), [f for f in found if f.counts]))
    if not all(table.frequencies for table in tables):
        raise DataError(
            f"sample: expected many more rows than {sample.cell} (the smallest count), received {len(rows)}"
        )
    cells, residual = summarise_label(declaration, rows)
    offsets = fit_offsets(declaration, rows, residual)
    return SampleTables(len(rows), sample.cell, tables, spread(cells, residual, rows, declaration), offsets)


def group_rows(rows: Rows, names: tuple[str, ...]) -> Iterator[tuple[Group, npt.NDArray[np.intp]]]:
    """Each combination of values of the named features that occurs, and the rows that have it."""
    found: dict[Group, list[int]] = {}
    for index, group in enumerate(zip(*(rows.columns[name] for name in names), strict=True)):
        found.setdefault(group, []).append(index)
    for group, where in sorted(found.items(), key=repr):
        yield group, np.array(where)


def levels_of(feature: Feature, column: list[Any], cell: int) -> list[tuple[Level, npt.NDArray[np.bool_]]]:
    """The levels a column has with at least `cell` rows each, and where, shape (n,): values, missing, or ranges."""
    values = np.array(column, object)
    known = np.array([value is not None for value in column], bool)
    found: list[tuple[Level, npt.NDArray[np.bool_]]] = [(None, ~known)]
    if feature.values or feature.kind in ("boolean", "string"):
        found += [(value, values == value) for value in sorted(set(values[known]), key=repr)]
    else:
        numbers = np.where(known, values, np.nan).astype(float)
        whole = int if feature.kind == "integer" else float
        found += [
            ((whole(low), whole(high)), known & (numbers >= low) & (numbers <= high))
            for low, high in ranges(numbers, cell)
        ]
    return [(level, where) for level, where in found if where.sum() >= cell]


def ranges(numbers: npt.NDArray[np.float64], cell: int) -> list[tuple[float, float]]:
    """Closed ranges between values that occur, each with at least `cell` of them, covering all but too few."""
    values, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    if len(values) > len(numbers) / cell:  # hardly a value occurs often enough to stand for itself
        cell = max(cell, len(numbers) // RANGES)
    found: list[tuple[float, float]] = []
    start, held = 0, 0
    for index, count in enumerate(counts):
        held += count
        if held >= cell:
            found.append((float(values[start]), float(values[index])))
            start, held = index + 1, 0
    if held and found:  # what is left over widens the last range
        found[-1] = (found[-1][0], float(values[-1]))
    return found


def count_levels(
    feature: Feature, rows: Rows, group: Group | None, where: npt.NDArray[np.intp], cell: int
) -> Frequencies:
    """The frequencies of a feature among some rows."""
    column = [rows.columns[feature.name][index] for index in where]
    found = levels_of(feature, column, cell)
    return Frequencies(
        None if group is None else list(group), [level for level, _ in found], [int(mask.sum()) for _, mask in found]
    )


def summarise_label(declaration: Declaration, rows: Rows) -> tuple[list[LabelCell], npt.NDArray[np.float64]]:
    """Mean of the label in each cell, and what each row differs from its cell, shape (n,); NaN outside all cells."""
    first, *others = declaration.sample.label_given
    feature = next(f for f in declaration.features if f.name == first)
    cells, residual = [], np.full(len(rows), np.nan)
    for group, where in group_rows(rows, tuple(others)):
        column = [rows.columns[first][index] for index in where]
        for level, mask in levels_of(feature, column, declaration.sample.cell):
            label = rows.label[where[mask]]
            residual[where[mask]] = label - label.mean()
            cells.append(LabelCell(list(group), level, float(label.mean()), 0.0, len(label)))
    return cells, residual


def fit_offsets(declaration: Declaration, rows: Rows, residual: npt.NDArray[np.float64]) -> list[Offset]:
    """What each level of every other feature adds; `residual` is left without it."""
    added: dict[tuple[str, int], Offset] = {}
    for _ in range(ROUNDS):
        for feature in declaration.features:
            if feature.name in declaration.sample.label_given:
                continue
            for index, (level, mask) in enumerate(
                levels_of(feature, rows.columns[feature.name], declaration.sample.cell)
            ):
                here = mask & ~np.isnan(residual)
                add = float(residual[here].mean()) if here.sum() >= declaration.sample.cell else 0.0
                residual[here] -= add
                before = added.get((feature.name, index))
                total = add + (before.add if before else 0.0)
                added[feature.name, index] = Offset(feature.name, level, round(total, 4), int(mask.sum()))
    return list(added.values())


def spread(
    cells: list[LabelCell], residual: npt.NDArray[np.float64], rows: Rows, declaration: Declaration
) -> list[LabelCell]:
    """The cells with the standard deviation that the offsets leave in each."""
    first, *others = declaration.sample.label_given
    groups = dict(group_rows(rows, tuple(others)))
    found = []
    for cell in cells:
        where = groups[tuple(cell.group)]
        left = residual[where[in_level(cell.level, [rows.columns[first][index] for index in where])]]
        found.append(msgspec.structs.replace(cell, mean=round(cell.mean, 4), sd=round(float(np.nanstd(left)), 4)))
    return found


def in_level(level: Level, column: list[Any]) -> npt.NDArray[np.bool_]:
    """Where a column is at a level, shape (n,)."""
    if isinstance(level, tuple | list):
        return np.array([value is not None and level[0] <= value <= level[1] for value in column], bool)
    return np.array([value == level and isinstance(value, bool) == isinstance(level, bool) for value in column], bool)


def generate(declaration: Declaration, sample: SampleTables, count: int, seed: int) -> Rows:
    """
    `count` rows drawn from the tables; the same seed gives the same rows.

    Raises:
        DataError: the tables do not cover every feature.
    """
    random = np.random.default_rng(seed)
    features = {feature.name: feature for feature in declaration.features}
    drawn = Rows({}, np.zeros(count), ())
    for table in sample.tables:
        drawn.columns[table.feature] = draw_table(features[table.feature], table, drawn, count, random)
    missing = [name for name in features if name not in drawn.columns]
    if missing:
        raise DataError(f"sample.json has no table for {', '.join(missing)}")
    columns = {name: drawn.columns[name] for name in features}
    rows = Rows(columns, np.zeros(count), (f"{count} rows generated from sample.json, seed {seed}",))
    return draw_label(declaration, sample, rows, random)


def draw_table(
    feature: Feature, table: FrequencyTable, drawn: Rows, count: int, random: np.random.Generator
) -> list[Any]:
    """A column of a feature, given columns drawn before; a group without frequencies of its own gets everybody's."""
    by_group = {None if f.group is None else tuple(f.group): f for f in table.frequencies}
    groups = group_rows(drawn, tuple(table.given)) if table.given else [((), np.arange(count))]
    column = np.empty(count, object)
    for group, where in groups:
        column[where] = draw_levels(feature, by_group.get(group, by_group[None]), len(where), random)
    return list(column)


def draw_levels(
    feature: Feature, frequencies: Frequencies, count: int, random: np.random.Generator
) -> npt.NDArray[np.object_]:
    """Values, shape (count,): a level as often as it occurs, in a range any number equally often."""
    shares = np.array(frequencies.counts) / sum(frequencies.counts)
    chosen = random.choice(len(shares), count, p=shares)
    values = np.empty(count, object)
    for index, level in enumerate(frequencies.levels):
        here = chosen == index
        if not isinstance(level, list | tuple):
            values[here] = level
        elif feature.kind == "integer":
            values[here] = random.integers(level[0], level[1], int(here.sum()), endpoint=True).tolist()
        else:
            values[here] = random.uniform(level[0], level[1], int(here.sum())).round(4).tolist()
    return values


def draw_label(declaration: Declaration, sample: SampleTables, rows: Rows, random: np.random.Generator) -> Rows:
    """The rows that a cell covers, with a label drawn from it."""
    first, *others = declaration.sample.label_given
    mean, sd = np.full(len(rows), np.nan), np.zeros(len(rows))
    for group, where in group_rows(rows, tuple(others)):
        column = [rows.columns[first][index] for index in where]
        for cell in sample.cells:
            if tuple(cell.group) == group:
                here = where[in_level(cell.level, column)]
                mean[here], sd[here] = cell.mean, cell.sd
    for offset in sample.offsets:
        mean[in_level(offset.level, rows.columns[offset.feature])] += offset.add
    low, high = label_of(declaration).range or (-np.inf, np.inf)
    label = random.normal(np.nan_to_num(mean), sd)
    label = np.where(label < low, 2 * low - label, label)  # reflected: a clip would pile rows up at the end
    label = np.where(label > high, 2 * high - label, label).clip(low, high).round(4)
    return Rows(rows.columns, label, rows.source).select(~np.isnan(mean))
