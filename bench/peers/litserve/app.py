"""
LitServe: the requests that its batching gave together, answered by one call.

Tuned: two processes speak HTTP, one holds the model; the default queue, which costs less CPU here than `fast_queue`.
"""

import sys
from typing import Any

import litserve

from bench.peers.savedmodel import SavedModel


class Predictions(litserve.LitAPI):
    """What a worker process runs."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.model = SavedModel()

    def decode_request(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """`{"instances": [{...}]}` to its instances."""
        return request["instances"]

    def batch(self, inputs: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
        """As they come."""
        return inputs

    def predict(self, batch: list[list[dict[str, Any]]]) -> list[list[float]]:
        """The predictions of each request."""
        predictions = iter(self.model.predict_rows([row for rows in batch for row in rows]).tolist())
        return [[next(predictions) for _ in rows] for rows in batch]

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        """As they are."""
        return output

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        """Predictions to `{"predictions": [...]}`."""
        return {"predictions": output}


if __name__ == "__main__":
    api = Predictions(max_batch_size=32, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=2, log_level="warning", generate_client_file=False,
        access_log=False,
    )  # fmt: skip
