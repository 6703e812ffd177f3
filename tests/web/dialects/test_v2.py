"""The Open Inference Protocol: tensors in JSON or bytes, and never a 5xx for what a client sends."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from deployments import publish_copy
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from server import BABY, Response, Server, start_server

from stork.config import Settings
from stork.store.audit import last_lines

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
        (b'{"inputs": [], "\\ud800": 1}', 400, "half of a surrogate pair"),
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


def change(server: Server, verb: str, version: Any = None, **parameters: Any) -> Response:
    """Load or unload, as tritonclient sends it, with the version that it has no word for."""
    key = "Bearer " + (server.settings.root / "keys" / "admin").read_text()
    body = {"parameters": {**parameters, **({} if version is None else {"version": version})}}
    return server.request("POST", f"/v2/repository/models/babyweight/{verb}", body, Authorization=key)


@pytest.mark.parametrize("version", [None, 1, "1"])
def test_what_is_in_service_is_not_unloaded(server: Server, version: Any) -> None:
    """409 says by what name it is asked; to load it is to follow, whatever was loaded."""
    unload = change(server, "unload", version, unload_dependents=False)

    assert (unload.status, "is in service: it is asked as stable (version 1)" in unload.json["error"]) == (409, True)
    assert change(server, "load", version).json == {}


def test_an_unloaded_version_answers_in_no_process_until_it_is_loaded(settings: Settings) -> None:
    """404 by its number, and UNAVAILABLE; after load it is READY, in every process and in the audit."""
    publish_copy(settings, 2)
    path = "/v2/models/babyweight/versions/2/ready"
    with start_server(settings, workers=2) as server:
        before = {server.request("GET", path).status for _ in range(8)}
        assert change(server, "unload", 2).json == {}
        refused = [server.request("GET", path) for _ in range(8)]
        index = server.request("POST", "/v2/repository/index").json
        assert change(server, "load", 2).json == {}
        after = {server.request("GET", path).status for _ in range(8)}

    assert (before, {answer.status for answer in refused}, after) == ({200}, {404}, {200})
    assert "model 'babyweight' has no version 2: it is unloaded; there is: 1" in refused[0].json["error"]
    assert [entry["reason"] for entry in index] == ["", "version 2 is unloaded"]
    assert [(line["version"], line["after"]) for line in last_lines(settings, 2)] == [(2, "unloaded"), (2, "loaded")]


@pytest.mark.parametrize(
    "parameters", [{"version": 0.5}, {"version": True}, {"version": "x"}, {"version": "9" * 19}, {"config": "{}"}]
)
def test_a_parameter_that_is_not_heard_is_refused(server: Server, parameters: dict[str, Any]) -> None:
    """Whoever sends a configuration of Triton's must not believe that it counts."""
    answer = change(server, "load", **parameters)

    assert answer.status == 400 and "expected" in answer.json["error"]


def test_statistics_count_instances_and_calls(settings: Settings) -> None:
    """A refused request is no call, and a request of three instances is one where each is answered alone."""
    with start_server(settings) as server:
        for babies in ([BABY], [BABY] * 3):
            infer(server, {"inputs": tensors(*babies)})
        infer(server, {"inputs": tensors({**BABY, "mother_age": 9})})
        (found,) = server.request("GET", "/v2/models/babyweight/stats").json["model_stats"]

    assert (found["inference_count"], found["execution_count"]) == (4, 2)
    assert [found["inference_stats"][part]["count"] for part in ("success", "fail")] == [2, 1]


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
