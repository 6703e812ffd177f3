"""The step `statistics`: what is known of the rows of the spans in play, for a person and for the steps after it."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from stork.data.concealing import conceal_spans
from stork.data.describing import describe_span
from stork.data.findings import find
from stork.data.ingest_step import SpansInPlay, read_play
from stork.data.sources import label_of
from stork.data.spans import Span, find_spans
from stork.data.statistics import ALL, SpanStatistics
from stork.data.statistics_report import write_report
from stork.declaration import Declaration
from stork.errors import DataError
from stork.store.files import checksum, write_atomically
from stork.store.registry import Registry
from stork.store.runs import Step, outputs_of

REPORT = "statistics.html"


def work(step: Step) -> dict[str, Any]:
    """
    Leave span-N.json for every span in play, and statistics.html: the newest span beside the one before it. The page
    and what is said have no values of features that [log] hides.

    Parameter: `compare`, two other spans to show beside each other.

    Raises:
        NotFound: there is no such span.
    """
    declaration = Registry(step.settings).declaration(step.model)
    play = read_play(step.inputs["ingest"])
    shown = step.parameters.get("compare") or [play.newest, *([play.previous] if play.previous else [])]
    numbers = sorted({*play.known, *shown})
    known = {n: statistics_of(step, declaration, span) for n, span in zip(numbers, spans(step, numbers), strict=True)}
    for number, statistics in known.items():
        write_atomically(step.folder / file_of(number), msgspec.json.encode(statistics) + b"\n")
    newest, *others = conceal_spans([known[number] for number in shown], declaration.log.hidden)
    findings = find(newest, label_of(declaration).name)
    write_report(step.folder / REPORT, declaration, newest, others[0] if others else None)
    for line in findings:
        step.say(line)
    return {"spans": numbers, "rows": newest.splits[ALL].rows, "findings": findings}


def spans(step: Step, numbers: list[int]) -> list[Span]:
    return find_spans(step.settings, step.model, numbers)


def file_of(span: int) -> str:
    """The name of a span's file in the step's folder."""
    return f"span-{span}.json"


def statistics_of(step: Step, declaration: Declaration, span: Span) -> SpanStatistics:
    """Those that an earlier run left, where the same code made them of the same span by the same declaration."""
    made_by = maker(declaration)
    for folder in outputs_of(step.settings, step.model, "statistics"):
        with suppress(DataError):  # there are none, or another Stork wrote them in another form
            found = read_statistics(folder / file_of(span.number))
            if (found.digest, found.made_by) == (span.used.sha256, made_by):
                step.say(f"span {span.number}: as run {folder.parent.name} found it")
                return found
    found = describe_span(span, declaration, made_by, step.progress)
    step.say(f"span {span.number}: {found.splits[ALL].rows:,} rows, {len(found.splits[ALL].columns)} columns")
    return found


def maker(declaration: Declaration) -> str:
    """A hash of what decides the statistics of a span besides its rows: the code, and the kinds declared."""
    import hashlib

    home = Path(__file__).parent
    names = ("accumulators", "cells", "coding", "describing", "gathering", "sketches", "statistics")
    parts = [checksum(home / f"{name}.py") for name in names]
    parts += [f"{feature.name} {feature.kind}" for feature in declaration.features]
    return hashlib.sha256("\n".join([*parts, label_of(declaration).name]).encode()).hexdigest()


def read_statistics(path: Path) -> SpanStatistics:
    """
    Raises:
        DataError: the file cannot be read, or is not one.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=SpanStatistics)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path}: {error}") from error


def read_all(folder: Path, play: SpansInPlay) -> dict[int, SpanStatistics]:
    """
    What the step left in `folder`, by span: of every span in play.

    Raises:
        DataError: a span came after it, or is another one now.
    """
    found = {number: read_statistics(folder / file_of(number)) for number in play.known if has(folder, number)}
    other = [n for n in play.known if n not in found or found[n].digest != play.digests.get(str(n), found[n].digest)]
    if other:
        raise DataError(
            f"{folder}: expected statistics of span {other[0]} as it is now, received none; "
            "`stork statistics` makes them"
        )
    return found


def has(folder: Path, span: int) -> bool:
    return (folder / file_of(span)).is_file()
