"""The step `tune`: trials of other values of `[training]`, the best of which `train` takes in the same run."""

import os
from threading import Lock
from typing import Any

import msgspec

from stork.data.ingest_step import chosen_spans
from stork.declaration import Declaration
from stork.errors import BadRequest
from stork.schema.frozen import Schema
from stork.store.registry import Registry
from stork.store.runs import Step
from stork.training.study import Study, name_study, open_study
from stork.training.transform import read_constants
from stork.training.tuning_page import write_tuning
from stork.training.tuning_report import TuningReport
from stork.training.workers import Assignment, Crew, Worker


def work(step: Step) -> dict[str, Any]:
    """
    Try values until as many trials are over as `[tuning] trials` says, those of earlier tries included.

    Leave tuning.json, tuning.txt and tuning.html: the best values, what each key matters, every trial.

    Raises:
        BadRequest: nothing is to be searched.
        StorkError: no trial ended, or the worker processes do not live.
    """
    declaration = Registry(step.settings).declaration(step.model)
    training, tuning = declaration.training.recipe, declaration.tuning
    if not tuning.space.searched:
        raise BadRequest(f"{step.model}: expected keys of [training] in [tuning.space], received none")
    spans = chosen_spans(step)
    constants = read_constants(step.inputs["transform"], Schema.of(declaration), spans)
    threads = max(1, (os.cpu_count() or 1) // tuning.workers)
    assignment = Assignment(step.model, [span.number for span in spans], str(step.inputs["transform"]), threads)
    name = name_study(constants, training, tuning, step.run if step.parameters.get("fresh") else "")
    with open_study(step.settings.root / "studies" / f"{step.model}.db", name, training, tuning) as study:
        run_trials(step, declaration, study, assignment)
        report = TuningReport.of(step.model, name, study)
    report.write(step.folder)
    write_tuning(step.folder / "tuning.html", declaration, report)
    for line in report.text().splitlines():
        step.say(line)
    values = msgspec.to_builtins(report.best.values)
    return {"trials": len(report.trials), "best": values, "rmse": report.best.rmse, "declared_rmse": report.declared}


def run_trials(step: Step, declaration: Declaration, study: Study, assignment: Assignment) -> None:
    """The trials that are left, said one by one."""
    tuning, lock = declaration.tuning, Lock()
    done = sum(trial.state != "failed" for trial in study.trials())
    left = max(0, tuning.trials - done)
    if done:
        step.say(f"{done} trials of this study are there already, {left} are left")

    def told(line: str) -> None:
        with lock:
            over = sum(trial.state != "failed" for trial in study.trials())
            step.progress(min(over, tuning.trials), tuning.trials)
            step.say(line)

    if left:
        step.progress(done, tuning.trials)
        Crew(study, lambda: Worker(step.settings, assignment), left, told).work(tuning.workers)
