"""Who is measured: Stork, the echo and the peers, each with its command, its dialect and its environment."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.measure import PROJECT, Server, echo_server, stork_server
from bench.peers.dialects import BENTO, BINARY, INPUTS, INSTANCES, OPEN_INFERENCE, STORK_JSON, Dialect
from bench.peers.environments import Environment
from bench.peers.rows import Rows

# One process per core for all that do not share a core among threads.
CORES = str(len(os.sched_getaffinity(0)))
PATIENCE = 180  # seconds until the first right answer


@dataclass(frozen=True)
class Peer:
    """
    A server, as its documentation starts it.

    In the command, the path and the environment `{python}` and `{bin}` stand for what its own virtual environment has,
    `{prepared}` for a folder of its own in this run, and `{model}` for the name of Stork's model.
    """

    name: str
    folder: str
    command: str
    path: str
    one: Dialect
    many: Dialect | None = None  # for bodies of several instances, where another form is faster
    environment: dict[str, str] = field(default_factory=dict)
    requirements: Path | None = None  # None: those in its folder
    predicts: bool = True

    def dialect(self, rows: Rows) -> Dialect:
        """How it is asked for so many instances."""
        return self.many if self.many and len(rows) > 1 else self.one

    @property
    def home(self) -> Environment:
        """Its virtual environment."""
        own = PROJECT / "bench" / "peers" / self.folder / "requirements.txt"
        return Environment(self.folder, self.requirements or own)

    def server(self, scratch: Path, environment: dict[str, str]) -> Server:
        """How it is started, with this environment besides its own."""
        home = self.home
        places: dict[str, Path | str] = {
            "{python}": home.python,
            "{bin}": home.python.parent,
            "{prepared}": scratch / self.folder,
        }
        places["{model}"] = Path(environment["PEER_MODEL"]).parent.name

        def fill(text: str) -> str:
            for name, place in places.items():
                text = text.replace(name, str(place))
            return text

        own = {name: fill(value) for name, value in (environment | self.environment).items()}
        return Server(
            self.name, [fill(part) for part in self.command.split()], fill(self.path), own, home.log, PATIENCE
        )


def hosted(server: Server, predicts: bool = True) -> Peer:
    """One of the project's own servers, in an environment that has what `make run` installs and no more."""
    requirements = PROJECT / "requirements.txt"
    command = " ".join(server.command)
    return Peer(
        server.name, "stork", command, server.path, STORK_JSON, requirements=requirements, predicts=predicts
    )  # fmt: skip


STORK = hosted(stork_server("{python}", {}))
STORK_V2 = replace(STORK, name="Stork, V2", path="/v2/models/{model}/infer", one=OPEN_INFERENCE, many=BINARY)
ECHO = hosted(echo_server("{python}"), predicts=False)
OURS = (STORK, STORK_V2, ECHO)  # Stork first: the others must answer what it answers
PEERS = (
    Peer(
        "Triton",
        "triton",
        "{prepared}/tritonserver --model-repository={prepared}/repository --backend-directory={prepared}/backends "
        "--http-port={port} --allow-grpc=false --allow-metrics=false --log-info=false --http-thread-count=2",
        "/v2/models/model/infer",
        OPEN_INFERENCE,
        BINARY,
        {"PATH": f"{{bin}}:{os.environ['PATH']}", "LD_LIBRARY_PATH": "{prepared}/libraries"},
    ),
    Peer(
        "FastAPI",
        "fastapi",
        f"{{python}} -m uvicorn bench.peers.fastapi.app:app --port {{port}} --workers {CORES} --loop uvloop "
        "--http httptools --no-access-log --log-level warning",
        "/predict",
        INSTANCES,
    ),
    Peer(
        "Flask app of a lab",
        "flask",
        f"{{python}} -m gunicorn -b 127.0.0.1:{{port}} -w {CORES} -k gthread --threads 8 bench.peers.flask.app:app",
        "/predict",
        INSTANCES,
    ),
    Peer(
        "MLServer",
        "mlserver",
        "{bin}/mlserver start bench/peers/mlserver/model",
        "/v2/models/model/infer",
        OPEN_INFERENCE,
        environment={"MLSERVER_HTTP_PORT": "{port}", "MLSERVER_GRPC_PORT": "0"},
    ),
    Peer("LitServe", "litserve", "{python} -m bench.peers.litserve.app {port}", "/predict", INSTANCES),
    Peer(
        "BentoML",
        "bentoml",
        "{python} -m bentoml serve bench.peers.bentoml.service:Model --host 127.0.0.1 --port {port}",
        "/predict",
        BENTO,
        environment={"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": "{prepared}"},
    ),
    Peer(
        "MLflow models serve",
        "mlflow",
        "{python} -m mlflow models serve --model-uri {prepared} --host 127.0.0.1 --port {port} "
        f"--workers {CORES} --env-manager local",
        "/invocations",
        INPUTS,
        environment={
            "PATH": f"{{bin}}:{os.environ['PATH']}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "UVICORN_ACCESS_LOG": "false",
            "UVICORN_LOG_LEVEL": "warning",
        },
    ),
    Peer(
        "Ray Serve",
        "ray",
        "{python} -m bench.peers.ray.app {port}",
        "/",
        INSTANCES,
        environment={
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_TMPDIR": "{prepared}",
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        },
    ),
)
