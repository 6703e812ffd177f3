"""Bytes that are no text, to a model and back: nothing is lost on the way, in any dialect."""

import json
import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest
import savedmodels
from server import Server, start_server

from stork.config import Settings
from stork.publishing.importer import import_model

pytestmark = pytest.mark.tensorflow

BYTES = b"\xff\x00"
ELEMENT = struct.pack("<I", len(BYTES)) + BYTES
INPUT = {"name": "x", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(ELEMENT)}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a model that answers the bytes that it is sent."""
    folder = tmp_path_factory.mktemp("bytes")
    settings = Settings(root=folder / "var", log=str(folder / "log"))
    savedmodels.export_echo(folder / "exported", ["string"])
    import_model(settings, folder / "exported", "echo", signature="string")
    with start_server(replace(settings, model="echo")) as running:
        yield running


def infer(server: Server, **more: object) -> tuple[int, bytes]:
    head = json.dumps({"inputs": [INPUT], **more}).encode()
    length = {"Inference_Header_Content_Length": str(len(head))}
    answer = server.request("POST", "/v2/models/echo/infer", head + ELEMENT, **length)
    return answer.status, answer.body


def test_binary_tensors_hold_any_bytes(server: Server) -> None:
    """What follows the JSON is what the model was given."""
    status, body = infer(server, parameters={"binary_data_output": True})

    assert status == 200 and body.endswith(ELEMENT)


def test_json_tensors_say_that_they_are_base64(server: Server) -> None:
    """There it is not seen by the value, so a parameter says it, as MLServer's does; a request may say it too."""
    told = {"content_type": "base64"}
    status, body = infer(server)
    sent = [{"name": "x", "datatype": "BYTES", "shape": [2], "parameters": told, "data": ["/wA=", "bsOp"]}]
    answer = server.request("POST", "/v2/models/echo/infer", {"inputs": sent}).json["outputs"]
    text = server.request("POST", "/v2/models/echo/infer", {"inputs": [{**sent[0], "data": ["bsOp", "bsOp"]}]}).json

    assert status == 200
    assert json.loads(body)["outputs"] == [
        {"name": "y", "datatype": "BYTES", "shape": [1], "parameters": told, "data": ["/wA="]}
    ]
    assert (answer[0]["parameters"], answer[0]["data"]) == (told, ["/wA=", "bsOp"])
    assert text["outputs"] == [{"name": "y", "datatype": "BYTES", "shape": [2], "data": ["né", "né"]}]


@pytest.mark.parametrize("data", [["%"], [7], ["bsOp", None]])
def test_what_is_no_base64_is_refused(server: Server, data: list[object]) -> None:
    """With the input's name; what is missing is refused by the schema."""
    told = {"content_type": "base64"}
    sent = {"name": "x", "datatype": "BYTES", "shape": [len(data)], "parameters": told, "data": data}
    answer = server.request("POST", "/v2/models/echo/infer", {"inputs": [sent]})

    assert answer.status == 400 and "x" in answer.json["error"]


def test_a_line_of_csv_has_base64(server: Server) -> None:
    """Without a word of Python in it."""
    body = {"instances": [{"x": {"b64": "/wA="}}]}

    assert server.request("POST", "/invocations", body, Accept="text/csv").body == b"/wA=\n"


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/models/echo:predict", {"instances": [{"b64": "/wA="}]}, {"predictions": [{"b64": "/wA="}]}),
        ("/v1/models/echo:predict", {"instances": ["né"]}, {"predictions": ["né"]}),
        ("/v1/models/echo:predict", {"inputs": {"b64": "/wA="}}, {"outputs": {"b64": "/wA="}}),
    ],
)
def test_json_has_base64_for_what_is_no_text(server: Server, path: str, body: object, expected: object) -> None:
    """As TensorFlow Serving is sent it."""
    assert server.request("POST", path, body).json == expected
