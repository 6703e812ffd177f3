"""Forwarding to an online prediction service: within a deadline, with few retries, behind a circuit breaker."""

import math
import time
from typing import Any

from stork.declaration import OnlinePrediction
from stork.errors import BackendUnavailable, DeadlineExceeded
from stork.schema.frozen import Schema
from stork.schema.tensors import Tensors
from stork.serving.backends.breaker import Breaker
from stork.serving.backends.prediction_client import PredictionClient, Refused
from stork.serving.backends.prediction_json import Body, compile_body, read_predictions
from stork.serving.trace import NO_TRACE, Trace, trace_headers
from stork.turn import pass_turn

BACKOFF = 0.05  # seconds before the first retry; doubled for each further one


class OnlinePredictionBackend:
    """
    What all services have in common, safe to use from any thread; each has a class with its `name` and its client.

    `options.deadline` bounds a call with all its retries; `options.container` says how the container behind the
    service reads JSON.
    """

    name: str

    def __init__(self, schema: Schema, options: OnlinePrediction, client: PredictionClient) -> None:
        self.schema = schema
        self.options = options
        self.client = client
        self.breaker = Breaker(options.breaker_failures, options.breaker_seconds)
        self._write = compile_body(schema, options.container)

    def predict(self, tensors: Tensors, deadline: float = math.inf, trace: Trace = NO_TRACE) -> Tensors:
        """
        Raises:
            BackendUnavailable: the service is down, refuses for now, or was not asked because it failed too often.
            DeadlineExceeded: it did not answer in time.
            BackendError: it refused the request, or answered something that is no prediction.
        """
        body = self._write(tensors)
        self.breaker.enter()
        pass_turn()
        hurried = deadline < time.monotonic() + self.options.deadline
        try:
            outputs = read_predictions(self.schema, self._ask(body, deadline, trace), len(body["instances"]))
        except Refused:
            self.breaker.succeeded()  # it works; it only does not like this request
            raise
        except BaseException as error:
            if hurried and isinstance(error, DeadlineExceeded):
                self.breaker.abandoned()
            else:
                self.breaker.failed()
            raise
        self.breaker.succeeded()
        return outputs

    def close(self) -> None:
        self.client.close()

    def _ask(self, body: Body, deadline: float, trace: Trace) -> Any:
        """The service's answer; asked again, on a fresh connection, while there is time and the declaration allows."""
        until = min(deadline, time.monotonic() + self.options.deadline)
        headers, attempt = trace_headers(trace), 0
        while True:
            try:
                return self.client.ask(body, until, headers, fresh=attempt > 0)
            except BackendUnavailable:
                pause = BACKOFF * 2**attempt
                if attempt >= self.options.retries or time.monotonic() + pause >= until:
                    raise
            time.sleep(pause)
            attempt += 1
