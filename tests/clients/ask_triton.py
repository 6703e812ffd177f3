"""Ask a running Stork with Triton's own client: URL INSTANCE -> JSON of what it says."""

import json
import sys
from typing import Any

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

MODEL = "babyweight"
TYPES = {"FP32": np.float32, "INT32": np.int32}


def make_inputs(metadata: dict[str, Any], instance: dict[str, Any], rows: int, binary: bool) -> list[InferInput]:
    """Every input in the datatype that the metadata names: NaN for what is not known, 1.0 for true."""
    inputs = []
    for described in metadata["inputs"]:
        value = instance[described["name"]]
        tensor = InferInput(described["name"], [rows], described["datatype"])
        array = np.full(rows, np.nan if value is None else value, TYPES[described["datatype"]])
        tensor.set_data_from_numpy(array, binary_data=binary)
        inputs.append(tensor)
    return inputs


def ask(client: InferenceServerClient, instance: dict[str, Any]) -> dict[str, Any]:
    """What the client makes of every route it knows."""
    metadata = client.get_model_metadata(MODEL)
    binary = make_inputs(metadata, instance, 3, binary=True)
    known = [
        tensor for tensor in make_inputs(metadata, instance, 3, binary=False) if instance[tensor.name()] is not None
    ]
    output = metadata["outputs"][0]["name"]
    plain = client.infer(MODEL, known, outputs=[InferRequestedOutput(output, binary_data=False)], request_id="7")
    refused = make_inputs(metadata, {**instance, "mother_age": 9}, 1, binary=True)
    try:
        error = None
        client.infer(MODEL, refused)
    except InferenceServerException as raised:
        error = {"status": raised.status(), "message": raised.message()}
    text = InferInput("plurality", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"one"], dtype=np.object_), binary_data=True)
    try:
        wrong = None
        client.infer(MODEL, [text])
    except InferenceServerException as raised:
        wrong = raised.message()
    return {
        "live": client.is_server_live(),
        "ready": [client.is_server_ready(), client.is_model_ready(MODEL), client.is_model_ready(MODEL, "1")],
        "server": client.get_server_metadata(),
        "metadata": metadata,
        "config": client.get_model_config(MODEL)["input"][0],
        "index": client.get_model_repository_index(),
        "statistics": client.get_inference_statistics(MODEL),
        "binary": client.infer(MODEL, binary).as_numpy(output).tolist(),
        "json": plain.as_numpy(output).tolist(),
        "id": plain.get_response()["id"],
        "error": error,
        "wrong_type": wrong,
    }


if __name__ == "__main__":
    url, instance = sys.argv[1:]
    with InferenceServerClient(url.removeprefix("http://")) as client:
        print(json.dumps(ask(client, json.loads(instance))))
