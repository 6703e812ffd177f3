"""
Carrying out a run: step after step, skipped where the same was done before, and on disk before the next one begins.

A run that was killed or failed is resumed with `resume`: what it finished stays, the step it lost is tried again.
"""

import fcntl
import os
import platform
import shutil
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from stork.config import Settings
from stork.errors import BadRequest, Conflict, NotFound, StorkError
from stork.orchestration.dag import Node, order
from stork.orchestration.fingerprint import fingerprint, source_digest
from stork.remote.lease import LASTS, leased
from stork.store.audit import audit
from stork.store.files import share_folder, sync_folder, writing
from stork.store.registry import Registry
from stork.store.runs import (
    UNKNOWN,
    Expected,
    Run,
    RunRecord,
    Step,
    StepRecord,
    find_run,
    newest_output,
    output_of,
    package_versions,
    runs_of,
)

# Seconds that a job waits for who asked for it, or, when the service starts it again, for what was killed.
HANDED_OVER = LASTS + 30.0


class Audience(Protocol):
    """Who hears what a run does, and how long each step is expected to take."""

    def begin(self, step: str, expected: Expected = UNKNOWN) -> None: ...

    def say(self, line: str) -> None: ...

    def progress(self, done: int, total: int) -> None: ...

    def end(self, record: StepRecord) -> None: ...


def start(
    settings: Settings, model: str, wanted: Sequence[str], parameters: dict[str, Any], audience: Audience
) -> RunRecord:
    """
    Run the wanted steps; what they read of others is what the newest run left.

    Raises:
        ModelNotFound: no model has this name.
        Conflict: a run of this model is at work.
        StorkError: what stopped a step; the run's record says so too.
    """
    Registry(settings).declaration(model)
    names = tuple(node.name for node in order(wanted))
    with alone(settings, model):
        return carry_out(settings, Run.start(settings, model, names, parameters), audience)


def resume(settings: Settings, name: str, audience: Audience) -> RunRecord:
    """
    Go on with a run that failed or was killed, at the step it lost.

    Raises:
        NotFound: there is no such run.
        BadRequest: it is over, or was asked of a job with other code or another declaration.
        Conflict, StorkError: as for `start`.
    """
    run = find_run(settings, name)
    check_source(settings, run)
    with alone(settings, run.record.model, HANDED_OVER if run.record.job else 0.0):
        run = find_run(settings, name)
        if run.record.status not in ("failed", "running"):  # nobody runs one that is said to be running: we are alone
            raise BadRequest(f"run {name} {run.record.status}: there is nothing to resume")
        run.record.status, run.record.reason, run.record.ended = "running", "", None
        run.record.pid, run.record.machine = os.getpid(), platform.node()
        run.save()
        return carry_out(settings, run, audience)


def check_source(settings: Settings, run: Run) -> None:
    """
    Raises:
        BadRequest: the run was handed to a job, and here the code or the declaration is another one.
    """
    job, model = run.record.job, run.record.model
    if job is not None and job.source != source_digest(Registry(settings).declaration(model)):
        raise BadRequest(
            f"run {run.record.id}: expected the code and the model.toml of {model} that it was asked with, received "
            "others; build the image anew from them, or start another run"
        )


@contextmanager
def alone(settings: Settings, model: str, patience: float = 0.0) -> Iterator[None]:
    """
    Hold the model's lock; wait so many seconds for who holds it on another machine.

    Raises:
        Conflict: a run of this model is at work.
    """
    path = settings.root / "runs" / f".{model}.lock"
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(at_work(settings, model)) from None
        with leased(settings.root / "runs" / f"{model}.lease", lambda: at_work(settings, model), patience):
            yield


def at_work(settings: Settings, model: str) -> str:
    """Which run is in the way of another one."""
    found = next((run.record.id for run in runs_of(settings, model) if run.record.status == "running"), "?")
    return f"{model}: run {found} is at work; one run of a model at a time"


def carry_out(settings: Settings, run: Run, audience: Audience) -> RunRecord:
    """Every wanted step that is not done yet."""
    run.record.packages = package_versions()
    try:
        for node in order(run.record.wanted):
            done = run.record.steps.get(node.name)
            if done is None or done.status not in ("succeeded", "skipped"):
                carry_out_step(settings, run, node, audience)
    except BaseException as error:
        reason = str(error) if isinstance(error, StorkError) else f"{type(error).__name__}: {error}".rstrip(": ")
        if not isinstance(error, StorkError | KeyboardInterrupt):
            run.log(traceback.format_exc().rstrip())
        run.log(f"stopped: {reason}")
        run.end("failed", reason)
        audit(settings, "run", "failed", model=run.record.model, run=run.record.id, reason=reason)
        raise
    run.end("succeeded")
    audit(settings, "run", model=run.record.model, run=run.record.id, steps=run.record.wanted)
    return run.record


def carry_out_step(settings: Settings, run: Run, node: Node, audience: Audience) -> None:
    """One step: into a folder of its own, which is renamed when all is in it."""
    partial = run.folder / f".{node.name}"
    partial.mkdir(exist_ok=True)
    step = prepare(settings, run, node, audience)
    audience.begin(node.name, expect(settings, run.record, node))
    record = begin(settings, run, node, step)
    if record.status == "running":
        run.log(f"{node.name}: began")
        began = time.monotonic()
        try:
            record.summary = node.load()(step)
            keep(partial, run.folder / node.name)
            record.status = "succeeded"
        except BaseException as error:
            record.status, record.reason = "failed", str(error) or type(error).__name__
            raise
        finally:
            record.seconds = round(time.monotonic() - began, 3)
            run.save()
            audience.end(record)
        run.log(f"{node.name}: done in {record.seconds:.1f} s")
    else:
        shutil.rmtree(partial)
        run.log(f"{node.name}: skipped, the same was done in run {record.run}")
        audience.end(record)


def expect(settings: Settings, record: RunRecord, node: Node) -> Expected:
    """As long as the step took when it was last done; else by what the node says, at the pace of this run so far."""
    steps = (run.record.steps[node.name] for run in runs_of(settings, record.model) if node.name in run.record.steps)
    last = next((done.seconds for done in steps if done.status == "succeeded"), None)
    if last is not None:
        return Expected(last, "last time")
    paced = [other for other in order(record.wanted) if is_done(record, other) and other.seconds]
    took = sum(record.steps[other.name].seconds for other in paced)
    return Expected(node.seconds * (took / sum(other.seconds for other in paced) if paced else 1.0))


def is_done(record: RunRecord, node: Node) -> bool:
    """Whether this run has done the step itself."""
    return node.name in record.steps and record.steps[node.name].status == "succeeded"


def prepare(settings: Settings, run: Run, node: Node, audience: Audience) -> Step:
    """What the step's function will be given; its folder is not made here."""

    def say(line: str) -> None:
        run.log(f"{node.name}: {line}")
        audience.say(line)

    return Step(
        settings=settings,
        model=run.record.model,
        run=run.record.id,
        folder=run.folder / f".{node.name}",
        inputs=find_inputs(settings, run, node),
        parameters=run.record.parameters,
        say=say,
        progress=audience.progress,
    )


def begin(settings: Settings, run: Run, node: Node, step: Step) -> StepRecord:
    """The record of a step that begins now, or of one that need not: the same was done before."""
    found = fingerprint(node, step, Registry(settings).declaration(run.record.model), run.record.model)
    lost = run.record.steps.get(node.name)
    if lost is not None and lost.fingerprint != found and step.folder.exists():
        shutil.rmtree(step.folder)  # what that try left is of other work
        step.folder.mkdir()
    sources = {name: folder.parent.name for name, folder in step.inputs.items()}
    record = StepRecord(status="running", began=datetime.now(UTC), fingerprint=found, run=run.record.id, inputs=sources)
    if node.kept and not run.record.parameters.get("fresh"):
        for earlier in runs_of(settings, run.record.model):
            done = earlier.record.steps.get(node.name)
            if done and done.fingerprint == found and output_of(settings, earlier.record, node.name):
                record.status, record.run, record.summary = "skipped", done.run, done.summary
                break
    run.record.steps[node.name] = record
    run.save()
    return record


def find_inputs(settings: Settings, run: Run, node: Node) -> Mapping[str, Path]:
    """
    The folders that a step reads: of this run, else of the run that the parameter `run` names, else the newest.

    A step that is tried again reads what its lost try read, where that is still there. What an optional step left is
    read only in the run it was part of, or that is named.

    Raises:
        NotFound: there is no such run.
        BadRequest: a step before it was never done.
    """
    model, chosen = run.record.model, run.record.parameters.get("run")
    lost = run.record.steps.get(node.name)
    found = {}
    for earlier in order(node.after):
        if earlier.name in run.record.wanted:
            folder = output_of(settings, run.record, earlier.name)
        elif lost and (folder := read_before(settings, lost, earlier.name)):
            pass
        elif chosen:
            folder = left_or_read(settings, find_run(settings, chosen).record, earlier.name)
        else:
            folder = None if earlier.optional else newest_output(settings, model, earlier.name)
        if folder is not None:
            found[earlier.name] = folder
        elif not earlier.optional:
            where = f"run {chosen}" if chosen else f"no run of {model!r}"
            hint = "did not" if chosen else f"did; `stork {earlier.name} {model}` does"
            raise BadRequest(f"{node.name} reads what the step `{earlier.name}` leaves, which {where} {hint}")
    return found


def read_before(settings: Settings, lost: StepRecord, step: str) -> Path | None:
    """The folder of another step that a lost try read; None where it read none, or that is gone."""
    try:
        return output_of(settings, find_run(settings, lost.inputs[step]).record, step)
    except (KeyError, NotFound):
        return None


def left_or_read(settings: Settings, record: RunRecord, step: str) -> Path | None:
    """The folder that a run's step left; where it has no such step, the one that its other steps read."""
    folder = output_of(settings, record, step)
    read = next((done.inputs[step] for done in record.steps.values() if step in done.inputs), None)
    if folder is None and step not in record.steps and read is not None:
        folder = output_of(settings, find_run(settings, read).record, step)
    return folder


def keep(partial: Path, folder: Path) -> None:
    """Let others see what a step left, all at once."""
    if folder.exists():  # a try that was killed between this and its record: it is done again
        shutil.rmtree(folder)
    share_folder(partial, folder)
    sync_folder(folder.parent)
