"""A run that is killed again and again ends as one that nobody disturbed; nothing of it is ever seen half done."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from parcels import parcel_rows, write_csv, write_parcels

from stork.config import PROJECT, Settings
from stork.data.spans import list_spans
from stork.store.files import checksum
from stork.store.registry import Registry
from stork.store.runs import RunRecord, output_of, runs_of
from stork.store.version import verify

pytestmark = pytest.mark.tensorflow

# What the model is: the rest of a version says when and by whom it was made.
MODEL = ("model.tflite", "golden.json", "background.json", "schema.json", "variables/variables.data-00000-of-00001")


def begin(settings: Settings, *words: str) -> subprocess.Popen[bytes]:
    """A process of `stork pipeline`."""
    command = [sys.executable, "-m", "stork", "pipeline", *words]
    environment = {**os.environ, **settings.environment()}
    null = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=null, stderr=null)


def go_on(settings: Settings, data: Path) -> subprocess.Popen[bytes]:
    """Resume the run that was lost; before there is one, begin it."""
    lost = next(runs_of(settings, "parcels"), None)
    return (
        begin(settings, "run", "parcels", "--data", str(data))
        if lost is None
        else begin(settings, "resume", lost.record.id)
    )


def deploy(home: Path) -> tuple[Settings, Path]:
    """A deployment of its own, and a file of rows."""
    settings = Settings(models=home / "model", root=home / "var", log="off")
    write_parcels(settings.models)
    return settings, write_csv(home / "rows.csv", parcel_rows(600))


def check_whole(settings: Settings) -> RunRecord | None:
    """The run's record, once there is one; what is seen is whole: versions, spans, what done steps left."""
    for folder in Registry(settings).versions("parcels").values():
        verify(folder)
    for span in list_spans(settings, "parcels"):
        assert all(checksum(span.folder / name) == facts.sha256 for name, facts in span.manifest.files.items())
    run = next(runs_of(settings, "parcels"), None)
    if run is None:
        return None
    for name, step in run.record.steps.items():
        assert step.status != "succeeded" or output_of(settings, run.record, name) is not None
    if (candidate := output_of(settings, run.record, "train")) is not None:
        verify(candidate / "candidate")
    return run.record


def done_in(record: RunRecord | None) -> dict[str, object]:
    """When each step that is done began."""
    steps = {} if record is None else record.steps
    return {name: step.began for name, step in steps.items() if step.status == "succeeded"}


def kill_in(step: str, settings: Settings, data: Path, after: float) -> None:
    """Go on, and kill so many seconds after the step began; a step that is quicker than that ends before."""
    began = f"{step}: began"
    before = log_of(settings).count(began)
    process = go_on(settings, data)
    deadline = time.monotonic() + 60
    while log_of(settings).count(began) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(after)
    process.kill()
    process.wait(10)


def log_of(settings: Settings) -> str:
    """What the run said so far."""
    run = next(runs_of(settings, "parcels"), None)
    path = run and run.folder / "log.txt"
    return path.read_text() if path and path.is_file() else ""


def test_a_run_killed_in_every_step_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """At a random moment of each: no finished step is done again, one version is published, the same bit for bit."""
    (quiet, rows), (stormy, same) = deploy(tmp_path / "quiet"), deploy(tmp_path / "stormy")
    assert begin(quiet, "run", "parcels", "--data", str(rows)).wait(120) == 0
    undisturbed, moments = next(runs_of(quiet, "parcels")).record, random.Random(4)
    record, done = None, {}
    for step in undisturbed.wanted:
        kill_in(step, stormy, same, moments.uniform(0, undisturbed.steps[step].seconds))
        record = check_whole(stormy)
        assert done.items() <= done_in(record).items()
        done = done_in(record)
    if record is None or record.status != "succeeded":
        assert go_on(stormy, same).wait(120) == 0
    record = check_whole(stormy)
    first, second = (Registry(settings).version_folder("parcels", 1) for settings in (quiet, stormy))

    assert record is not None and record.status == "succeeded"
    assert done.items() <= done_in(record).items()
    assert list(Registry(stormy).versions("parcels")) == [1]
    assert [checksum(first / name) for name in MODEL] == [checksum(second / name) for name in MODEL]
