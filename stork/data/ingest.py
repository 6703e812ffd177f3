"""
Ingestion: rows of a source become a span, held to the declaration on the way; DuckDB does the work, on disk.

A row is refused when a required feature or the label is missing, a value is not of its type or outside its domain.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from stork.config import Settings
from stork.data.csv_files import explain_reading
from stork.data.sources import Fetched, label_of, union_of
from stork.data.spans import MANIFEST, REFUSED, SPLITS, SourceFile, Span, SpanManifest, list_spans, spans_folder
from stork.data.split import fingerprints, key_sql, masks
from stork.data.sql import LIST, TEXT, Part, judged_sql, literal, quoted
from stork.declaration import SPAN_COLUMNS, Declaration
from stork.errors import DataError
from stork.store.files import checksum, locked, publish_folder, write_atomically
from stork.store.version import FileFacts

FINGERPRINT = "fingerprint"
KEY = "text of the key"
BATCH = 100_000  # rows
LOOKED = 0.2  # seconds

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Columns:
    """
    The columns of a source: those declared (label last), and all others; which of all hold lists of values.

    What is `left_out` has the name of a column that a span has of its own.
    """

    parts: list[Part]
    others: list[str]
    lists: list[str]
    absent: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class Sorted(msgspec.Struct, frozen=True):
    """
    How many rows are in each split, how many are refused by reason, the declared columns that no file had, and those
    of the files that are left out.
    """

    rows: dict[str, int]
    refused: dict[str, int]
    absent: tuple[str, ...]
    left_out: tuple[str, ...] = ()


# Whoever puts rows into the Parquet files of a folder.
Sort = Callable[[Declaration, Fetched, Path], Sorted]


def ingest(
    settings: Settings,
    declaration: Declaration,
    fetched: Fetched,
    scratch: Path,
    sort: Sort | None = None,
    progress: Progress = lambda done, total: None,
) -> Span | None:
    """
    Make the next span of what was fetched; None where every file of it is in a span already.

    `scratch` is an empty folder on a disk that has room for the rows. A declared column that no file has is missing in
    every row. `sort` does the work of `sort_rows` elsewhere.

    Raises:
        DataError: no such file, an unknown format, a condition DuckDB does not take, or no row at all.
        RootNotWritable: there is nowhere to leave a span.
    """
    name, rules = declaration.model.name, rules_of(declaration)
    home = spans_folder(settings, name)
    read = {path: SourceFile(path.name, checksum(path), fetched.where) for path in fetched.files}
    with locked(home / ".ingest.lock"):
        spans = list_spans(settings, name)
        known = {file for span in spans if span.manifest.rules == rules for file in span.manifest.read}
        new = {path: file for path, file in read.items() if file not in known}
        if not new:
            return None
        fresh = replace(fetched, files=tuple(new))
        done = (sort or partial(sort_rows, progress=progress))(declaration, fresh, scratch)
        if not any(done.rows.values()) and not done.refused:
            raise DataError(f"{'; '.join(fresh.describe())}: expected rows, received none")
        manifest = SpanManifest(
            model=name,
            span=max((span.number for span in spans), default=0) + 1,
            created=datetime.now(UTC),
            source=fresh.describe(),
            read=tuple(new.values()),
            rules=rules,
            rows=done.rows,
            refused=done.refused,
            absent=done.absent,
            left_out=done.left_out,
            files={
                path.name: FileFacts(bytes=path.stat().st_size, sha256=checksum(path))
                for path in sorted(scratch.glob("*.parquet"))
            },
        )
        return publish_span(home, manifest, scratch)


def publish_span(home: Path, manifest: SpanManifest, scratch: Path) -> Span:
    """Publish what is in `scratch` under the manifest's number, or the next that nobody has begun with."""
    while True:
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        write_atomically(scratch / MANIFEST, content)
        folder = home / str(manifest.span)
        try:
            publish_folder(scratch, folder)
        except FileExistsError:  # on another machine, by a run that was killed
            manifest = msgspec.structs.replace(manifest, span=manifest.span + 1)
        else:
            return Span(folder, manifest)


def rules_of(declaration: Declaration) -> str:
    """A hash of what decides which rows are refused, and in which split one is."""
    training = declaration.training
    domains = [(f.name, f.kind, f.range, [v.value for v in f.values], f.required) for f in declaration.features]
    label = label_of(declaration)
    split = (declaration.data.key, training.buckets, training.eval, training.test)
    return hashlib.sha256(msgspec.json.encode([domains, label.name, label.range, split])).hexdigest()


def sort_rows(
    declaration: Declaration, fetched: Fetched, folder: Path, progress: Progress = lambda done, total: None
) -> Sorted:
    """Write the Parquet files of a span into `folder`."""
    import duckdb

    try:
        with database(folder) as connection:
            connection.execute(f"CREATE VIEW fetched AS {union_of(list(fetched.files))}")
            columns = find_columns(connection, declaration)
            judged = judged_sql(columns.parts, columns.others, fetched.where, columns.lists)
            with told(connection, progress):
                connection.execute(f"CREATE TABLE checked AS {judged}")
            rows = write_splits(connection, declaration, columns, folder, progress)
            refused = write_refused(connection, columns, folder / f"{REFUSED}.parquet")
    except duckdb.Error as error:
        raise DataError(explain_reading(error, "; ".join(fetched.describe()))) from error
    return Sorted(rows, refused, columns.absent, columns.left_out)


@contextmanager
def database(folder: Path) -> Iterator[Any]:
    """A database on disk, so that rows that do not fit the memory do not have to."""
    import duckdb

    path = folder / "rows.duckdb"
    connection = duckdb.connect(str(path))
    try:
        yield connection
    finally:
        connection.close()
        for left in folder.glob(f"{path.name}*"):
            left.unlink()


@contextmanager
def told(connection: Any, progress: Progress) -> Iterator[None]:
    """Tell, while a query runs, how many hundredths of it are done."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOKED):
            if (percent := connection.query_progress()) > 0:  # -1: not known
                progress(min(int(percent), 100), 100)

    connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()


def find_columns(connection: Any, declaration: Declaration) -> Columns:
    """
    The columns of the view `fetched`.

    Raises:
        DataError: a column of the key, that is no feature, is not there.
    """
    parts: list[Part] = [*declaration.features, label_of(declaration)]
    declared = {part.name for part in parts}
    types = {row[0]: row[1] for row in connection.execute("DESCRIBE fetched").fetchall()}
    cases = {name.lower(): name for name in types}  # SQL does not tell cases apart
    respelt = {cases[name.lower()]: name for name in declared if name not in types and name.lower() in cases}
    types = {respelt.get(name, name): kind for name, kind in types.items()}
    present = list(types)
    lost = [name for name in declaration.data.key if name not in declared and name not in present]
    if lost:
        raise DataError(f"[data] key: expected the columns {', '.join(lost)}; received {', '.join(present)}")
    renamed = ", ".join(f"{quoted(found)} AS {quoted(name)}" for found, name in respelt.items())
    connection.execute(
        f"CREATE VIEW source AS SELECT *{f' RENAME ({renamed})' if renamed else ''}"
        + "".join(f", NULL::VARCHAR AS {quoted(name)}" for name in declared if name not in present)
        + " FROM fetched"
    )
    others = [name for name in present if name not in declared]
    return Columns(
        parts,
        others=[name for name in others if name.lower() not in SPAN_COLUMNS],
        lists=[name for name, kind in types.items() if kind.endswith("[]")],
        absent=tuple(part.name for part in parts if part.name not in present),
        left_out=tuple(name for name in others if name.lower() in SPAN_COLUMNS),
    )


def write_splits(
    connection: Any, declaration: Declaration, columns: Columns, folder: Path, progress: Progress
) -> dict[str, int]:
    """
    One Parquet file per split, in the order of the source; how many rows each has.

    The rows pass through here in batches: TensorFlow, called from a thread of DuckDB, waits for itself.
    """
    import pyarrow
    import pyarrow.parquet

    ((total,),) = connection.execute("SELECT count(*) FROM checked WHERE reason IS NULL").fetchall()
    names = [part.name for part in columns.parts]
    wanted = ", ".join(quoted(name) for name in (*names, *columns.others))
    reader = connection.sql(
        f"SELECT {wanted}, {key_sql(declaration)} AS {quoted(KEY)} FROM checked WHERE reason IS NULL"
    ).to_arrow_reader(BATCH)
    fields = [field for field in reader.schema if field.name != KEY]
    fields.insert(len(names), pyarrow.field(FINGERPRINT, pyarrow.int64()))
    rows = dict.fromkeys(SPLITS, 0)
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                pyarrow.parquet.ParquetWriter(folder / f"{split}.parquet", pyarrow.schema(fields), compression="zstd")
            )
            for split in SPLITS
        }
        for batch in reader:
            hashes = fingerprints(batch.column(KEY).to_pylist())
            keyed = batch.drop_columns([KEY]).add_column(len(names), fields[len(names)], pyarrow.array(hashes))
            for split, mask in masks(declaration.training, hashes).items():
                writers[split].write_batch(keyed.filter(pyarrow.array(mask)))
                rows[split] += int(mask.sum())
            progress(sum(rows.values()), total)
    return rows


def write_refused(connection: Any, columns: Columns, path: Path) -> dict[str, int]:
    """The rows refused, as the source had them; how many for each reason, most frequent first."""
    held = {part.name: (LIST if part.name in columns.lists else TEXT) + part.name for part in columns.parts}
    declared = ", ".join(f"{quoted(column)} AS {quoted(name)}" for name, column in held.items())
    others = "".join(f", {quoted(name)}" for name in columns.others)
    wanted = f"SELECT {declared}{others}, reason FROM checked WHERE reason IS NOT NULL"
    connection.execute(f"COPY ({wanted}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
    counted = "SELECT reason, count(*) FROM checked WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
    return dict(connection.execute(counted).fetchall())
