"""The step `push`: the candidate becomes the next version, with its report and its verdict; both or neither."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from stork.errors import NotBlessed
from stork.publishing.push import publish
from stork.publishing.switch import switch_alias
from stork.publishing.train_step import CANDIDATE
from stork.schema.frozen import load_schema
from stork.store.registry import Registry
from stork.store.runs import Step
from stork.store.version import load_manifest, read_optional, read_verdict, write_manifest, write_verdict


def work(step: Step) -> dict[str, Any]:
    """
    Publish the candidate, unless a version has it already, and move the alias of the parameter `alias`.

    Raises:
        NotBlessed: an alias shall move, and the verdict is against it.
        VersionBroken: the version does not serve; it is published, but no alias moved.
        RootNotWritable: there is nowhere to publish to.
    """
    verdict, reasons = read_verdict(step.inputs["evaluate"], "BLESSED")
    alias = step.parameters.get("alias")
    if alias and verdict != "BLESSED":
        raise NotBlessed(f"{step.model}: {verdict or 'no verdict'}: {'; '.join(reasons.get('reasons', []))}")
    version = published_as(step)
    if version is None:
        version = publish_candidate(step, verdict, reasons)
        step.say(f"published {step.model} version {version} ({verdict})")
    else:
        step.say(f"{step.model} version {version} is this candidate already")
    if alias:
        done = switch_alias(step.settings, step.model, version, alias)
        step.say(f"{alias} is now version {version}; {done.followed} of {done.servers} server processes serve it")
    return {"version": version, "verdict": verdict, "alias": alias}


def published_as(step: Step) -> int | None:
    """The version that has this candidate already."""
    wanted = load_manifest(step.inputs["train"] / CANDIDATE).created
    for version, folder in Registry(step.settings).versions(step.model).items():
        if load_manifest(folder).created == wanted:
            return version
    return None


def publish_candidate(step: Step, verdict: str, reasons: dict[str, Any]) -> int:
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
            runs={name: folder.parent.name for name, folder in step.inputs.items()} | made.runs | {"push": step.run},
        )
        write_verdict(folder, verdict, reasons)
        return publish(step.settings, step.model, folder)
