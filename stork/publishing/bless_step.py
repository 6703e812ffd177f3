"""The step `bless`: both verdicts on the candidate. Is it good enough, and can it serve?"""

from dataclasses import asdict
from typing import Any

import msgspec

from stork.declaration import Declaration
from stork.evaluation.exam import examine_candidate
from stork.evaluation.quality import Measured, Verdict, judge
from stork.evaluation.runtime import runtime_here
from stork.publishing.report import version_in_service
from stork.publishing.train_step import CANDIDATE
from stork.serving.loader import choose_local
from stork.store.registry import Registry
from stork.store.runs import Step
from stork.store.version import load_manifest, write_verdict


def work(step: Step) -> dict[str, Any]:
    """
    Leave BLESSED or NOT_BLESSED, and INFRA_BLESSED or INFRA_NOT_BLESSED, each with its reasons.

    The parameter `waive` is a person's reason to let the candidate pass though its quality is not blessed: the verdict
    stays what it is, and says so. What cannot serve is not waived.

    Raises:
        DataError: the step `evaluate` left no report.
    """
    registry = Registry(step.settings)
    declaration = registry.declaration(step.model)
    quality = judge_quality(step, declaration)
    exam = examine_candidate(
        step.settings, declaration, registry.home(step.model), step.inputs["train"] / CANDIDATE, step.progress
    )
    infra = "INFRA_BLESSED" if exam.passed else "INFRA_NOT_BLESSED"
    write_verdict(step.folder, infra, {"reasons": exam.reasons, "exam": msgspec.to_builtins(exam)})
    tell(step, infra, exam.reasons)
    return {"verdict": quality["verdict"], "infra": infra, "waived": quality["waived"]}


def judge_quality(step: Step, declaration: Declaration) -> dict[str, str]:
    """Write and tell the verdict on quality; its name, and why it was waived, if it was and had to be."""
    measured = Measured.load(step.inputs["evaluate"])
    current = version_in_service(Registry(step.settings), step.model)
    if current != measured.baseline_version:
        problem = f"it was measured beside version {measured.baseline_version}, now version {current} is in service"
        measured = msgspec.structs.replace(measured, baseline_problem=f"{problem}: evaluate it again")
    verdict = judge(declaration, measured)
    waived = "" if verdict.blessed else step.parameters.get("waive", "")
    write_verdict(step.folder, verdict.name, plain_verdict(verdict, measured) | ({"waived": waived} if waived else {}))
    tell(step, verdict.name, verdict.reasons)
    if waived:
        step.say(f"waived: {waived}")
    elif "waive" in step.parameters:
        step.say("there is nothing to waive")
    return {"verdict": verdict.name, "waived": waived}


def tell(step: Step, verdict: str, reasons: list[str]) -> None:
    step.say(f"{verdict}:")
    for reason in reasons:
        step.say(f"  {reason}")


def plain_verdict(verdict: Verdict, measured: Measured) -> dict[str, Any]:
    """As the verdict's file has it: every comparison, also those that hold."""
    comparisons = [asdict(made) | {"ratio": made.ratio, "holds": made.holds} for made in verdict.comparisons]
    return {
        "reasons": verdict.reasons,
        "rubber_stamped": verdict.rubber_stamped,
        "against": measured.baseline_version,
        "comparisons": comparisons,
        "not_judged": verdict.not_judged,
    }


def outside(step: Step) -> list[str]:
    """The version in service, which the candidate is held to, and the runtime that the exam holds for."""
    registry = Registry(step.settings)
    manifest = load_manifest(step.inputs["train"] / CANDIDATE)
    backend = choose_local(step.settings, registry.declaration(step.model), manifest)
    return [str(version_in_service(registry, step.model)), runtime_here(step.settings, backend).fingerprint]
