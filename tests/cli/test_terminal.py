"""What a person sees of a run: bars with an estimate in a terminal, plain lines in a log, nothing under --json."""

import doctest
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stork.cli.terminal
from stork.config import PROJECT

# A step of 3 s that tells of its progress, said at half; one that tells of none but took 2 s the last time; a verb.
SHOW = """
import time
from datetime import UTC, datetime
from stork.cli.terminal import Terminal, waiting
from stork.store.runs import Expected, StepRecord
record = StepRecord(status="succeeded", began=datetime.now(UTC), fingerprint="", run="1", seconds=3.0)
terminal = Terminal()
terminal.begin("count")
for done in range(1, 16):
    time.sleep(0.2)
    terminal.progress(done, 15)
    if done == 8:
        terminal.say("half of it")
terminal.end(record)
terminal.begin("wait", Expected(2.0, "last time"))
time.sleep(1.6)
terminal.end(record)
with waiting("check", Expected(1.5)) as terminal:
    time.sleep(1.3)
    terminal.say("checked")
    time.sleep(0.8)
"""

SAID = ["count", "  half of it", "  done in 3.0 s", "wait", "  done in 3.0 s", "checked"]


def test_the_arithmetic_is_as_documented() -> None:
    """The examples of bars and times hold."""
    failed, tried = doctest.testmod(stork.cli.terminal)

    assert (failed, tried) == (0, 7)


def show_in_terminal() -> str:
    """All that a terminal gets."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", SHOW], cwd=PROJECT, stdout=theirs, stderr=theirs)
    os.close(theirs)
    received = b""
    try:
        while part := os.read(ours, 65536):
            received += part
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    assert process.wait(20) == 0
    return received.decode()


def test_a_terminal_shows_a_bar_with_an_estimate() -> None:
    """Of what takes longer than a second: from what the step says, else from how long it took the last time."""
    shown = show_in_terminal()

    assert re.search(r"count  \[#+-+\]  [5-9]\d%  about \d s left", shown)
    assert re.search(r"wait  \[#+-+\]  \d\d%  about \d s left, by last time", shown)


def test_what_is_no_step_has_a_bar_too() -> None:
    """The check before a switch, an import: by a guess, and what takes longer than guessed says so."""
    shown = show_in_terminal()

    assert re.search(r"\x1b\[2Kcheck  \[#+-+\]  \d\d%  about \d s left, by a guess", shown)
    assert "check  2 s, by a guess it would take 2 s" in shown


def test_what_is_said_is_not_lost_below_a_bar() -> None:
    """The bar makes room for a line, and at the end nothing of it is left."""
    shown = show_in_terminal().replace("\r\n", "\n")
    left = [line.rpartition("\x1b[2K")[2] for line in shown.removesuffix("\n").split("\n")]

    assert [re.sub(r"\x1b\[\d*m", "", line) for line in left] == [*SAID, ""]


def test_a_log_gets_lines_only() -> None:
    """Where stderr is no terminal there is no control character, and no bar."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout.splitlines() == SAID
    assert done.stderr == ""


@pytest.mark.tensorflow
def test_ingestion_tells_how_far_it_is(tmp_path: Path) -> None:
    """Its last word is that all rows are written."""
    from parcels import parcel_rows, parcels, write_csv

    from stork.config import Settings
    from stork.data.ingest import ingest
    from stork.data.sources import Fetched

    told: list[tuple[int, int]] = []
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    fetched = Fetched((write_csv(tmp_path / "rows.csv", parcel_rows(50)),))
    ingest(Settings(root=tmp_path / "var"), parcels(), fetched, scratch, progress=lambda *counts: told.append(counts))

    assert told[-1] == (50, 50)
