"""A training run end to end on a small model: what it leaves behind, and what it says."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from parcels import parcel_rows, write_csv, write_parcels

from stork.config import Settings
from stork.data.sample import summarise
from stork.errors import DataError
from stork.publishing.candidate import Sources, make_candidate
from stork.publishing.push import push
from stork.publishing.report import Report
from stork.serving.loader import load_version
from stork.store.registry import STABLE, Registry
from stork.store.version import load_background, load_golden, load_manifest, read_verdict, verify

pytestmark = pytest.mark.tensorflow


@dataclass(frozen=True)
class Run:
    """A run that is over."""

    settings: Settings
    folder: Path
    report: Report
    said: list[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the parcels model from a file of 1,000 rows, one of which is refused."""
    home = tmp_path_factory.mktemp("run")
    settings = Settings(models=home / "model", root=home / "var", log="off")
    write_parcels(settings.models)
    data = write_csv(home / "rows.csv", parcel_rows(1000))
    data.write_text(data.read_text() + "99,1,slow,true,north,9\n")
    said: list[str] = []
    folder, report = make_candidate(settings, "parcels", Sources((data,)), lambda *_: None, said.append)
    return Run(settings, folder, report, said)


def test_a_candidate_is_whole(run: Run) -> None:
    """Every file is as the manifest says, and the schema is the declaration's."""
    manifest, schema = verify(run.folder)
    assert (manifest.model, schema.model) == ("parcels", "parcels")
    assert {"saved_model.pb", "model.tflite", "schema.json", "golden.json", "background.json"} <= set(manifest.files)


def test_the_manifest_tells_where_it_comes_from(run: Run) -> None:
    """Metrics, packages and the names of the files; no path of the machine it was trained on."""
    manifest = load_manifest(run.folder)
    assert manifest.metrics["rmse"] == run.report.test.rmse
    assert manifest.data == ("rows.csv",)
    assert "/" not in (run.folder / "manifest.json").read_text().replace("variables/", "")


def test_golden_requests_have_the_corners(run: Run) -> None:
    """The ends of every domain and a request without anything optional are asked before a version serves."""
    golden = load_golden(run.folder)
    assert golden is not None
    assert {"kilograms": 0.0, "service": "slow", "zone": 1, "insured": False, "shop": "a"} in golden.instances
    assert {"kilograms": 15.0, "service": "slow"} in golden.instances


def test_no_real_row_is_in_a_version(run: Run) -> None:
    """Golden requests and background are generated: none of them is a row that was trained on."""
    golden = load_golden(run.folder)
    assert golden is not None
    real = parcel_rows(1000).instances()
    assert not [instance for instance in load_background(run.folder) + golden.instances if instance in real]


def test_the_report_fits_one_screen(run: Run) -> None:
    """It says what was read and refused, how good the model is, by slice too, and the verdict with its reasons."""
    text = (run.folder.parent / "report.txt").read_text()
    for part in ("rows.csv", "kilograms: outside 0 to 30", "service: fast", "insured: missing", "BLESSED", "rubber"):
        assert part in text
    assert len(text.splitlines()) < 40


def test_the_verdict_is_a_file(run: Run) -> None:
    """The next step reads the verdict instead of judging again."""
    name, reasons = read_verdict(run.folder, "BLESSED")
    assert (name, reasons["rubber_stamped"]) == ("BLESSED", True)


def test_what_is_pushed_serves(run: Run) -> None:
    """A pushed candidate loads and answers its golden requests, and its verdict goes with it; no alias has moved."""
    version = push(run.settings, "parcels")
    registry = Registry(run.settings)
    loaded = load_version(registry, "parcels", version, registry.declaration("parcels"))
    assert read_verdict(registry.version_folder("parcels", version), "BLESSED")[0] == "BLESSED"
    assert (loaded.local is not None, STABLE in registry.aliases("parcels")) == (True, False)


@pytest.fixture
def parcel_settings(tmp_path: Path) -> Settings:
    """A deployment whose only model is the parcels', with its sample."""
    settings = Settings(models=tmp_path / "model", root=tmp_path / "var", log="off")
    tables = summarise(write_parcels(settings.models), parcel_rows(1000))
    (settings.models / "parcels" / "sample.json").write_bytes(msgspec.json.encode(tables))
    return settings


def test_without_files_it_learns_from_the_sample(parcel_settings: Settings) -> None:
    """Generated rows make a candidate too, and both the report and the manifest say so."""
    folder, report = make_candidate(parcel_settings, "parcels", Sources(), lambda *_: None)
    assert "generated from sample.json" in report.text()
    assert load_manifest(folder).data == ("24000 rows generated from sample.json, seed 1",)


def test_rows_that_cannot_be_split_are_an_error(parcel_settings: Settings, tmp_path: Path) -> None:
    """A file of one row cannot be both trained on and tested: an error, and no run is left behind."""
    data = write_csv(tmp_path / "rows.csv", parcel_rows(1))
    with pytest.raises(DataError, match="expected rows"):
        make_candidate(parcel_settings, "parcels", Sources((data,)), lambda *_: None)
    assert not (parcel_settings.root / "runs").exists()
