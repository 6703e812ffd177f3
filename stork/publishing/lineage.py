"""Where a version comes from: the runs that made it, the spans it learned from, the rows that were refused."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from stork.config import Settings
from stork.data.spans import MANIFEST, REFUSED, SourceFile, load_span, spans_folder
from stork.errors import DataError, NotFound
from stork.store.files import checksum
from stork.store.registry import Registry
from stork.store.runs import find_run, output_of
from stork.store.version import Manifest, SpanUsed, load_manifest, read_verdict


class SpanLineage(msgspec.Struct, kw_only=True):
    """
    A span that a version learned from.

    `state` is `whole`, `gone` (only its number and hash are known) or `changed` (it is not the span that was read).
    """

    span: int
    state: str
    read: tuple[SourceFile, ...] = ()
    rows: dict[str, int] = {}
    refused: dict[str, int] = {}
    refused_rows: str = ""


class StepLineage(msgspec.Struct, kw_only=True):
    """A step that led to a version; without a time where its run is gone."""

    run: str
    began: datetime | None = None
    seconds: float = 0.0
    fingerprint: str = ""
    summary: dict[str, Any] = {}


class Lineage(msgspec.Struct, kw_only=True):
    """All that is known of how a version came to be."""

    model: str
    version: int
    created: datetime
    parent: int | None
    packages: dict[str, str]
    data: tuple[str, ...]
    verdicts: dict[str, list[str]]
    waived: str
    waived_data: str
    steps: dict[str, StepLineage]
    spans: list[SpanLineage]


def trace_version(settings: Settings, name: str, version: int) -> Lineage:
    """
    The lineage of a version. What was cleaned up since is said to be gone.

    Raises:
        ModelNotFound, VersionNotFound: there is no such version.
        VersionBroken: it has no readable manifest.
    """
    folder = Registry(settings).version_folder(name, version)
    manifest = load_manifest(folder)
    steps = trace_steps(settings, manifest)
    verdicts = [read_verdict(folder, kind) for kind in ("BLESSED", "INFRA_BLESSED")]
    if validated := find_validated(settings, steps):
        verdicts.append(read_verdict(validated, "VALID"))
    return Lineage(
        model=name,
        version=version,
        created=manifest.created,
        parent=manifest.parent,
        packages=manifest.packages,
        data=manifest.data,
        verdicts={verdict: facts.get("reasons", []) for verdict, facts in verdicts if verdict},
        waived=manifest.waived,
        waived_data=manifest.waived_data,
        steps=steps,
        spans=[trace_span(settings, name, used) for used in manifest.spans],
    )


def trace_steps(settings: Settings, manifest: Manifest) -> dict[str, StepLineage]:
    """The steps by name, in the order they were done; first those of which nobody knows when."""
    found = {}
    for step, run in manifest.runs.items():
        found[step] = StepLineage(run=run)
        try:
            record = find_run(settings, run).record
        except (NotFound, DataError):
            continue
        if done := record.steps.get(step):
            found[step] = StepLineage(
                run=run, began=done.began, seconds=done.seconds, fingerprint=done.fingerprint, summary=done.summary
            )
    return dict(sorted(found.items(), key=lambda pair: pair[1].began or datetime.min.replace(tzinfo=UTC)))


def find_validated(settings: Settings, steps: Mapping[str, StepLineage]) -> Path | None:
    """
    What the step `validate` left, on which a version's transform depends; None where it is gone, or never ran.

    Of a version that does not name the step its transform's record does.
    """
    run = steps["validate"].run if "validate" in steps else None
    try:
        if run is None and "transform" in steps:
            run = find_run(settings, steps["transform"].run).record.steps["transform"].inputs.get("validate")
        return output_of(settings, find_run(settings, run).record, "validate") if run else None
    except (NotFound, DataError, KeyError):
        return None


def trace_span(settings: Settings, name: str, used: SpanUsed) -> SpanLineage:
    """One span as it is now."""
    folder = spans_folder(settings, name) / str(used.span)
    try:
        manifest = load_span(folder).manifest
    except DataError:
        return SpanLineage(span=used.span, state="gone")
    same = checksum(folder / MANIFEST) == used.sha256
    return SpanLineage(
        span=used.span,
        state="whole" if same else "changed",
        read=manifest.read,
        rows=manifest.rows,
        refused=manifest.refused,
        refused_rows=str((folder / f"{REFUSED}.parquet").relative_to(settings.root)) if manifest.refused else "",
    )


def tell_lineage(lineage: Lineage) -> list[str]:
    """A lineage as lines for a person, from the version back to the rows."""
    parent = f", after version {lineage.parent}" if lineage.parent else ""
    lines = [f"{lineage.model} version {lineage.version}, {lineage.created:%Y-%m-%d %H:%M}Z{parent}"]
    lines += [f"  {verdict}: {'; '.join(reasons)}" for verdict, reasons in lineage.verdicts.items()]
    if lineage.waived:
        lines.append(f"  waived: {lineage.waived}")
    if lineage.waived_data:
        lines.append(f"  learned from rows that were NOT_VALID, waived: {lineage.waived_data}")
    for step, done in reversed(lineage.steps.items()):
        facts = f"{done.began:%Y-%m-%d %H:%M}Z, {done.seconds:.1f} s" if done.began else "its folder is gone"
        lines.append(f"  {step}: run {done.run} ({facts})")
    if lineage.packages:
        lines.append("  with " + ", ".join(f"{name} {version}" for name, version in lineage.packages.items()))
    for span in lineage.spans:
        lines += tell_span(span)
    if not lineage.spans:
        lines.append(f"  learned from {'; '.join(lineage.data) or 'rows that are not on record'}")
    return lines


def tell_span(span: SpanLineage) -> list[str]:
    """A span, its files, and the rows refused."""
    counts = ", ".join(f"{count:,} {split}" for split, count in span.rows.items())
    lines = [f"  span {span.span}, {span.state}" + (f": {counts}" if counts else "")]
    for file in span.read:
        condition = f" where {file.where}" if file.where != "true" else ""
        lines.append(f"    {file.name} (sha256 {file.sha256[:12]}...){condition}")
    if span.refused:
        lines.append(f"    refused {sum(span.refused.values()):,} rows, in {Path(span.refused_rows).as_posix()}")
        lines += [f"      {count:,} {why}" for why, count in span.refused.items()]
    return lines
