"""
Ray Serve: one replica, its batching over concurrent requests.

Tuned: HAProxy ingress and the throughput-optimised settings (roster.py), orjson, no dashboard.
"""

import sys
from typing import Any

import orjson
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from bench.peers.savedmodel import SavedModel


@serve.deployment(num_replicas=1, max_ongoing_requests=256)
class Model:
    """The deployment."""

    def __init__(self) -> None:
        self.model = SavedModel()

    async def __call__(self, request: Request) -> Response:
        """`{"instances": [{...}]}` to `{"predictions": [...]}`."""
        predictions = await self.predict(orjson.loads(await request.body())["instances"])
        return Response(orjson.dumps({"predictions": predictions}), media_type="application/json")

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.0)
    async def predict(self, batch: list[list[dict[str, Any]]]) -> list[list[float]]:
        """The predictions of each request of a batch."""
        predictions = iter(self.model.predict_rows([row for rows in batch for row in rows]).tolist())
        return [[next(predictions) for _ in rows] for rows in batch]


if __name__ == "__main__":
    ray.init(include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Model.bind(), blocking=True)
