"""The step `evaluate`: how good the candidate is, and the verdict on its quality."""

from dataclasses import asdict
from typing import Any

from stork.data.ingest_step import chosen_spans
from stork.data.spans import read_splits
from stork.publishing.report import Candidate, score, version_in_service
from stork.publishing.train_step import CANDIDATE
from stork.store.registry import Registry
from stork.store.runs import Step
from stork.store.version import write_verdict


def work(step: Step) -> dict[str, Any]:
    """Leave report.json, report.txt and the verdict BLESSED or NOT_BLESSED, with its reasons."""
    registry = Registry(step.settings)
    declaration = registry.declaration(step.model)
    splits = read_splits(declaration, chosen_spans(step))
    report = score(registry, declaration, splits, Candidate.load(step.inputs["train"] / CANDIDATE), step.run)
    report.write(step.folder)
    verdict = report.verdict
    write_verdict(step.folder, verdict.name, {"reasons": verdict.reasons, "rubber_stamped": verdict.rubber_stamped})
    for line in report.text().splitlines():
        step.say(line)
    return {"metrics": asdict(report.test), "verdict": verdict.name, "reasons": verdict.reasons}


def outside(step: Step) -> list[str]:
    """The version in service, which the candidate is compared with."""
    return [str(version_in_service(Registry(step.settings), step.model))]
