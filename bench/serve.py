"""
What serving costs, beside a bare Flask echo in the same run: `make bench`.

Both servers are started as a user would (Stork with `python -m stork serve`, checking and logging on; the echo with
gunicorn gthread, 2 workers x 8 threads) and loaded in turn by wrk on loopback. CPU is that of all processes of a
server, from /proc; the best of three rounds counts, since one lopsided split of connections can triple a round.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Running:
    """A server under test."""

    name: str
    path: str
    port: int
    pid: int
    cold_start: float

    def processes(self) -> list[int]:
        """The server's process and all below it."""
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in task.read_text().split()]
        return found

    def cpu(self) -> float:
        """Seconds of CPU all its processes have used."""
        ticks = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def pss(self) -> float:
        """Proportional memory of all its processes, MiB."""
        total = 0
        for pid in self.processes():
            found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(found[1]) if found else 0
        return total / 1024

    def post(self, body: bytes) -> int:
        """The status of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", self.path, body, {"Content-Type": "application/json"})
            return connection.getresponse().status


@contextlib.contextmanager
def start(name: str, path: str, command: list[str], body: bytes, **environment: str) -> Iterator[Running]:
    """A server, from the start of its process to its first 200, ended with all its processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [part.replace("PORT", str(port)) for part in command]
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, "PORT": str(port), **environment},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    running = Running(name, path, port, process.pid, 0.0)
    try:
        while running.cold_start == 0.0:
            if process.poll() is not None or time.monotonic() - began > 60:
                raise SystemExit(f"{name} did not start")
            with contextlib.suppress(OSError):
                if running.post(body) == 200:
                    running.cold_start = time.monotonic() - began
            time.sleep(0.005)
        yield running
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def load(server: Running, body: bytes, connections: int, seconds: int) -> dict[str, float]:
    """One round of wrk; what it measured, and the server's CPU per request in microseconds."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        before = server.cpu()
        done = subprocess.run(
            ["wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{seconds}s", "-s", "bench/post.lua",
             f"http://127.0.0.1:{server.port}{server.path}"],
            cwd=PROJECT, env={**os.environ, "BODY": file.name}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        cpu = server.cpu() - before
    result: dict[str, float] = json.loads(done.stdout.split("RESULT ")[1])
    if result["errors"]:
        raise SystemExit(f"{server.name} answered {result['errors']} requests with an error")
    result["per_second"] = result["requests"] / result["seconds"]
    result["cpu_us"] = cpu / result["requests"] * 1e6
    return result


def compare(servers: list[Running], body: bytes, connections: int, options: Any) -> dict[str, dict[str, float]]:
    """The best round of each server, the servers taking turns."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        for server in servers:
            found = load(server, body, connections, options.seconds)
            if server.name not in best or found["per_second"] > best[server.name]["per_second"]:
                best[server.name] = found
    return best


def bodies() -> tuple[bytes, dict[int, bytes]]:
    """One instance as the declaration's example, and lists of 32 and 1000 of it."""
    from stork.config import Settings
    from stork.schema.decode import example_of
    from stork.schema.frozen import Schema
    from stork.store.registry import Registry

    registry = Registry(Settings())
    example = example_of(Schema.of(registry.declaration(registry.models()[0])))
    return json.dumps(example).encode(), {n: json.dumps({"instances": [example] * n}).encode() for n in (32, 1000)}


def serve_command() -> list[str]:
    return [sys.executable, "-m", "stork", "serve"]


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=4, help="length of one round of wrk")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("make bench needs wrk: apt-get install wrk")
    one, many = bodies()
    gunicorn = [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:PORT", "--log-level", "warning"]
    echo_command = [*gunicorn, "-w", "2", "-k", "gthread", "--threads", "8", "bench.echo:app"]
    with tempfile.TemporaryDirectory() as root:
        places = {"STORK_ROOT": f"{root}/var", "STORK_LOG": f"{root}/log"}
        with (
            start("Flask echo", "/echo", echo_command, one) as echo,
            start("Stork", "/api/predict", serve_command(), one, **places) as stork,
        ):
            print_one_instance([echo, stork], one, given)
            print_many_instances(stork, many, given)
            print(f"\nCold start, process start to first 200: {stork.cold_start:.2f} s (echo {echo.cold_start:.2f} s)")
            print(f"PSS of all processes after the load: {stork.pss():.0f} MiB (echo {echo.pss():.0f} MiB)")
        small = {**places, "STORK_WORKERS": "1", "STORK_THREADS": "4"}
        with start("Stork, 1 worker x 4 threads", "/api/predict", serve_command(), one, **small) as server:
            statuses = {server.post(one) for _ in range(1000)}
            print(f"PSS of 1 worker x 4 threads after 1,000 requests: {server.pss():.0f} MiB (all {statuses})")


def print_one_instance(servers: list[Running], body: bytes, options: Any) -> None:
    """A row per server and number of connections."""
    print(f"{'1 instance':<26}{'req/s':>9}{'CPU us/req':>12}{'x echo':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for connections in (1, 32):
        found = compare(servers, body, connections, options)
        reference = found["Flask echo"]["cpu_us"]
        for name, row in found.items():
            print(
                f"{f'{name}, {connections} conn.':<26}{row['per_second']:>9.0f}{row['cpu_us']:>12.0f}"
                f"{row['cpu_us'] / reference:>8.2f}{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}"
            )


def print_many_instances(server: Running, many: dict[int, bytes], options: Any) -> None:
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
