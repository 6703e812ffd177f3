"""The step `ingest`: every source that has rows not seen yet becomes a span."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from stork.data.fetch import SAMPLE_ROWS, Fetcher, find_files
from stork.data.ingest import ingest, rules_of
from stork.data.spans import MANIFEST, Span, choose_spans, find_spans, list_spans
from stork.declaration import Declaration, Source
from stork.errors import DataError
from stork.store.files import checksum, write_atomically
from stork.store.registry import Registry
from stork.store.runs import Step


class SpansInPlay(msgspec.Struct, frozen=True):
    """
    spans.json, what later steps read: the spans to train on, the newest one, and the one before it.

    `previous` is None where there is none to compare with. `digests` are the SHA-256 of the spans' manifests. `before`
    is the span before the first of those to train on, None where that is the oldest.
    """

    chosen: list[int]
    newest: int
    previous: int | None
    digests: dict[str, str]
    before: int | None = None

    @property
    def line(self) -> list[int]:
        """The spans to train on, behind the one before them, oldest first: each but the first has one before it."""
        return [*([] if self.before is None else [self.before]), *self.chosen]

    @property
    def known(self) -> list[int]:
        """Every span in play."""
        return sorted({*self.line, self.newest, *([] if self.previous is None else [self.previous])})


def work(step: Step) -> dict[str, Any]:
    """
    Ingest what is new of the sources, and say which spans are in play.

    Parameters: `data` (files), or `subscription` with `seconds` and `messages`, else what is declared, else generated
    rows; `where`; `spans` (how many to train on).

    Raises:
        DataError: a source cannot be read, or the model has no span.
    """
    step.begin_anew()
    declaration = Registry(step.settings).declaration(step.model)
    made = [span for source in sources_of(declaration, step) if (span := take(step, declaration, source))]
    play = spans_in_play(step, declaration)
    write_atomically(step.folder / "spans.json", msgspec.json.encode(play) + b"\n")
    return {"made": [span.number for span in made], "chosen": play.chosen, "refused": refused_of(made)}


def take(step: Step, declaration: Declaration, source: Source) -> Span | None:
    """The span of a source's new rows; None where there is none."""
    with tempfile.TemporaryDirectory(dir=step.folder) as name:
        scratch, rows = Path(name) / "fetched", Path(name) / "span"
        scratch.mkdir()
        rows.mkdir()
        home = Registry(step.settings).home(step.model)
        fetched = Fetcher(step.settings, declaration, home, scratch, step.progress).fetch(source)
        step.say(f"reading {'; '.join(fetched.describe())}")
        span = ingest(step.settings, declaration, fetched, rows, progress=step.progress) if fetched.files else None
        fetched.finish()
    for line in (fetched.note, "nothing new" if span is None else tell(span), *overlaps(step, span)):
        if line:
            step.say(line)
    return span


def sources_of(declaration: Declaration, step: Step) -> tuple[Source, ...]:
    """What is to be read."""
    files, where = step.parameters.get("data", []), step.parameters.get("where", "true")
    if files:
        return (Source(files=tuple(files), where=where),)
    if subscription := step.parameters.get("subscription"):
        limits = {name: step.parameters[name] for name in ("seconds", "messages") if name in step.parameters}
        return (Source(subscription=subscription, where=where, **limits),)
    return declaration.data.sources or (Source(sample=SAMPLE_ROWS),)


def spans_in_play(step: Step, declaration: Declaration) -> SpansInPlay:
    """
    Raises:
        DataError: the model has no span.
    """
    spans = list_spans(step.settings, step.model)
    if not spans:
        raise DataError(f"{step.model}: no span was ever ingested")
    chosen = choose_spans(spans, step.parameters.get("spans", declaration.data.spans))
    numbers = [span.number for span in choose_spans(spans)]
    digests = {str(span.number): checksum(span.folder / MANIFEST) for span in spans}
    earlier = numbers[: -len(chosen)]
    return SpansInPlay(
        chosen=[span.number for span in chosen],
        newest=numbers[-1],
        previous=numbers[-2] if len(numbers) > 1 else None,
        digests=digests,
        before=earlier[-1] if earlier else None,
    )


def outside(step: Step) -> list[str]:
    """What the step depends on that no other step made: content of files, the spans there are; a service, always."""
    registry = Registry(step.settings)
    declaration = registry.declaration(step.model)
    found = [rules_of(declaration), *(span.folder.name for span in list_spans(step.settings, step.model))]
    for source in sources_of(declaration, step):
        tables = registry.home(step.model) / "sample.json"
        found += [source.where, str(source.sample), *([checksum(tables)] if tables.is_file() else [])]
        found += [checksum(path) for pattern in source.files for path in find_files(pattern)]
        if source.bigquery or source.subscription:
            found.append(step.run)
    return found


def refused_of(spans: list[Span]) -> dict[str, int]:
    """The rows refused of these spans, by reason."""
    counted: Counter[str] = Counter()
    for span in spans:
        counted.update(span.manifest.refused)
    return dict(counted)


def overlaps(step: Step, span: Span | None) -> Iterator[str]:
    """A warning for each file of the span that an earlier one holds under another condition."""
    for earlier in list_spans(step.settings, step.model):
        if span is not None and earlier.number < span.number and earlier.manifest.rules == span.manifest.rules:
            for file in span.manifest.read:
                if file.sha256 in {other.sha256 for other in earlier.manifest.read}:
                    yield f"warning: span {earlier.number} holds rows of {file.name} too: those of both count twice"


def tell(span: Span) -> str:
    """A span in one line."""
    counts = ", ".join(f"{count:,} {split}" for split, count in span.manifest.rows.items())
    refused = ", ".join(f"{count:,} ({why})" for why, count in span.manifest.refused.items()) or "none"
    left_out = "".join(f"; left out: {name}, of which a span has its own" for name in span.manifest.left_out)
    return f"span {span.number}: rows {counts}; refused: {refused}{left_out}"


def read_play(folder: Path) -> SpansInPlay:
    """
    What the step `ingest` left in `folder`, for the steps after it.

    Raises:
        DataError: there is no readable spans.json.
    """
    path = folder / "spans.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=SpansInPlay)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path}: {error}") from error


def chosen_spans(step: Step) -> list[Span]:
    """The spans to train on."""
    return find_spans(step.settings, step.model, read_play(step.inputs["ingest"]).chosen)
