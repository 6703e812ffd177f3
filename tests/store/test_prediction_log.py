"""The prediction log keeps every record it can, and never gets in the way of a prediction."""

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stork.config import PROJECT
from stork.declaration import Log
from stork.errors import BadRequest
from stork.store.log_query import query_log
from stork.store.prediction_log import PredictionLog, Record, Tally, last_records, read_records, segments


def record(identity: str = "a-1", **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "id": identity,
        "time": datetime(2026, 1, 2, tzinfo=UTC),
        "model": "m",
        "version": 3,
        "asked": "",
        "dialect": "api",
        "status": 200,
        "rows": 1,
        "instances": [{"age": 28, "name": "Ada"}],
        "predictions": {"weight": [7.5]},
        "latency": {"total": 0.1},
    }
    return Record(**{**fields, **changes})


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """What was asked and answered can be read again, by the last and by all."""
    log = PredictionLog(str(tmp_path), "m", Log(), b"")
    log.write(record("a-1"))
    log.write(record("a-2"))

    assert [found["id"] for found in last_records(tmp_path / "m", 1)] == ["a-2"]
    assert [found["predictions"] for found in read_records(tmp_path / "m")] == [{"weight": [7.5]}] * 2


def test_threads_do_not_write_into_each_others_lines(tmp_path: Path) -> None:
    """Records of concurrent requests are all there and all whole."""
    log = PredictionLog(str(tmp_path), "m", Log(), b"")

    def write(name: int) -> None:
        for count in range(200):
            log.write(record(f"{name}-{count}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({found["id"] for found in read_records(tmp_path / "m")}) == 1600


def test_a_full_disk_is_counted_said_once_and_never_raised(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """/dev/full refuses every write, as a full disk does: the request goes on, stderr says it once."""
    log = PredictionLog(str(tmp_path), "m", Log(), b"")
    log.write(record())
    segment = segments(tmp_path / "m")[0]
    os.dup2(os.open("/dev/full", os.O_WRONLY), log._descriptor)
    for _ in range(3):
        log.write(record())

    assert log.failures == 3
    assert capfd.readouterr().err.count("the prediction log cannot be written") == 1
    assert len(segment.read_bytes().splitlines()) == 1


def test_a_folder_that_cannot_be_made_is_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The same where there is no folder to write to at all."""
    (tmp_path / "m").write_text("a file where the folder should be")
    log = PredictionLog(str(tmp_path), "m", Log(), b"")
    log.write(record())
    log.write(record())

    assert log.failures == 2
    assert capfd.readouterr().err.count("predictions go on") == 1


def test_a_line_cut_short_does_not_swallow_the_next(tmp_path: Path) -> None:
    """After a torn write the next record starts a line of its own; the torn one is passed over."""
    log = PredictionLog(str(tmp_path), "m", Log(), b"")
    log.write(record("a-1"))
    os.write(log._descriptor, b'{"id": "torn')
    log._torn = True
    log.write(record("a-2"))

    assert [found["id"] for found in read_records(tmp_path / "m")] == ["a-1", "a-2"]


def test_a_segment_that_somebody_removed_is_written_to_no_longer(tmp_path: Path) -> None:
    """Within a second a new one is begun: records in a file without a name are lost, though they seem written."""
    log = PredictionLog(str(tmp_path), "m", Log(), b"")
    log.write(record("a-1"))
    segments(tmp_path / "m")[0].unlink()
    log._looked -= 1
    log.write(record("a-2"))

    assert ([found["id"] for found in read_records(tmp_path / "m")], log.failures) == (["a-2"], 0)


def test_segments_rotate_and_the_oldest_go_when_the_total_is_exceeded(tmp_path: Path) -> None:
    """The log never grows past its limit; what is being written stays."""
    limits = Log(segment_mb=0, total_mb=0)
    log = PredictionLog(str(tmp_path), "m", limits, b"")
    for count in range(4):
        log.write(record(f"a-{count}"))
        for path in segments(tmp_path / "m")[:-1]:
            os.utime(path, (time.time() - 120,) * 2)
    log._open_segment(time.monotonic())

    assert len(segments(tmp_path / "m")) <= 2


def test_omitted_features_are_left_out_and_hashed_ones_are_hashed(tmp_path: Path) -> None:
    """What the declaration says is private never reaches the disk; equal values still hash alike."""
    log = PredictionLog(str(tmp_path), "m", Log(omit=("age",), hash=("name",)), b"secret")
    log.write(record("a-1"))
    log.write(record("a-2"))
    first, second = (found["instances"][0] for found in read_records(tmp_path / "m"))

    assert first == second
    assert first.keys() == {"name"} and first["name"] != "Ada"


SAMPLE = """
import os
from stork.declaration import Log
from stork.store.prediction_log import PredictionLog
log = PredictionLog("off", "m", Log(sample=0.25), os.urandom(8))
print([count for count in range(4000) if log.wants(b"a-%d" % count)])
"""


def test_a_sample_is_the_same_in_every_process() -> None:
    """Whether a record is kept depends on its key alone, and about the declared share is."""
    first, second = (
        subprocess.run([sys.executable, "-c", SAMPLE], capture_output=True, text=True, check=True, cwd=PROJECT).stdout
        for _ in range(2)
    )

    assert first == second
    assert 850 < len(first.split()) < 1150


def test_on_stdout_a_record_is_one_line_that_cloud_logging_takes(capfd: pytest.CaptureFixture[str]) -> None:
    """A large request is cut below 256 KiB instead of being dropped."""
    log = PredictionLog("stdout", "m", Log(), b"")
    log.write(record(instances=[{"name": "x" * 300_000}], status=400, error="no"))
    lines = capfd.readouterr().out.splitlines()

    assert len(lines) == 1 and len(lines[0]) < 256 * 1024
    assert '"severity":"WARNING"' in lines[0]


def test_counts_answered_requests_by_version_as_they_come(tmp_path: Path) -> None:
    """The versions page shows what was answered, not what was refused; a second look reads only what is new."""
    log, tally = PredictionLog(str(tmp_path), "m", Log(), b""), Tally(str(tmp_path), "m")
    for version, status in ((1, 200), (2, 200), (2, 200), (2, 400)):
        log.write(record(version=version, status=status))
    first = dict(tally.count() or {})
    log.write(record(version=1))

    assert (first, dict(tally.count() or {})) == ({1: 1, 2: 2}, {1: 2, 2: 2})


def test_sql_reads_every_field(tmp_path: Path) -> None:
    """A query sees the log as one table with typed columns."""
    log = PredictionLog(str(tmp_path), "m", Log(), b"")
    log.write(record(error="nobody", trace="t"))
    shown = query_log(
        tmp_path / "m", "select version, latency.total, predictions->>'$.weight[0]', error from predictions"
    )

    assert all(text in shown for text in ("3", "0.1", "7.5", "nobody"))


@pytest.mark.parametrize("query", ["select * from nowhere", "not sql"])
def test_a_wrong_query_is_an_error_of_the_person(tmp_path: Path, query: str) -> None:
    """DuckDB's own words, no traceback."""
    PredictionLog(str(tmp_path), "m", Log(), b"").write(record())

    with pytest.raises(BadRequest, match="--sql"):
        query_log(tmp_path / "m", query)
