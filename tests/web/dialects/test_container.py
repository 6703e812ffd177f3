"""The contract of a Vertex AI container: what the service asks of whatever runs behind an endpoint."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import BABY, Server, free_port

from stork.config import PROJECT, Settings
from stork.errors import SettingError
from stork.serving.ask import Context
from stork.serving.predictor import Predictor
from stork.web.dialects import Request
from stork.web.dialects.container import make_dialects

# As the service sets them, but for the port, which the test chooses.
HEALTH = "/v1/endpoints/77/deployedModels/88"
CONTAINER = {
    "AIP_HEALTH_ROUTE": HEALTH,
    "AIP_PREDICT_ROUTE": f"{HEALTH}:predict",
    "AIP_ENDPOINT_ID": "77",
    "AIP_DEPLOYED_MODEL_ID": "88",
    "AIP_MODE": "PREDICTION",
    "AIP_STORAGE_URI": "",
}


@contextlib.contextmanager
def serve_in_container(folder: Path) -> Iterator[Server]:
    """`python -m stork serve`, told what the service tells a container; ended when the block ends."""
    port = free_port()
    environment = {**os.environ, **CONTAINER, "AIP_HTTP_PORT": str(port), "STORK_BIND": "127.0.0.1"}
    environment |= {"STORK_ROOT": str(folder / "var"), "STORK_LOG": "off", "PORT": "1"}
    with (folder / "stderr").open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "stork", "serve"],
            cwd=PROJECT,
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield Server(port, process, Settings(), folder / "stderr")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A container that its service has found to be healthy."""
    with serve_in_container(tmp_path_factory.mktemp("container")) as server:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and server.process.poll() is None:
            with contextlib.suppress(OSError):
                if server.request("GET", HEALTH).status == 200:
                    break
            time.sleep(0.05)
        yield server


def test_predictions_come_back_one_per_instance(container: Server) -> None:
    """Same length, same order, in `predictions`; the service calls by address, whatever that is."""
    babies = [{**BABY, "gestation_weeks": weeks} for weeks in (28, 40, 33)]
    answer = container.request("POST", f"{HEALTH}:predict", {"instances": babies}, Host="10.1.2.3:8080")

    assert answer.status == 200 and list(answer.json) == ["predictions"]
    assert sorted(answer.json["predictions"]) == [answer.json["predictions"][i] for i in (0, 2, 1)]


def test_one_refused_instance_refuses_all(container: Server) -> None:
    """There is no prediction for a part of a request."""
    answer = container.request("POST", f"{HEALTH}:predict", {"instances": [BABY, {**BABY, "mother_age": 9}]})

    assert (answer.status, list(answer.json)) == (400, ["error"])


def test_the_endpoint_answers_under_the_id_the_service_gave_it(container: Server) -> None:
    """Whoever reaches the container itself may ask as if it were the service; the model's name still works."""
    paths = [f"/v1/projects/p/locations/l/endpoints/{name}:predict" for name in ("77", "babyweight", "78")]

    assert [container.request("POST", path, {"instances": [BABY]}).status for path in paths] == [200, 200, 404]


def test_no_key_is_printed_where_output_is_kept(container: Server) -> None:
    """A container's output ends in logs."""
    assert "key" not in container.stderr.read_text().lower()


def test_health_is_503_until_every_model_serves(settings: Settings) -> None:
    """And says what it waits for; a model that is loaded makes it 200."""
    settings = Settings(root=settings.root, log="off", health_route="/health")
    (health,) = make_dialects(settings)
    predictor = Predictor(settings)
    before = health.answer(predictor, Request("GET", "/health", b"", Context()))
    predictor.route("babyweight").follow()
    after = health.answer(predictor, Request("GET", "/health", b"", Context()))

    assert (before.status, after.status) == (503, 200)
    assert b'"babyweight":"not loaded yet"' in before.body


@pytest.mark.parametrize(("method", "path", "allowed"), [("POST", "/health", "GET"), ("GET", "/predict", "POST")])
def test_each_path_has_its_method(settings: Settings, method: str, path: str, allowed: str) -> None:
    """The other one is 405, and the path is nobody else's."""
    routed = Settings(root=settings.root, log="off", health_route="/health", predict_route="/predict")
    (dialect,) = (dialect for dialect in make_dialects(routed) if dialect.owns(path))
    reply = dialect.answer(Predictor(routed), Request(method, path, b"", Context()))

    assert reply.status == 405 and ("Allow", allowed) in reply.headers


def test_outside_of_a_container_nothing_changes() -> None:
    """Only AIP_HTTP_PORT makes a container; then every address is listened on, and every host is right."""
    inside = Settings.from_environment({**CONTAINER, "AIP_HTTP_PORT": "8080"})

    assert Settings.from_environment(CONTAINER) == Settings()
    assert (inside.bind, inside.hosts, inside.health_route) == ("0.0.0.0", ("*",), HEALTH)


def test_our_own_settings_win(tmp_path: Path) -> None:
    """What an image's author sets is what is meant; a local AIP_STORAGE_URI is the folder of the models."""
    told = {"AIP_HTTP_PORT": "8080", "AIP_STORAGE_URI": str(tmp_path), "AIP_PREDICT_ROUTE": "/a"}
    settings = Settings.from_environment({**told, "STORK_PREDICT_ROUTE": "/b", "STORK_HOSTS": "one"})
    inside = Settings.from_environment({**told, "AIP_STORAGE_URI": "gs://b/m", "STORK_MODELS": "/models"})

    assert (settings.models, settings.predict_route, settings.hosts) == (tmp_path, "/b", ("one",))
    assert inside.models == Path("/models")


def test_a_model_in_a_bucket_is_refused_at_the_start() -> None:
    """It would be silently another model than the one that was deployed."""
    with pytest.raises(SettingError, match="AIP_STORAGE_URI: expected a local folder or nothing, received 'gs://b/m'"):
        Settings.from_environment({"AIP_HTTP_PORT": "8080", "AIP_STORAGE_URI": "gs://b/m"})
