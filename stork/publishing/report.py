"""What a training run found, as a screen for a person and as JSON for a program."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stork.data.sources import Rows
from stork.data.spans import Splits
from stork.declaration import Declaration
from stork.errors import StorkError
from stork.evaluation.metrics import Metrics, measure, measure_slices, small_slices
from stork.schema.frozen import Schema
from stork.schema.tensors import Array, check_predictions
from stork.serving.backends import Backend
from stork.serving.loader import load_local, load_version
from stork.store.files import write_atomically
from stork.store.registry import STABLE, Registry
from stork.store.version import Manifest, Twin, verify
from stork.training.transform import encode_rows


@dataclass(frozen=True)
class Candidate:
    """A candidate as it would serve."""

    manifest: Manifest
    schema: Schema
    backend: Backend

    @classmethod
    def load(cls, folder: Path) -> "Candidate":
        """
        Raises:
            VersionBroken: it is not whole, or does not load.
        """
        manifest, schema = verify(folder)
        return cls(manifest, schema, load_local("litert" if manifest.twin.proved else "saved_model", folder, schema))

    def predict(self, rows: Rows) -> Array:
        """The label of each row, shape (n,)."""
        (output,) = self.schema.outputs
        answered = self.backend.predict(encode_rows(self.schema, rows))
        return check_predictions(self.schema, answered, len(rows))[output.name].ravel()


@dataclass(frozen=True)
class Baseline:
    """
    The version in service on the same rows, overall and by slice; None where there is none.

    `problem` says why one that is there has no metrics.
    """

    version: int | None = None
    metrics: Metrics | None = None
    slices: dict[str, Metrics] = field(default_factory=dict)
    problem: str = ""

    def plain(self) -> dict[str, Any]:
        """As report.json has it."""
        return {
            "baseline": self.metrics,
            "baseline_slices": self.slices,
            "baseline_version": self.version,
            "baseline_problem": self.problem,
        }


@dataclass(frozen=True)
class Report:
    """
    Metrics of the test split: overall, of predicting the mean, of the version in service (`baseline`), by slice.

    `rows` counts each split's, `small_slices` those of slices that have too few to be scored. What these figures are
    worth is for the step `bless` to say.
    """

    run: str
    model: str
    source: tuple[str, ...]
    rows: dict[str, int]
    test: Metrics
    mean: Metrics
    baseline: "Baseline"
    slices: dict[str, Metrics]
    small_slices: dict[str, int]
    twin: Twin

    def text(self) -> str:
        """One screen for a person."""
        lines = [f"{self.model}, run {self.run}: learned from {'; '.join(self.source)}"]
        counts = ", ".join(f"{count:,} {split}" for split, count in self.rows.items())
        lines.append(f"rows: {counts}")
        lines += ["", f"{'test rows':<52}{'rows':>7}{'RMSE':>8}{'MAE':>8}{'bias':>8}"]
        table = {"all": self.test, "all, predicting the mean": self.mean}
        if self.baseline.metrics is not None:
            table["all, the version in service"] = self.baseline.metrics
        for title, found in (table | self.slices).items():
            lines.append(f"{title:<52}{found.rows:>7}{found.rmse:>8.3f}{found.mae:>8.3f}{found.bias:>+8.3f}")
        if self.baseline.problem:
            lines.append(self.baseline.problem)
        lines += ["", say_twin(self.twin)]
        return "\n".join(lines)

    def write(self, folder: Path) -> None:
        """Leave report.txt and report.json in the run's folder."""
        plain = asdict(self) | {"twin": self.twin, **self.baseline.plain()}
        write_atomically(folder / "report.json", msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n")
        write_atomically(folder / "report.txt", self.text().encode() + b"\n")


def say_twin(twin: Twin) -> str:
    if not twin.proved:
        return f"no LiteRT twin, so TensorFlow answers: {twin.reason}"
    return f"LiteRT twin: proved equal on {twin.rows} rows, largest difference {twin.max_difference:.1e}"


def score(registry: Registry, declaration: Declaration, splits: Splits, candidate: Candidate, run: str) -> Report:
    """The report of a candidate, on the test split."""
    test = splits.test
    prediction = candidate.predict(test)
    found = measure(test.label, prediction)
    mean = measure(test.label, np.full(len(test), splits.train.label.mean()))
    baseline = score_baseline(registry, declaration, test)
    return Report(
        run=run,
        model=declaration.model.name,
        source=candidate.manifest.data,
        rows={"train": len(splits.train), "eval": len(splits.eval), "test": len(test)},
        test=found,
        mean=mean,
        baseline=baseline,
        slices=measure_slices(declaration, test, prediction),
        small_slices=small_slices(declaration, test),
        twin=candidate.manifest.twin,
    )


def score_baseline(registry: Registry, declaration: Declaration, test: Rows) -> Baseline:
    """The version in service on the same rows, where there is one; why not, where it does not take these rows."""
    name = declaration.model.name
    version = version_in_service(registry, name)
    if version is None:
        return Baseline()
    try:
        loaded = load_version(registry, name, version, declaration)
        prediction = loaded.predict(encode_rows(loaded.schema, test))[declaration.training.label].ravel()
    except (StorkError, KeyError, ValueError) as error:  # it cannot answer, or knows other features, values or outputs
        return Baseline(version, problem=f"version {version}, which is in service, does not take these rows: {error}")
    return Baseline(version, measure(test.label, prediction), measure_slices(declaration, test, prediction))


def version_in_service(registry: Registry, name: str) -> int | None:
    """The version that `stable` names, where there is one."""
    version = registry.aliases(name).get(STABLE)
    return version if version in registry.versions(name) else None
