"""The Vertex AI backend: forwards instances to an online prediction endpoint, within a deadline."""

import http.client as http_client
import re
import threading
import time
from typing import Any

import numpy as np

from stork.declaration import Output, Vertex
from stork.errors import BackendError, BackendUnavailable, ConfigurationError, DeadlineExceeded
from stork.schema.frozen import NUMPY_DTYPES, Schema, tensor_name
from stork.schema.tensors import Array, Tensors
from stork.serving.backends.breaker import Breaker

ENDPOINT = re.compile(r"projects/[^/]+/locations/([a-z0-9-]+)/endpoints/[^/]+")
BACKOFF = 0.05  # seconds before the first retry; doubled for each further one
# The caller's request is at fault, not the service: asking again, or waiting, changes nothing.
CALLER_AT_FAULT = range(400, 500)
TRY_AGAIN = (408, 429)


class VertexBackend:
    """
    One endpoint of the online prediction service, safe to use from any thread.

    An instance is sent as an object of tensor names, NaN (which JSON does not have) as null. `deadline` bounds a call
    with all its retries.

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
        from googleapiclient import discovery

        self.schema = schema
        self.vertex = vertex
        self.endpoint = endpoint
        self.breaker = Breaker(vertex.breaker_failures, vertex.breaker_seconds)
        self._api = api or f"https://{found[1]}-aiplatform.googleapis.com"
        # Connections that no call is using: httplib2 must not be shared between threads, but may change hands.
        self._idle: list[Any] = []
        self._credentials: Any = None
        self._lock = threading.Lock()
        # Building the chain of resources at each call would cost 7 ms. This connection is never opened.
        service = discovery.build(
            "aiplatform", "v1", http=self._plain_http(vertex.deadline), client_options={"api_endpoint": self._api}
        )
        self._endpoints = service.projects().locations().endpoints()

    def predict(self, tensors: Tensors) -> Tensors:
        """
        Raises:
            BackendUnavailable: the service is down, refuses for now, or was not asked because it failed too often.
            DeadlineExceeded: it did not answer in time.
            BackendError: it refused the request, or answered something that is no prediction.
        """
        self.breaker.enter()
        instances = instances_of(tensors)
        try:
            outputs = read_predictions(self.schema, self._ask(instances), len(instances))
        except Refused:
            self.breaker.succeeded()  # it works; it only does not like this request
            raise
        except BaseException:
            self.breaker.failed()
            raise
        self.breaker.succeeded()
        return outputs

    def close(self) -> None:
        """Close the connections that no call is using; the others are closed when their calls end in an error."""
        while self._idle:
            self._idle.pop().close()

    def _ask(self, instances: list[dict[str, Any]]) -> Any:
        """The service's answer, retried while there is time and the declaration allows."""
        began = time.monotonic()
        for attempt in range(self.vertex.retries + 1):
            left = self.vertex.deadline - (time.monotonic() - began)
            try:
                return self._call(instances, left, fresh=attempt > 0)
            except BackendUnavailable:
                pause = BACKOFF * 2**attempt
                left = self.vertex.deadline - (time.monotonic() - began)
                if attempt == self.vertex.retries or left <= pause:
                    raise
                time.sleep(pause)
        raise AssertionError("the loop returns or raises")

    def _call(self, instances: list[dict[str, Any]], seconds: float, fresh: bool) -> Any:
        """One request, at most `seconds` long; a retry takes a fresh connection, since the last may be the trouble."""
        import google.auth.exceptions
        import httplib2
        from googleapiclient.errors import HttpError

        request = self._endpoints.predict(endpoint=self.endpoint, body={"instances": instances})
        http = None
        try:
            http = self._open_http(seconds) if fresh else self._take_http()
            answer = request.execute(http=http, num_retries=0)
            if not fresh:  # a retry's connection has only the time that was left
                self._idle.append(http)
                http = None
            return answer
        except HttpError as error:
            raise refusal(error.status_code, f"{self.endpoint}: {error.status_code} {error.reason}") from error
        except TimeoutError as error:
            raise DeadlineExceeded(f"{self.endpoint} did not answer within {self.vertex.deadline:g} s") from error
        except ValueError as error:
            raise BackendError(f"{self.endpoint} answered something that is not JSON: {error}") from error
        except (OSError, httplib2.HttpLib2Error, google.auth.exceptions.GoogleAuthError) as error:
            raise BackendUnavailable(f"{self._api} cannot be reached: {type(error).__name__}: {error}") from error
        except http_client.HTTPException as error:
            raise BackendUnavailable(f"{self.endpoint}: {type(error).__name__}: {error}") from error
        finally:
            if http is not None:  # what state it is in nobody knows
                http.close()

    def _take_http(self) -> Any:
        """A connection that no other call is using. Asking first whether there is one would be a race."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._open_http(self.vertex.deadline)

    def _open_http(self, seconds: float) -> Any:
        """A connection that signs requests as the machine's service account; a loopback address needs no signature."""
        if self._api.startswith("http://127.0.0.1"):
            return self._plain_http(seconds)
        import google.auth
        from google_auth_httplib2 import AuthorizedHttp

        with self._lock:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        return AuthorizedHttp(self._credentials, http=self._plain_http(seconds))

    def _plain_http(self, seconds: float) -> Any:
        import httplib2

        return httplib2.Http(timeout=max(0.001, seconds))


class Refused(BackendError):
    """The service works, and refuses this request."""


def refusal(status: int, message: str) -> BackendError:
    """The error for an HTTP status other than 200."""
    if status in CALLER_AT_FAULT and status not in TRY_AGAIN:
        return Refused(message)
    return BackendUnavailable(message)


def instances_of(tensors: Tensors) -> list[dict[str, Any]]:
    """Tensors of shape (n,) or (n, 1) as n objects by tensor name; a value of shape (1,) as a list, as tensors are."""
    columns = {name: [sendable(value) for value in tensor.tolist()] for name, tensor in tensors.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def sendable(value: Any) -> Any:
    """A value as strict JSON has it."""
    if isinstance(value, list):
        return [sendable(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if isinstance(value, float) and value != value else value


def read_predictions(schema: Schema, answer: Any, rows: int) -> Tensors:
    """
    The outputs in an answer: predictions are objects by output, or the bare value where there is one output.

    Raises:
        BackendError: the answer is an error with status 200, has another length, or holds something else.
    """
    if not isinstance(answer, dict) or "error" in answer or not isinstance(answer.get("predictions"), list):
        raise BackendError(f"expected an answer with predictions, received {str(answer)[:200]}")
    predictions = answer["predictions"]
    if len(predictions) != rows:
        raise BackendError(f"expected {rows} predictions, received {len(predictions)}")
    return {tensor_name(o): read_output(o, predictions, alone=len(schema.outputs) == 1) for o in schema.outputs}


def read_output(output: Output, predictions: list[Any], alone: bool) -> Array:
    """One output of every prediction, of the declared dtype and shape."""
    name = tensor_name(output)
    values = []
    for row, prediction in enumerate(predictions):
        value = prediction.get(name, prediction.get(output.name)) if isinstance(prediction, dict) else prediction
        if value is None or (not alone and not isinstance(prediction, dict)):
            raise BackendError(f"prediction {row}: expected {name!r}, received {str(prediction)[:200]}")
        values.append(value)
    width = output.tensor.shape[1:]
    try:
        if output.tensor.dtype == "string":
            return np.array([str(value).encode() for value in values], object).reshape(-1, *width)
        found = np.array(values, np.float64)
        if not np.isfinite(found).all() or np.array(values).dtype == np.bool_:
            raise ValueError("a value that is not a finite number")
        return found.astype(NUMPY_DTYPES[output.tensor.dtype]).reshape(len(values), *width)
    except (TypeError, ValueError) as error:
        raise BackendError(f"output {name!r}: expected numbers, received {str(values)[:200]} ({error})") from error
