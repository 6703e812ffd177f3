"""
Where a request's time goes inside a server process, without sockets: `make bench-road`.

Each body goes through the door as under a server; then its parts are called alone: the check (bytes to tensors, and
the rows that the log keeps), the model, the log. `around` is all else: door, dialect, counters, the answer's JSON.
Beside them, what the simplest Python server must do for the same JSON: parse it, make columns, ask the same model,
write JSON, with neither check nor log. Microseconds of CPU, the best of seven rounds.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

ROUNDS = 7
BUSY = 0.08  # seconds a round takes


@dataclass(frozen=True)
class Body:
    """What is posted, and how many rows it has."""

    title: str
    path: str
    rows: int
    content: bytes
    header_length: int = 0  # of the JSON before binary tensors


def microseconds(function: Callable[[], Any]) -> float:
    """One call of a function, in the best round."""
    function()
    began = time.thread_time()
    function()
    times = max(3, round(BUSY / (time.thread_time() - began)))
    rounds = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(times):
            function()
        rounds.append((time.thread_time() - began) / times * 1e6)
    return min(rounds)


def make_bodies(model: str, instances: list[dict[str, Any]], tensors: dict[str, Any]) -> list[Body]:
    """The same rows in Stork's own dialect, in TensorFlow Serving's, and in V2 as JSON and as binary tensors."""
    path = f"/v2/models/{model}/infer"
    found = []
    for count in (1, 32, 1000):
        some = instances[:count]
        content = json.dumps({"instances": some}).encode()
        found.append(Body("JSON", "/api/predict", count, content))
        found.append(Body("TF Serving", f"/v1/models/{model}:predict", count, content))
    for count in (32, 1000):
        held = {name: tensor[:count] for name, tensor in tensors.items()}
        listed = [describe_tensor(name, tensor) | {"data": tensor.tolist()} for name, tensor in held.items()]
        found.append(Body("V2 JSON", path, count, json.dumps({"inputs": listed}).encode()))
        raw = [tensor.tobytes() for tensor in held.values()]
        sized = [
            describe_tensor(name, tensor) | {"parameters": {"binary_data_size": len(content)}}
            for (name, tensor), content in zip(held.items(), raw, strict=True)
        ]
        head = json.dumps({"inputs": sized, "parameters": {"binary_data_output": True}}).encode()
        found.append(Body("V2 binary", path, count, head + b"".join(raw), len(head)))
    return found


def describe_tensor(name: str, tensor: Any) -> dict[str, Any]:
    kinds = {"f": "FP", "i": "INT", "u": "UINT"}
    return {"name": name, "shape": list(tensor.shape), "datatype": f"{kinds[tensor.dtype.kind]}{tensor.itemsize * 8}"}


def environ_of(body: Body) -> dict[str, Any]:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": body.path,
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "application/octet-stream" if body.header_length else "application/json",
        "CONTENT_LENGTH": str(len(body.content)),
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": BytesIO(body.content),
    }
    if body.header_length:
        environ["HTTP_INFERENCE_HEADER_CONTENT_LENGTH"] = str(body.header_length)
    return environ


def answer(app: Any, body: Body) -> None:
    """Through the door; anything but 200 ends the program."""
    status = []
    content = b"".join(app(environ_of(body), lambda code, headers, exc=None: status.append(code)))
    if status != ["200 OK"]:
        raise SystemExit(f"{body.title}, {body.rows} rows: {status} {content[:500]!r}")


def simplest(loaded: Any, body: Body) -> None:
    """What a server must do at least for JSON instances: parse, columns, model, JSON."""
    instances = json.loads(body.content)["instances"]
    columns = {
        feature.name: np.array([float(instance[feature.name]) for instance in instances])
        for feature in loaded.schema.features
    }
    tensors = {name: columns[name].astype(dtype) for name, dtype in loaded.dtypes.items()}
    (predictions,) = loaded.predict(tensors).values()
    json.dumps({"predictions": predictions.ravel().tolist()})


@dataclass(frozen=True)
class Known:
    """What `simplest` is told of the model."""

    schema: Any
    dtypes: dict[str, Any]
    predict: Callable[[Any], Any]


def main() -> None:
    """Print the table."""
    from stork.config import PROJECT, Settings
    from stork.data.sample import generate, load_sample
    from stork.schema.decode import Decoder
    from stork.serving.ask import check
    from stork.web.app import create_app

    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(root=Path(folder) / "var", log=f"{folder}/log"))
        predictor = app.predictor
        name = predictor.default_model
        loaded = predictor.version(name)
        declaration = predictor.declaration(name)
        tables = load_sample(PROJECT / "model" / name / "sample.json")
        instances = [
            i for i in generate(declaration, tables, 4000, 1).instances() if len(i) == len(loaded.schema.features)
        ]
        tensors = Decoder(loaded.schema, 1000).decode(instances[:1000]).tensors
        known = Known(loaded.schema, {n: t.dtype for n, t in tensors.items()}, loaded.local.predict)
        asks: list[Any] = []
        records: list[Any] = []
        predict, log = predictor.predict, predictor._logs[name]
        write = log.write
        heads = ("door to door", "check", "model", "log", "around", "simplest")
        print(f"{'us of CPU':<12}{'rows':>6}{heads[0]:>14}" + "".join(f"{head:>10}" for head in heads[1:]))
        for body in make_bodies(name, instances, tensors):
            predictor.predict = lambda ask: asks.append(ask) or predict(ask)
            log.write = lambda record: records.append(record) or write(record)
            answer(app, body)
            predictor.predict, log.write = predict, write
            ask, record = asks[-1], records[-1]
            ask.context.arrived = 0.0
            checked = check(loaded, ask)
            parts = [
                microseconds(lambda body=body: answer(app, body)),
                microseconds(lambda ask=ask: check(loaded, ask).rows[: declaration.log.rows]),
                microseconds(lambda checked=checked: loaded.local.predict(checked.tensors)),
                microseconds(lambda record=record: write(record)),
            ]
            around = parts[0] - sum(parts[1:])
            least = f"{microseconds(lambda body=body: simplest(known, body)):>10.0f}" if body.title == "JSON" else ""
            print(
                f"{body.title:<12}{body.rows:>6}{parts[0]:>14.0f}"
                + "".join(f"{p:>10.0f}" for p in (*parts[1:], around))
                + least
            )
        predictor.stop()


if __name__ == "__main__":
    main()
