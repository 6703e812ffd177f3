"""SageMaker's and MLflow's containers: a ping, and every body their clients send."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from fakes import FakePredictor, fake_declaration, fake_version
from server import BABY, Server, start_server

from stork.config import Settings
from stork.schema.tensors import Tensors
from stork.serving.ask import Context
from stork.serving.predictor import Predictor
from stork.web.dialects import Request, invocations

OTHER = {**BABY, "mother_age": 41, "is_male": False, "cigarette_use": True}
ROWS = [BABY, OTHER]
NAMES = list(BABY)
COLUMNS = {name: [row[name] for row in ROWS] for name in NAMES}
SPLIT = {"columns": NAMES, "index": [7, 9], "data": [list(row.values()) for row in ROWS]}
LINES = "1,28,39,1,True,true,,\n1,41,39.0,1,FALSE,true,True,NaN\n"
HEADED = ",".join(NAMES) + "\n" + LINES


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture(scope="module")
def expected(server: Server) -> list[float]:
    """What `/api/predict` answers to the same two instances."""
    return [row["weight_pounds"] for row in server.predict({"instances": ROWS}).json["predictions"]]


def test_ping_is_200_when_the_model_is_ready(server: Server) -> None:
    """What both platforms ask before they send anything."""
    assert [server.request("GET", path).status for path in ("/ping", "/health")] == [200, 200]
    assert server.request("HEAD", "/ping").body == b""


def test_ping_is_503_with_the_reason_until_the_model_is_loaded(predictor: Predictor) -> None:
    """Not "did not pass the ping health check" and nothing else; asking loads nothing."""
    before, _, after = (
        invocations.answer(predictor, Request("GET", "/ping", b"", Context())),
        predictor.version("babyweight"),
        invocations.answer(predictor, Request("GET", "/ping", b"", Context())),
    )

    assert (before.status, json.loads(before.body)["message"]) == (503, "not loaded yet")
    assert after.status == 200


def test_ping_needs_no_key_where_predictions_do(settings: Settings) -> None:
    """The platform that asks whether a container is healthy has none."""
    with start_server(dataclasses.replace(settings, access="keys")) as closed:
        pinged = closed.request("GET", "/ping")
        refused = closed.request("POST", "/invocations", {"instances": ROWS})

    assert (pinged.status, refused.status, refused.json["error_code"]) == (200, 401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_split": {"columns": NAMES, "data": SPLIT["data"]}, "params": {"version": 1}},
        {"dataframe_records": ROWS, "params": {"alias": "stable"}},
        {"instances": ROWS, "params": None},
        {"inputs": COLUMNS},
        {"inputs": ROWS},
    ],
)
def test_every_form_gives_the_same_predictions(server: Server, expected: list[float], body: Any) -> None:
    """One entry per row: the bare value where the model has one output."""
    answer = server.request("POST", "/invocations", body)

    assert answer.json == {"predictions": expected}
    assert answer.headers["x-model-version"] == "1" and "x-prediction-id" in answer.headers


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records"])
def test_nan_in_a_frame_is_a_missing_value(server: Server, expected: list[float], form: str) -> None:
    """pandas has no other word for it, and writes it bare."""
    rows = [{name: float("nan") if value is None else value for name, value in row.items()} for row in ROWS]
    frame = rows if form == "dataframe_records" else {**SPLIT, "data": [list(row.values()) for row in rows]}

    assert server.request("POST", "/invocations", {form: frame}).json == {"predictions": expected}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/csv", ",".join(NAMES) + "\n" + LINES),
        ("text/csv; charset=utf-8", "\ufeff" + ",".join(NAMES) + "\r\n" + LINES.replace("\n", "\r\n")),
        ("text/csv; header=absent", LINES),
    ],
)
def test_csv_comes_with_names_or_in_the_schemas_order(
    server: Server, expected: list[float], kind: str, text: str
) -> None:
    """MLflow's form has a header; SageMaker's says that it has none. An empty cell is a missing value."""
    answer = server.request("POST", "/invocations", text.encode(), Content_Type=kind)
    lines = server.request("POST", "/invocations", text.encode(), Content_Type=kind, Accept="text/csv")

    assert answer.json == {"predictions": expected}
    assert (lines.headers["content-type"], [float(x) for x in lines.body.splitlines()]) == ("text/csv", expected)


def test_the_index_that_pandas_writes_is_left_out(server: Server, expected: list[float]) -> None:
    """`frame.to_csv()` begins with a column that has no name."""
    text = f",{','.join(NAMES)}\n" + "".join(f"{i},{line}\n" for i, line in enumerate(LINES.splitlines()))

    assert (
        server.request("POST", "/invocations", text.encode(), Content_Type="text/csv").json["predictions"] == expected
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "exactly one of dataframe_split, dataframe_records, instances, inputs, received no field"),
        ({"instances": ROWS, "inputs": COLUMNS}, "received instances, inputs"),
        ([1], "expected a JSON object, received a list of 1"),
        (b'{"inputs": {}, "inputs": {}}', "$.inputs: expected each key once"),
        ({"inputs": {**COLUMNS, "mother_age": [28, 9]}}, "$.inputs.mother_age[1]: expected 10 to 60"),
        ({"dataframe_records": [BABY, {**BABY, "mother_age": 9}]}, "$.dataframe_records[1].mother_age: expected 10"),
        ({"dataframe_split": {**SPLIT, "data": [[1]]}}, "data[0]: expected a list of 8 values, received a list of 1"),
        ({"dataframe_split": {**SPLIT, "columns": ["x"] * 8}}, "columns: expected each name once"),
        ({"dataframe_split": {**SPLIT, "data": []}}, "data: expected a list of at least one row"),
        ({"dataframe_split": [1]}, "$.dataframe_split: expected an object"),
        (b'{"dataframe_split": {"\xe3": 1}}', "a byte that is not UTF-8"),
        ({"instances": ROWS, "params": {"verison": 1}}, 'expected version or alias, received "verison"'),
        ({"instances": ROWS, "params": [1]}, "$.params: expected an object"),
    ],
)
def test_a_wrong_json_body_is_told_what_was_expected_and_where(server: Server, body: Any, message: str) -> None:
    """In MLflow's shape; rows are not repeated, since they may hold what the log must not."""
    answer = server.request("POST", "/invocations", body)

    assert (answer.status, list(answer.json)) == (400, ["error_code", "message"])
    assert answer.json["error_code"] == "BAD_REQUEST" and message in answer.json["message"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "csv: expected at least one line of values"),
        ("a,a\n1,2\n", 'received "a" twice'),
        ("a,b\n\n1\n", "csv line 3: expected 2 values, received 1"),
        ('a\n"1\n', "malformed CSV"),
        (b"a\n\xff\n", "CSV in UTF-8"),
        (HEADED.replace("28", "9"), "csv.mother_age[0]: expected 10 to 60, received 9"),
        (HEADED.replace("28", "x"), 'csv.mother_age[0]: expected a whole number from 10 to 60, received "x"'),
        ("weight\n1\n", "csv.weight[0]: expected a feature of this model"),
        (LINES, "csv line 1: expected names, received values; Content-Type: text/csv; header=absent has none"),
        (LINES.partition("\n")[0], "csv line 1: expected names, received values"),
    ],
)
def test_a_wrong_csv_body_is_told_the_line_or_the_column(server: Server, text: Any, message: str) -> None:
    """Rows are counted from 0 without the header, as JSON's are; lines as an editor counts them."""
    body = text if isinstance(text, bytes) else text.encode()
    answer = server.request("POST", "/invocations", body, Content_Type="text/csv")

    assert answer.status == 400 and message in answer.json["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "code"),
    [
        ("POST", "/invocations", {"instances": ROWS, "params": {"version": 9}}, "json", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("POST", "/invocations", b"x", "jsonlines", 415, "BAD_REQUEST"),
        ("GET", "/invocations", None, "json", 405, "BAD_REQUEST"),
        ("POST", "/ping", {}, "json", 405, "BAD_REQUEST"),
    ],
)
def test_each_status_has_the_code_that_mlflow_gives_it(
    server: Server, method: str, path: str, body: Any, kind: str, status: int, code: str
) -> None:
    """What its clients look at."""
    answer = server.request(method, path, body, Content_Type=f"application/{kind}")

    assert (answer.status, answer.json["error_code"]) == (status, code)


def classes(tensors: Tensors) -> Tensors:
    """Two scores per row, and the name of the higher one."""
    scores = np.stack([tensors["x"], 1 - tensors["x"]], axis=1)
    return {"scores": scores, "name": np.array([b"b"] * len(scores), object)}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json", b'{"predictions":[{"scores":[0.25,0.75],"name":"b"}]}'),
        ("text/csv", b"0.25,0.75,b\n"),
    ],
)
def test_several_outputs_are_objects_or_cells(accept: str, expected: bytes) -> None:
    """By name in JSON; in CSV one after the other, in the schema's order."""
    outputs = [{"name": "scores", "tensor": {"shape": [-1, 2]}}, {"name": "name", "tensor": {"dtype": "string"}}]
    declaration = fake_declaration([{"name": "x", "kind": "number"}], outputs)
    predictor: Any = FakePredictor(declaration, fake_version(declaration, classes))
    headers = {"Accept": accept, "Content-Type": "text/csv; header=absent"}
    reply = invocations.answer(predictor, Request("POST", "/invocations", b"0.25\n", Context(headers.__getitem__)))

    assert reply.body == expected
