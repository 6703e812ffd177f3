"""
BentoML: a worker per core, its adaptive batching over the rows of concurrent requests.

Tuned: an async method, since the call is shorter than a hand-over to a thread; no metrics, monitoring or access log.
"""

import os
from typing import Any

import bentoml

from bench.peers.savedmodel import SavedModel


@bentoml.service(
    workers=len(os.sched_getaffinity(0)),
    metrics={"enabled": False},
    monitoring={"enabled": False},
    logging={"access": {"enabled": False}},
    traffic={"timeout": 30},
)
class Model:
    """The service."""

    def __init__(self) -> None:
        self.model = SavedModel()

    @bentoml.api(route="/predict", batchable=True, max_batch_size=1024, max_latency_ms=1000)
    async def predict(self, instances: list[dict[str, Any]]) -> list[float]:
        """`{"instances": [{...}]}` to `[...]`."""
        return self.model.predict_rows(instances).tolist()
