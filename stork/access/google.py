"""Google's own client for one of its services, signed where it leaves the machine."""

from typing import Any

from stork.errors import DataError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
SECONDS = 60.0  # a server's time for one packet
TRIES = 3


class GoogleService:
    """
    A service of Google by its name and version in the discovery documents; `api` is its address, empty: Google's.

    Not for threads: each makes its own. Credentials are the machine's own, and never travel in the clear. `close` ends
    its connections.
    """

    def __init__(self, name: str, version: str, api: str = "") -> None:
        import google.auth
        import httplib2
        from google_auth_httplib2 import AuthorizedHttp
        from googleapiclient import discovery

        http = httplib2.Http(timeout=SECONDS)
        if not api or api.startswith("https://"):
            try:
                credentials, _ = google.auth.default(scopes=[SCOPE])
            except google.auth.exceptions.GoogleAuthError as error:
                raise DataError(f"{name}: {error}") from error
            http = AuthorizedHttp(credentials, http=http)
        options = {"api_endpoint": api} if api else None
        self.name = name
        self.client: Any = discovery.build(name, version, http=http, client_options=options)

    def close(self) -> None:
        """End the connections."""
        self.client.close()

    def call(self, request: Any, tries: int = TRIES) -> Any:
        """
        The parsed answer to a request of the client; what may be tried again is, up to so many times.

        Raises:
            DataError: the service refused, cannot be reached, or answered something unreadable; the message has its.
        """
        from http.client import HTTPException

        import google.auth.exceptions
        import httplib2
        from googleapiclient.errors import Error, HttpError

        try:
            return request.execute(num_retries=tries)
        except HttpError as error:
            raise DataError(f"{self.name}: {error.status_code} {error.reason[:1000]}") from error
        except (Error, OSError, HTTPException, httplib2.HttpLib2Error, google.auth.exceptions.GoogleAuthError) as error:
            raise DataError(f"{self.name} gives no answer: {type(error).__name__}: {error}") from error
