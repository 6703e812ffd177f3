"""`train --on vertex`, end to end: Google's client, a loopback service that runs the job's command, a bucket."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from jobs_server import JobsServer, Troubles, jobs_server, lay_out_image
from listener import Listener
from parcels import parcel_rows, write_csv, write_parcels
from storage_server import StorageServer, storage

from stork.config import PROJECT, Settings
from stork.errors import BadRequest, DataError, JobFailed
from stork.orchestration.dag import steps_until
from stork.orchestration.elsewhere import start_elsewhere
from stork.orchestration.runner import start
from stork.remote.mirror import attach
from stork.store.runs import RunRecord, find_run, newest_output
from stork.store.version import verify

pytestmark = pytest.mark.tensorflow

PLACE = """
[training.vertex]
project = "p"
image = "us-central1-docker.pkg.dev/p/stork/training:1"
service_account = "trainer@p.iam.gserviceaccount.com"
staging = "gs://stork-test/staging"

[tuning]
trials = 2
workers = 1

[tuning.space]
l2 = { low = 0.00001, high = 0.001, log = true }
"""


@dataclass(frozen=True)
class Cloud:
    """A bucket with the spans and the transform of 400 parcels, and a service that takes jobs."""

    jobs: JobsServer
    here: Settings

    def train(self, step: str = "train", **parameters: str) -> RunRecord:
        """The verb's work, without the terminal; of another step too."""
        return start_elsewhere(self.here, "parcels", step, parameters, Listener())

    def stork(self, *words: str) -> subprocess.Popen[str]:
        """A verb in a process of its own."""
        environment = {**os.environ, **self.here.environment()}
        command = [sys.executable, "-m", "stork", *words]
        pipe = subprocess.PIPE
        # A shell's background jobs ignore it, and whatever they start.
        usual = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=pipe, stderr=pipe, text=True)
        finally:
            signal.signal(signal.SIGINT, usual)


@pytest.fixture(scope="module")
def bucket() -> Iterator[StorageServer]:
    """One bucket for the module; each test has a folder of its own in it."""
    with storage() as server:
        yield server


@pytest.fixture
def cloud(bucket: StorageServer, tmp_path: Path) -> Iterator[Cloud]:
    """What `train` reads is in the bucket; nothing was trained yet."""
    models = tmp_path / "model"
    write_parcels(models)
    path = models / "parcels" / "model.toml"
    path.write_text(path.read_text() + PLACE)
    data = write_csv(tmp_path / "rows.csv", parcel_rows(400))
    with jobs_server(lay_out_image(tmp_path / "image", models)) as jobs:
        here = dataclasses.replace(
            bucket.machine(tmp_path),
            models=models,
            root=Path(f"gs://stork-test/{tmp_path.name.replace('_', '-')}"),
            vertex_training_api=jobs.url,
        )
        attach(here)
        start(here, "parcels", steps_until("transform"), {"data": [str(data)]}, Listener())
        yield Cloud(jobs, here)


def test_a_job_trains_as_if_it_had_been_done_here(cloud: Cloud) -> None:
    """The verb ends with a whole candidate of that run, and the rest of the pipeline goes on from it here."""
    verb = cloud.stork("train", "parcels", "--on", "vertex")
    said, errors = verb.communicate(timeout=120)
    folder = newest_output(cloud.here, "parcels", "train")
    assert verb.returncode == 0 and folder is not None, said + errors
    run = find_run(cloud.here, folder.parent.name).record

    assert verify(folder / "candidate")[0].runs["train"] == run.id
    assert (run.status, run.job and run.job.place) == ("succeeded", "vertex")
    assert "JOB_STATE_SUCCEEDED" in said and "https://console.cloud.google.com/vertex-ai/" in said
    assert start(cloud.here, "parcels", ["evaluate"], {}, Listener()).steps["evaluate"].inputs["train"] == run.id


def test_a_job_tunes_and_training_takes_what_it_found(cloud: Cloud) -> None:
    """The search is in the bucket as any step's work, so that a training here, or there, reads the best values."""
    searched = cloud.train("tune")
    trained = start(cloud.here, "parcels", ["train"], {"run": searched.id}, Listener())
    found = {"epochs": 8} | searched.steps["tune"].summary["best"]

    assert (searched.job and searched.job.place, searched.steps["tune"].summary["trials"]) == ("vertex", 2)
    assert found.items() <= trained.steps["train"].summary["training"].items()


def test_the_job_is_what_was_declared(cloud: Cloud) -> None:
    """Image, machine, account and staging are model.toml's; the command resumes the run; no secret is in it."""
    cloud.jobs.troubles = Troubles(ends_as="JOB_STATE_FAILED")
    with pytest.raises(JobFailed):
        cloud.train()
    (job,) = cloud.jobs.jobs.values()
    (pool,) = job["jobSpec"]["workerPoolSpecs"]
    container = pool["containerSpec"]

    assert container["imageUri"] == "us-central1-docker.pkg.dev/p/stork/training:1"
    assert (pool["machineSpec"], pool["replicaCount"]) == ({"machineType": "n1-standard-4"}, "1")
    assert job["jobSpec"]["serviceAccount"] == "trainer@p.iam.gserviceaccount.com"
    assert job["jobSpec"]["baseOutputDirectory"] == {"outputUriPrefix": "gs://stork-test/staging"}
    assert " ".join(container["command"][:-1]) == "python -m stork pipeline resume"
    assert {variable["name"] for variable in container["env"]} == {"STORK_ROOT", "STORK_LOG", "STORK_STORAGE_API"}


def test_who_stops_watching_finds_the_job_again(cloud: Cloud) -> None:
    """Ctrl-C says that the job goes on; the verb again makes no second one, while it works and when it is done."""
    cloud.jobs.troubles = Troubles(runs_on=True)
    verb = cloud.stork("train", "parcels", "--on", "vertex")
    assert verb.stdout is not None
    while "JOB_STATE" not in verb.stdout.readline():
        assert verb.poll() is None
    verb.send_signal(signal.SIGINT)
    _, errors = verb.communicate(timeout=30)
    cloud.jobs.troubles = Troubles()
    again, once_more = cloud.train(), cloud.train()

    assert verb.returncode == 1 and "goes on" in errors and "--on vertex` follows it again" in errors
    assert (len(cloud.jobs.jobs), again.id, again.status) == (1, once_more.id, "succeeded")


def test_a_service_that_does_not_answer_for_a_while_is_waited_for(cloud: Cloud) -> None:
    """Three looks that are answered 503 cost nothing but time."""
    cloud.jobs.troubles = Troubles(looks=3)

    assert cloud.train().status == "succeeded"
    assert cloud.jobs.troubles.looks == 0


@pytest.mark.parametrize("state", ["JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"])
def test_a_job_that_never_began_fails_with_its_reason(cloud: Cloud, state: str) -> None:
    """The message is the service's, the run says so, and the next try is another job."""
    cloud.jobs.troubles = Troubles(ends_as=state)
    with pytest.raises(JobFailed, match=rf"{state}: no quota for n1-standard-4") as failed:
        cloud.train()
    name = str(failed.value).partition("; run ")[2].partition(":")[0]
    record = find_run(cloud.here, name).record

    assert (record.status, record.steps["train"].status) == ("failed", "failed")
    with pytest.raises(JobFailed):
        cloud.train()
    assert len(cloud.jobs.jobs) == 2


def test_an_image_of_other_code_is_refused_there(cloud: Cloud) -> None:
    """Whoever changed model.toml and not the image does not get the old training by mistake."""
    path = cloud.jobs.image / "model" / "parcels" / "model.toml"
    path.write_text(path.read_text().replace("epochs = 8", "epochs = 3"))

    with pytest.raises(JobFailed, match="exited with a non-zero status of 1"):
        cloud.train()
    assert "build the image anew" in next(iter(cloud.jobs.jobs.values()))["said"]


def test_a_refused_job_leaves_a_failed_run(cloud: Cloud) -> None:
    """The service's own words, and no run that seems to be at work."""
    cloud.jobs.troubles = Troubles(refuses=True)

    with pytest.raises(DataError, match=r"403 .*customJobs\.create"):
        cloud.train()
    assert not [path for path in cloud.here.root.glob("runs/*/run.json") if '"running"' in path.read_text()]


def test_a_root_that_the_job_does_not_see_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    """A local folder is no place for a candidate of another machine; the message names the setting."""
    local = dataclasses.replace(cloud.here, root=tmp_path / "var")

    with pytest.raises(BadRequest, match="STORK_ROOT=gs://"):
        start_elsewhere(local, "parcels", "train", {}, Listener())


def test_what_was_trained_here_needs_no_job(cloud: Cloud) -> None:
    """The same inputs, code and declaration: the step is skipped."""
    here = start(cloud.here, "parcels", ["train"], {}, Listener())

    assert cloud.train().steps["train"].run == here.id
    assert not cloud.jobs.jobs


def test_the_place_decides_nothing_that_is_learned(cloud: Cloud) -> None:
    """Another machine type makes no step be done again."""
    path = cloud.here.models / "parcels" / "model.toml"
    path.write_text(path.read_text().replace('image = "us', 'machine = "n1-highmem-8"\nimage = "us'))
    data = str(cloud.here.models.parent / "rows.csv")
    record = start(cloud.here, "parcels", steps_until("transform"), {"data": [data]}, Listener())

    assert record.steps["transform"].status == "skipped"
