"""A run of the pipeline end to end on a small model: what it leaves behind, skips, resumes, and says."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from listener import Listener
from parcels import parcel_rows, write_csv, write_parcels

from stork.config import PROJECT, Settings
from stork.data.sample import summarise
from stork.errors import BadRequest, Conflict, DataError
from stork.orchestration.dag import steps_until
from stork.orchestration.runner import alone, resume, start
from stork.publishing.lineage import tell_lineage, trace_version
from stork.serving.loader import load_version
from stork.store.audit import last_lines
from stork.store.registry import STABLE, Registry
from stork.store.runs import RunRecord, find_run, newest_output, runs_of
from stork.store.version import load_background, load_golden, load_manifest, read_verdict, verify, write_verdict

pytestmark = pytest.mark.tensorflow


@dataclass(frozen=True)
class Done:
    """A run that is over."""

    settings: Settings
    record: RunRecord
    data: Path
    said: list[str]

    def again(self, *, last: str | None = None, **parameters: object) -> RunRecord:
        """The same run once more, or with something changed."""
        asked = {"data": [str(self.data)], **parameters}
        return start(self.settings, "parcels", steps_until(last), asked, Listener())

    @property
    def candidate(self) -> Path:
        folder = newest_output(self.settings, "parcels", "train")
        assert folder is not None
        return folder / "candidate"


def run_pipeline(settings: Settings, data: Path | None, last: str | None = None) -> RunRecord:
    parameters = {"data": [str(data)]} if data else {}
    return start(settings, "parcels", steps_until(last), parameters, Listener())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run of the parcels model from a file of 1,000 rows, one of which is refused."""
    home = tmp_path_factory.mktemp("run")
    settings = Settings(models=home / "model", root=home / "var", log="off")
    write_parcels(settings.models)
    data = write_csv(home / "rows.csv", parcel_rows(1000))
    data.write_text(data.read_text() + "99,1,slow,true,north,9\n")
    listener = Listener()
    record = start(settings, "parcels", steps_until(), {"data": [str(data)]}, listener)
    return Done(settings, record, data, listener.said)


def test_a_candidate_is_whole(done: Done) -> None:
    """Every file is as the manifest says, and the schema is the declaration's."""
    manifest, schema = verify(done.candidate)
    assert (manifest.model, schema.model) == ("parcels", "parcels")
    assert {"saved_model.pb", "model.tflite", "schema.json", "golden.json", "background.json"} <= set(manifest.files)


def test_a_version_tells_where_it_comes_from(done: Done) -> None:
    """Metrics, packages, the run and the names of the files; no path of the machine it was trained on."""
    folder = Registry(done.settings).version_folder("parcels", 1)
    manifest = load_manifest(folder)
    assert manifest.metrics == done.record.steps["evaluate"].summary["metrics"]
    assert (manifest.data, manifest.runs["push"]) == (("rows.csv",), done.record.id)
    assert "/" not in (folder / "manifest.json").read_text().replace("variables/", "")


def test_golden_requests_have_the_corners(done: Done) -> None:
    """The ends of every domain and a request without anything optional are asked before a version serves."""
    golden = load_golden(done.candidate)
    assert golden is not None
    assert {"kilograms": 0.0, "service": "slow", "zone": 1, "insured": False, "shop": "a"} in golden.instances
    assert {"kilograms": 15.0, "service": "slow"} in golden.instances


def test_no_real_row_is_in_a_version(done: Done) -> None:
    """Golden requests and background are generated: none of them is a row that was trained on."""
    golden = load_golden(done.candidate)
    assert golden is not None
    real = parcel_rows(1000).instances()
    assert not [instance for instance in load_background(done.candidate) + golden.instances if instance in real]


def test_a_run_can_be_read(done: Done) -> None:
    """What was read and refused, how good the model is, and the verdict with its reasons, in the log and on screen."""
    text = (done.settings.root / "runs" / done.record.id / "log.txt").read_text()
    for part in ("rows.csv", "kilograms: outside 0 to 30", "service: fast", "insured: missing", "BLESSED", "rubber"):
        assert part in text and any(part in line for line in done.said)


def test_an_evaluation_is_left_for_people_and_programs(done: Done) -> None:
    """A page, a text and a JSON of the same figures; a linear model is no worse where the label is a sum."""
    folder = done.settings.root / "runs" / done.record.id / "evaluate"
    report = msgspec.json.decode((folder / "report.json").read_bytes())

    assert "gradient boosting" in (folder / "report.txt").read_text()
    assert "Along the features" in (folder / "evaluation.html").read_text()
    assert report["rivals"]["the linear model"]["rmse"] < 0.2 and report["intervals"]["all"]["rmse"][0] > 0


def test_the_audit_tells_of_a_run(done: Done) -> None:
    """Who ran what; the record says it too."""
    (line,) = [line for line in last_lines(done.settings, 100) if line.get("run") == done.record.id]

    assert (line["what"], line["outcome"], line["steps"]) == ("run", "done", [*done.record.wanted])
    assert line["who"] == done.record.by != ""


def test_what_is_pushed_serves(done: Done) -> None:
    """A pushed candidate loads and answers its golden requests, and its verdict goes with it; no alias has moved."""
    registry = Registry(done.settings)
    loaded = load_version(registry, "parcels", 1, registry.declaration("parcels"))
    assert read_verdict(registry.version_folder("parcels", 1), "BLESSED")[0] == "BLESSED"
    assert (loaded.local is not None, STABLE in registry.aliases("parcels")) == (True, False)


def test_the_same_is_not_done_twice(done: Done) -> None:
    """Same inputs, same steps: training is skipped and says in which run it was done, and no version is added."""
    record = done.again()
    assert (record.steps["train"].status, record.steps["train"].run) == ("skipped", done.record.id)
    assert record.steps["push"].summary["version"] == 1


def test_a_step_runs_again_when_asked(done: Done) -> None:
    """`fresh` does what would be skipped."""
    assert done.again(last="train", fresh=True).steps["train"].status == "succeeded"


def test_a_step_alone_takes_what_was_left(done: Done) -> None:
    """One step reads the newest output of those before it, or of the run that is named."""
    alone_now = start(done.settings, "parcels", ["evaluate"], {"run": done.record.id}, Listener())
    assert alone_now.steps["evaluate"].inputs["train"] == done.record.id


def test_one_run_of_a_model_at_a_time(done: Done) -> None:
    """A second run is refused at once, and says why."""
    with alone(done.settings, "parcels"), pytest.raises(Conflict, match="one run of a model at a time"):
        done.again()


def test_a_finished_run_is_not_resumed(done: Done) -> None:
    """There is nothing to go on with."""
    with pytest.raises(BadRequest, match="nothing to resume"):
        resume(done.settings, done.record.id, Listener())


@pytest.fixture
def parcel_settings(tmp_path: Path) -> Settings:
    """A deployment whose only model is the parcels', with its sample."""
    settings = Settings(models=tmp_path / "model", root=tmp_path / "var", log="off")
    tables = summarise(write_parcels(settings.models), parcel_rows(1000))
    (settings.models / "parcels" / "sample.json").write_bytes(msgspec.json.encode(tables))
    return settings


def test_without_files_it_learns_from_the_sample(parcel_settings: Settings) -> None:
    """Generated rows make a candidate too, and the manifest says so."""
    run_pipeline(parcel_settings, None, "train")
    folder = newest_output(parcel_settings, "parcels", "train")
    assert folder is not None
    assert load_manifest(folder / "candidate").data == ("24000 rows generated from sample.json, seed 1",)


def test_rows_that_cannot_be_split_stop_the_run(parcel_settings: Settings, tmp_path: Path) -> None:
    """A file of one row cannot be both trained on and tested: the run fails at that step, with the reason on record."""
    data = write_csv(tmp_path / "rows.csv", parcel_rows(1))
    with pytest.raises(DataError, match="expected rows to fit the transform on"):
        run_pipeline(parcel_settings, data)
    (folder,) = (parcel_settings.root / "runs").glob("2*")
    record = find_run(parcel_settings, folder.name).record
    assert (record.status, record.steps["transform"].status) == ("failed", "failed")
    assert "received none in train" in record.reason


def test_a_transform_of_other_rows_is_refused(parcel_settings: Settings, tmp_path: Path) -> None:
    """Training alone on a span that the transform has not seen stops, and says which verb helps."""
    for count, steps in ((300, steps_until("transform")), (400, ["ingest"])):
        data = write_csv(tmp_path / f"{count}.csv", parcel_rows(count))
        start(parcel_settings, "parcels", steps, {"data": [str(data)]}, Listener())
    with pytest.raises(
        DataError, match=r"constants of the spans 1, 2, .* received those of 1; `stork transform parcels`"
    ):
        start(parcel_settings, "parcels", ["train"], {}, Listener())


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a run that was killed after its second epoch."""
    home = tmp_path_factory.mktemp("killed")
    settings = Settings(models=home / "model", root=home / "var", log="off")
    write_parcels(settings.models)
    process = begin("run", "parcels", settings, "--data", str(write_csv(home / "rows.csv", parcel_rows(5000))))
    wait_for_training(settings)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    return home


@pytest.fixture
def lost(killed: Path, tmp_path: Path) -> tuple[Settings, RunRecord]:
    """That run, in a copy of its deployment."""
    for name in ("model", "var"):
        shutil.copytree(killed / name, tmp_path / name)
    settings = Settings(models=tmp_path / "model", root=tmp_path / "var", log="off")
    (run,) = runs_of(settings)
    return settings, run.record


def test_a_killed_run_goes_on_where_it_was_lost(lost: tuple[Settings, RunRecord]) -> None:
    """
    After kill -9 in the middle of training, `resume` keeps the span and the epochs that are done.

    It ends with the model that a run which nobody killed makes, bit for bit.
    """
    settings, before = lost
    finish("resume", before.id, settings)
    finish("run", "parcels", settings, "--fresh", "--to", "train", "--data", before.parameters["data"][0])
    whole, resumed = (run.record for run in runs_of(settings))
    made, again = (load_golden(settings.root / "runs" / run.id / "train/candidate") for run in (resumed, whole))

    assert before.is_lost() and resumed.steps["ingest"].began == before.steps["ingest"].began
    assert resumed.steps["push"].summary["version"] == 1
    assert "going on after epoch" in (settings.root / "runs" / before.id / "log.txt").read_text()
    assert made is not None and made == again


def test_a_lost_try_of_other_work_is_no_help(lost: tuple[Settings, RunRecord]) -> None:
    """When the declaration changed since the run was killed, training begins anew, with what is declared now."""
    settings, before = lost
    path = settings.models / "parcels" / "model.toml"
    path.write_text(path.read_text().replace("epochs = 8", "epochs = 2"))
    record = resume(settings, before.id, Listener())
    assert record.steps["train"].summary["epochs"] == 2
    assert "going on after epoch" not in (settings.root / "runs" / before.id / "log.txt").read_text()


def test_what_a_killed_ingestion_left_is_removed(parcel_settings: Settings) -> None:
    """Its half of a span is no part of what the step leaves when it is resumed."""
    data = write_csv(parcel_settings.root.parent / "rows.csv", parcel_rows(100))
    lost = start(parcel_settings, "parcels", ["ingest"], {"data": [str(data)]}, Listener())
    run = find_run(parcel_settings, lost.id)
    run.record.status = run.record.steps["ingest"].status = "running"
    run.save()
    scratch = run.folder / ".ingest" / "tmp1" / "span"
    scratch.mkdir(parents=True)
    (scratch / "rows.duckdb").write_bytes(b"half")
    resume(parcel_settings, lost.id, Listener())

    assert [path.name for path in (run.folder / "ingest").iterdir()] == ["spans.json"]


def begin(verb: str, name: str, settings: Settings, *options: str) -> subprocess.Popen[bytes]:
    """A process of `stork pipeline`."""
    words = [sys.executable, "-m", "stork", "pipeline", verb, name, "--json", *options]
    environment = {**os.environ, **settings.environment()}
    return subprocess.Popen(words, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(verb: str, name: str, settings: Settings, *options: str) -> None:
    """The same, to its end."""
    assert begin(verb, name, settings, *options).wait(120) == 0


def wait_for_training(settings: Settings) -> None:
    """Until a run did its second epoch."""
    for _ in range(3000):
        for log in (settings.root / "runs").glob("*/log.txt"):
            if "epoch 2:" in log.read_text():
                return
        time.sleep(0.02)
    raise AssertionError("no run began to train")


def test_a_version_is_traced_to_its_rows(done: Done) -> None:
    """From the version to the runs, the span, its file, and where the refused rows are."""
    found = trace_version(done.settings, "parcels", 1)
    (span,) = found.spans
    assert (found.steps["train"].run, span.state, span.read[0].name) == (done.record.id, "whole", "rows.csv")
    assert (done.settings.root / span.refused_rows).is_file() and "1 kilograms: outside" in str(tell_lineage(found))


def test_a_version_is_traced_through_every_step(done: Done) -> None:
    """Its manifest names the run of each, in order; `lineage` tells what was found of its rows, and for how long."""
    folder = Registry(done.settings).version_folder("parcels", 1)
    told = tell_lineage(trace_version(done.settings, "parcels", 1))

    assert load_manifest(folder).runs == dict.fromkeys(steps_until(), done.record.id)
    assert list(load_manifest(folder).runs) == steps_until()
    assert "  VALID: every column is as expected" in told
    verdict = done.settings.root / "runs" / done.record.id / "validate" / "VALID"
    verdict.rename(verdict.with_name("gone"))
    assert "VALID" not in str(tell_lineage(trace_version(done.settings, "parcels", 1)))
    verdict.with_name("gone").rename(verdict)


def test_what_was_wrong_with_the_rows_is_told(done: Done) -> None:
    """A verdict that was waived is in the lineage with its reasons."""
    folder = done.settings.root / "runs" / done.record.id / "validate"
    (folder / "VALID").rename(folder / "gone")
    write_verdict(folder, "NOT_VALID", {"reasons": ["SCHEMA_NEW_COLUMN: span 1, tag"], "waived": "harmless"})
    told = tell_lineage(trace_version(done.settings, "parcels", 1))
    (folder / "NOT_VALID").unlink()
    (folder / "gone").rename(folder / "VALID")

    assert "  NOT_VALID: SCHEMA_NEW_COLUMN: span 1, tag" in told


def test_a_span_that_was_changed_is_found_out(done: Done) -> None:
    """A span is append-only: one that is not what was learned from is told so."""
    folder = done.settings.root / "spans" / "parcels" / "1" / "span.json"
    content = folder.read_bytes()
    folder.write_bytes(content.replace(b"rows.csv", b"else.csv"))
    (changed,) = trace_version(done.settings, "parcels", 1).spans
    folder.write_bytes(content)
    assert changed.state == "changed"
