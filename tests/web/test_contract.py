"""
One contract: the same instances through every dialect and every server give the same numbers, to the last bit of a
float32. All go in one body, since another number of rows may add up in another order.

A dialect joins with a row in DIALECTS, a server with one in DOORS.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from server import Server, start_server
from werkzeug.test import Client

from stork.config import PROJECT, Settings
from stork.declaration import Declaration
from stork.evaluation.probe import probe_rows
from stork.schema.frozen import Schema
from stork.web.app import create_app

ROWS = 200
REAL_ROWS = PROJECT.parent / "shared" / "data" / "natality" / "nchs_trunc.csv.gz"

Rows = list[dict[str, Any]]
Body = bytes | dict[str, Any]
Door = Callable[[str, Body, str], Any]  # (path, body, content type) -> the answer's JSON


def columns_of(rows: Rows) -> dict[str, list[Any]]:
    """By feature, None where a row has none."""
    return {name: [row.get(name) for row in rows] for row in rows for name in row}


def frame_of(rows: Rows) -> dict[str, Any]:
    columns = columns_of(rows)
    return {"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]}


def lines_of(rows: Rows, names: list[str]) -> bytes:
    """CSV without a header, its columns in this order."""
    text = io.StringIO()
    csv.DictWriter(text, names, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def ask_api(door: Door, rows: Rows) -> list[float]:
    answer = door("/api/predict", {"instances": rows}, "application/json")
    return [prediction["weight_pounds"] for prediction in answer["predictions"]]


def ask_rows(path: str) -> Callable[[Door, Rows], Any]:
    """Dialects that take `instances` and answer `predictions`, bare."""
    return lambda door, rows: door(path, {"instances": rows}, "application/json")["predictions"]


def ask_tensorflow_serving_columns(door: Door, rows: Rows) -> Any:
    return door("/v1/models/babyweight:predict", {"inputs": columns_of(rows)}, "application/json")["outputs"]


def ask_mlengine(door: Door, rows: Rows) -> list[float]:
    answer = door("/v1/projects/p/models/babyweight:predict", {"instances": rows}, "application/json")
    return [prediction["weight_pounds"] for prediction in answer["predictions"]]


def ask_open_inference(door: Door, rows: Rows) -> Any:
    """JSON tensors of the features as they are."""
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": datatype_of(values), "data": values}
        for name, values in columns_of(rows).items()
    ]
    return door("/v2/models/babyweight/infer", {"inputs": inputs}, "application/json")["outputs"][0]["data"]


def datatype_of(values: list[Any]) -> str:
    kinds = {type(value) for value in values} - {type(None)}
    return "BOOL" if kinds == {bool} else "FP64" if float in kinds else "INT64"


def ask_invocations(make_body: Callable[[Rows], Body]) -> Callable[[Door, Rows], Any]:
    return lambda door, rows: door("/invocations", make_body(rows), "application/json")["predictions"]


def ask_csv(door: Door, rows: Rows) -> Any:
    names = list(columns_of(rows))
    body = ",".join(names).encode() + b"\n" + lines_of(rows, names)
    return door("/invocations", body, "text/csv")["predictions"]


def ask_bare_csv(door: Door, rows: Rows) -> Any:
    names = list(door("/v1/models/babyweight/metadata", b"", "")["metadata"]["signature_def"]["signature_def"][
        "serving_default"]["inputs"])  # fmt: skip
    return door("/invocations", lines_of(rows, names), "text/csv; header=absent")["predictions"]


DIALECTS: dict[str, Callable[[Door, Rows], Any]] = {
    "api": ask_api,
    "tensorflow serving, rows": ask_rows("/v1/models/babyweight:predict"),
    "tensorflow serving, columns": ask_tensorflow_serving_columns,
    "vertex ai": ask_rows("/v1/projects/p/locations/l/endpoints/babyweight:predict"),
    "ml engine": ask_mlengine,
    "open inference protocol": ask_open_inference,
    "invocations, dataframe_split": ask_invocations(lambda rows: {"dataframe_split": frame_of(rows)}),
    "invocations, dataframe_records": ask_invocations(lambda rows: {"dataframe_records": rows}),
    "invocations, instances": ask_invocations(lambda rows: {"instances": rows}),
    "invocations, inputs": ask_invocations(lambda rows: {"inputs": columns_of(rows)}),
    "invocations, csv": ask_csv,
    "invocations, csv without header": ask_bare_csv,
}


def in_process(settings: Settings) -> Iterator[Door]:
    """The WSGI application, without a server."""
    app = create_app(settings)
    client = Client(app)

    def ask(path: str, body: Body, kind: str) -> Any:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        method = "POST" if kind else "GET"
        answer = client.open(path, method=method, data=sent, content_type=kind)
        assert answer.status_code == 200, answer.text
        return answer.json

    yield ask
    app.predictor.stop()


def served(name: str) -> Callable[[Settings], Iterator[Door]]:
    """A real server process that speaks HTTP this way."""

    def serve(settings: Settings) -> Iterator[Door]:
        with start_server(settings, STORK_SERVER=name) as server:
            yield lambda path, body, kind: ask_server(server, path, body, kind)

    return serve


def ask_server(server: Server, path: str, body: Body, kind: str) -> Any:
    headers = {"Content_Type": kind} if kind else {}
    answer = server.request("POST" if kind else "GET", path, body or None, **headers)
    assert answer.status == 200, answer.body
    return answer.json


DOORS: dict[str, Callable[[Settings], Iterator[Door]]] = {
    "in process": in_process,
    "stork": served("stork"),
    "gthread": served("gthread"),
}


@pytest.fixture(scope="module", params=DOORS)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A way in to a deployment of its own."""
    folder = tmp_path_factory.mktemp("contract")
    yield from DOORS[request.param](Settings(root=folder / "var", log=str(folder / "log")))


@pytest.fixture(scope="module")
def made_up(schema: Schema) -> Rows:
    """Over the whole domain: both ends, every value, features missing."""
    rows: Rows = msgspec.to_builtins(probe_rows(schema, ROWS).rows)
    return rows


@pytest.fixture(scope="module")
def real(declaration: Declaration) -> Rows:
    """Rows as they were recorded."""
    if not REAL_ROWS.is_file():
        pytest.skip(f"{Path(*REAL_ROWS.parts[-4:])} is not here")
    pytest.importorskip("duckdb")
    from stork.data.sources import read_rows

    found = read_rows(declaration, [REAL_ROWS], "alcohol_use IS NOT NULL")
    return found.select(np.arange(len(found)) < ROWS).instances()


@pytest.fixture(params=["made_up", "real"])
def rows(request: pytest.FixtureRequest) -> Rows:
    chosen: Rows = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Rows], npt.NDArray[np.float32]]:
    """What the predictor itself answers."""
    folder = tmp_path_factory.mktemp("expected")
    predictor = create_app(Settings(root=folder / "var", log="off")).predictor
    loaded = predictor.version("babyweight")
    predictor.stop()
    return lambda rows: loaded.predict(loaded.decoder.decode(rows).tensors)["weight_pounds"].reshape(-1)


@pytest.mark.parametrize("ask", DIALECTS.values(), ids=DIALECTS)
def test_every_dialect_gives_the_same_float32_through_every_door(
    door: Door, ask: Callable[[Door, Rows], Any], rows: Rows, expected: Callable[[Rows], npt.NDArray[np.float32]]
) -> None:
    """In the order of the instances, bit for bit: no dialect rounds, reorders or fills in anything."""
    received = np.array(ask(door, rows), np.float32).reshape(-1)

    assert len(received) == ROWS and received.tobytes() == expected(rows).tobytes()
