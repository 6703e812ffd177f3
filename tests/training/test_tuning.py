"""A search by real processes: killed, gone on with, taken by training."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from listener import Listener
from parcels import TOML, parcel_rows, write_csv, write_parcels

from stork.config import PROJECT, Settings
from stork.errors import BadRequest, StorkError
from stork.orchestration.runner import resume, start
from stork.report.page import number
from stork.store.runs import RunRecord, find_run
from stork.training.study import open_study
from stork.training.tuning_report import FILE, TuningReport
from stork.training.workers import Assignment, Crew, Worker

pytestmark = pytest.mark.tensorflow

TUNING = """
[tuning]
trials = 5
workers = 2

[tuning.space]
learning_rate = { low = 0.002, high = 0.05, log = true }
units = { choices = [[8], [16, 8]] }
"""


@dataclass(frozen=True)
class Searched:
    """A run with a search that was killed and gone on with."""

    settings: Settings
    lost: RunRecord
    record: RunRecord

    @property
    def report(self) -> TuningReport:
        path = self.settings.root / "runs" / self.record.id / "tune" / FILE
        return msgspec.json.decode(path.read_bytes(), type=TuningReport)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """A run to `train` with a search of five trials, killed with signal 9 after the second, and resumed."""
    home = tmp_path_factory.mktemp("tuning")
    settings = Settings(models=home / "model", root=home / "var", log="off")
    write_parcels(settings.models)
    (settings.models / "parcels" / "model.toml").write_text(TOML + TUNING)
    data = write_csv(home / "rows.csv", parcel_rows(600))
    words = [sys.executable, "-m", "stork", "pipeline", "run", "parcels", "--tune", "--to", "train", "--json"]
    environment = {**os.environ, **settings.environment()}
    process = subprocess.Popen(
        [*words, "--data", str(data)],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    run = wait_for_trials(settings)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    lost = find_run(settings, run).record
    resume(settings, run, Listener())
    return Searched(settings, lost, find_run(settings, run).record)


def wait_for_trials(settings: Settings) -> str:
    """The name of the run of which the second trial is over."""
    for _ in range(6000):
        for log in (settings.root / "runs").glob("*/log.txt"):
            if log.read_text().count("on eval after") >= 2:
                return log.parent.name
        time.sleep(0.02)
    raise AssertionError("no trial ended")


def test_a_killed_search_goes_on(searched: Searched) -> None:
    """What was tried before stays, and only what is left of the declared number is added."""
    log = (searched.settings.root / "runs" / searched.record.id / "log.txt").read_text()
    assert searched.lost.is_lost() and "trials of this study are there already" in log
    assert sum(trial.state != "failed" for trial in searched.report.trials) == 5


def test_training_takes_the_best_values(searched: Searched) -> None:
    """The candidate is trained with what the search found in its run, not with what is declared."""
    best = min((t for t in searched.report.trials if t.state == "complete"), key=lambda trial: trial.rmse or 9)
    used = searched.record.steps["train"].summary["training"]
    assert searched.report.best.values == best.values
    assert {key: used[key] for key in best.values} == msgspec.json.decode(msgspec.json.encode(best.values))


def test_the_report_says_what_was_gained(searched: Searched) -> None:
    """The declared values are among the trials, with their error; a screen shows both."""
    report = searched.report
    text = (searched.settings.root / "runs" / searched.record.id / "tune" / "tuning.txt").read_text()
    assert report.declared is not None and report.best.rmse is not None and report.best.rmse <= report.declared
    assert f"best {report.best.rmse:.4f}, declared {report.declared:.4f}" in text and "learning_rate" in text


def test_the_page_shows_every_key_and_every_trial_that_ended(searched: Searched) -> None:
    """Importance and the course of the search are drawn, with their numbers beside them."""
    report = searched.report
    page = (searched.settings.root / "runs" / searched.record.id / "tune" / "tuning.html").read_text()
    ended = [trial for trial in report.trials if trial.state == "complete"]
    assert all(f'<th scope="row">{key}</th>' in page for key in report.best.values)
    assert all(number(trial.rmse, 5) in page for trial in ended) and 'aria-label="Importance"' in page


def test_a_larger_number_adds_the_difference(searched: Searched) -> None:
    """`trials` raised by one tries one more; training takes what a named run found, though it did nothing else."""
    path = searched.settings.models / "parcels" / "model.toml"
    path.write_text(path.read_text().replace("trials = 5", "trials = 6"))
    record = start(searched.settings, "parcels", ["tune"], {"run": searched.record.id}, Listener())
    trained = start(searched.settings, "parcels", ["train"], {"run": record.id}, Listener())
    assert record.steps["tune"].summary["trials"] == len(searched.report.trials) + 1
    assert trained.steps["train"].inputs["tune"] == record.id


def test_nothing_to_search_is_an_error(tmp_path: Path) -> None:
    """A model without a [tuning.space] is told so before a process is started."""
    settings = Settings(models=tmp_path / "model", root=tmp_path / "var", log="off")
    write_parcels(settings.models)
    data = write_csv(tmp_path / "rows.csv", parcel_rows(100))
    with pytest.raises(BadRequest, match=r"expected keys of .training. in .tuning.space., received none"):
        steps = ["ingest", "statistics", "validate", "transform", "tune"]
        start(settings, "parcels", steps, {"data": [str(data)]}, Listener())


def test_workers_that_do_not_live_end_the_search(searched: Searched, tmp_path: Path) -> None:
    """A lost worker is replaced twice, its trial has failed; after the third in a row nobody tries any longer."""
    hired: list[Worker] = []
    said: list[str] = []

    def hire() -> Worker:
        hired.append(Worker(searched.settings, Assignment("parcels", [1], "nowhere", 1)))
        hired[-1].kill()
        return hired[-1]

    declaration = write_parcels(tmp_path / "model")
    with open_study(tmp_path / "study.db", "lost", declaration.training, declaration.tuning) as study:
        with pytest.raises(StorkError, match="its worker was lost, the 3rd in a row: signal 9"):
            Crew(study, hire, 5, said.append).work(1)
        assert [trial.state for trial in study.trials()] == ["failed"] * 3
    assert (len(hired), len(said)) == (3, 2)
