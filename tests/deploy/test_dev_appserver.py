"""The application under App Engine's own development server: front end, static files, warm-up, form and JSON."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import BABY, Response, free_port

pytestmark = pytest.mark.sdk

# What App Engine's server starts to make an environment; ours is linked in, so that no test asks a registry.
WRAPPER = """#!{python}
import os, sys
if sys.argv[1:3] == ["-m", "venv"]:
    target = sys.argv[-1]
    os.makedirs(target, exist_ok=True)
    os.path.exists(target + "/bin") or os.symlink({bin!r}, target + "/bin")
    sys.exit(0)
os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""


def make_environment(folder: Path) -> Path:
    """An interpreter that "makes" a virtual environment of this one's programs, with a pip that has nothing to do."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("python", "python3", "pip"):
        program = programs / name
        program.write_text(f'#!/bin/sh\n[ "$2" = pip ] && exit 0\nexec {sys.executable} "$@"\n')
    (programs / "pip").write_text("#!/bin/sh\nexit 0\n")
    (programs / "gunicorn").write_text(f'#!/bin/sh\nexec {sys.executable} -m gunicorn "$@"\n')
    wrapper = folder / "interpreter"
    wrapper.write_text(WRAPPER.format(python=sys.executable, bin=str(programs)))
    for program in (*programs.iterdir(), wrapper):
        program.chmod(0o755)
    return wrapper


class AppServer:
    """The running development server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def request(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


@pytest.fixture(scope="module")
def app(
    sdk: Path, offline: dict[str, str], staged: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AppServer]:
    """The staged application under dev_appserver.py, on loopback only, ended with everything it started."""
    folder = tmp_path_factory.mktemp("appserver")
    configuration = staged / "loopback.yaml"
    text = (staged / "app.yaml").read_text().replace("-b :$PORT", "-b 127.0.0.1:$PORT")
    configuration.write_text(text.replace("STORK_HOSTS: .appspot.com", "STORK_HOSTS: 127.0.0.1,localhost"))
    port, admin, api = free_port(), free_port(), free_port()
    command = [
        "/usr/bin/python3", str(sdk / "platform/google_appengine/dev_appserver.py"), "--application=stork-test",
        "--host=127.0.0.1", f"--port={port}", "--admin_host=127.0.0.1", f"--admin_port={admin}", "--api_host=127.0.0.1",
        f"--api_port={api}", f"--storage_path={folder / 'storage'}", f"--python_virtualenv_path={folder / 'venv'}",
        f"--runtime_python_path=python312={make_environment(folder)}", "--skip_sdk_update_check=True",
        "--automatic_restart=False", str(configuration),
    ]  # fmt: skip
    said = folder / "said"
    with said.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=staged,
            env=offline | {"HOME": str(folder)},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    server = AppServer(port)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if server.request("GET", "/readyz").status == 200:
                    break
            time.sleep(0.2)
        else:
            pytest.fail(f"dev_appserver.py did not start the application:\n{said.read_text()[-3000:]}")
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def test_the_form_and_the_api_answer_through_the_front_end(app: AppServer) -> None:
    """A person and a program both get a prediction."""
    page = app.request("POST", "/", b"mother_race=1&mother_age=28&gestation_weeks=39&plurality=1",
                       "application/x-www-form-urlencoded")  # fmt: skip
    answer = app.request("POST", "/api/predict", json.dumps(BABY).encode())

    assert page.status == 200 and b"<output" in page.body
    assert answer.status == 200 and answer.json["version"] == 1


def test_static_files_come_from_the_front_end(app: AppServer) -> None:
    """With the headers app.yaml gives them, and without bothering the application."""
    style = app.request("GET", "/static/style.css")

    assert (style.status, style.headers["x-content-type-options"]) == (200, "nosniff")
    assert "etag" in style.headers and style.headers["server"].startswith("Development")


def test_a_warm_up_request_is_answered_when_the_model_is_loaded(app: AppServer) -> None:
    """App Engine may send traffic afterwards."""
    assert app.request("GET", "/_ah/warmup").json == {"ready": True}
