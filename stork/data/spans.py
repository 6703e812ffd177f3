"""
Spans: integer, append-only portions of data below the root, seen whole or not at all.

`<root>/spans/<model>/<n>/` holds one Parquet file per split with the rows that keep the declaration, those that do not
in `refused.parquet` with the reason, and `span.json`, which says where they come from.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from stork.config import Settings
from stork.data.sources import Rows, label_of
from stork.declaration import Declaration
from stork.errors import DataError, NotFound
from stork.remote.mirror import bring
from stork.store.files import checksum
from stork.store.version import FileFacts, SpanUsed

SPLITS = ("train", "eval", "test")
LEARNED = ("train", "eval")  # where weights count; a version is tested on spans that may have none
REFUSED = "refused"
MANIFEST = "span.json"


class SourceFile(msgspec.Struct, frozen=True):
    """A file that a span was read from: its name, the SHA-256 of its content, and which of its rows were wanted."""

    name: str
    sha256: str
    where: str = "true"


class SpanManifest(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a span says of itself. `rows` counts each split's, `refused` the rows left out, by the first thing wrong.

    `rules` is a hash of what decided which rows are refused and in which split one is; `absent` are the declared
    columns that no file had, `left_out` those of the files whose names are a span's own.
    """

    model: str
    span: int
    created: datetime
    source: tuple[str, ...]
    read: tuple[SourceFile, ...]
    rules: str
    rows: dict[str, int]
    refused: dict[str, int]
    files: dict[str, FileFacts]
    absent: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Span:
    """A span on disk."""

    folder: Path
    manifest: SpanManifest

    @property
    def number(self) -> int:
        return self.manifest.span

    @property
    def used(self) -> SpanUsed:
        """What those who learn from it keep of it, to tell later whether it is still the same."""
        return SpanUsed(self.number, checksum(self.folder / MANIFEST))

    def path(self, split: str) -> Path:
        """The Parquet file of a split, or of the rows refused."""
        return self.folder / f"{split}.parquet"


def spans_folder(settings: Settings, model: str) -> Path:
    """Where the spans of a model are."""
    return settings.root / "spans" / model


def list_spans(settings: Settings, model: str) -> list[Span]:
    """Every whole span of the model, oldest first. Only manifests are sure to be on this machine."""
    folders = spans_folder(settings, model).glob(f"[0-9]*/{MANIFEST}")
    return sorted((load_span(path.parent) for path in folders), key=lambda span: span.number)


def load_span(folder: Path) -> Span:
    """
    Raises:
        DataError: the folder has no readable span.json.
    """
    try:
        return Span(folder, msgspec.json.decode((folder / MANIFEST).read_bytes(), type=SpanManifest))
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{folder / MANIFEST}: {error}") from error


def find_spans(settings: Settings, model: str, numbers: Iterable[int]) -> list[Span]:
    """
    These spans, with all their files.

    Raises:
        NotFound: there is no such span; the message says which there are.
        RootUnreachable: they are in a bucket that does not answer.
    """
    known = {span.number: span for span in list_spans(settings, model)}
    missing = [number for number in numbers if number not in known]
    if missing:
        raise NotFound(f"{model} has no span {missing[0]}; it has {', '.join(map(str, known)) or 'none'}")
    found = [known[number] for number in numbers]
    for span in found:
        bring(span.folder)
    return found


def choose_spans(spans: Sequence[Span], newest: int = 0) -> list[Span]:
    """
    The spans to train on: the `newest` ones, 0: all; but none whose every file was read again into a later one.

    So rows that were read anew after the declaration changed do not count twice.
    """
    kept = []
    later: set[SourceFile] = set()
    for span in reversed(spans):
        if not set(span.manifest.read) <= later:
            kept.append(span)
        later |= set(span.manifest.read)
    kept.reverse()
    return kept[-newest:]


@dataclass(frozen=True)
class Splits:
    """The accepted rows of some spans, by split."""

    train: Rows
    eval: Rows
    test: Rows

    def __iter__(self) -> Iterator[Rows]:
        return iter((self.train, self.eval, self.test))


def read_splits(declaration: Declaration, spans: Sequence[Span]) -> Splits:
    """
    The rows of these spans.

    Raises:
        DataError: a split has no row at all.
    """
    found = {split: read_split(declaration, spans, split) for split in SPLITS}
    empty = [split for split, rows in found.items() if not len(rows)]
    if empty:
        numbers = ", ".join(str(span.number) for span in spans) or "none"
        refused = sum(sum(span.manifest.refused.values()) for span in spans)
        raise DataError(
            f"{declaration.model.name}: expected rows in every split, received none in {', '.join(empty)} "
            f"(spans: {numbers}; {refused:,} rows refused)"
        )
    return Splits(**found)


def read_split(declaration: Declaration, spans: Sequence[Span], split: str) -> Rows:
    """
    The rows of one split of these spans, in order.

    Raises:
        DataError: a row to learn from has no weight, or none that is one, though the declaration names a column of
            weights.
    """
    import pyarrow
    import pyarrow.parquet

    label = label_of(declaration).name
    names = [feature.name for feature in declaration.features]
    weight = declaration.training.weight if split in LEARNED else ""
    tables = [pyarrow.parquet.read_table(span.path(split), columns=[*names, label]) for span in spans]
    columns = pyarrow.concat_tables(tables).to_pydict() if tables else {name: [] for name in (*names, label)}
    return Rows(
        columns={name: columns[name] for name in names},
        label=np.array(columns[label], np.float64),
        source=tuple(f"span {span.number} ({', '.join(span.manifest.source)})" for span in spans),
        weights=read_weights(spans, split, weight) if weight else None,
    )


def read_weights(spans: Sequence[Span], split: str, column: str) -> npt.NDArray[np.float64]:
    """
    What each row of a split counts, shape (n,), 0 or more; a span keeps columns that are no features as text.

    Raises:
        DataError: the column is not there, or a value is missing, no number, or negative; the message says where.
    """
    import pyarrow.parquet

    found: list[float] = []
    for span in spans:
        path = span.path(split)
        where = f"span {span.number} ({', '.join(span.manifest.source)}), {path.name}"
        if column not in pyarrow.parquet.read_schema(path).names:
            raise DataError(f"{where}: expected the column {column!r}, which [training] weight names; it is not there")
        texts = pyarrow.parquet.read_table(path, columns=[column]).column(column).to_pylist()
        for row, text in enumerate(texts, start=1):
            weight = as_weight(text)
            if weight is None:
                received = "nothing" if text is None else repr(text)
                raise DataError(f"{where}, row {row}: {column}: expected a weight of 0 or more, received {received}")
            found.append(weight)
    return np.array(found, np.float64)


def as_weight(text: str | None) -> float | None:
    """
    A weight as a number; None where it is none.

    >>> as_weight("2.5"), as_weight("-1"), as_weight("nan"), as_weight(None)
    (2.5, None, None, None)
    """
    try:
        weight = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return weight if 0 <= weight < float("inf") else None
