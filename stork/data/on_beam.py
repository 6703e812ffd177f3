"""
Ingestion and statistics past one machine: the same functions over the same parts, handed out by Apache Beam.

`python -m stork.data.on_beam ingest MODEL --data FILE...` makes the next span, `... statistics MODEL --out FILE`
describes one; all other options are Beam's own (`--runner`, `--direct_running_mode`, ...). Needs requirements-beam.txt
in an environment of its own. What travels to a worker is a file's path and the number of a row group, never rows; what
comes back are counts, accumulators, and files beside the span. So every worker must see the files and the root by the
same path.
"""

import argparse
import pickle
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.options.pipeline_options import PipelineOptions

from stork.config import Settings
from stork.data.describing import finish
from stork.data.fetch import find_files
from stork.data.gathering import Plan, SplitAccumulator, WorkItem, accumulate, work_items
from stork.data.ingest import Sorted, ingest, sort_rows
from stork.data.sources import Fetched
from stork.data.spans import REFUSED, SPLITS, Span, find_spans, list_spans
from stork.data.statistics import SpanStatistics
from stork.declaration import Declaration
from stork.errors import DataError, StorkError
from stork.store.files import write_atomically
from stork.store.registry import Registry

COUNTS = "counts.json"


@dataclass(frozen=True)
class Portion:
    """What a worker sorts at a time: a row group of a Parquet file, or all of a CSV file; numbers give their order."""

    number: int
    path: str
    row_group: int | None


def portions(files: Sequence[Path]) -> Iterator[Portion]:
    """Every part of the files, in order."""
    import pyarrow.parquet

    number = 0
    for path in files:
        parquet = path.suffix.lower() == ".parquet"
        groups = range(pyarrow.parquet.ParquetFile(path).num_row_groups) if parquet else (None,)
        for row_group in groups:
            yield Portion(number, str(path), row_group)
            number += 1


def sort_portion(portion: Portion, declaration: Declaration, where: str, shards: str) -> Sorted:
    """Write the rows of a portion into a folder of its own below `shards`; doing it again changes nothing."""
    import pyarrow.parquet

    with tempfile.TemporaryDirectory(dir=shards) as name:
        made, path = Path(name) / "made", Path(portion.path)
        made.mkdir()
        if portion.row_group is not None:
            part = pyarrow.parquet.ParquetFile(path).read_row_group(portion.row_group)
            path = Path(name) / path.name
            pyarrow.parquet.write_table(part, path)
        counts = sort_rows(declaration, Fetched((path,), where), made)
        (made / COUNTS).write_bytes(msgspec.json.encode(counts))
        target = Path(shards) / f"{portion.number:06}"
        try:
            made.rename(target)
        except OSError:  # a worker that Beam took for lost was quicker
            if not (target / COUNTS).is_file():
                raise
    return counts


def ingest_on_beam(
    settings: Settings, declaration: Declaration, fetched: Fetched, shards: Path, options: PipelineOptions
) -> Span | None:
    """
    Make the next span of some files, as `ingest` does; `shards` is an empty folder that every worker sees.

    Raises:
        DataError: as for `ingest`.
    """

    def sort(declaration: Declaration, fetched: Fetched, folder: Path) -> Sorted:
        parts = list(portions(fetched.files))
        with beam.Pipeline(options=options) as pipeline:
            _ = (
                pipeline
                | "portions" >> beam.Create(parts)
                | "spread" >> beam.Reshuffle()
                | "sort" >> beam.Map(sort_portion, declaration, fetched.where, str(shards))
            )
        return put_together(sorted(shards.glob("[0-9]*")), folder)

    scratch = shards / "span"
    scratch.mkdir()
    return ingest(settings, declaration, fetched, scratch, sort)


def put_together(parts: Sequence[Path], folder: Path) -> Sorted:
    """One file per split of the shards, in their order, read a row group at a time; all counts added up."""
    import pyarrow
    import pyarrow.parquet

    for split in (*SPLITS, REFUSED):
        files = [pyarrow.parquet.ParquetFile(part / f"{split}.parquet") for part in parts]
        schema = pyarrow.unify_schemas([file.schema_arrow for file in files], promote_options="permissive")
        with pyarrow.parquet.ParquetWriter(folder / f"{split}.parquet", schema, compression="zstd") as writer:
            for file in files:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group)
                    for field in schema:
                        if field.name not in table.column_names:
                            table = table.append_column(field.name, pyarrow.nulls(len(table), field.type))
                    writer.write_table(table.select(schema.names).cast(schema))
    counts = [msgspec.json.decode((part / COUNTS).read_bytes(), type=Sorted) for part in parts]
    rows, refused = Counter[str](dict.fromkeys(SPLITS, 0)), Counter[str]()
    for count in counts:
        rows.update(count.rows)
        refused.update(count.refused)
    absent = set.intersection(*(set(count.absent) for count in counts))
    return Sorted(
        rows=dict(rows),
        refused=dict(sorted(refused.items(), key=lambda item: (-item[1], item[0]))),
        absent=tuple(name for name in counts[0].absent if name in absent),
        left_out=tuple(dict.fromkeys(name for count in counts for name in count.left_out)),
    )


class Gather(beam.CombineFn):  # type: ignore[misc]
    """Accumulators of one split become one."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def create_accumulator(self) -> SplitAccumulator:
        return SplitAccumulator(self.plan)

    def add_input(self, found: SplitAccumulator, part: SplitAccumulator) -> SplitAccumulator:
        # Beam may hand the same input to a try that follows: it must not be used up.
        found.merge(pickle.loads(pickle.dumps(part)))
        return found

    def merge_accumulators(self, parts: Any) -> SplitAccumulator:
        found = SplitAccumulator(self.plan)
        for part in parts:
            found.merge(part)
        return found

    def extract_output(self, found: SplitAccumulator) -> SplitAccumulator:
        return found


def read_part(item: WorkItem, plan: Plan) -> tuple[str, SplitAccumulator]:
    return item.split, accumulate(item, plan)


def leave(part: tuple[str, SplitAccumulator], folder: str) -> None:
    """Where whoever started the pipeline finds it."""
    write_atomically(Path(folder) / f"{part[0]}.pickle", pickle.dumps(part[1]))


def describe_on_beam(
    span: Span, declaration: Declaration, made_by: str, folder: Path, options: PipelineOptions
) -> SpanStatistics:
    """The statistics of a span, as `describe_span` finds them; `folder` is an empty one that every worker sees."""
    plan = Plan.of(declaration)
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "row groups" >> beam.Create(list(work_items(span)))
            | "spread" >> beam.Reshuffle()
            | "read" >> beam.Map(read_part, plan)
            | "gather" >> beam.CombinePerKey(Gather(plan))
            | "leave" >> beam.Map(leave, str(folder))
        )
    paths = {split: folder / f"{split}.pickle" for split in (*SPLITS, REFUSED)}
    parts = {
        split: pickle.loads(path.read_bytes()) if path.is_file() else SplitAccumulator(plan)
        for split, path in paths.items()
    }
    return finish(span, parts, made_by)


def main(words: Sequence[str] | None = None) -> None:
    """Carry out what the command line says; an error is one line on stderr, and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m stork.data.on_beam", description="Ingest or describe on Beam.")
    parser.add_argument("work", choices=("ingest", "statistics"))
    parser.add_argument("model")
    parser.add_argument("--data", action="append", default=[], help="CSV or Parquet file, or a glob; repeatable.")
    parser.add_argument("--where", default="true", help="SQL condition on the rows.")
    parser.add_argument("--span", type=int, help="Which span to describe; default: the newest.")
    parser.add_argument("--out", type=Path, help="Where the statistics go, as JSON.")
    asked, others = parser.parse_known_args(words)
    try:
        print(carry_out(asked, PipelineOptions(others)))
    except StorkError as error:
        raise SystemExit(f"Error: {error}") from error


def carry_out(asked: argparse.Namespace, options: PipelineOptions) -> str:
    """What came of it, in a line."""
    settings = Settings.from_environment()
    declaration = Registry(settings).declaration(asked.model)
    settings.root.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".beam.", dir=settings.root))  # below the root, which every worker sees
    try:
        if asked.work == "ingest":
            files = tuple(path for pattern in asked.data for path in find_files(pattern))
            if not files:
                raise DataError("expected --data FILE, received none")
            made = ingest_on_beam(settings, declaration, Fetched(files, asked.where), scratch, options)
            return f"span {made.number}" if made else "nothing new"
        spans = find_spans(settings, asked.model, [asked.span]) if asked.span else list_spans(settings, asked.model)
        if not spans or asked.out is None:
            raise DataError(
                f"expected --out FILE and a span of {asked.model}; received {asked.out}, {len(spans)} spans"
            )
        found = describe_on_beam(spans[-1], declaration, "beam", scratch, options)
        write_atomically(asked.out, msgspec.json.encode(found) + b"\n")
        return f"span {found.span}: {asked.out}"
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    # As a module of its own name, not __main__: what is pickled must be found by workers.
    from stork.data.on_beam import main as run

    run(sys.argv[1:])
