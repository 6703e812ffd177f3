"""The Vertex AI backend: forwards instances to an endpoint."""

import functools
import re
from typing import Any

from stork.declaration import Vertex
from stork.errors import ConfigurationError
from stork.schema.frozen import Schema
from stork.serving.backends.online_prediction import OnlinePredictionBackend
from stork.serving.backends.prediction_client import PredictionClient, build_service

ENDPOINT = re.compile(r"projects/[^/]+/locations/([a-z0-9-]+)/endpoints/[^/]+")


class VertexBackend(OnlinePredictionBackend):
    """
    One endpoint of Vertex AI. `api` is the service's address (default: the endpoint's region's own).

    Raises:
        ConfigurationError: the endpoint is not named as the service names it.
    """

    name = "vertex"

    def __init__(self, schema: Schema, vertex: Vertex, endpoint: str, api: str = "") -> None:
        found = ENDPOINT.fullmatch(endpoint)
        if found is None:
            raise ConfigurationError(
                f"endpoint: expected projects/<project>/locations/<location>/endpoints/<id>, received {endpoint!r}"
            )
        api = api or f"https://{found[1]}-aiplatform.googleapis.com"
        # The service parses the body of `predict`, and JSON has no NaN; that of `rawPredict` it hands on unread.
        method = getattr(endpoints_at(api), "rawPredict" if vertex.container == "tensorflow" else "predict")
        request = functools.partial(method, endpoint=endpoint)
        super().__init__(schema, vertex, PredictionClient(api, endpoint, request, vertex.deadline))


@functools.lru_cache(maxsize=4)
def endpoints_at(api: str) -> Any:
    """The client's methods for endpoints, built once for all versions."""
    return build_service("aiplatform", api).projects().locations().endpoints()
