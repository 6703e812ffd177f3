"""The comparison with other servers, without any of them: what is measured is right, and what is started is ended."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from server import Server as Process

from bench.measure import Body, Server, Unfit, start
from bench.peers.dialects import BINARY, OPEN_INFERENCE
from bench.peers.roster import OURS, PEERS, Peer
from bench.peers.round import check_same
from bench.peers.rows import SIZES, newest_version, read_rows
from bench.peers.tables import Figures, print_tables

# Answers 200 to every POST, and has a child that no SIGTERM ends; its id is in the answer.
STUBBORN = """
import os, signal, time
from http.server import BaseHTTPRequestHandler, HTTPServer
child = os.fork()
if not child:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(child).encode())
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_a_measured_server_is_ended_with_all_its_processes() -> None:
    """Also those that ignore being asked, and also when the measurement fails."""
    server = Server("stubborn", [sys.executable, "-c", STUBBORN], "/")

    with pytest.raises(Unfit, match="wrong number"), start(server, Body(b"{}")) as running:
        child = int(running.post(Body(b"{}"))[1])
        raise Unfit("wrong number")

    assert is_gone(running.pid) and is_gone(child)


def test_a_server_that_ends_at_once_says_so() -> None:
    """The reason is in the table instead of a wait."""
    server = Server("brief", [sys.executable, "-c", "raise SystemExit(3)"], "/")

    with pytest.raises(Unfit, match="brief ended with exit code 3"), start(server, Body(b"{}")):
        pass


@pytest.mark.parametrize(
    ("received", "reason"),
    [
        ([7.1], "expected 2 predictions, received 1"),
        ([7.2, 7.1], "expected 7.100000 for instance 0 of 2, received 7.200000"),
        ([7.1, float("nan")], "for instance 1 of 2, received nan"),
    ],
)
def test_a_peer_must_answer_what_stork_answers(received: list[float], reason: str) -> None:
    """The same number of predictions, in order, within the tolerance."""
    check_same([7.1, 7.2], [7.10009, 7.19991])

    with pytest.raises(Unfit, match=reason):
        check_same([7.1, 7.2], received)


def test_a_peer_without_figures_is_printed_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """No server is dropped silently."""
    found = {"per_second": 2000.0, "cpu_us": 250.0, "p50_ms": 1.0, "p99_ms": 2.5}
    echo, peer = Figures({(1, 32): found}, cold_start=0.2, memory=50, size=100), Figures()
    peer.refuse("it cannot be installed")

    print_tables({"Flask echo": echo, "Other": peer})

    printed = capsys.readouterr().out
    assert "| Flask echo | 2,000 |        250 |         1.00 |   1.00 |   2.50 |" in printed
    assert "| Other      |     - |" in printed and "- Other: it cannot be installed" in printed


def test_the_best_round_counts() -> None:
    """By requests per second, with the other figures of that same round."""
    figures = Figures()
    for per_second in (100.0, 300.0, 200.0):
        figures.take_load(1, 32, {"per_second": per_second, "cpu_us": per_second})

    assert figures.loads == {(1, 32): {"per_second": 300.0, "cpu_us": 300.0}}


def test_rows_are_whole_and_differ_from_their_neighbours(tmp_path: Path) -> None:
    """So that a peer that mixes up rows is found out."""
    bodies = read_rows(newest_version(tmp_path))

    assert [len(rows) for rows in bodies] == list(SIZES)
    assert bodies[1].instances[0] != bodies[1].instances[1]


def test_stork_answers_both_forms_of_the_protocol_alike(tmp_path: Path, shared_server: Process) -> None:
    """The bodies and readers that measure Triton, tried on a server that is always at hand."""
    folder = newest_version(tmp_path)
    rows = read_rows(folder)[1]
    answers = []
    for dialect in (OPEN_INFERENCE, BINARY):
        body = dialect.ask(rows)
        headers = {name.replace("-", "_"): value for name, value in body.headers.items()}
        said = shared_server.request("POST", f"/v2/models/{folder.parent.name}/infer", body.content, **headers)
        answers.append(dialect.read(said.body))

    assert len(answers[0]) == len(rows)
    np.testing.assert_array_equal(np.float32(answers[0]), np.float32(answers[1]))


@pytest.mark.parametrize("peer", [*OURS, *PEERS], ids=lambda peer: peer.name)
def test_every_peer_is_pinned(peer: Peer) -> None:
    """A figure means a release."""
    lines = peer.home.requirements.read_text().splitlines()

    assert [line for line in lines if "==" not in line and not line.startswith("#")] == []


def is_gone(pid: int) -> bool:
    """Whether the process ended; a zombie did. It may take the kernel a moment."""
    for _ in range(100):
        with suppress(OSError, IndexError):
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                time.sleep(0.05)
                continue
        return True
    return False
