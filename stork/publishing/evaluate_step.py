"""The step `evaluate`: how good the candidate is, how sure that is, beside rivals, the version in service, the past."""

from dataclasses import asdict, replace
from typing import Any

from stork.data.ingest_step import chosen_spans
from stork.data.spans import choose_spans, find_spans, list_spans, read_splits
from stork.evaluation.earlier import blessed_versions
from stork.evaluation.rivals import BOOSTED
from stork.evaluation.staleness import AGED
from stork.publishing.evaluation_page import write_evaluation
from stork.publishing.report import DRAWN, Candidate, Told, score, score_earlier, version_in_service
from stork.publishing.report_text import tell_report
from stork.publishing.train_step import CANDIDATE
from stork.store.files import write_atomically
from stork.store.registry import Registry
from stork.store.runs import Step
from stork.store.version import load_manifest

# What parts of an evaluation take beside each other, once TensorFlow is loaded, which the first of them may have to.
TAKES = {BOOSTED: 70, DRAWN: 20, AGED: 5}


def work(step: Step) -> dict[str, Any]:
    """
    Leave report.json, report.txt and evaluation.html: what was measured.

    Whether that is good enough is for `bless` to say.
    """
    registry = Registry(step.settings)
    declaration = registry.declaration(step.model)
    candidate = Candidate.load(step.inputs["train"] / CANDIDATE)
    versions = blessed_versions(registry, declaration, candidate.manifest.created)
    told = follow(step, [BOOSTED, DRAWN, *[AGED] * len(versions)])
    report = score(registry, declaration, read_splits(declaration, chosen_spans(step)), candidate, step.run, told)
    known = [span.number for span in choose_spans(list_spans(step.settings, step.model))]
    spans = find_spans(step.settings, step.model, known)
    report = replace(report, staleness=score_earlier(registry, declaration, spans, versions, told))
    text = tell_report(report)
    report.write(step.folder)
    write_atomically(step.folder / "report.txt", text.encode())
    write_evaluation(step.folder / "evaluation.html", declaration, report)
    for line in text.splitlines():
        step.say(line)
    return {"metrics": asdict(report.test), "against": report.baseline.version}


def follow(step: Step, parts: list[str]) -> Told:
    """What is to be told of these parts, each when it is done: so the step's progress is by what is left."""
    left, total = list(parts), sum(TAKES[part] for part in parts)

    def told(part: str) -> None:
        if part in left:
            left.remove(part)
        step.progress(total - sum(TAKES[other] for other in left), total)

    return told


def outside(step: Step) -> list[str]:
    """The version in service, which the candidate is compared with, those before it, which aged, and the spans."""
    registry = Registry(step.settings)
    made = load_manifest(step.inputs["train"] / CANDIDATE).created
    earlier = blessed_versions(registry, registry.declaration(step.model), made)
    spans = [span.number for span in list_spans(step.settings, step.model)] if earlier else []
    return [str(version_in_service(registry, step.model)), f"versions {earlier}", f"spans {spans}"]
