"""What is known of a candidate's quality: as JSON for a program, and what report.txt and evaluation.html tell of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stork.data.sources import Rows
from stork.data.spans import Span, Splits
from stork.declaration import Declaration
from stork.errors import StorkError
from stork.evaluation.earlier import EarlierVersion
from stork.evaluation.importance import Importance, find_importance
from stork.evaluation.intervals import ALL, IN_SERVICE, Intervals, find_intervals
from stork.evaluation.metrics import Floats, Metrics, find_slices, is_large, measure, measure_slices, small_slices
from stork.evaluation.residuals import Errors, find_errors
from stork.evaluation.rivals import MEAN, predict_rivals
from stork.evaluation.staleness import Staleness, find_staleness
from stork.schema.frozen import Schema
from stork.schema.tensors import Array, check_predictions
from stork.serving.backends import Backend
from stork.serving.loader import load_local
from stork.store.files import write_atomically
from stork.store.registry import STABLE, Registry
from stork.store.version import Manifest, Twin, verify
from stork.training.transform import encode_rows

Told = Callable[[str], None]  # of a part that is done
DRAWN = "intervals and errors"


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

    `rows` counts each split's, `small_slices` those of slices that have too few to be scored. `rivals` learned from the
    same rows, the mean among them. `intervals` are of all rows (`ALL`) and of each slice; their ratios are to the
    rivals and to `IN_SERVICE`. `importance` is of each feature, on 20,000 rows at most. What these figures are worth is
    for the step `bless` to say.
    """

    run: str
    model: str
    source: tuple[str, ...]
    rows: dict[str, int]
    test: Metrics
    mean: Metrics
    rivals: dict[str, Metrics]
    baseline: Baseline
    slices: dict[str, Metrics]
    small_slices: dict[str, int]
    intervals: dict[str, Intervals]
    errors: Errors
    twin: Twin
    staleness: Staleness | None = None
    importance: dict[str, Importance] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Leave report.json."""
        plain = asdict(self) | {"twin": self.twin, **self.baseline.plain()}
        write_atomically(folder / "report.json", msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n")


def score(
    registry: Registry,
    declaration: Declaration,
    splits: Splits,
    candidate: Candidate,
    run: str,
    told: Told = lambda part: None,
) -> Report:
    """The report of a candidate, on the test split; each rival is `told` when it is done, and `DRAWN` in the end."""
    test = splits.test
    prediction = candidate.predict(test)
    rivals = predict_rivals(declaration, splits, told)
    baseline, current = score_baseline(registry, declaration, test)
    others = rivals if current is None else {**rivals, IN_SERVICE: current}
    slices = {title: mask for title, mask in find_slices(declaration, test).items() if is_large(declaration, mask)}
    metrics = {name: measure(test.label, predicted) for name, predicted in rivals.items()}
    report = Report(
        run=run,
        model=declaration.model.name,
        source=candidate.manifest.data,
        rows={"train": len(splits.train), "eval": len(splits.eval), "test": len(test)},
        test=measure(test.label, prediction),
        mean=metrics[MEAN],
        rivals=metrics,
        baseline=baseline,
        slices=measure_slices(declaration, test, prediction),
        small_slices=small_slices(declaration, test),
        intervals=find_intervals(
            prediction - test.label,
            {ALL: np.ones(len(test), bool), **slices},
            {name: predicted - test.label for name, predicted in others.items()},
        ),
        errors=find_errors(declaration, test, prediction, candidate.predict(splits.eval) - splits.eval.label),
        twin=candidate.manifest.twin,
        importance=find_importance(test, candidate.predict),
    )
    told(DRAWN)
    return report


def score_baseline(registry: Registry, declaration: Declaration, test: Rows) -> tuple[Baseline, Floats | None]:
    """The version in service on the same rows, where there is one, and what it predicts; or why it cannot."""
    version = version_in_service(registry, declaration.model.name)
    if version is None:
        return Baseline(), None
    try:
        prediction = EarlierVersion(registry, declaration, version).predict(test)
    except StorkError as error:
        return Baseline(version, problem=f"version {version}, which is in service: {error}"), None
    metrics = measure(test.label, prediction)
    return Baseline(version, metrics, measure_slices(declaration, test, prediction)), prediction


def score_earlier(
    registry: Registry,
    declaration: Declaration,
    spans: Sequence[Span],
    versions: Sequence[int],
    told: Told = lambda part: None,
) -> Staleness | None:
    """How versions before the candidate aged, on all spans there are; None where there are none."""
    return find_staleness(registry, declaration, versions, spans, told) if versions else None


def version_in_service(registry: Registry, name: str) -> int | None:
    """The version that `stable` names, where there is one."""
    version = registry.aliases(name).get(STABLE)
    return version if version in registry.versions(name) else None
