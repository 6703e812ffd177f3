"""
A bucket of Google Cloud Storage, by its JSON API: list, read, write, delete, each object with its generation.

Source: https://cloud.google.com/storage/docs/json_api/v1
"""

import hashlib
import threading
import time
from base64 import b64encode
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from stork.errors import ObjectChanged, RootNotWritable, RootUnreachable

GOOGLE = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
TIMEOUT = (5.0, 60.0)  # seconds to connect, and for one packet
TRIES = 3
PAUSE = 0.3  # seconds, doubled each time
AGAIN = (408, 429, 500, 502, 503, 504)
CHUNK = 1 << 20  # bytes
BINARY = {"Content-Type": "application/octet-stream"}
FACTS = "name,generation,size,md5Hash,updated"


class Blob(NamedTuple):
    """An object as it is listed: another `generation` whenever it is written; `md5` in base64, `updated` in seconds."""

    generation: int
    size: int
    md5: str
    updated: float

    @classmethod
    def of(cls, item: dict[str, str]) -> "Blob":
        """From the service's JSON."""
        updated = datetime.fromisoformat(item["updated"]).timestamp()
        return cls(int(item["generation"]), int(item["size"]), item.get("md5Hash", ""), updated)


class Bucket:
    """
    The objects below `url`, gs://bucket or gs://bucket/prefix, by their names after it. Safe for threads.

    `api` is the service's address, empty: Google's. Credentials are the machine's own, and never travel in the clear.
    Every method raises RootUnreachable where the bucket does not answer, or does not let us read.
    """

    def __init__(self, url: str, api: str = "") -> None:
        name, _, prefix = url.removeprefix("gs://").partition("/")
        self.url = url
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._api = api or GOOGLE
        self._objects = f"/storage/v1/b/{name}/o"
        self._threads = threading.local()

    def list(self, below: str) -> dict[str, Blob]:
        """Every object whose name begins with `below`; none whose name would lead out of a folder."""
        found: dict[str, Blob] = {}
        asked = {"prefix": self._prefix + below, "fields": f"nextPageToken,items({FACTS})"}
        while True:
            page = self._ask("GET", self._objects, asked).json()
            for item in page.get("items", []):
                found[item["name"].removeprefix(self._prefix)] = Blob.of(item)
            if not page.get("nextPageToken"):
                return {name: blob for name, blob in found.items() if not {"", ".", ".."} & {*name.split("/")}}
            asked["pageToken"] = page["nextPageToken"]

    def stat(self, name: str) -> Blob | None:
        """One object; None where there is none."""
        answer = self._ask("GET", self._path(name), {"fields": FACTS}, fine=(404,))
        return None if answer.status_code == 404 else Blob.of(answer.json())

    def read(self, name: str, blob: Blob, path: Path) -> bool:
        """Download the object as it was when listed. False: it is another one now, and `path` means nothing."""
        from requests import RequestException

        asked = {"alt": "media", "generation": str(blob.generation)}
        answer = self._ask("GET", self._path(name), asked, fine=(404,), stream=True)
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with answer, path.open("wb") as stream:
                for chunk in answer.iter_content(CHUNK) if answer.ok else ():
                    stream.write(chunk)
                    digest.update(chunk)
        except RequestException as error:
            raise RootUnreachable(f"{self.url}/{name} broke off: {error}") from error
        return bool(answer.ok) and blob.md5 in ("", b64encode(digest.digest()).decode())

    def write(self, name: str, content: bytes | Path, over: int | None = None) -> int:
        """
        Make the object, whole at once; its generation. `over`: only if it is of this one; 0: only if there is none.

        Raises:
            ObjectChanged: it is of another generation.
            RootNotWritable: the bucket does not let us.
        """
        asked = {"uploadType": "media", "name": self._prefix + name}
        if over is not None:
            asked["ifGenerationMatch"] = str(over)
        # A second try cannot tell its own first one from somebody else's write.
        tries = TRIES if over is None else 1
        answer = self._ask("POST", f"/upload{self._objects}", asked, content, fine=(412,), tries=tries)
        if answer.status_code == 412:
            raise ObjectChanged(f"{self.url}/{name} was written by somebody else meanwhile; look and try again")
        made = answer.json()
        length = len(content) if isinstance(content, bytes) else content.stat().st_size
        if int(made["size"]) != length:  # google-auth sends a file that was read already, where a token was refused
            raise RootUnreachable(f"{self.url}/{name} arrived with {made['size']} of {length} bytes; try again")
        return int(made["generation"])

    def delete(self, name: str, generation: int | None = None) -> None:
        """
        Remove the object, where there is one, and it is of this generation.

        Raises:
            RootNotWritable: the bucket does not let us.
        """
        asked = None if generation is None else {"ifGenerationMatch": str(generation)}
        self._ask("DELETE", self._path(name), asked, fine=(404, 412))

    def _path(self, name: str) -> str:
        return f"{self._objects}/{quote(self._prefix + name, safe='')}"

    def _ask(
        self,
        method: str,
        path: str,
        asked: dict[str, str] | None = None,
        content: bytes | Path = b"",
        fine: tuple[int, ...] = (),
        tries: int = TRIES,
        stream: bool = False,
    ) -> Any:
        """The answer, of a status below 400 or one that is `fine`."""
        for left in reversed(range(tries)):
            answer = self._send(method, path, asked, content, stream, last=not left)
            if answer is not None and (answer.status_code not in AGAIN or not left):
                break
            time.sleep(PAUSE * 2 ** (tries - 1 - left))
        if answer.ok or answer.status_code in fine:
            return answer
        said = f"{self.url}: {method} was answered {answer.status_code}: {answer.text[:300]}"
        if method != "GET" and answer.status_code in (401, 403, 404):
            raise RootNotWritable(f"{said}; STORK_ROOT names the bucket")
        raise RootUnreachable(said)

    def _send(
        self, method: str, path: str, asked: dict[str, str] | None, content: bytes | Path, stream: bool, last: bool
    ) -> Any:
        """One try; None where nobody answered, unless it was the last one."""
        import google.auth.exceptions
        import requests

        try:
            with ExitStack() as stack:
                body: Any = content
                if isinstance(content, Path):  # of an empty file requests makes a stream without a length
                    body = stack.enter_context(content.open("rb")) if content.stat().st_size else b""
                return self._session.request(
                    method, self._api + path, params=asked, data=body, headers=BINARY, stream=stream, timeout=TIMEOUT
                )
        except (requests.RequestException, google.auth.exceptions.GoogleAuthError) as error:
            if last:
                raise RootUnreachable(f"{self.url} gives no answer: {error}") from error
            return None

    @property
    def _session(self) -> Any:
        """Connections of this thread."""
        import requests
        from google.auth.transport.requests import AuthorizedSession

        if not hasattr(self._threads, "session"):
            is_open = self._api.startswith("http://")
            self._threads.session = requests.Session() if is_open else AuthorizedSession(self._credentials)
        return self._threads.session

    @cached_property
    def _credentials(self) -> Any:
        import google.auth

        return google.auth.default(scopes=[SCOPE])[0]
