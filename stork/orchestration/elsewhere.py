"""
Carrying out a step elsewhere: the run is made here, a job of Vertex AI resumes it, and what it left is brought back.

The model's lease is held by whoever works: here while the job is asked for, then by the job's own process, until it
ends. Who only watches holds nothing, so nothing is lost when they stop.
"""

import time
from contextlib import closing
from typing import Any

from stork.config import Settings
from stork.declaration import CustomJob
from stork.errors import BadRequest, DataError, JobFailed, JobGoesOn, NotFound
from stork.orchestration.custom_jobs import DONE, CustomJobs, Job
from stork.orchestration.dag import Node, find_node
from stork.orchestration.fingerprint import fingerprint, source_digest
from stork.orchestration.runner import Audience, alone, begin, expect, prepare
from stork.remote.mirror import attach
from stork.store.audit import audit
from stork.store.registry import Registry
from stork.store.runs import JobRecord, Run, RunRecord, find_run, output_of

FIRST, LONGEST = 1.0, 30.0  # seconds between two looks at a job; each time half as much again
SILENCE = 600.0  # seconds without an answer of the service until nobody looks any more
TOLD = 60.0  # seconds after which a state that stays the same is said again
PASSING = (408, 429, 500, 502, 503, 504)


def start_elsewhere(
    settings: Settings, model: str, step: str, parameters: dict[str, Any], audience: Audience
) -> RunRecord:
    """
    Have one step done by a job, and wait for it; a job that does the same already, or has done it, is found again.

    Raises:
        ModelNotFound: no model has this name.
        BadRequest: the root is in no bucket, or the declaration does not say where.
        Conflict: a run of this model is at work.
        JobFailed: the job did not end well.
        JobGoesOn: nobody waits for it any more.
        DataError: the service refuses.
    """
    place = check_place(settings, model)
    node = find_node(step)
    with closing(CustomJobs(place, settings.vertex_training_api)) as jobs:
        draft = Run.draft(settings, model, (step,), parameters)
        audience.begin(step, expect(settings, draft.record, node))
        work = fingerprint(node, prepare(settings, draft, node, audience), Registry(settings).declaration(model), model)
        job = find_done(settings, jobs, work, step)
        if job is None:
            found = hand_over(settings, jobs, draft, node, audience)
            if isinstance(found, RunRecord):
                return found
            job = found
        audience.say(f"{job.name} carries out run {job.run}")
        audience.say(jobs.console(job))
        return take_back(settings, follow(jobs, job, model, step, audience), step, audience)


def check_place(settings: Settings, model: str) -> CustomJob:
    """
    Raises:
        BadRequest: something is missing that a job needs.
    """
    place = Registry(settings).declaration(model).training.vertex
    if not settings.bucket:
        raise BadRequest(
            f"--on vertex: expected a root that the job sees too, STORK_ROOT=gs://bucket/prefix, "
            f"received {settings.root}"
        )
    missing = [key for key in ("project", "image") if not getattr(place, key)]
    if missing:
        raise BadRequest(
            f"--on vertex: expected {' and '.join(missing)} in [training.vertex] of {model}, received none"
        )
    return place


def find_done(settings: Settings, jobs: CustomJobs, work: str, step: str) -> Job | None:
    """A job that does this work, or one that has, and whose output is still there."""
    job = jobs.find(work)
    if job is None or not job.is_over:
        return job
    try:
        return job if output_of(settings, find_run(settings, job.run).record, step) else None
    except NotFound:
        return None


def hand_over(settings: Settings, jobs: CustomJobs, draft: Run, node: Node, audience: Audience) -> Job | RunRecord:
    """
    A run for a job to resume, and that job; where the same was done before, the run that says so.

    Nobody else makes a run meanwhile, so of two that ask at the same time one finds the other's job.
    """
    model = draft.record.model
    with alone(settings, model):
        run = Run.start(settings, model, draft.record.wanted, draft.record.parameters)
        record = begin(settings, run, node, prepare(settings, run, node, audience))
        if record.status == "skipped":
            run.end("succeeded")
            audience.end(record)
            return run.record
        if job := find_done(settings, jobs, record.fingerprint, node.name):
            give_up(run, node.name, f"{job.name} does the same")
            return job
        return ask_for_job(settings, jobs, run, node)


def ask_for_job(settings: Settings, jobs: CustomJobs, run: Run, node: Node) -> Job:
    """A job that resumes the run; from now on its record is the job's to write."""
    model, name = run.record.model, run.record.id
    run.record.job = JobRecord(place="vertex", source=source_digest(Registry(settings).declaration(model)))
    run.save()
    command = ["python", "-m", "stork", "pipeline", "resume", name]
    work = run.record.steps[node.name].fingerprint
    try:
        job = jobs.create(f"{model} {node.name} {name}", name, work, command, variables(settings))
    except BaseException as error:
        give_up(run, node.name, f"no job: {error}")
        raise
    audit(settings, "job", model=model, run=name, job=job.name)
    return job


def variables(settings: Settings) -> dict[str, str]:
    """What the container is told: where the root is, and that what it says is kept by the service. No secret."""
    found = {"STORK_ROOT": settings.bucket, "STORK_LOG": "stdout", "STORK_STORAGE_API": settings.storage_api}
    return {name: value for name, value in found.items() if value}


def follow(jobs: CustomJobs, job: Job, model: str, step: str, audience: Audience) -> Job:
    """The job when it is over; says in which state it is. An error that may pass is waited out."""
    began = heard = told = time.monotonic()
    deadline = began + jobs.place.hours * 3600
    pause, state = FIRST, ""
    goes_on = (
        f"{job.name} goes on; `python -m stork {step} {model} --on vertex` follows it again, "
        f"`gcloud ai custom-jobs cancel {job.id} --project={jobs.place.project} --region={jobs.place.location}` ends it"
    )
    try:
        while True:
            now = time.monotonic()
            if job.state != state or now - told > TOLD:
                audience.say(f"{job.state} after {now - began:.0f} s")
                state, told = job.state, now
            if job.is_over:
                return job
            if now + pause > deadline:
                raise JobGoesOn(f"not over after {jobs.place.hours:g} h; {goes_on}")
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST)
            try:
                job, heard = jobs.get(job.name), time.monotonic()
            except DataError as error:
                if not passes(error) or time.monotonic() - heard > SILENCE:
                    raise JobGoesOn(f"{error}; {goes_on}") from error
                audience.say(f"no answer for now: {error}")
    except KeyboardInterrupt:
        raise JobGoesOn(f"interrupted; {goes_on}") from None


def passes(error: DataError) -> bool:
    """Whether the same request may be answered later: the service was not there, or said that it is busy."""
    return getattr(error.__cause__, "status_code", PASSING[0]) in PASSING


def give_up(run: Run, step: str, reason: str) -> None:
    """Let the record say that the step failed, and with it the run; it can be resumed."""
    run.record.steps[step].status, run.record.steps[step].reason = "failed", reason
    run.end("failed", reason)


def take_back(settings: Settings, job: Job, step: str, audience: Audience) -> RunRecord:
    """
    The run of a job that is over, with what the step left here.

    Raises:
        JobFailed: there is nothing; the run says why.
    """
    if mirror := attach(settings):
        mirror.sync(("runs",))
    run = find_run(settings, job.run)
    record = run.record.steps[step]
    folder = output_of(settings, run.record, step)
    if job.state == DONE and folder is not None:
        audience.say(f"{step} is in {settings.place(folder)}")
        audience.end(record)
        return run.record
    said = job.message or "the service gives no reason"
    if run.record.status == "running":  # its process never began, or was killed
        give_up(run, step, f"{job.state}: {said}")
    raise JobFailed(f"{job.name} ended as {job.state}: {said}; run {job.run}: {run.record.reason or 'no reason'}")
