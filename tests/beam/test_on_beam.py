"""Beam's workers make the same spans and find the same statistics as one process does here."""

from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest
from beam.conftest import OnBeam
from data.test_describing import close
from parcels import parcel_rows, parcels, write_csv, write_parcels

from stork.config import Settings
from stork.data.describing import describe_span
from stork.data.ingest import ingest
from stork.data.sources import Fetched
from stork.data.spans import REFUSED, SPLITS, Span, list_spans
from stork.data.split import fingerprints
from stork.data.statistics_step import read_statistics

pytestmark = pytest.mark.tensorflow
MODES = ["in_memory", "multi_processing"]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    """A Parquet file of several row groups, and a CSV file that lacks a column and has rows to refuse."""
    rows = write_csv(tmp_path / "rows.csv", parcel_rows(6_000))
    parquet = tmp_path / "a.parquet"
    duckdb.sql(f"COPY (FROM read_csv('{rows}')) TO '{parquet}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    csv = tmp_path / "b.csv"
    csv.write_text(
        "kilograms,service,insured,shop,cost,note\n1,slow,true,a,9,x\nheavy,slow,true,a,9,y\n1,slow,,b,8,z\n"
    )
    return parquet, csv


def deploy(home: Path) -> Settings:
    settings = Settings(models=home / "model", root=home / "var", log="off")
    write_parcels(settings.models)
    return settings


def read(span: Span, split: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pyarrow.parquet.read_table(span.path(split)).to_pylist()
    return found


@pytest.mark.parametrize("mode", MODES)
def test_a_span_is_the_same_row_for_row(on_beam: OnBeam, files: tuple[Path, ...], tmp_path: Path, mode: str) -> None:
    """Every split and the refused rows, in order; and the manifest counts the same."""
    here, there = deploy(tmp_path / "here"), deploy(tmp_path / "there")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    local = ingest(here, parcels(), Fetched(files), scratch)
    words = [word for path in files for word in ("--data", str(path))]
    done = on_beam(there, "ingest", "parcels", *words, f"--direct_running_mode={mode}", "--direct_num_workers=2")
    assert (done.stdout.strip(), done.returncode) == ("span 1", 0), done.stderr

    (remote,) = list_spans(there, "parcels")
    assert local is not None and pyarrow.parquet.ParquetFile(files[0]).num_row_groups > 2
    assert (remote.manifest.rows, remote.manifest.refused) == (local.manifest.rows, local.manifest.refused)
    assert (remote.manifest.read, remote.manifest.rules) == (local.manifest.read, local.manifest.rules)
    for split in (*SPLITS, REFUSED):
        assert read(remote, split) == read(local, split)
    assert not [path for path in there.root.iterdir() if path.name.startswith(".beam")]


@pytest.mark.parametrize("mode", MODES)
def test_statistics_are_the_same(on_beam: OnBeam, files: tuple[Path, ...], tmp_path: Path, mode: str) -> None:
    """Counts are equal, sums to their last digits; with another pyarrow and another protobuf than here."""
    settings = deploy(tmp_path / "home")
    scratch, out = tmp_path / "scratch", tmp_path / "statistics.json"
    scratch.mkdir()
    span = ingest(settings, parcels(), Fetched(files), scratch)
    assert span is not None
    options = (f"--direct_running_mode={mode}", "--direct_num_workers=2")
    done = on_beam(settings, "statistics", "parcels", "--out", str(out), *options)
    assert done.returncode == 0, done.stderr

    assert close(read_statistics(out).splits["all"], describe_span(span, parcels(), "beam").splits["all"])
    assert close(read_statistics(out).splits["train"], describe_span(span, parcels(), "beam").splits["train"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ingest", "parcels"), "Error: expected --data FILE, received none"),
        (("statistics", "parcels", "--out", "x.json"), "and a span of parcels; received x.json, 0 spans"),
        (("ingest", "nothing"), "nothing"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(on_beam: OnBeam, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """No traceback, and exit code 1."""
    done = on_beam(deploy(tmp_path), *words)

    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr


def test_the_fingerprint_is_bigquerys_there_too(on_beam: OnBeam, tmp_path: Path) -> None:
    """Without TensorFlow, by the published vectors."""
    keys = ["1footrue", "2applefalse", "3true", "é|"]
    code = f"from stork.data.split import fingerprints; print(fingerprints({keys}).tolist())"
    done = on_beam(deploy(tmp_path), "-c", code, module="")

    assert done.stdout.strip() == str(fingerprints(keys).tolist()), done.stderr
