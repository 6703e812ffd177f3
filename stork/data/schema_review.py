"""The spans in play held to data.toml: what would have to change for them to be valid, and the text that says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from stork.config import Settings
from stork.data.anomalies import Anomaly, Validation
from stork.data.dataset_checks import examples_of
from stork.data.expectations import Expectation
from stork.data.ingest_step import read_play
from stork.data.schema_changes import ByHand, Change, Seen, remedy
from stork.data.schema_document import Note, apply_changes, first_text
from stork.data.spans import Span, find_spans
from stork.data.statistics import ALL, SpanStatistics
from stork.data.statistics_step import read_all
from stork.data.validate_step import ANOMALIES
from stork.data.validation import Expected, validate_spans
from stork.declaration import Declaration
from stork.declaration.data_schema import FILE, parse_data_schema
from stork.errors import BadRequest, Conflict, DataError, DeclarationError, ObjectChanged, RootNotWritable
from stork.store.files import locked, refresh, write_atomically
from stork.store.registry import Registry
from stork.store.runs import newest_output

SKEWED = (
    "no change is proposed: learn from rows like the requests, put who asks right, or set the column's `skew` by hand"
)
PASSES = 5  # a change may show what it hid: a column of another kind has other values out of range


@dataclass(frozen=True)
class Review:
    """
    A model's data.toml beside the spans in play; the last of them is the newest.

    `text` and `generation` are what was read, empty and 0 where there is no file; only over these is it replaced. A
    generation is a bucket's, None where the file is on this machine only. `skew` is what the newest verdict on these
    spans holds against the logged requests.
    """

    path: Path
    text: str
    generation: int | None
    declaration: Declaration
    spans: Sequence[Span]
    statistics: Mapping[int, SpanStatistics]
    line: Sequence[int]
    skew: tuple[Anomaly, ...] = ()

    @property
    def newest(self) -> SpanStatistics:
        return self.statistics[self.spans[-1].number]

    def alone(self) -> "Review":
        """Only the newest span, compared with none."""
        newest = self.newest
        return replace(self, spans=self.spans[-1:], statistics={newest.span: newest}, line=(), skew=())

    def validate(self, text: str) -> tuple[Expected, Validation]:
        """
        As the step does.

        Raises:
            DeclarationError: the text is no data schema.
        """
        expected = Expected.of(self.declaration, parse_data_schema(text, self.declaration))
        return expected, validate_spans(expected, self.spans, self.statistics, self.line)


@dataclass(frozen=True)
class Proposal:
    """data.toml with all changes, the changes, and what they leave to do by hand."""

    text: str
    changes: tuple[Change, ...]
    by_hand: tuple[ByHand, ...]


def open_review(settings: Settings, name: str) -> Review:
    """
    What the newest runs found of the spans in play.

    Raises:
        DataError: no run has their statistics.
        DeclarationError: data.toml cannot be read.
    """
    registry = Registry(settings)
    path = registry.home(name) / FILE
    folders = [newest_output(settings, name, step) for step in ("ingest", "statistics")]
    if folders[0] is None or folders[1] is None:
        raise DataError(f"{name}: no run has statistics of its rows; `stork pipeline run {name} --to statistics` first")
    play = read_play(folders[0])
    try:
        statistics = read_all(folders[1], play)
    except DataError as error:
        raise DataError(f"{error}; `stork statistics {name}` first") from error
    return Review(
        path=path,
        generation=refresh(path),
        text=read_text(path),
        declaration=registry.declaration(name),
        spans=find_spans(settings, name, sorted({*play.chosen, play.newest})),
        statistics=statistics,
        line=play.line,
        skew=find_skew(newest_output(settings, name, "validate"), play.newest),
    )


def read_text(path: Path) -> str:
    """
    A data.toml, empty where there is none.

    Raises:
        DeclarationError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path}: {error}") from error


def find_skew(folder: Path | None, newest: int) -> tuple[Anomaly, ...]:
    """
    The errors of logged requests that a verdict in `folder` names; none where it did not look at the newest span.

    Raises:
        DataError: it cannot be read.
    """
    if folder is None:
        return ()
    path = folder / ANOMALIES
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Validation)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path}: {error}; `stork validate` again") from error
    return tuple(each for each in found.errors if each.environment == "SERVING" and each.span == newest)


def leave(settings: Settings, review: Review, text: str) -> None:
    """
    Write data.toml where the declaration stands.

    Raises:
        Conflict: somebody else wrote it since it was read, or that place is read-only.
    """
    changed = f"{review.path}: expected it as it was read, somebody changed it meanwhile; look at it and try again"
    with locked(settings.root / f".{review.declaration.model.name}.{FILE}.lock"):
        if read_text(review.path) != review.text:
            raise Conflict(changed)
        try:
            write_atomically(review.path, text.encode(), over=review.generation)
        except ObjectChanged as error:
            raise Conflict(changed) from error
        except RootNotWritable as error:
            expected = "expected a place that can be written, where model.toml stands"
            raise Conflict(f"{review.path}: {expected}: {error}") from error


def propose(review: Review, note: Note, only: Sequence[str] = ()) -> Proposal:
    """
    What would have to change for the spans in play to be valid; with `only`, as far as these columns go.

    Raises:
        BadRequest: nothing would change for a column in `only`.
    """
    changes: dict[tuple[object, ...], Change] = {}
    text, by_hand = review.text, tuple[ByHand, ...]()
    for _ in range(PASSES):
        expected, found = review.validate(text)
        remedies = [remedy(seen_of(review, expected, anomaly)) for anomaly in found.errors]
        by_hand = tuple(each for each in remedies if isinstance(each, ByHand))
        wanted = [each for each in remedies if isinstance(each, Change) and (not only or each.anomaly.column in only)]
        if not wanted:
            break
        changes |= {place_of(change): change for change in wanted}
        text = apply_changes(review.text, changes.values(), note)
    unknown = sorted(set(only) - {change.anomaly.column for change in changes.values()})
    if unknown:
        raise BadRequest(f"--only: nothing of {FILE} would change for {', '.join(unknown)}")
    return Proposal(text, tuple(changes.values()), (*by_hand, *(ByHand(anomaly, SKEWED) for anomaly in review.skew)))


def place_of(change: Change) -> tuple[object, ...]:
    """What two changes of the same thing have in common."""
    if change.table == ("accepted",):
        return (*change.table, change.anomaly.span, change.anomaly.column)
    return (*change.table, change.key)


def seen_of(review: Review, expected: Expected, anomaly: Anomaly) -> Seen:
    statistics = review.statistics[anomaly.span]
    before = dict(zip(review.line[1:], review.line, strict=False)).get(anomaly.span)
    everything = statistics.splits[ALL]
    return Seen(
        anomaly=anomaly,
        expected=expected.columns.get(anomaly.column) or Expectation(anomaly.column, ""),
        found=everything.column(anomaly.column),
        rows=everything.rows,
        examples=examples_of(statistics),
        before=examples_of(review.statistics[before]) if before is not None else 0,
        rate=expected.schema.comparing.false_alarms / max(1, len(everything.columns)),
    )


def infer(review: Review, note: Note) -> Proposal:
    """A first data.toml, from the newest span alone: that span is valid by it, but for what is left to do by hand."""
    alone = review.alone()
    return propose(replace(alone, text=first_text(alone.newest, review.declaration)), note)
