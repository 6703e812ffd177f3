"""The step `evaluate`: how good the candidate is, beside the mean and the version in service."""

from dataclasses import asdict
from typing import Any

from stork.data.ingest_step import chosen_spans
from stork.data.spans import read_splits
from stork.publishing.report import Candidate, score, version_in_service
from stork.publishing.train_step import CANDIDATE
from stork.store.registry import Registry
from stork.store.runs import Step


def work(step: Step) -> dict[str, Any]:
    """Leave report.json and report.txt: what was measured. Whether that is good enough is for `bless` to say."""
    registry = Registry(step.settings)
    declaration = registry.declaration(step.model)
    splits = read_splits(declaration, chosen_spans(step))
    report = score(registry, declaration, splits, Candidate.load(step.inputs["train"] / CANDIDATE), step.run)
    report.write(step.folder)
    for line in report.text().splitlines():
        step.say(line)
    return {"metrics": asdict(report.test), "against": report.baseline.version}


def outside(step: Step) -> list[str]:
    """The version in service, which the candidate is compared with."""
    return [str(version_in_service(Registry(step.settings), step.model))]
