"""One served model through Google's client: signed, on connections of its own, never longer than it is told."""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

from stork.errors import BackendError, BackendUnavailable, DeadlineExceeded

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CALLS_AT_ONCE = 32  # further ones wait, within their own time
AT_ONCE = 0.001  # seconds

REQUEST_AT_FAULT = (400, 413)
TRY_AGAIN = (429, 502, 503, 504)


class Refused(BackendError):
    """The service works, and refuses this request."""


class PredictionClient:
    """
    Asks one `resource` of the service at `api`, safe to use from any thread.

    `request` makes a request of Google's client from a body: a method of a service, its resource given.

    The request runs in a thread of its own and its caller waits no longer than it wants to: `seconds` is the sockets'
    time-out, which is for one packet only, and looking up names and fetching credentials has none.
    """

    def __init__(self, api: str, resource: str, request: Callable[..., Any], seconds: float) -> None:
        self.api = api
        self.resource = resource
        self._request = request
        self._seconds = seconds
        # Connections that no call is using: httplib2 must not be shared between threads, but may change hands.
        self._idle: list[Any] = []
        self._threads = ThreadPoolExecutor(CALLS_AT_ONCE, "stork-forward")
        self._credentials: Any = None
        self._lock = threading.Lock()

    def ask(self, body: dict[str, Any], until: float, headers: dict[str, str], fresh: bool = False) -> Any:
        """
        The service's answer, parsed, before the monotonic clock says `until`; `fresh` takes a new connection.

        `headers` are sent besides the client's own.

        Raises:
            DeadlineExceeded: it did not come in time.
            BackendUnavailable: the service cannot be reached, or refuses for now.
            Refused: the service does not like this request.
            BackendError: anything else that is no answer.
        """
        if time.monotonic() >= until:  # what is asked for too late is not begun
            raise self._explain(TimeoutError())
        http = self._open() if fresh else self._take()
        call = self._threads.submit(self._execute, body, headers, http)
        try:
            answer = call.result(max(0.0, until - time.monotonic()))
        except Exception as error:
            let_go(http, call)
            raise self._explain(error) from error
        self._idle.append(http)
        return answer

    def close(self) -> None:
        """Close the connections that no call is using, and start no further call."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._idle:
            self._idle.pop().close()

    def _execute(self, body: dict[str, Any], headers: dict[str, str], http: Any) -> Any:
        """One request, in a thread of the pool."""
        request = self._request(body=body)
        request.headers.update(headers)
        return request.execute(http=self._sign(http), num_retries=0)

    def _take(self) -> Any:
        """A connection that no other call is using. Asking first whether there is one would be a race."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _open(self) -> Any:
        import httplib2

        return httplib2.Http(timeout=self._seconds)

    def _sign(self, http: Any) -> Any:
        """The connection with the machine's own credentials, which never travel in the clear."""
        if not self.api.startswith("https://"):
            return http
        import google.auth
        from google_auth_httplib2 import AuthorizedHttp

        with self._lock:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=[SCOPE])
        return AuthorizedHttp(self._credentials, http=http)

    def _explain(self, error: Exception) -> BackendError:
        """What went wrong, as an error of ours. What the client raises on a strange answer is not for it to decide."""
        import google.auth.exceptions
        import httplib2
        from googleapiclient.errors import HttpError

        if isinstance(error, TimeoutError):
            return DeadlineExceeded(f"{self.resource} did not answer within {self._seconds:g} s")
        if isinstance(error, HttpError):
            return refusal(error.status_code, f"{self.resource}: {error.status_code} {error.reason[:300]}")
        broken = OSError, HTTPException, httplib2.HttpLib2Error, google.auth.exceptions.GoogleAuthError
        if isinstance(error, broken):
            return BackendUnavailable(f"{self.api} cannot be reached: {type(error).__name__}: {error}")
        return BackendError(f"{self.resource}: no answer can be read: {type(error).__name__}: {error}")


def build_service(name: str, api: str) -> Any:
    """Google's client for a service at an address: keep what it gives, since each time takes up to 0.1 s and 10 MB."""
    import httplib2
    from googleapiclient import discovery

    # The client's description of the service comes with its package: this connection is never opened.
    return discovery.build(name, "v1", http=httplib2.Http(), client_options={"api_endpoint": api})


def refusal(status: int, message: str) -> BackendError:
    """The error for an HTTP status other than 200."""
    if status in REQUEST_AT_FAULT:
        return Refused(message)
    return BackendUnavailable(message) if status in TRY_AGAIN else BackendError(message)


def let_go(http: Any, call: "Future[Any]") -> None:
    """
    Give up a call that failed or is late, and its connection as soon as its thread is done with it.

    A thread that still reads gets no more time for its next packet. Closing its socket under it would not do: httplib2
    would take that for a stale connection, and ask again.
    """
    call.cancel()
    for connection in list(http.connections.values()):
        with contextlib.suppress(OSError, AttributeError):  # it has no socket, or none any more
            connection.sock.settimeout(AT_ONCE)
    call.add_done_callback(lambda _: http.close())
