"""
What serving costs, side by side with other servers in one run on one machine: `make bench-peers`.

Servers run one at a time and in turns, so that none takes the cores from another and a slow minute of the machine hits
all. Each is asked in its own dialect and must give Stork's numbers before it is measured; one that cannot be installed
or does not is named with the reason. README.md in this folder says how each is tuned.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.measure import PROJECT, Unfit, end_once, require_wrk
from bench.peers.roster import OURS, PEERS, Peer
from bench.peers.round import Round
from bench.peers.rows import newest_version, read_rows
from bench.peers.tables import Figures, print_tables


def main() -> None:
    """Print the tables."""
    given = parse_options()
    require_wrk()
    end_once()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder = newest_version(scratch / "var")
        environment = {
            "STORK_ROOT": str(scratch / "var"),
            "STORK_LOG": str(scratch / "log"),
            "PYTHONPATH": str(PROJECT),
            "PEER_MODEL": str(folder),
            "PEER_CALL": given.call,
        }
        peers = [*OURS, *chosen(given.peers)]
        table = {peer.name: Figures() for peer in peers}
        installed = [peer for peer in peers if install(peer, folder, scratch, table[peer.name])]
        measured = Round(read_rows(folder), given.connections, given.seconds, scratch, environment)
        for number in range(given.rounds):
            for peer in installed:
                print(f"round {number + 1} of {given.rounds}: {peer.name}", file=sys.stderr)
                measured.measure(peer, table[peer.name])
    print_tables(table)


def parse_options() -> argparse.Namespace:
    """What the command line says."""
    names = ",".join(peer.folder for peer in PEERS)
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--peers", default=names, help=f"which, separated by commas; default: {names}")
    parser.add_argument("--seconds", type=int, default=4, help="length of one round of wrk")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is started and measured; the best counts")
    parser.add_argument("--connections", type=numbers, default="1,8,32,64", help="for bodies of one instance")
    parser.add_argument(
        "--call",
        choices=("session", "signature"),
        default="session",
        help="how peers call TensorFlow: as fast as is known, or by the signature as handbooks say",
    )
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def chosen(names: str) -> list[Peer]:
    """
    The peers named.

    Raises:
        SystemExit: there is no such peer.
    """
    known = {peer.folder: peer for peer in PEERS}
    wanted = [name for name in names.split(",") if name]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"expected peers among {', '.join(known)}; received {', '.join(unknown)}")
    return [known[name] for name in wanted]


def install(peer: Peer, folder: Path, scratch: Path, figures: Figures) -> bool:
    """Whether the peer can be started; if not, its figures say why."""
    try:
        peer.home.install()
        peer.home.prepare(folder, scratch / peer.folder)
    except Unfit as unfit:
        figures.reasons.append(str(unfit))
        return False
    figures.size = peer.home.size()
    return True


if __name__ == "__main__":
    main()
