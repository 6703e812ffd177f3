"""The sums of what a shadow found are those of all server processes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stork.declaration import Log
from stork.store.prediction_log import PredictionLog, segments
from stork.store.shadow_log import KIND, Difference, ShadowRecord, ShadowTally, Sums


def record(**changes: Any) -> ShadowRecord:
    fields: dict[str, Any] = {
        "id": "a-1", "time": datetime(2026, 1, 2, tzinfo=UTC), "model": "m", "version": 1, "shadow": 2,
        "outcome": "compared",
    }  # fmt: skip
    return ShadowRecord(**{**fields, **changes})


def shadow_log(folder: Path) -> PredictionLog:
    return PredictionLog(str(folder), "m", Log(omit=("age",)), b"", KIND)


def test_sums_are_over_every_process_and_only_what_is_new_is_read(tmp_path: Path) -> None:
    """Two logs stand for two processes; means are over rows, the largest difference is the largest of all."""
    one, two = shadow_log(tmp_path), shadow_log(tmp_path)
    tally = ShadowTally(str(tmp_path), "m")
    one.append(record(rows=1, difference={"y": Difference(4.0, 4.0)}, latency={"live": 1.0, "shadow": 3.0}))
    first = tally.sums()
    assert first is not None and first[0].compared == 1
    two.append(record(rows=3, difference={"y": Difference(0.0, 0.0)}, latency={"live": 3.0, "shadow": 5.0}))
    two.append(record(outcome="refused", error="no"))
    two.append(record(outcome="dropped", copies=7))

    assert tally.sums() == [
        Sums(
            1, 2, compared=2, refused=1, dropped=7, rows=4, difference={"y": Difference(1.0, 4.0)},
            latency={"live": 2.0, "shadow": 4.0}, last_error="no",
        )
    ]  # fmt: skip


def test_a_removed_segment_counts_no_longer(tmp_path: Path) -> None:
    """The sums are those of the log as it stands, like the requests served."""
    log, tally = shadow_log(tmp_path), ShadowTally(str(tmp_path), "m")
    log.append(record(rows=1))
    tally.sums()
    for path in segments(tmp_path / "m", KIND):
        path.unlink()

    assert tally.sums() == [] and ShadowTally("off", "m").sums() is None


def test_shadow_records_are_no_predictions(tmp_path: Path) -> None:
    """They lie in segments of their own: counting requests never meets them."""
    shadow_log(tmp_path).append(record())

    assert segments(tmp_path / "m") == [] and len(segments(tmp_path / "m", KIND)) == 1
