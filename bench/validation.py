"""
What validation finds in the real rows of docs/data.md, span by span: `make walk ARGS="--data-folder FOLDER"`.

Every span is held to the shipped data.toml and to the span before it; the table has what was found. With --halves 100
rows of one span are parted at random as often, and the parts compared: whatever that finds is a false alarm. With
--rate 0.05 too, each number with many values is held to the threshold that chance exceeds so often.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stork.config import Settings
from stork.data.anomalies import Anomaly, Comparison, Validation
from stork.data.coding import code_column
from stork.data.comparing import Pair, columns_of, compare_all, compare_values, is_comparable
from stork.data.describing import describe, describe_span
from stork.data.gathering import Plan, SplitAccumulator
from stork.data.ingest import ingest
from stork.data.judging import HIGH
from stork.data.sources import Fetched
from stork.data.spans import REFUSED, SPLITS, Span
from stork.data.statistics import ALL, SpanStatistics, SplitStatistics
from stork.data.validation import Expected, compare_spans, validate_spans
from stork.declaration import SPAN_COLUMNS
from stork.declaration.data_schema import load_data_schema
from stork.store.registry import Registry

MODEL = "babyweight"
SEED = 5
TIMES = 5
# Title, file and years of a span (none: all rows), and the title of the span it is held to.
WALK = (
    ("1968", "nchs_trunc", (1968, 1968), ""),
    ("1969-70", "nchs_trunc", (1969, 1970), "1968"),
    ("1971-75", "nchs_trunc", (1971, 1975), "1969-70"),
    ("1976-88", "nchs_trunc", (1976, 1988), "1971-75"),
    ("1989-2002", "nchs_trunc", (1989, 2002), "1976-88"),
    ("2003-04", "nchs_trunc", (2003, 2004), "1989-2002"),
    ("2005-06", "nchs_trunc", (2005, 2006), "2003-04"),
    ("2007-08", "nchs_trunc", (2007, 2008), "2005-06"),
    ("2009-12", "nchs_trunc", (2009, 2012), "2007-08"),
    ("2013-16", "nchs_trunc", (2013, 2016), "2009-12"),
    ("2017-20", "nchs_trunc", (2017, 2020), "2013-16"),
    ("2017-20", "nchs_trunc", (2017, 2020), "1976-88"),
    ("bq_caret", "bq_caret", None, "1989-2002"),
    ("bq_full", "bq_full_2003_2008", None, "bq_caret"),
    ("2006 in full", "nchs_2006_427k", None, "bq_full"),
    ("2021", "nchs_2021_1k", None, "2006 in full"),
)
HALVED = ("1968", "1989-2002", "2005-06", "2017-20", "bq_caret", "bq_full", "2006 in full", "2021")
Years = tuple[int, int] | None


@dataclass
class Spans:
    """The spans that were ingested so far, by title, below a root of their own."""

    expected: Expected
    settings: Settings
    folder: Path
    known: dict[str, tuple[Span, SpanStatistics]] = field(default_factory=dict)

    @classmethod
    def below(cls, root: Path, folder: Path) -> "Spans":
        """Of the files in `folder`, held to what the shipped model expects."""
        settings = Settings(root=root)
        registry = Registry(settings)
        declaration = registry.declaration(MODEL)
        return cls(Expected.of(declaration, load_data_schema(registry.home(MODEL), declaration)), settings, folder)

    def find(self, title: str) -> tuple[Span, SpanStatistics]:
        """The span of this title and its statistics, made when it is first asked for."""
        if title not in self.known:
            name, years = next((name, years) for each, name, years, _ in WALK if each == title)
            where = f"year::int between {years[0]} and {years[1]}" if years else "true"
            scratch = Path(tempfile.mkdtemp(dir=self.settings.root))
            fetched = Fetched((self.folder / f"{name}.csv.gz",), where)
            span = ingest(self.settings, self.expected.declaration, fetched, scratch)
            assert span is not None, f"{title}: these rows are in a span already"
            self.known[title] = span, describe_span(span, self.expected.declaration, "walk")
        return self.known[title]

    def validate(self, title: str, before: str) -> Validation:
        """Hold a span to what is expected, and to another."""
        span, found = self.find(title)
        statistics, line = {span.number: found}, [span.number]
        if before:
            older, known = self.find(before)
            statistics[older.number] = known
            line.insert(0, older.number)
        return validate_spans(self.expected, [span], statistics, line)


def number_of(anomaly: Anomaly, comparisons: tuple[Comparison, ...]) -> str:
    """The number against its threshold; of what is no comparison, what was received."""
    for made in comparisons:
        if made.column == anomaly.column and HIGH[made.measure] == anomaly.name:
            return f"{made.value:.4f} > {made.threshold:.4f}"
    return anomaly.received


def tell_walk(spans: Spans) -> Iterator[tuple[str, ...]]:
    """A row for everything that is found: span, the one before, severity, column, anomaly, number."""
    for title, _, _, before in WALK:
        found = spans.validate(title, before)
        for anomaly in found.anomalies:
            number = number_of(anomaly, found.comparisons)
            yield title, before or "-", anomaly.severity, anomaly.column or "-", anomaly.name, number


def read_tables(span: Span) -> list[Any]:
    """The rows of a span as Arrow has them, the refused ones too, without ingestion's own columns."""
    import pyarrow.parquet

    files = [path for split in (*SPLITS, REFUSED) if (path := span.path(split)).is_file()]
    tables = [pyarrow.parquet.read_table(path) for path in files]
    return [table.drop_columns([name for name in SPAN_COLUMNS if name in table.column_names]) for table in tables]


def describe_tables(tables: list[Any], plan: Plan) -> SplitStatistics:
    """The statistics of the rows of all of them."""
    found = SplitAccumulator(plan)
    for table in tables:
        if table.num_rows:
            coded = {n: code_column(table.column(n), plan.kinds.get(n, "")) for n in table.column_names}
            found.add(table.num_rows, coded)
    return describe(found)


def part_halves(spans: Spans, title: str, times: int, seed: int) -> Iterator[Pair]:
    """Two random halves of a span's rows, each time others."""
    import pyarrow

    expected, plan = spans.expected, Plan.of(spans.expected.declaration)
    random = np.random.default_rng(seed)
    tables = read_tables(spans.find(title)[0])
    for _ in range(times):
        masks = [random.random(table.num_rows) < 0.5 for table in tables]
        halves = [
            [table.filter(pyarrow.array(m == side)) for table, m in zip(tables, masks, strict=True)]
            for side in (True, False)
        ]
        sides = [describe_tables(half, plan) for half in halves]
        yield Pair("drift", expected.label, 1, ("one half", "the other"), *sides)


def tell_halves(spans: Spans, title: str, pairs: Iterator[Pair]) -> str:
    """How many validations found a difference between halves, and which."""
    expected = spans.expected
    compared = [list(compare_all(pair, expected.columns, expected.schema.comparing)) for pair in pairs]
    high = [[made for made in comparisons if not made.passed] for comparisons in compared]
    named = [
        f"; {made.column} {made.measure} {made.value:.5f} > {made.threshold:.5f}" for each in high for made in each
    ]
    return f"{title}: {sum(map(bool, high))} of {len(compared)} find a difference{''.join(named)}"


def tell_rates(spans: Spans, title: str, pairs: Iterator[Pair], rate: float) -> str:
    """For each column that is compared between edges, in how many pairs it exceeds its threshold for this rate."""
    compared, high = Counter[str](), Counter[str]()
    asked = spans.expected.schema.comparing
    for pair in pairs:
        for columns in columns_of(pair, spans.expected.columns):
            made = compare_values(columns, asked, rate) if is_comparable(columns) else None
            if made is not None and made.treatment.histogram:
                compared[made.column] += 1
                high[made.column] += not made.passed
    return f"{title}: " + ", ".join(f"{name} {high[name]} of {held}" for name, held in compared.items())


def tell_seconds(spans: Spans) -> Iterator[str]:
    """How long it takes to compare each span with the one before, thresholds included: the median of a few times."""
    for title, _, _, before in WALK:
        if before:
            statistics = [spans.find(each)[1] for each in (title, before)]
            seconds = []
            for _ in range(TIMES):
                began = time.perf_counter()
                made = compare_spans(spans.expected, *statistics)
                seconds.append(time.perf_counter() - began)
            rows = " and ".join(f"{each.splits[ALL].rows:,}" for each in statistics)
            yield f"{title} beside {before}, {rows} rows: {len(made)} comparisons in {median(seconds):.3f} s"


@click.command()
@click.option("--data-folder", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--halves", default=0, help="How often the rows of each span are parted at random.")
@click.option("--span", "titles", multiple=True, type=click.Choice(HALVED), help="Only this one; repeatable.")
@click.option("--seed", default=SEED, help="By which rows are parted.")
@click.option("--rate", type=float, help="Of false alarms of one column: tell how often each exceeds it.")
@click.option("--seconds", is_flag=True, help="Tell how long the comparisons of each span take.")
def main(data_folder: Path, halves: int, titles: tuple[str, ...], seed: int, rate: float | None, seconds: bool) -> None:
    """Print the table, or how many halves were told apart."""
    with tempfile.TemporaryDirectory() as root:
        spans = Spans.below(Path(root), data_folder)
        if seconds:
            print("\n".join(tell_seconds(spans)))
            return
        if not halves:
            print("| span | before | severity | column | anomaly | number |\n|---|---|---|---|---|---|")
            for row in tell_walk(spans):
                print(f"| {' | '.join(row)} |", flush=True)
            return
        for title in titles or HALVED:
            pairs = part_halves(spans, title, halves, seed)
            print(
                tell_halves(spans, title, pairs) if rate is None else tell_rates(spans, title, pairs, rate), flush=True
            )


if __name__ == "__main__":
    main()
