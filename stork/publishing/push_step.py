"""The step `push`: the candidate becomes the next version, with its verdicts; it takes traffic only if both stand."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from stork.errors import BadRequest, NotBlessed
from stork.publishing.evidence_page import publish_evidence
from stork.publishing.push import publish
from stork.publishing.ramp import STEP_SECONDS, STEPS, Plan, climb
from stork.publishing.report import version_in_service
from stork.publishing.switch import runtime_differences, switch_alias
from stork.publishing.train_step import CANDIDATE
from stork.schema.frozen import load_schema
from stork.store.registry import Registry
from stork.store.runs import Step
from stork.store.version import (
    load_manifest,
    read_optional,
    read_verdict,
    refusal,
    verdict_names,
    write_manifest,
    write_verdict,
)


def work(step: Step) -> dict[str, Any]:
    """
    Publish the candidate, unless a version has it already; then move the alias of the parameter `alias`, or with
    `canary` (percent) give it so much of the traffic, and from there more and more, each step for `every` seconds.

    Raises:
        BadRequest: both an alias and a canary are asked for.
        NotBlessed: it shall take traffic, and a verdict is against it, or holds for another runtime than this one.
        VersionBroken: the version does not serve, or did worse than the one it replaces; it is published.
        Conflict: a ramp cannot be judged here.
        RootNotWritable: there is nowhere to publish to.
    """
    step.begin_anew()
    alias, canary = step.parameters.get("alias"), step.parameters.get("canary")
    if alias and canary:
        raise BadRequest("expected an alias or a canary, received both")
    verdicts = step.inputs["bless"]
    names, version = verdict_names(verdicts), published_as(step)
    if alias or canary:
        check_blessings(step, verdicts, version)
    if version is None:
        version = publish_candidate(step, verdicts)
        step.say(f"published {step.model} version {version} ({', '.join(names)})")
    else:
        step.say(f"{step.model} version {version} is this candidate already")
    publish_evidence(step.settings, step.model, version)
    if alias:
        done = switch_alias(step.settings, step.model, version, alias)
        step.say(f"{alias} is now version {version}; {done.followed} of {done.servers} server processes serve it")
        publish_evidence(step.settings, step.model, version)  # now it took traffic, which is evidence too
    elif canary:
        steps = (canary, *(share for share in STEPS if share > canary))
        plan = Plan(steps, step.parameters.get("every", STEP_SECONDS))
        climb(step.settings, step.model, version, plan, step.say, step.progress)
    return {"version": version, "verdicts": names, "alias": alias, "canary": canary}


def check_blessings(step: Step, verdicts: Path, version: int | None) -> None:
    """
    Raises:
        NotBlessed: a verdict is against the candidate (which is `version` already, or None) and not waived, or holds no
            more: it was compared with a version that is not in service now, or examined under another runtime.
    """
    reasons = [reason for kind in ("BLESSED", "INFRA_BLESSED") if (reason := refusal(verdicts, kind))]
    reasons += [f"examined under another runtime: {way}" for way in runtime_differences(step.settings, verdicts)]
    against = read_verdict(verdicts, "BLESSED")[1].get("against")
    current = version_in_service(Registry(step.settings), step.model)
    if current not in (against, version):
        reasons.append(f"compared with version {against}, now version {current} is in service: evaluate it again")
    if reasons:
        raise NotBlessed(f"{step.model}: {'; '.join(reasons)}")


def published_as(step: Step) -> int | None:
    """The version that has this candidate already."""
    wanted = load_manifest(step.inputs["train"] / CANDIDATE).created
    for version, folder in Registry(step.settings).versions(step.model).items():
        if load_manifest(folder).created == wanted:
            return version
    return None


def publish_candidate(step: Step, verdicts: Path) -> int:
    """Put together what a version holds, seal it, publish it."""
    candidate = step.inputs["train"] / CANDIDATE
    made = load_manifest(candidate)
    report = read_optional(step.inputs["evaluate"] / "report.json", dict[str, Any]) or {}
    with tempfile.TemporaryDirectory(dir=step.folder) as name:
        folder = Path(name) / CANDIDATE
        shutil.copytree(candidate, folder)
        write_manifest(
            folder,
            load_schema(folder / "schema.json"),
            made.twin,
            created=made.created,
            metrics=report.get("test", {}),
            data=made.data,
            packages=made.packages,
            parent=made.parent,
            spans=made.spans,
            waived=read_verdict(verdicts, "BLESSED")[1].get("waived", ""),
            waived_data=made.waived_data,
            runs=step.behind | made.runs | {"push": step.run},
        )
        for kind in ("BLESSED", "INFRA_BLESSED"):
            write_verdict(folder, *read_verdict(verdicts, kind))
        return publish(step.settings, step.model, folder)
