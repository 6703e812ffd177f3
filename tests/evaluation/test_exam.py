"""The exam of a candidate: real models, each broken in its own way, served by a real server and found out."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from candidates import (
    Price,
    beyond_table,
    endless,
    export_candidate,
    flaky,
    honest,
    huge,
    no_number,
    out_of_range,
    truncate,
    without_file,
)
from parcels import TOML, write_parcels

from stork.config import PROJECT, Settings
from stork.declaration import load_declaration
from stork.evaluation.exam import Exam, bound_rate, examine_candidate

pytestmark = pytest.mark.tensorflow
LITERT, TENSORFLOW = True, False  # whether the candidate has a twin


def examine(home: Path, price: Price, twin: bool, damaged: bool = False, more: str = "", **limits: float) -> Exam:
    """The exam of a candidate with this price; `limits` are those of the exam, `more` declares more."""
    write_parcels(home)
    declared, candidate = home / "parcels" / "model.toml", home / "candidate"
    chosen = {"requests": 200, "starts": 1, "answer_seconds": 2.0} | limits
    exam = "".join(f"{name} = {value}\n" for name, value in chosen.items())
    declared.write_text(re.sub(r"(?<=exam\]\n)requests.*\nstarts.*\n", exam, TOML) + more)
    export_candidate(candidate, price, twin)
    if damaged:
        truncate(candidate)
    return examine_candidate(Settings(), load_declaration(declared), declared.parent, candidate, lambda *_: None)


@pytest.mark.parametrize(("twin", "backend"), [(LITERT, "litert"), (TENSORFLOW, "saved_model")])
def test_a_good_candidate_passes(tmp_path: Path, twin: bool, backend: str) -> None:
    """Everything is counted as it was asked, the bound of its crash rate too, and holds for what answered."""
    exam = examine(tmp_path, honest, twin)

    assert exam.passed and (exam.requests, exam.refused, exam.runtime.backend) == (200, 10, backend), exam.reasons
    assert exam.instances > 400 and 0 < exam.p50_ms <= exam.p99_ms and exam.memory_mb > 30
    assert exam.crash_rate == pytest.approx(1 - 0.05 ** (1 / 200)) and "at most 1.487% fail" in exam.reasons[0]


@pytest.mark.parametrize(
    ("price", "twin", "reason"),
    [
        (
            without_file,
            TENSORFLOW,
            "expected an answer, received 400: .*No OpKernel was registered to support Op 'PyFunc'",
        ),
        (beyond_table, LITERT, "expected an answer, received 400: .*gather index out of bounds"),
        (no_number, LITERT, "received 502: .*cost.*not a finite number"),
        (out_of_range, LITERT, r"cost is 100\.5, expected 0 to 100"),
        (endless, LITERT, "gave no answer within 2 s"),
        (huge, LITERT, "received 400: .*FILL.* failed"),
        (huge, TENSORFLOW, "received 502: .*OOM when allocating tensor"),
    ],
)
def test_a_model_that_fails_when_it_is_called_is_refused(tmp_path: Path, price: Price, twin: bool, reason: str) -> None:
    """Each loads, and most are well until a heavy parcel comes; the reason says what was asked, and what came."""
    exam = examine(tmp_path, price, twin)

    assert not exam.passed and exam.reasons[0] == "1 of 1 cold starts failed"
    assert re.search(rf'^to {{"instances":.*{reason}', exam.reasons[1])


@pytest.mark.parametrize(
    ("twin", "reason"), [(LITERT, "not a valid Flatbuffer"), (TENSORFLOW, "Read less bytes than requested")]
)
def test_truncated_weights_are_refused(tmp_path: Path, twin: bool, reason: str) -> None:
    """Also when the manifest says that they must be so: they do not load, and no request is asked."""
    exam = examine(tmp_path, honest, twin, damaged=True)

    assert not exam.passed and exam.requests == 0 and exam.crash_rate == 1.0
    assert "it cannot serve" in exam.reasons[1] and reason in exam.reasons[1] and reason in exam.stderr


def test_a_flake_is_not_hidden(tmp_path: Path) -> None:
    """One crash in two cold starts is a crash: the verdict says how often, by which signal, and what was said last."""
    exam = examine(tmp_path, flaky(tmp_path / "seen"), TENSORFLOW, starts=2)

    assert not exam.passed and exam.reasons[0] == "1 of 2 cold starts failed" and exam.requests == 100
    assert exam.ended == "signal SIGABRT" and "ended: signal SIGABRT" in exam.reasons[1]
    assert "out of luck" in exam.stderr


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        ("p99_ms = 0.001", "p99 of one instance: expected at most 0.001 ms, received"),
        ("memory_mb = 20", "memory of a server process: expected at most 20 MB, received"),
    ],
)
def test_a_budget_is_kept(tmp_path: Path, budget: str, reason: str) -> None:
    """Every request may be answered well: what takes longer or more memory than declared is refused."""
    exam = examine(tmp_path, honest, LITERT, more=f"\n[serving.budgets]\n{budget}\n")

    assert not exam.passed and exam.requests == 200
    assert reason in exam.reasons[0]


def test_an_exam_ends(tmp_path: Path) -> None:
    """What is not asked within the declared time counts as not answered."""
    exam = examine(tmp_path, honest, LITERT, seconds=1, requests=100_000)

    assert not exam.passed and exam.requests < 100_000
    assert "within 1 s" in exam.reasons[-1] and exam.seconds < 10


def test_a_server_ends_with_who_examines(tmp_path: Path) -> None:
    """After kill -9 of the process that took the exam, no server of it is left behind."""
    program = (
        "import sys, time; from pathlib import Path; from stork.config import PROJECT, Settings; "
        "from stork.evaluation.exam_server import ExamServer; "
        "server = ExamServer(Settings(root=Path(sys.argv[1]), log='off'), Path(sys.argv[1] + '.err')); "
        "server.wait_until_ready(30); print(server.port, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "var")]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        process.kill()

    assert any(not listens(port) or time.sleep(0.1) for _ in range(50))


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("failures", "requests", "bound"), [(0, 10_000, 0.00029953), (1, 100, 0.04656), (3, 20, 0.34366), (2, 2, 1.0)]
)
def test_the_bound_is_clopper_and_pearsons(failures: int, requests: int, bound: float) -> None:
    """The one-sided 95% bound; the values are those of the beta distribution's quantile, scipy.stats.beta.ppf."""
    assert bound_rate(failures, requests) == pytest.approx(bound, rel=2e-4)
