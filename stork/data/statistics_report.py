"""statistics.html: a span's columns as a table and plots, beside those of another span where there is one."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from stork.data.coding import read_value
from stork.data.findings import find
from stork.data.sources import label_of
from stork.data.sql import Part
from stork.data.statistics import ALL, ColumnStatistics, SpanStatistics
from stork.declaration import Declaration, Feature
from stork.report.page import write_page
from stork.report.plots import Bucket, Plot, draw_bars, draw_histogram, draw_small

BARS = 12  # a column with so many different values or fewer is drawn by value


@dataclass(frozen=True)
class Row:
    """A column in the newer span and, where there is one, in the other."""

    title: str
    unit: str
    newer: ColumnStatistics
    older: ColumnStatistics | None
    small: Markup
    plot: Plot | None


def write_report(path: Path, declaration: Declaration, newer: SpanStatistics, older: SpanStatistics | None) -> None:
    """Leave the page of a span, or of two beside each other."""
    label = label_of(declaration).name
    write_page(
        path,
        "statistics.html",
        title=declaration.model.title,
        notice=declaration.model.notice,
        label=label,
        hidden=sorted(declaration.log.hidden),
        newer=newer,
        older=older,
        findings=find(newer, label),
        splits=[name for name in newer.splits if name != ALL],
        rows=[row_of(declaration, column, newer, older) for column in newer.splits[ALL].columns],
        gone=gone(newer, older),
    )


def gone(newer: SpanStatistics, older: SpanStatistics | None) -> list[str]:
    """Columns that only the older span has."""
    names = {column.name for column in newer.splits[ALL].columns}
    return [c.name for c in older.splits[ALL].columns if c.name not in names] if older else []


def row_of(
    declaration: Declaration, column: ColumnStatistics, newer: SpanStatistics, older: SpanStatistics | None
) -> Row:
    parts: dict[str, Part] = {feature.name: feature for feature in declaration.features}
    parts |= {output.name: output for output in declaration.outputs}
    part = parts.get(column.name)
    before = older.splits[ALL].column(column.name) if older else None
    series = {f"span {newer.span}": column}
    if older and before:
        series[f"span {older.span}"] = before
    return Row(
        title=part.title or part.name if part else column.name,
        unit=part.unit if part else "",
        newer=column,
        older=before,
        small=draw_small(buckets_of(column)),
        plot=draw(column.name, part.unit if part else "", series, titles_of(part)),
    )


def titles_of(part: Part | None) -> dict[str, str]:
    """The titles of a feature's values, by how the value is written."""
    values = part.values if isinstance(part, Feature) else ()
    return {read_value(value.value, "").text: value.title for value in values if value.title}


def draw(name: str, unit: str, series: dict[str, ColumnStatistics], titles: dict[str, str]) -> Plot | None:
    """Bars where there are few values or texts, a histogram of many numbers; None where there is no value."""
    known = {which: column for which, column in series.items() if column.known}
    if not known:
        return None
    if titles or any(not column.numbers or column.unique <= BARS for column in known.values()):
        shares = {
            which: {titles.get(v.value, v.value): v.count / column.known for v in column.values}
            for which, column in known.items()
        }
        return draw_bars(name, shares, BARS)
    return draw_histogram(name, {which: buckets_of(column) for which, column in known.items()}, unit)


def buckets_of(column: ColumnStatistics) -> list[Bucket]:
    """The histogram of a column's numbers, else of its values in the order of their frequency."""
    if column.numbers and column.unique > 2:
        return [Bucket(b.low, b.high, b.count) for b in column.numbers.histogram]
    return [Bucket(place, place + 0.9, v.count) for place, v in enumerate(column.values[:BARS])]
