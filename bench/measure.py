"""A server under measurement: started as a user would, loaded by wrk on loopback, weighed from /proc, ended whole."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
ENDINGS = (signal.SIGTERM, signal.SIGINT)  # `timeout` sends the first of them twice
PAUSE = (
    16  # milliseconds after each answer: 32 connections then ask 2,000 times a second, which most servers can answer
)
GRACE = 20  # seconds a server has to end by itself


class Unfit(SystemExit):
    """A server that did not start, or did not answer as it should; uncaught it ends the program with its message."""


@dataclass(frozen=True)
class Body:
    """What is posted."""

    content: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Server:
    """How a server is started; `{port}` in the command and in the environment stands for a free port."""

    name: str
    command: list[str]
    path: str
    environment: dict[str, str] = field(default_factory=dict)
    log: Path | None = None  # its standard error; None: ours
    patience: float = 60  # seconds until its first right answer


@dataclass
class Running:
    """A server that answers."""

    name: str
    path: str
    port: int
    pid: int
    cold_start: float = 0.0

    def processes(self) -> list[int]:
        """The server's process and all below it."""
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found += [int(child) for child in task.read_text().split()]
        return found

    def cpu(self) -> float:
        """Seconds of CPU all its processes have used."""
        ticks = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def pss(self) -> float:
        """Proportional memory of all its processes, MiB."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
                total += int(found[1]) if found else 0
        return total / 1024

    def post(self, body: Body) -> tuple[int, bytes]:
        """The status and the body of the answer to one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", self.path, body.content, body.headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


@contextlib.contextmanager
def start(server: Server, body: Body, check: Callable[[bytes], None] = lambda answer: None) -> Iterator[Running]:
    """
    A server, from the start of its process to its first 200, ended with all its processes.

    Raises:
        Unfit: it ended or ran out of patience before it answered 200; or what `check` raises for that answer.
    """
    port = free_port()
    environment = {name: value.replace("{port}", str(port)) for name, value in server.environment.items()}
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(server.log.open("wb")) if server.log else None
        began = time.monotonic()
        process = subprocess.Popen(
            [part.replace("{port}", str(port)) for part in server.command],
            cwd=PROJECT,
            env={**os.environ, "PORT": str(port), **environment},
            stdout=log or subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
        running = Running(server.name, server.path, port, process.pid)
        stack.callback(end, running, process)
        answer = first_answer(running, process, body, server.patience)
        running.cold_start = time.monotonic() - began
        check(answer)
        yield running


def free_port() -> int:
    """A port of loopback nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def first_answer(running: Running, process: "subprocess.Popen[bytes]", body: Body, patience: float) -> bytes:
    """The body of the first 200."""
    until = time.monotonic() + patience
    said = "nothing"
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Unfit(f"{running.name} ended with exit code {process.returncode} before it answered")
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, answer = running.post(body)
            if status == 200:
                return answer
            said = f"{status} {answer[:200].decode(errors='replace')}"
        time.sleep(0.005)
    raise Unfit(f"{running.name} did not answer 200 within {patience:.0f} s; last it said {said}")


def end(running: Running, process: "subprocess.Popen[bytes]") -> None:
    """Ask the server to stop, and kill what of it is left."""
    born = {pid: birth(pid) for pid in running.processes()}
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    for pid, moment in born.items():
        # A process id that another process got since is not ours.
        if moment is not None and birth(pid) == moment:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def birth(pid: int) -> str | None:
    """When the process started, in ticks since boot; None if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return None


def end_once() -> None:
    """Let the first SIGTERM or Ctrl-C end the program by SystemExit; a second one does not disturb how servers end."""

    def leave(number: int, _: object) -> None:
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for ending in ENDINGS:
        signal.signal(ending, leave)


def require_wrk() -> None:
    """
    Make sure that the load generator is there.

    Raises:
        SystemExit: it is not; the message says what installs it.
    """
    if not shutil.which("wrk"):
        raise SystemExit("this needs wrk: apt-get install wrk")


def load(server: Running, body: Body, connections: int, seconds: int, pause: int = 0) -> dict[str, float]:
    """
    One round of wrk; what it measured, and the server's CPU per request in microseconds.

    Each connection asks again `pause` ms after its last answer: with 0 the server is never idle, and latency says how
    long the queue is; servers that are asked equally often are compared by how long an answer takes.

    Raises:
        Unfit: a request was answered with an error, or none was answered.
    """
    headers = "\n".join(f"{name}: {value}" for name, value in body.headers.items())
    with tempfile.NamedTemporaryFile() as file:
        file.write(body.content)
        file.flush()
        before = server.cpu()
        done = subprocess.run(
            ["wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
             "-s", "bench/post.lua", f"http://127.0.0.1:{server.port}{server.path}"],
            cwd=PROJECT, env={**os.environ, "BODY": file.name, "HEADERS": headers, "PAUSE": str(pause)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        cpu = server.cpu() - before
    found: dict[str, float] = json.loads(done.stdout.split("RESULT ")[1])
    if found["errors"] or not found["requests"]:
        raise Unfit(f"{server.name} answered {found['errors']} of {found['requests']} requests with an error")
    found["per_second"] = found["requests"] / found["seconds"]
    found["cpu_us"] = cpu / found["requests"] * 1e6
    return found


def stork_server(python: str, environment: dict[str, str]) -> Server:
    """Stork as a user starts it."""
    return Server("Stork", [python, "-m", "stork", "serve"], "/api/predict", environment)


def echo_server(python: str) -> Server:
    """The reference: bench/echo.py on gunicorn."""
    command = [python, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "--log-level", "warning"]
    command += ["-w", "2", "-k", "gthread", "--threads", "8", "bench.echo:app"]
    return Server("Flask echo", command, "/echo")
