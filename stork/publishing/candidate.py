"""Training end to end: rows in, a candidate out, whole enough to be pushed."""

import importlib.metadata
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stork.config import Settings
from stork.data.sample import generate, load_sample, summarise
from stork.data.sources import Rows, read_rows
from stork.data.split import split_rows
from stork.declaration import Declaration
from stork.errors import DataError
from stork.publishing.report import Report, Splits, score, version_in_service
from stork.publishing.twin import make_twin
from stork.schema.decode import Decoder, default_value
from stork.schema.frozen import Schema, tensor_name
from stork.schema.tensors import check_predictions, plain_values
from stork.store.files import writing
from stork.store.registry import Registry
from stork.store.version import Golden, write_manifest, write_verdict
from stork.training.export import export_model
from stork.training.trainer import Progress, Trained, encode_rows, train_model

SAMPLE_ROWS = 24_000
SAMPLE_SEED = 1
BACKGROUND_ROWS = 64
GOLDEN_ROWS = 5  # besides the corners of the domain
PROBE_ROWS = 1000
PACKAGES = ("tensorflow-cpu", "tensorflow", "keras", "numpy", "ai-edge-litert")


@dataclass(frozen=True)
class Sources:
    """Rows to train on: the files of `--data` where `where` holds, or without files the generated sample."""

    files: tuple[Path, ...] = ()
    where: str = "true"


def make_candidate(
    settings: Settings, name: str, sources: Sources, progress: Progress, say: Callable[[str], None] = lambda _: None
) -> tuple[Path, Report]:
    """
    Train, score, export and seal a candidate in `<root>/runs/<run>/candidate`; its folder and the report.

    `progress` hears of every epoch, `say` which part of the work begins.

    Raises:
        ModelNotFound, DataError: no such model; no rows that can be learned from.
        RootNotWritable: there is nowhere to leave the run.
    """
    registry = Registry(settings)
    declaration = registry.declaration(name)
    schema = Schema.of(declaration)
    say("reading rows")
    rows, sample = find_rows(registry, declaration, sources)
    splits = Splits(rows, *split_rows(rows, declaration.training))
    if not len(splits.test):
        raise DataError(f"{', '.join(rows.source)}: expected rows in every split, received none to test on")
    say("training")
    trained = train_model(schema, declaration.training, splits.train, splits.eval, progress)
    say("scoring")
    folder = start_run(settings)
    report = score(registry, declaration, splits, trained, folder.parent.name)
    say("exporting, and proving the LiteRT twin")
    export_model(trained, schema, folder)
    (folder / "schema.json").write_bytes(schema.to_json())
    write_examples(folder, schema, sample, trained)
    probe = rows.select(np.arange(len(rows)) < PROBE_ROWS)
    report = replace(report, twin=make_twin(folder, schema, encode_rows(schema, probe)))
    seal(folder, schema, report, version_in_service(registry, name))
    report.write(folder.parent)
    return folder, report


def find_rows(registry: Registry, declaration: Declaration, sources: Sources) -> tuple[Rows, Rows | None]:
    """
    The rows to learn from, and generated ones to show: from sample.json, else from tables of the rows themselves.

    There are none to show where the declaration has no `[sample]`.
    """
    path = registry.home(declaration.model.name) / "sample.json"
    rows = read_rows(declaration, list(sources.files), sources.where) if sources.files else None
    if rows is None or path.is_file():
        sample = generate(declaration, load_sample(path), SAMPLE_ROWS, SAMPLE_SEED)
        return sample if rows is None else rows, sample
    if not declaration.sample.tables:
        return rows, None
    return rows, generate(declaration, summarise(declaration, rows), SAMPLE_ROWS, SAMPLE_SEED)


def start_run(settings: Settings) -> Path:
    """A new, empty candidate folder; the name of the run it is in sorts by time."""
    run = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    folder = settings.root / "runs" / run / "candidate"
    with writing(folder):
        folder.mkdir(parents=True)
    return folder


def seal(folder: Path, schema: Schema, report: Report, parent: int | None) -> None:
    """Write the manifest and the verdict: from here on the folder is a candidate."""
    write_manifest(
        folder,
        schema,
        report.twin,
        metrics=asdict(report.test),
        data=report.source,
        packages=package_versions(),
        parent=parent,
    )
    verdict = report.verdict
    write_verdict(folder, verdict.name, {"reasons": verdict.reasons, "rubber_stamped": verdict.rubber_stamped})


def write_examples(folder: Path, schema: Schema, sample: Rows | None, trained: Trained) -> None:
    """golden.json and background.json, from generated rows and the declaration: no real row is in a version."""
    shown = [] if sample is None else sample.select(np.arange(len(sample)) < BACKGROUND_ROWS + GOLDEN_ROWS).instances()
    if shown:
        (folder / "background.json").write_bytes(msgspec.json.encode(shown[:BACKGROUND_ROWS]))
    instances = shown[BACKGROUND_ROWS:] + corners(schema)
    tensors = Decoder(schema, len(instances)).decode(instances).tensors
    (output,) = schema.outputs
    answered = check_predictions(schema, {tensor_name(output): trained.predict(tensors)}, len(instances))
    predictions = [{output.name: value} for value in plain_values(output, answered[output.name])]
    (folder / "golden.json").write_bytes(msgspec.json.encode(Golden(instances, predictions)))


def corners(schema: Schema) -> list[dict[str, Any]]:
    """Instances where a model goes wrong first: both ends of every domain, and all that may be missing missing."""
    lowest, highest, barest = {}, {}, {}
    for feature in schema.features:
        values: list[Any] = [value.value for value in feature.values] or list(feature.range or ())
        if feature.kind == "boolean":
            values = [False, True]
        elif feature.kind == "integer":
            values = [int(value) for value in values]
        usual = default_value(feature)
        lowest[feature.name], highest[feature.name] = (values[0], values[-1]) if values else (usual, usual)
        if feature.required:
            barest[feature.name] = usual
    return [lowest, highest, barest]


def package_versions() -> dict[str, str]:
    """What the candidate was made with."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
