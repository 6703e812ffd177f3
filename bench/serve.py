"""
What serving costs, beside a bare Flask echo in the same run: `make bench`.

Both servers are started as a user would (Stork with `python -m stork serve`, checking and logging on; the echo with
gunicorn gthread, 2 workers x 8 threads) and loaded in turn by wrk on loopback. CPU is that of all processes of a
server, from /proc; the best of three rounds counts, since one lopsided split of connections can triple a round.
"""

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import PAUSE, Body, Running, echo_server, end_once, load, require_wrk, start, stork_server


def compare(
    servers: list[Running], body: Body, connections: int, options: Any, pause: int = 0
) -> dict[str, dict[str, float]]:
    """The best round of each server, the servers taking turns: the one of most requests, or of the lowest p99."""
    best: dict[str, dict[str, float]] = {}

    def rank(found: dict[str, float]) -> float:
        return found["p99_ms"] if pause else -found["per_second"]

    for _ in range(options.rounds):
        for server in servers:
            found = load(server, body, connections, options.seconds, pause)
            best[server.name] = min(best.get(server.name, found), found, key=rank)
    return best


def bodies() -> tuple[Body, dict[int, Body]]:
    """One instance as the declaration's example, and lists of 32 and 1000 of it."""
    from stork.config import Settings
    from stork.schema.decode import example_of
    from stork.schema.frozen import Schema
    from stork.store.registry import Registry

    registry = Registry(Settings())
    example = example_of(Schema.of(registry.declaration(registry.models()[0])))
    many = {rows: Body(json.dumps({"instances": [example] * rows}).encode()) for rows in (32, 1000)}
    return Body(json.dumps(example).encode()), many


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=4, help="length of one round of wrk")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    require_wrk()
    end_once()
    one, many = bodies()
    with tempfile.TemporaryDirectory() as root:
        places = {"STORK_ROOT": f"{root}/var", "STORK_LOG": f"{root}/log"}
        with start(echo_server(sys.executable), one) as echo, start(stork_server(sys.executable, places), one) as stork:
            print_one_instance([echo, stork], one, given)
            print_latency(Path(root) / "log", stork, one, given)
            print_many_instances(stork, many, given)
            print(f"\nCold start, process start to first 200: {stork.cold_start:.2f} s (echo {echo.cold_start:.2f} s)")
            print(f"PSS of all processes after the load: {stork.pss():.0f} MiB (echo {echo.pss():.0f} MiB)")
        small = {**places, "STORK_WORKERS": "1", "STORK_THREADS": "4"}
        with start(stork_server(sys.executable, small), one) as server:
            statuses = {server.post(one)[0] for _ in range(1000)}
            print(f"PSS of 1 worker x 4 threads after 1,000 requests: {server.pss():.0f} MiB (all {statuses})")


def print_one_instance(servers: list[Running], body: Body, options: Any) -> None:
    """A row per server and number of connections."""
    print(f"{'1 instance':<26}{'req/s':>9}{'CPU us/req':>12}{'x echo':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for connections, pause in ((1, 0), (32, 0), (32, PAUSE)):
        found = compare(servers, body, connections, options, pause)
        reference = found["Flask echo"]["cpu_us"]
        for name, row in found.items():
            title = f"{name}, {connections} conn." + (" paused" if pause else "")
            print(
                f"{title:<26}{row['per_second']:>9.0f}{row['cpu_us']:>12.0f}"
                f"{row['cpu_us'] / reference:>8.2f}{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}"
            )


def print_latency(log: Path, server: Running, body: Body, options: Any) -> None:
    """Where the time of a request goes under 32 connections: as wrk sees it, and as the prediction log has it."""
    began = datetime.now(UTC).isoformat()
    seen = load(server, body, 32, options.seconds)
    records = [json.loads(line) for path in log.rglob("*.jsonl") for line in path.read_text().splitlines()]
    parts = [record["latency"] for record in records if record["time"] >= began]
    print(f"\n{'latency at 32 conn., ms':<26}{'p50':>9}{'p99':>9}")
    print(f"{'as the client sees it':<26}{seen['p50_ms']:>9.2f}{seen['p99_ms']:>9.2f}")
    for part, words in (("total", "from arrival to answer"), ("queue", "waiting for a thread"), ("model", "the model")):
        values = sorted(latency.get(part, 0.0) for latency in parts)
        middle, late = (values[int(len(values) * share)] for share in (0.5, 0.99))
        print(f"{words:<26}{middle:>9.2f}{late:>9.2f}")


def print_many_instances(server: Running, many: dict[int, Body], options: Any) -> None:
    """Instances per second, and per second of CPU, for bodies of many."""
    print(f"\n{'instances per body':<26}{'inst/s':>9}{'inst/CPU s':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for rows, body in many.items():
        row = compare([server], body, 8, options)[server.name]
        print(
            f"{rows:<26}{row['per_second'] * rows:>9.0f}{rows / row['cpu_us'] * 1e6:>12.0f}"
            f"{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}"
        )


if __name__ == "__main__":
    main()
