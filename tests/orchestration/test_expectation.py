"""How long a step is expected to take: as last time, else by a guess at the pace of the run so far."""

from datetime import UTC, datetime
from pathlib import Path

from stork.config import Settings
from stork.orchestration.dag import find_node
from stork.orchestration.runner import expect
from stork.store.runs import Expected, Run, StepRecord

TRAIN = find_node("train")


def begin_run(tmp_path: Path, **seconds: float) -> tuple[Settings, Run]:
    """A run whose steps took so long."""
    settings = Settings(root=tmp_path, log="off")
    run = Run.start(settings, "parcels", ("ingest", "train", "evaluate"), {})
    for step, took in seconds.items():
        now = datetime.now(UTC)
        run.record.steps[step] = StepRecord(status="succeeded", began=now, fingerprint="", run="1", seconds=took)
    run.save()
    return settings, run


def test_nothing_known_is_a_guess(tmp_path: Path) -> None:
    """The first step of the first run."""
    settings, run = begin_run(tmp_path)

    assert expect(settings, run.record, TRAIN) == Expected(TRAIN.seconds, "a guess")


def test_a_guess_keeps_the_pace_of_the_run(tmp_path: Path) -> None:
    """Where ingestion took three times what was guessed, so will training."""
    settings, run = begin_run(tmp_path, ingest=3 * find_node("ingest").seconds)

    assert expect(settings, run.record, TRAIN) == Expected(3 * TRAIN.seconds, "a guess")


def test_what_was_done_before_is_no_guess(tmp_path: Path) -> None:
    """The last time counts, whatever this run's pace is."""
    begin_run(tmp_path, train=40.0)
    settings, run = begin_run(tmp_path, ingest=100.0)

    assert expect(settings, run.record, TRAIN) == Expected(40.0, "last time")
