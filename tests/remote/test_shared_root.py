"""A root in a bucket, end to end: the pipeline, two machines, and a real server that follows."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from parcels import parcel_rows, write_csv, write_parcels
from server import start_server
from storage_server import StorageServer, storage

from stork.config import PROJECT, Settings
from stork.errors import Conflict
from stork.orchestration.runner import alone
from stork.remote.mirror import attach
from stork.store.registry import Registry
from stork.store.runs import find_run
from stork.store.version import EVIDENCE, ML_TEST, verify

pytestmark = pytest.mark.tensorflow

PARCEL = {"kilograms": 3.0, "zone": 2, "service": "fast", "insured": True, "shop": "north"}


@dataclass(frozen=True)
class Team:
    """A bucket in which `trainer` has run the pipeline once, and a machine that has seen nothing of it yet."""

    bucket: StorageServer
    trainer: Settings
    newcomer: Settings
    run: str


def stork(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """A verb in a process of its own, as on a machine of its own."""
    command = [sys.executable, "-m", "stork", *words]
    environment = {**os.environ, **settings.environment()}
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def eventually(is_so: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it comes to be so."""
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The parcels' pipeline, run from 400 rows into the bucket."""
    home = tmp_path_factory.mktemp("team")
    write_parcels(home / "model")
    data = write_csv(home / "rows.csv", parcel_rows(400))
    with storage() as bucket:
        trainer, newcomer = (
            dataclasses.replace(bucket.machine(home / name), models=home / "model") for name in ("trainer", "newcomer")
        )
        done = stork(trainer, "pipeline", "run", "parcels", "--data", str(data), "--json")
        assert done.returncode == 0, done.stderr
        yield Team(bucket, trainer, newcomer, json.loads(done.stdout)["id"])


def test_a_run_leaves_all_of_it_in_the_bucket(team: Team) -> None:
    """The record, the log, every step, the span and the version; nothing that is one machine's own."""
    names = team.bucket.names()
    wanted = ["log.txt", "run.json", "ingest/spans.json", "train/candidate/model.tflite", "evaluate/report.json"]

    assert {f"team/runs/{team.run}/{name}" for name in wanted} <= set(names)
    assert {"team/spans/parcels/1/train.parquet", "team/models/parcels/1/manifest.json"} <= set(names)
    assert [name for name in names if "/." in name] == ["team/models/parcels/1/.claim", "team/spans/parcels/1/.claim"]


def test_a_manifest_is_written_last(team: Team) -> None:
    """Whoever sees one sees a whole version, or a whole span; only what tells of a version comes after it."""
    after = {"models": {ML_TEST, EVIDENCE}, "spans": set[str]()}
    for folder, manifest in (("models", "manifest.json"), ("spans", "span.json")):
        start = f"team/{folder}/parcels/1/"
        written = [name.removeprefix(start) for name in team.bucket.written if name.startswith(start)]
        place = written.index(manifest)

        assert place > 2 and set(written[place + 1 :]) == after[folder]


def test_another_machine_sees_the_same(team: Team) -> None:
    """A version's lineage down to its rows, from a folder that was empty; and its files, whole."""
    told = stork(team.newcomer, "lineage", "parcels", "1")
    folder = Registry(team.newcomer).version_folder("parcels", 1)

    assert told.stdout == stork(team.trainer, "lineage", "parcels", "1").stdout != ""
    assert f"run {team.run}" in told.stdout and "span 1, whole" in told.stdout
    assert folder.is_relative_to(team.newcomer.root) and verify(folder)[0].runs["push"] == team.run


def test_another_machine_skips_what_was_done(team: Team) -> None:
    """Its run takes over every step, though nothing of them was on its disk."""
    data = team.trainer.mirror.parent.parent / "rows.csv"
    done = json.loads(stork(team.newcomer, "pipeline", "run", "parcels", "--data", str(data), "--json").stdout)
    again = {step: record["run"] for step, record in done["steps"].items() if record["status"] == "skipped"}

    assert again == dict.fromkeys(("statistics", "validate", "transform", "train", "evaluate", "bless"), team.run)
    assert done["steps"]["push"]["summary"]["version"] == 1


def test_a_server_answers_and_follows_from_the_bucket(team: Team, tmp_path: Path) -> None:
    """It serves what another machine switches to, and its answer names that version."""
    served = dataclasses.replace(team.bucket.machine(tmp_path), models=team.trainer.models)
    stork(team.trainer, "switch", "parcels", "1")
    with start_server(served) as server:
        assert server.predict(PARCEL).json["version"] == 1
        second = publish_again(team.trainer)
        assert stork(team.newcomer, "switch", "parcels", str(second)).returncode == 0
        assert eventually(lambda: server.predict(PARCEL).json["version"] == second)
        team.bucket.times = 10_000
        try:
            assert eventually(lambda: "root" in server.request("GET", "/readyz").json)
            assert server.predict(PARCEL).status == server.request("GET", "/readyz").status == 200
        finally:
            team.bucket.times = 0
        assert eventually(lambda: "root" not in server.request("GET", "/readyz").json)


def publish_again(settings: Settings) -> int:
    """The first version once more, as the next one."""
    from stork.publishing.push import publish

    attach(settings)
    return publish(settings, "parcels", Registry(settings).version_folder("parcels", 1))


def test_one_run_of_a_model_at_a_time_on_all_machines(team: Team) -> None:
    """While one machine is at work another one is refused at once, and the lease is gone after."""
    attach(team.trainer)
    with alone(team.trainer, "parcels"):
        refused = stork(team.newcomer, "ingest", "parcels")
    assert refused.returncode == 1 and "one run of a model at a time" in refused.stderr
    with alone(team.trainer, "parcels"), pytest.raises(Conflict):
        attach(team.newcomer)
        with alone(team.newcomer, "parcels"):
            pass


def test_a_run_killed_on_one_machine_goes_on_on_another(team: Team) -> None:
    """What it finished is taken from the bucket; only the step that was lost is done again."""
    run = find_run(team.trainer, team.run)
    lost = dataclasses.replace(team.newcomer, mirror=team.newcomer.mirror / "third", root=Path("gs://stork-test/team"))
    run.record.status = run.record.steps["evaluate"].status = "running"
    del run.record.steps["push"]
    run.record.machine, run.record.wanted = "elsewhere", ("ingest", "train", "evaluate")
    run.save()
    done = stork(lost, "pipeline", "resume", team.run, "--json")

    assert done.returncode == 0, done.stderr
    assert {step["status"] for step in json.loads(done.stdout)["steps"].values()} == {"succeeded"}
