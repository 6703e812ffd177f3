"""The Open Inference Protocol: tensors in JSON or bytes, and never a 5xx for what a client sends."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from server import BABY, Response, Server

INFER = "/v2/models/babyweight/infer"


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


def tensor(name: str, values: list[Any], datatype: str = "FP32", **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(values)], "data": values, **more}


def tensors(*babies: dict[str, Any]) -> list[dict[str, Any]]:
    """Babies as feature values: BOOL for what is true or false, null for what is not known."""
    kinds = {bool: "BOOL", int: "INT32", type(None): "BOOL"}
    return [tensor(name, [baby[name] for baby in babies], kinds[type(babies[0][name])]) for name in babies[0]]


def infer(server: Server, document: Any, binary: bytes = b"", path: str = INFER, **headers: str) -> Response:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    if binary:
        headers.setdefault("Inference_Header_Content_Length", str(len(body)))
    return server.request("POST", path, body + binary, **headers)


def test_an_answer_names_model_version_id_and_tensors(server: Server) -> None:
    """Shape and data, in the datatype of the model's own tensor; the id of the request comes back."""
    answer = infer(server, {"id": "42", "inputs": tensors(BABY, BABY)})
    pounds = server.predict().json["predictions"][0]["weight_pounds"]

    assert answer.json == {
        "model_name": "babyweight",
        "model_version": "1",
        "id": "42",
        "outputs": [{"name": "weight_pounds", "datatype": "FP32", "shape": [2], "data": [pounds, pounds]}],
    }
    assert answer.headers["x-model-version"] == "1" and answer.headers["x-prediction-id"]


@pytest.mark.parametrize(
    "is_male",
    [
        tensor("is_male", [1.0]),
        tensor("is_male", [True], "BOOL"),
        tensor("is_male", [[1.0]]) | {"shape": [1, 1]},
    ],
    ids=["as the model holds it", "as the feature is", "nested"],
)
def test_a_feature_comes_as_its_tensor_holds_it_or_as_it_is(server: Server, is_male: dict[str, Any]) -> None:
    """1.0 in the tensor's own datatype is true; so is true."""
    others = [given for given in tensors(BABY) if given["name"] != "is_male"]
    answer = infer(server, {"inputs": [*others, is_male]})

    assert answer.json["outputs"][0]["data"] == [server.predict().json["predictions"][0]["weight_pounds"]]


@pytest.mark.parametrize("missing", [[None], [float("nan")]])
def test_not_known_is_null_nan_or_left_out(server: Server, missing: list[Any]) -> None:
    """Three ways to say it, one answer."""
    known = [given for given in tensors(BABY) if given["data"] != [None]]
    said = infer(server, {"inputs": [*known, tensor("alcohol_use", missing)]})

    assert said.status == 200
    assert said.json["outputs"] == infer(server, {"inputs": known}).json["outputs"]


def test_bytes_in_and_bytes_out(server: Server) -> None:
    """Tensors after the JSON, little-endian; the answer's header says where its own begin."""
    inputs, content = [], b""
    for sent in tensors(BABY, {**BABY, "gestation_weeks": 30}):
        array = np.array(sent["data"], np.float32) if sent["data"][0] is not None else np.full(2, np.nan, np.float32)
        content += array.tobytes()
        inputs.append(sent | {"datatype": "FP32", "parameters": {"binary_data_size": 8}})
        del inputs[-1]["data"]
    answer = infer(server, {"inputs": inputs, "parameters": {"binary_data_output": True}}, content)
    size = int(answer.headers["inference-header-content-length"])
    plain = infer(server, {"inputs": tensors(BABY, {**BABY, "gestation_weeks": 30})}).json

    assert json.loads(answer.body[:size])["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert np.frombuffer(answer.body[size:], "<f4").tolist() == [
        float(np.float32(v)) for v in plain["outputs"][0]["data"]
    ]


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"inputs": []}, 400, "one number of rows, at least 1, received no inputs"),
        (
            {"inputs": [tensor("mother_age", [28]), tensor("plurality", [1, 2], "INT32")]},
            400,
            "mother_age: 1, plurality: 2",
        ),
        ({"inputs": [tensor("mother_age", [28])] * 2}, 400, 'each input once, received "mother_age" twice'),
        (
            {"inputs": [tensor("mother_age", [28]) | {"shape": [2]}]},
            400,
            "expected 2 values, as its shape says, received 1",
        ),
        ({"inputs": [tensor("mother_age", [28]) | {"shape": [1, 2]}]}, 400, r"shape [n] or [n, 1], received [1, 2]"),
        ({"inputs": [tensor("mother_age", [28], "FP8")]}, 400, 'received "FP8"'),
        ({"inputs": [{"name": "mother_age", "datatype": "FP32", "shape": [1]}]}, 400, "binary_data_size"),
        ({"inputs": tensors(BABY), "outputs": [{"name": "x"}]}, 400, "unexpected inference output 'x'"),
        ({"inputs": tensors({**BABY, "mother_age": 9})}, 400, "inputs.mother_age[0]: expected 10 to 60, received 9"),
        ({"inputs": tensors(BABY), "parameters": {"timeout": 0}}, 504, "before the model was asked"),
        ({"inputs": tensors(BABY), "parameters": {"timeout": "soon"}}, 400, "microseconds"),
        ({"inputs": tensors(BABY), "parameters": {"alias": "canary"}}, 404, "no alias 'canary'"),
        ({}, 400, "inference request: Object missing required field `inputs`"),
        (b"[", 400, "malformed JSON"),
        (b"[" * 100_000, 400, "nested too deeply"),
    ],
)
def test_a_request_that_cannot_be_answered_says_why(server: Server, change: Any, status: int, error: str) -> None:
    """Always `{"error": "..."}`, which is what the protocol's clients read."""
    answer = infer(server, change)

    assert (answer.status, list(answer.json)) == (status, ["error"])
    assert error in answer.json["error"]


@pytest.mark.parametrize(
    ("content", "length", "error"),
    [
        (b"\0" * 3, None, "expected 4 bytes, received 3"),
        (b"\0" * 9, None, "expected 4 bytes of tensors after the JSON, received 9"),
        (b"\0" * 4, "9999", "the body's length"),
        (b"\0" * 4, "0", "expected JSON before the tensors"),
        (b"\0" * 4, "x", "received 'x'"),
    ],
)
def test_bytes_that_do_not_add_up_are_refused(server: Server, content: bytes, length: str | None, error: str) -> None:
    """What was announced and what came are both told."""
    document = {
        "inputs": [{"name": "mother_age", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}]
    }
    headers = {"Inference_Header_Content_Length": length} if length else {}
    answer = infer(server, document, content, **headers)

    assert (answer.status, error in answer.json["error"]) == (400, True)


def test_a_string_cut_short_is_refused(server: Server) -> None:
    """A BYTES element says how long it is, and must be."""
    content = struct.pack("<I", 10) + b"one"
    size = {"binary_data_size": len(content)}
    answer = infer(
        server, {"inputs": [{"name": "plurality", "datatype": "BYTES", "shape": [1], "parameters": size}]}, content
    )

    assert answer.json["error"] == "input 'plurality': element 0 is cut short: 7 bytes are missing"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2", 200),
        ("GET", "/v2/", 200),
        ("GET", "/v2/health/live", 200),
        ("GET", "/v2/health/ready", 200),
        ("GET", "/v2/models/babyweight", 200),
        ("GET", "/v2/models/babyweight/versions/1", 200),
        ("GET", "/v2/models/babyweight/versions/1/ready", 200),
        ("GET", "/v2/models/babyweight/config", 200),
        ("GET", "/v2/models/babyweight/stats", 200),
        ("GET", "/v2/models/stats", 200),
        ("POST", "/v2/repository/index", 200),
        ("GET", "/v2/models/nobody", 404),
        ("GET", "/v2/models/nobody/ready", 404),
        ("GET", "/v2/models/nobody/stats", 404),
        ("GET", "/v2/models/babyweight/versions/9", 404),
        ("GET", "/v2/models/babyweight/versions/x", 404),
        ("GET", "/v2/models/babyweight/infer", 405),
        ("POST", "/v2/models/babyweight", 405),
        ("GET", "/v2/elsewhere", 404),
        ("POST", "/v2/repository/models/babyweight/load", 401),
        ("POST", "/v2/repository/models/babyweight/unload", 401),
    ],
)
def test_every_route_answers_in_the_protocols_shape(server: Server, method: str, path: str, status: int) -> None:
    """Errors are `{"error": ...}`; changing anything needs the admin key."""
    answer = server.request(method, path)

    assert answer.status == status
    assert status == 200 or list(answer.json) == ["error"]


def test_load_follows_and_unload_is_refused_with_the_reason(server: Server) -> None:
    """A model is served as long as it is there: an honest no is better than a yes that one process of two keeps."""
    key = "Bearer " + (server.settings.root / "keys" / "admin").read_text()
    load = server.request("POST", "/v2/repository/models/babyweight/load", {}, Authorization=key)
    unload = server.request("POST", "/v2/repository/models/babyweight/unload", {}, Authorization=key)

    assert (load.status, load.json) == (200, {})
    assert (unload.status, "stays loaded" in unload.json["error"]) == (409, True)


cells = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.lists(st.integers(), max_size=2)
)
names = st.one_of(st.sampled_from(list(BABY)), st.text(max_size=4))
requests = st.fixed_dictionaries(
    {
        "inputs": st.lists(
            st.fixed_dictionaries(
                {
                    "name": names,
                    "datatype": st.sampled_from(["FP32", "INT32", "BYTES", "BOOL", "FP16", "UINT64", "no"]),
                    "shape": st.lists(st.integers(-1, 3), max_size=3),
                },
                optional={
                    "data": st.lists(cells, max_size=3),
                    "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 20)}),
                },
            ),
            max_size=4,
        )
    },
    optional={
        "outputs": st.lists(st.fixed_dictionaries({"name": names}), max_size=2),
        "id": cells,
        "parameters": cells,
    },
)


@given(requests, st.binary(max_size=40))
@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_a_client_sends_is_our_fault(server: Server, document: Any, binary: bytes) -> None:
    """Whatever the tensors and the bytes, the answer is below 500 and JSON."""
    answer = infer(server, document, binary)

    assert answer.status < 500 and ("error" in answer.json or answer.status == 200)
