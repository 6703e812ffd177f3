"""The Vertex AI backend: forwards instances to an online prediction endpoint, within a deadline."""

import math
import re
import time
from typing import Any

from stork.declaration import Vertex
from stork.errors import BackendUnavailable, ConfigurationError
from stork.schema.frozen import Schema
from stork.schema.tensors import Tensors
from stork.serving.backends.breaker import Breaker
from stork.serving.backends.vertex_client import EndpointClient, Refused
from stork.serving.backends.vertex_json import Body, compile_body, read_predictions

ENDPOINT = re.compile(r"projects/[^/]+/locations/([a-z0-9-]+)/endpoints/[^/]+")
BACKOFF = 0.05  # seconds before the first retry; doubled for each further one


class VertexBackend:
    """
    One endpoint of the online prediction service, safe to use from any thread.

    `api` is the service's address (default: the endpoint's region's own). `vertex.deadline` bounds a call with all its
    retries; `vertex.container` says how the container behind the endpoint reads JSON.

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
        self.schema = schema
        self.vertex = vertex
        self.breaker = Breaker(vertex.breaker_failures, vertex.breaker_seconds)
        self._write = compile_body(schema, vertex)
        # The service parses the body of `predict`, and JSON has no NaN; that of `rawPredict` it hands on unread.
        method = "rawPredict" if vertex.container == "tensorflow" else "predict"
        api = api or f"https://{found[1]}-aiplatform.googleapis.com"
        self.client = EndpointClient(api, endpoint, method, vertex.deadline)

    def predict(self, tensors: Tensors, deadline: float = math.inf) -> Tensors:
        """
        Raises:
            BackendUnavailable: the service is down, refuses for now, or was not asked because it failed too often.
            DeadlineExceeded: it did not answer in time.
            BackendError: it refused the request, or answered something that is no prediction.
        """
        body = self._write(tensors)
        self.breaker.enter()
        try:
            outputs = read_predictions(self.schema, self._ask(body, deadline), len(body["instances"]))
        except Refused:
            self.breaker.succeeded()  # it works; it only does not like this request
            raise
        except BaseException:
            self.breaker.failed()
            raise
        self.breaker.succeeded()
        return outputs

    def close(self) -> None:
        self.client.close()

    def _ask(self, body: Body, deadline: float) -> Any:
        """The service's answer; asked again, on a fresh connection, while there is time and the declaration allows."""
        until = min(deadline, time.monotonic() + self.vertex.deadline)
        attempt = 0
        while True:
            try:
                return self.client.ask(body, until, fresh=attempt > 0)
            except BackendUnavailable:
                pause = BACKOFF * 2**attempt
                if attempt >= self.vertex.retries or time.monotonic() + pause >= until:
                    raise
            time.sleep(pause)
            attempt += 1
