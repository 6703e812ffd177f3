"""gcp-storage-emulator on loopback; what it lacks, that an object is only replaced over a generation, is added here."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlparse

from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage
from loopback import serving

from stork.config import Settings

BUCKET = "stork-test"


class Answer(RequestHandler):
    """The emulator, and Cloud Storage's 412 for a generation that is not the object's, 404 for one that is gone."""

    server: "StorageServer"

    def do_GET(self) -> None:
        if not self.refuse("generation", 404):
            super().do_GET()

    def do_POST(self) -> None:
        if not self.refuse("ifGenerationMatch", 412):
            super().do_POST()
            self.server.written.append(self.asked("name"))

    def do_DELETE(self) -> None:
        if not self.refuse("ifGenerationMatch", 412):
            super().do_DELETE()

    def refuse(self, condition: str, status: int) -> bool:
        """Answer the status where the object is not of the generation asked for, or what the server is told to."""
        if self.server.times > 0 and self.server.refused in unquote(self.path):
            self.server.times -= 1
            status = self.server.refusing
        elif self.asked(condition) in ("", self.generation()):
            return False
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def asked(self, name: str) -> str:
        return parse_qs(urlparse(self.path).query).get(name, [""])[0]

    def generation(self) -> str:
        """Of the object that is asked for; "0" where there is none."""
        name = self.asked("name") or unquote(urlparse(self.path).path.rpartition("/o/")[2])
        try:
            return str(self.storage.get_file_obj(BUCKET, name)["generation"])
        except NotFound:
            return "0"


class StorageServer(HTTPServer):
    """
    One bucket in memory. `written` are the names of the objects uploaded, in order.

    So many `times` it answers what has `refused` in its path with the status `refusing`.
    """

    def __init__(self) -> None:
        self.storage = Storage(use_memory_fs=True)
        create_bucket(BUCKET, self.storage)
        self.written: list[str] = []
        self.refusing, self.times, self.refused = 503, 0, ""
        super().__init__(("127.0.0.1", 0), partial(Answer, self.storage))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def names(self) -> list[str]:
        """Every object there is."""
        return sorted(item["name"] for item in self.storage.get_file_list(BUCKET)[0])

    def machine(self, home: Path) -> Settings:
        """The settings of a machine of its own, whose files are below `home`, with a root in the bucket."""
        return Settings(
            root=Path(f"gs://{BUCKET}/team"),
            mirror=home / "mirror",
            log=str(home / "log"),
            storage_api=self.url,
            poll_seconds=0.3,
        )


@contextmanager
def storage() -> Iterator[StorageServer]:
    """The server while a block runs."""
    with serving(StorageServer()) as server:
        yield server
