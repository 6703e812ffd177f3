"""A loopback stand-in for what `gcloud app deploy` talks to: the App Engine Admin API and Cloud Storage."""

import contextlib
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from loopback import serving

PROJECT = "stork-test"


class AdminApi(ThreadingHTTPServer):
    """Keeps what was uploaded, deployed and promoted: `objects`, `versions`, `splits`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, int] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.split: dict[str, Any] = {}
        self.unknown: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request; a route it does not know is kept in `unknown` and answered 404."""

    server: AdminApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == f"/v1/apps/{PROJECT}":
            self.send({"name": f"apps/{PROJECT}", "id": PROJECT, "locationId": "us-central", "servingStatus": "SERVING",
                       "codeBucket": f"staging.{PROJECT}.appspot.com", "defaultHostname": f"{PROJECT}.uc.r.appspot.com",
                       "serviceAccount": f"{PROJECT}@appspot.gserviceaccount.com"})  # fmt: skip
        elif path == f"/v1/apps/{PROJECT}/services":
            self.send({"services": [self.service()] if self.server.versions else []})
        elif path == f"/v1/apps/{PROJECT}/services/default":
            self.send(self.service())
        elif path == f"/v1/apps/{PROJECT}/services/default/versions":
            self.send({"versions": [self.version(name) for name in self.server.versions]})
        elif found := re.fullmatch(rf"/v1/apps/{PROJECT}/services/default/versions/([\w-]+)", path):
            self.send(
                self.version(found[1]) if found[1] in self.server.versions else {}, found[1] in self.server.versions
            )
        elif "/operations/" in path:
            self.send(
                {"name": path.removeprefix("/v1/"), "done": True, "response": self.version(path.rpartition(".")[2])}
            )
        elif re.fullmatch(r"/storage/v1/b/[^/]+", path):
            self.send({"kind": "storage#bucket", "name": path.rpartition("/")[2]})
        elif re.fullmatch(r"/storage/v1/b/[^/]+/o", path):
            self.send({"items": [{"name": name, "size": str(size)} for name, size in self.server.objects.items()]})
        else:
            self.refuse()

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "/upload/" in url.path:
            self.upload(body)
        elif url.path == f"/v1/apps/{PROJECT}/services/default/versions":
            version = json.loads(body)
            self.server.versions[version["id"]] = version
            self.send({"name": f"apps/{PROJECT}/operations/create.{version['id']}", "done": False})
        else:
            self.refuse()

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if urlsplit(self.path).path == f"/v1/apps/{PROJECT}/services/default":
            self.server.split = body["split"]
            self.send({"name": f"apps/{PROJECT}/operations/split.{next(iter(self.server.versions))}", "done": True,
                       "response": self.service()})  # fmt: skip
        else:
            self.refuse()

    def upload(self, body: bytes) -> None:
        """A multipart upload: a part of JSON that names the object, a part that is the file."""
        boundary = self.headers["Content-Type"].partition("boundary=")[2].strip("'\"").encode()
        _, described, content, _ = body.split(b"--" + boundary)
        facts = json.loads(described.partition(b"\n\n")[2] or described.partition(b"\r\n\r\n")[2])
        data = content.partition(b"\n\n")[2].removesuffix(b"\n")
        name = facts.get("name") or parse_qs(urlsplit(self.path).query)["name"][0]
        self.server.objects[name] = len(data)
        self.send({"name": name, "bucket": "b", "size": str(len(data))})

    def service(self) -> dict[str, Any]:
        split = self.server.split or {"allocations": {next(iter(self.server.versions), "none"): 1.0}}
        return {"name": f"apps/{PROJECT}/services/default", "id": "default", "split": split}

    def version(self, name: str) -> dict[str, Any]:
        facts = {
            "name": f"apps/{PROJECT}/services/default/versions/{name}",
            "servingStatus": "SERVING",
            "createTime": "2026-01-01T00:00:00Z",
            "versionUrl": f"https://{name}-dot-{PROJECT}.uc.r.appspot.com",
        }
        return self.server.versions[name] | facts

    def send(self, document: dict[str, Any], found: bool = True) -> None:
        body = json.dumps(document if found else {"error": {"code": 404, "status": "NOT_FOUND"}}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self) -> None:
        self.server.unknown.append(f"{self.command} {self.path}")
        self.send({}, found=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def admin_api() -> Iterator[AdminApi]:
    """The stand-in, in a thread of this process, for the length of a block."""
    with serving(AdminApi()) as server:
        yield server
