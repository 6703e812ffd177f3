"""Training end to end: rows in, a candidate out, whole enough to be pushed, with a report that fits one screen."""

import importlib.metadata
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stork.config import Settings
from stork.data.sample import generate, load_sample
from stork.data.sources import Rows, read_rows
from stork.data.split import split_rows
from stork.declaration import Declaration
from stork.errors import StorkError
from stork.evaluation.metrics import Metrics, measure, measure_slices
from stork.evaluation.quality import Verdict, judge
from stork.publishing.twin import make_twin
from stork.schema.decode import Decoder, default_value
from stork.schema.frozen import Schema
from stork.schema.tensors import Tensors, check_predictions, plain_values
from stork.serving.loader import load_version
from stork.store.files import write_atomically, writing
from stork.store.registry import STABLE, Registry
from stork.store.version import Golden, Twin, write_manifest, write_verdict
from stork.training.export import export_model
from stork.training.trainer import Progress, Trained, encode_rows, train_model

SAMPLE_ROWS = 24_000
SAMPLE_SEED = 1
BACKGROUND_ROWS = 64
GOLDEN_ROWS = 5
PACKAGES = ("tensorflow-cpu", "tensorflow", "keras", "numpy", "ai-edge-litert")


@dataclass(frozen=True)
class Report:
    """What a run found: the test split's metrics, overall, by slice, of the mean, and of the version in service."""

    run: str
    model: str
    source: tuple[str, ...]
    refused: dict[str, int]
    rows: dict[str, int]
    epochs: int
    test: Metrics
    mean: Metrics
    baseline: Metrics | None
    slices: dict[str, Metrics]
    verdict: Verdict
    twin: Twin

    def text(self) -> str:
        """One screen for a person."""
        lines = [f"run {self.run}: {self.model}, from {'; '.join(self.source)}"]
        if self.refused:
            lines.append("refused: " + ", ".join(f"{count} ({why})" for why, count in self.refused.items()))
        lines.append(
            ", ".join(f"{count} rows {split}" for split, count in self.rows.items()) + f"; {self.epochs} epochs"
        )
        lines.append(f"\n{'test split':<44}{'rows':>7}{'RMSE':>8}{'MAE':>8}{'bias':>8}")
        table = {"all": self.test, "the mean, for everybody": self.mean}
        if self.baseline is not None:
            table["the version in service"] = self.baseline
        for name, found in (table | self.slices).items():
            lines.append(f"{name:<44}{found.rows:>7}{found.rmse:>8.3f}{found.mae:>8.3f}{found.bias:>+8.3f}")
        lines.append(f"\n{self.verdict.name}: {'; '.join(self.verdict.reasons)}")
        twin = self.twin
        lines.append(
            f"LiteRT twin: equal on {twin.rows} rows, largest difference {twin.max_difference:.1e}"
            if twin.proved
            else f"no LiteRT twin, TensorFlow will answer: {twin.reason}"
        )
        return "\n".join(lines)


@dataclass(frozen=True)
class Sources:
    """Rows to train on: the files of `--data` where `where` holds, or without files the generated sample."""

    files: tuple[Path, ...] = ()
    where: str = "true"


def make_candidate(
    settings: Settings, name: str, sources: Sources, progress: Progress, say: Callable[[str], None] = lambda _: None
) -> tuple[Path, Report]:
    """
    Train, score, export and seal a candidate in `<root>/runs/<id>/candidate`; its folder and the report.

    Raises:
        ModelNotFound, DataError: no such model; no rows that can be learned from.
        RootNotWritable: there is nowhere to leave the run.
    """
    registry = Registry(settings)
    declaration = registry.declaration(name)
    schema = Schema.of(declaration)
    say("reading rows")
    sample = generate_sample(registry, declaration)
    rows = read_rows(declaration, list(sources.files), sources.where) if sources.files else sample
    train, stop, test = split_rows(rows, declaration.training)
    trained = train_model(schema, declaration.training, train, stop, progress)
    say("exporting")
    run = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
    folder = settings.root / "runs" / run / "candidate"
    with writing(folder):
        folder.mkdir(parents=True)
    export_model(trained, schema, folder)
    (folder / "schema.json").write_bytes(schema.to_json())
    say("proving the LiteRT twin")
    twin = make_twin(folder, schema, encode_rows(schema, sample.select(np.arange(len(sample)) < 1000)))
    write_examples(folder, settings, schema, sample, trained)
    report = score(registry, declaration, schema, trained, (rows, train, stop, test), run, twin)
    write_manifest(
        folder, schema, twin,
        metrics={"rmse": report.test.rmse, "mae": report.test.mae, "bias": report.test.bias, "rows": report.test.rows},
        data=rows.source, packages=package_versions(), parent=version_in_service(registry, name),
    )  # fmt: skip
    verdict = report.verdict
    write_verdict(folder, verdict.name, {"reasons": verdict.reasons, "rubber_stamped": verdict.rubber_stamped})
    content = msgspec.json.format(msgspec.json.encode(asdict(report) | {"twin": twin}), indent=2)
    write_atomically(folder.parent / "report.json", content)
    return folder, report


def generate_sample(registry: Registry, declaration: Declaration) -> Rows:
    """Rows generated from the model's sample.json, always the same ones."""
    path = registry.home(declaration.model.name) / "sample.json"
    return generate(declaration, load_sample(path), SAMPLE_ROWS, SAMPLE_SEED)


def score(
    registry: Registry, declaration: Declaration, schema: Schema, trained: Trained,
    splits: tuple[Rows, Rows, Rows, Rows], run: str, twin: Twin,
) -> Report:  # fmt: skip
    """Metrics on the test split, of the candidate and of those it must beat."""
    rows, train, stop, test = splits
    tensors = encode_rows(schema, test)
    prediction = trained.predict(tensors)
    found = measure(test.label, prediction)
    mean = measure(test.label, np.full(len(test), train.label.mean()))
    baseline = score_baseline(registry, declaration, test)
    return Report(
        run=run,
        model=declaration.model.name,
        source=rows.source,
        refused=rows.refused,
        rows={"train": len(train), "eval": len(stop), "test": len(test)},
        epochs=trained.epochs,
        test=found,
        mean=mean,
        baseline=baseline,
        slices=measure_slices(declaration, test, prediction),
        verdict=judge(declaration.evaluation, found, mean, baseline),
        twin=twin,
    )


def score_baseline(registry: Registry, declaration: Declaration, test: Rows) -> Metrics | None:
    """The version in service on the same rows; None where there is none, or it takes other features."""
    name = declaration.model.name
    version = version_in_service(registry, name)
    if version is None:
        return None
    try:
        loaded = load_version(registry, name, version, declaration)
        tensors = encode_rows(loaded.schema, test)
        outputs = loaded.predict(tensors)
    except (StorkError, KeyError, ValueError):
        return None
    return measure(test.label, outputs[declaration.training.label].ravel())


def version_in_service(registry: Registry, name: str) -> int | None:
    """The version that `stable` names, where there is one."""
    version = registry.aliases(name).get(STABLE)
    return version if version in registry.versions(name) else None


def write_examples(folder: Path, settings: Settings, schema: Schema, sample: Rows, trained: Trained) -> None:
    """golden.json and background.json, from the generated sample and the declaration: no real row is in a version."""
    instances = [
        {name: value for name, value in zip(sample.columns, row, strict=True) if value is not None}
        for row in zip(*(column[: BACKGROUND_ROWS + GOLDEN_ROWS] for column in sample.columns.values()), strict=True)
    ]
    background, golden = instances[:BACKGROUND_ROWS], instances[BACKGROUND_ROWS:] + corners(schema)
    (folder / "background.json").write_bytes(msgspec.json.encode(background))
    tensors: Tensors = Decoder(schema, settings.max_instances).decode(golden).tensors
    (output,) = schema.outputs
    answers = {output.name: trained.predict(tensors)}
    checked = check_predictions(schema, answers, len(golden))
    predictions = [{output.name: value} for value in plain_values(output, checked[output.name])]
    (folder / "golden.json").write_bytes(msgspec.json.encode(Golden(golden, predictions)))


def corners(schema: Schema) -> list[dict[str, Any]]:
    """The instances at the ends of every domain, where a model goes wrong first; in the third all that may be missing is."""
    ends: list[dict[str, Any]] = [{}, {}, {}]
    for feature in schema.features:
        values: list[Any] = [value.value for value in feature.values] or list(feature.range or ())
        if feature.kind == "boolean":
            values = [False, True]
        if not values:
            values = [default_value(feature)]
        if feature.kind == "integer":
            values = [int(value) for value in values]
        ends[0][feature.name], ends[1][feature.name] = values[0], values[-1]
        if feature.required:
            ends[2][feature.name] = default_value(feature)
    return ends


def package_versions() -> dict[str, str]:
    """What the candidate was made with."""
    found: dict[str, Any] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
