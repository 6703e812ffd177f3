"""One start of one server: the right numbers first, then the load."""

import contextlib
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import PAUSE, Running, Unfit, load, start
from bench.peers.roster import Peer
from bench.peers.rows import Rows
from bench.peers.tables import Figures

TOLERANCE = 1e-4  # between a peer's prediction and Stork's, in the output's unit
CALLERS = 8  # at once, for bodies of several instances and for the check under concurrency
WARM_CONNECTIONS, WARM_SECONDS = 32, 2
PACED_CONNECTIONS = 32


@dataclass
class Round:
    """
    What every server is asked, and how.

    `rows` are bodies of growing size, the first of one instance; `connections` are those for one instance. The first
    server measured is Stork, whose predictions are then expected of all.
    """

    rows: list[Rows]
    connections: list[int]
    seconds: int
    scratch: Path
    environment: dict[str, str]
    expected: dict[int, list[float]] = field(default_factory=dict)

    def measure(self, peer: Peer, figures: Figures) -> None:
        """Start the server, check it, load it, end it; what goes wrong is a reason in its figures."""
        one = self.rows[0]
        try:
            with start(peer.server(self.scratch, self.environment), peer.dialect(one).ask(one)) as running:
                self.check(peer, running)
                figures.take_start(running.cold_start)
                with contextlib.suppress(Unfit):
                    load(running, peer.dialect(one).ask(one), WARM_CONNECTIONS, WARM_SECONDS)
                for rows, connections in self.loads():
                    self.load(peer, running, rows, connections, figures)
                with contextlib.suppress(Unfit):
                    figures.take_paced(
                        load(running, peer.dialect(one).ask(one), PACED_CONNECTIONS, self.seconds, PAUSE)
                    )
                figures.take_memory(running.pss())
        except Unfit as unfit:
            figures.refuse(str(unfit))

    def loads(self) -> list[tuple[Rows, int]]:
        """What is asked, over how many connections."""
        one, *many = self.rows
        return [(one, connections) for connections in self.connections] + [(rows, CALLERS) for rows in many]

    def load(self, peer: Peer, running: Running, rows: Rows, connections: int, figures: Figures) -> None:
        """One round of wrk; a server that fails it may still do well in the next."""
        try:
            found = load(running, peer.dialect(rows).ask(rows), connections, self.seconds)
        except Unfit as unfit:
            figures.refuse(f"{unfit} ({len(rows)} per body, {connections} connections)")
        else:
            figures.take_load(len(rows), connections, found)

    def check(self, peer: Peer, running: Running) -> None:
        """
        Bodies of each size, then single instances from several callers at once.

        Raises:
            Unfit: a prediction differs from Stork's, or is another instance's.
        """
        if peer.predicts:
            for rows in self.rows:
                expected = self.expected.setdefault(len(rows), ask(peer, running, rows))
                check_same(expected, ask(peer, running, rows))
            singles = self.rows[1].split()
            with ThreadPoolExecutor(CALLERS) as callers:
                answers = list(callers.map(lambda single: ask(peer, running, single), singles))
            check_same(self.expected[len(singles)], [number for answer in answers for number in answer])


def ask(peer: Peer, running: Running, rows: Rows) -> list[float]:
    """
    The server's predictions for these instances.

    Raises:
        Unfit: it did not answer with predictions.
    """
    dialect = peer.dialect(rows)
    status, answer = running.post(dialect.ask(rows))
    try:
        if status == 200:
            return dialect.read(answer)
    except (ValueError, KeyError, TypeError, IndexError):
        pass
    raise Unfit(f"expected predictions for {len(rows)} instances, received {status} {answer[:200]!r}")


def check_same(expected: list[float], received: list[float]) -> None:
    """
    Raises:
        Unfit: the predictions are not the expected ones, in order, within the tolerance.
    """
    if len(received) != len(expected):
        raise Unfit(f"expected {len(expected)} predictions, received {len(received)}")
    for place, (wanted, found) in enumerate(zip(expected, received, strict=True)):
        if not math.isclose(wanted, found, rel_tol=0, abs_tol=TOLERANCE):
            raise Unfit(f"expected {wanted:.6f} for instance {place} of {len(expected)}, received {found:.6f}")
