"""A loopback Vertex AI that takes custom jobs and carries out their commands, or misbehaves as it is told."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import googleapiclient
from loopback import serving

from stork.config import PROJECT

PARENT = "projects/p/locations/us-central1"
JOB = "GoogleCloudAiplatformV1CustomJob"
SECONDS = 120.0  # that a command may take


@cache
def schemas() -> dict[str, Any]:
    """The service's own types, from the description that comes with Google's client."""
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    found: dict[str, Any] = json.loads((folder / "aiplatform.v1.json").read_text())["schemas"]
    return found


def unknown_names(value: Any, kind: dict[str, Any], where: str) -> Iterator[str]:
    """What of a body the service does not know, or has another type there."""
    if "$ref" in kind:
        kind = schemas()[kind["$ref"]]
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    if not isinstance(value, types[kind["type"]]):
        yield f"{where}: {value!r} is no {kind['type']}"
    elif isinstance(value, list):
        for item in value:
            yield from unknown_names(item, kind["items"], where)
    elif isinstance(value, dict):
        for name, inner in value.items():
            known = kind.get("properties", {}).get(name) or kind.get("additionalProperties")
            if known:
                yield from unknown_names(inner, known, f"{where}.{name}")
            else:
                yield f"Unknown name {name!r} at {where}"


def lay_out_image(folder: Path, models: Path) -> Path:
    """The files that deploy/training.Dockerfile copies, in a folder; with these models instead of the shipped ones."""
    folder.mkdir()
    lines = (PROJECT / "deploy" / "training.Dockerfile").read_text().splitlines()
    for line in (line for line in lines if line.startswith("COPY ")):
        *sources, target = line.split()[1:]
        for source in (PROJECT / name for name in sources):
            if source == PROJECT / "model":
                shutil.copytree(models, folder / target)
            elif source.is_dir():
                shutil.copytree(source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / target)
    return folder


@dataclass
class Troubles:
    """What goes wrong: looks at a job answered 503; jobs that end without having begun, or run on; create refused."""

    looks: int = 0
    ends_as: str = ""
    runs_on: bool = False
    refuses: bool = False


class JobsServer(ThreadingHTTPServer):
    """`image` is the folder that commands run in, as in a container; `jobs` all that were asked for, by their names."""

    daemon_threads = True

    def __init__(self, image: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.image = image
        self.jobs: dict[str, dict[str, Any]] = {}
        self.troubles = Troubles()
        self.workers: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take a job, and begin it."""
        name = f"{PARENT}/customJobs/{len(self.jobs) + 1}"
        job: dict[str, Any] = {
            **body,
            "name": name,
            "state": "JOB_STATE_QUEUED",
            "createTime": f"2026-01-01T00:00:{len(self.jobs):02}Z",
        }
        self.jobs[name] = job
        worker = threading.Thread(target=self.carry_out, args=(job,))
        worker.start()
        self.workers.append(worker)
        return dict(job)

    def carry_out(self, job: dict[str, Any]) -> None:
        """From queued to its end, by the exit code of the command."""
        time.sleep(0.3)
        job["state"] = "JOB_STATE_PENDING"
        if self.troubles.ends_as:
            job.update(state=self.troubles.ends_as, error={"code": 8, "message": "no quota for n1-standard-4"})
            return
        (pool,) = job["jobSpec"]["workerPoolSpecs"]
        container = pool["containerSpec"]
        given = {variable["name"]: variable["value"] for variable in container["env"]}
        python, *words = container["command"]
        assert python == "python"
        job["state"] = "JOB_STATE_RUNNING"
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.image), **given}
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.image,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        until = time.monotonic() + SECONDS
        while self.troubles.runs_on and time.monotonic() < until:
            time.sleep(0.02)
        job["said"] = done.stdout + done.stderr
        if done.returncode:
            message = f"The replica workerpool0-0 exited with a non-zero status of {done.returncode}."
            job.update(state="JOB_STATE_FAILED", error={"code": 3, "message": message})
        else:
            job["state"] = "JOB_STATE_SUCCEEDED"


class Answer(BaseHTTPRequestHandler):
    server: JobsServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wrong = [*unknown_names(body, schemas()[JOB], "custom_job")]
        labels = body.get("labels", {})
        wrong += [text for text in (*labels, *labels.values()) if not re.fullmatch(r"[a-z0-9_-]{1,63}", text)]
        if urlparse(self.path).path != f"/v1/{PARENT}/customJobs":
            self.send(404, error(404, "no such parent"))
        elif wrong:
            self.send(400, error(400, "; ".join(wrong)))
        elif self.server.troubles.refuses:
            self.send(403, error(403, "Permission 'aiplatform.customJobs.create' denied"))
        else:
            self.send(200, self.server.create(body))

    def do_GET(self) -> None:
        path = urlparse(self.path).path.removeprefix("/v1/")
        if path == f"{PARENT}/customJobs":
            (condition,) = parse_qs(urlparse(self.path).query)["filter"]
            key, _, value = condition.removeprefix("labels.").partition("=")
            found = [job for job in self.server.jobs.values() if job["labels"].get(key) == value]
            self.send(200, {"customJobs": found} if found else {})
        elif path not in self.server.jobs:
            self.send(404, error(404, "no such job"))
        elif self.server.troubles.looks:
            self.server.troubles.looks -= 1
            self.send(503, error(503, "try again"))
        else:
            self.send(200, self.server.jobs[path])

    def send(self, status: int, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": "UNAVAILABLE", "details": []}}


@contextlib.contextmanager
def jobs_server(image: Path) -> Iterator[JobsServer]:
    """The server while a block runs; it ends when its jobs have."""
    with serving(JobsServer(image)) as server:
        try:
            yield server
        finally:
            for worker in server.workers:
                worker.join(SECONDS)
