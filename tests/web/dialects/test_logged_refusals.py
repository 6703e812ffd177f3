"""What a dialect refuses is in the prediction log, under the id that the client is told."""

from pathlib import Path
from typing import Any

import pytest
from server import BABY, Server

from stork.store.prediction_log import read_records

PREDICT, INFER = "/v1/models/babyweight:predict", "/v2/models/babyweight/infer"
VERTEX = "/v1/projects/p/locations/l/endpoints/babyweight:predict"
SHAPED = {"name": "mother_age", "datatype": "FP32", "shape": [2], "data": [28]}


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/api/predict", b'{"instances": [x]}', {}),
        ("/api/predict", {"instances": [BABY], "version": 99}, {}),
        (PREDICT, b'{"instances": [x]}', {}),
        (PREDICT, b"{", {}),
        (PREDICT, {"inputs": {"mother_age": [28], "plurality": [1, 2]}}, {}),
        ("/v1/models/babyweight/versions/99:predict", {"instances": [BABY]}, {}),
        (VERTEX, b"{", {}),
        (PREDICT, {"inputs": {"\ud800": [1], "x": 1}}, {}),
        (INFER, {"inputs": [SHAPED]}, {}),
        ("/v2/models/babyweight/versions/99/infer", {"inputs": [SHAPED]}, {}),
        ("/invocations", b"{", {}),
        ("/invocations", {"dataframe_split": {"columns": ["mother_age"], "data": [[28, 1]]}}, {}),
        ("/invocations", b"mother_age,mother_age\n28,28\n", {"Content_Type": "text/csv"}),
    ],
)
def test_what_is_refused_is_logged(shared_server: Server, path: str, body: Any, headers: dict[str, str]) -> None:
    """Malformed, of the wrong shape, or for a version that there is not: with its status and its reason."""
    answer = shared_server.request("POST", path, body, **headers)
    records = {record["id"]: record for record in read_records(Path(shared_server.settings.log) / "babyweight")}
    record = records[answer.headers["x-prediction-id"]]

    assert (record["status"], bool(record["error"])) == (answer.status, True) and 400 <= answer.status < 500
