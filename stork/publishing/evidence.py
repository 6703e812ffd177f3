"""What is still on record of a version: all that its evidence page tells, and what is gone, in so many words."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stork.config import Settings
from stork.data.anomalies import Validation
from stork.data.spans import load_span, spans_folder
from stork.data.statistics import SpanStatistics
from stork.data.statistics_step import file_of
from stork.data.validate_step import ANOMALIES
from stork.declaration import Declaration
from stork.errors import DataError, NotFound, VersionBroken
from stork.evaluation.exam import Exam
from stork.publishing.lineage import Lineage, find_validated, trace_version
from stork.publishing.report import Report
from stork.schema.frozen import Schema, load_schema
from stork.store.registry import Registry
from stork.store.runs import RunRecord, find_run, output_of, outputs_of
from stork.store.serving_state import Change
from stork.store.version import Manifest, load_manifest, read_optional, read_verdict

NAN = float("nan")
# What report.json writes as null where it is no number.
FIGURES = {"rmse", "own_rmse", "mae", "bias", "slope", "intercept", "low", "high", "mean", "received"}


@dataclass(frozen=True)
class Evidence:
    """
    What is known of a version.

    `quality` and `infra` are verdicts with their facts, ("", {}) where none was given. `report` is None where the run
    that evaluated it is gone or left none that can be read; `report_problem` says which. `trained` is the run that
    trained it, `statistics` are those of the spans it learned from, by span, `history` the changes of what serves;
    `validity` is the verdict on its rows, `validation` all that was found in them, None where that is gone.
    """

    settings: Settings
    declaration: Declaration
    manifest: Manifest
    schema: Schema
    lineage: Lineage
    quality: tuple[str, dict[str, Any]]
    infra: tuple[str, dict[str, Any]]
    validity: tuple[str, dict[str, Any]]
    validation: Validation | None
    exam: Exam | None
    report: Report | None
    report_problem: str
    trained: RunRecord | None
    statistics: dict[int, SpanStatistics]
    history: list[Change]
    others: list[int]

    @property
    def version(self) -> int:
        return self.lineage.version

    @property
    def unit(self) -> str:
        """Of the label."""
        label = self.declaration.training.label
        return next((output.unit for output in self.schema.outputs if output.name == label), "")


def gather_evidence(settings: Settings, name: str, version: int) -> Evidence:
    """
    Raises:
        ModelNotFound, VersionNotFound: there is no such version.
        VersionBroken: its manifest, schema or verdicts cannot be read.
    """
    registry = Registry(settings)
    folder = registry.version_folder(name, version)
    lineage = trace_version(settings, name, version)
    infra = read_verdict(folder, "INFRA_BLESSED")
    report, problem = find_report(settings, lineage)
    validated = find_validated(settings, lineage.steps)
    return Evidence(
        settings=settings,
        declaration=registry.declaration(name),
        manifest=load_manifest(folder),
        schema=load_schema(folder / "schema.json"),
        lineage=lineage,
        quality=read_verdict(folder, "BLESSED"),
        infra=infra,
        validity=read_verdict(validated, "VALID") if validated else ("", {}),
        validation=read_known(validated / ANOMALIES, Validation) if validated else None,
        exam=find_exam(infra[1]),
        report=report,
        report_problem=problem,
        trained=find_record(settings, lineage, "train"),
        statistics=dict(find_statistics(settings, lineage)),
        history=registry.state(name).history,
        others=[number for number in registry.versions(name) if number != version],
    )


def find_exam(facts: dict[str, Any]) -> Exam | None:
    """The exam behind a verdict; None where there was none, or one of another form."""
    try:
        return msgspec.convert(facts["exam"], Exam)
    except (KeyError, msgspec.ValidationError):
        return None


def read_known(path: Path, form: Any) -> Any:
    """A file that a step left; None where it is gone, or was left by a Stork that wrote another form."""
    try:
        return read_optional(path, form)
    except VersionBroken:
        return None


def find_record(settings: Settings, lineage: Lineage, step: str) -> RunRecord | None:
    """The record of the run that did a step of this version; None where it is gone, or there never was one."""
    if step not in lineage.steps:
        return None
    try:
        return find_run(settings, lineage.steps[step].run).record
    except (NotFound, DataError):
        return None


def find_report(settings: Settings, lineage: Lineage) -> tuple[Report | None, str]:
    """What the evaluation of this version left; or None, and why."""
    if "evaluate" not in lineage.steps:
        return None, "The version names no run that evaluated it."
    run = lineage.steps["evaluate"].run
    record = find_record(settings, lineage, "evaluate")
    folder = output_of(settings, record, "evaluate") if record else None
    if folder is None:
        return None, f"Run {run}, which evaluated it, is gone."
    try:
        return load_report(folder), ""
    except (OSError, msgspec.MsgspecError, KeyError) as error:
        return None, f"The report of run {run} cannot be read: {error!r}."


def load_report(folder: Path) -> Report:
    """
    The report that the step `evaluate` left.

    Raises:
        OSError, MsgspecError, KeyError: there is none, or one of another form.
    """
    plain = restore_nan(msgspec.json.decode((folder / "report.json").read_bytes(), type=dict[str, Any]))
    names = {"version": "baseline_version", "metrics": "baseline", "slices": "baseline_slices"}
    plain["baseline"] = {"problem": plain["baseline_problem"]} | {key: plain[name] for key, name in names.items()}
    return msgspec.convert(plain, Report)


def restore_nan(value: Any) -> Any:
    """
    JSON has no NaN: a null that is a figure, or an end of an interval, was one.

    >>> restore_nan({"rmse": None, "ends": [0.5, None], "limit": None})
    {'rmse': nan, 'ends': [0.5, nan], 'limit': None}
    """
    if isinstance(value, dict):
        return {key: NAN if found is None and key in FIGURES else restore_nan(found) for key, found in value.items()}
    if isinstance(value, list):
        return [NAN if found is None and len(value) == 2 else restore_nan(found) for found in value]
    return value


def find_statistics(settings: Settings, lineage: Lineage) -> Iterator[tuple[int, SpanStatistics]]:
    """The statistics that any run left of each span that is still as it was read."""
    folders = list(outputs_of(settings, lineage.model, "statistics"))
    for span in lineage.spans:
        if span.state != "whole":
            continue
        digest = load_span(spans_folder(settings, lineage.model) / str(span.span)).used.sha256
        for path in (folder / file_of(span.span) for folder in folders):
            found = read_known(path, SpanStatistics)
            if found is not None and found.digest == digest:
                yield span.span, found
                break
