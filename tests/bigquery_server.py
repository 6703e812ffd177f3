"""A loopback server that answers BigQuery's REST API: the same GoogleSQL, translated by sqlglot, run by DuckDB."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import duckdb
import sqlglot
from loopback import serving

TABLE = '"bigquery-public-data".samples.natality'
PAGE = 40  # rows, so that there are several pages


class BigQueryServer(ThreadingHTTPServer):
    """
    Has one table, `bigquery-public-data.samples.natality`, of the rows in an Arrow table; `busy` times it is not done.

    FARM_FINGERPRINT is looked up among `fingerprints`, by text.
    """

    daemon_threads = True

    def __init__(self, rows: Any, fingerprints: dict[str, int], busy: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.connection = duckdb.connect()
        self.connection.execute("SET threads = 1")
        self.connection.execute("ATTACH ':memory:' AS \"bigquery-public-data\"")
        self.connection.execute('CREATE SCHEMA "bigquery-public-data".samples')
        self.connection.register("held", rows)
        self.connection.execute(f"CREATE TABLE {TABLE} AS SELECT * FROM held")
        self.connection.create_function("farm_fingerprint", lambda text: fingerprints[text], ["VARCHAR"], "BIGINT")
        self.busy = busy
        self.names: list[str] = []
        self.found: list[tuple[Any, ...]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def run(self, query: str) -> None:
        """What is asked, as DuckDB understands it."""
        (translated,) = sqlglot.transpile(query, read="bigquery", write="duckdb")
        done = self.connection.execute(translated)
        self.names = [column[0] for column in done.description or []]
        self.found = done.fetchall()

    def page(self, start: int) -> dict[str, Any]:
        """A page of the answer, in the service's shape: every value as text."""
        answer: dict[str, Any] = {"jobReference": {"projectId": "p", "jobId": "job1", "location": "US"}}
        if self.busy:
            self.busy -= 1
            return answer | {"jobComplete": False}
        rows = [{"f": [{"v": text_of(value)} for value in row]} for row in self.found[start : start + PAGE]]
        more = {"pageToken": str(start + PAGE)} if start + PAGE < len(self.found) else {}
        fields = [{"name": name, "type": "STRING"} for name in self.names]
        return answer | {"jobComplete": True, "schema": {"fields": fields}, "rows": rows} | more


def text_of(value: Any) -> str | None:
    """A value as BigQuery writes it in JSON."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


class Answer(BaseHTTPRequestHandler):
    """`jobs.query` and `jobs.getQueryResults`."""

    server: BigQueryServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.server.run(body["query"])
        except (duckdb.Error, sqlglot.ParseError) as error:
            self.send(400, {"error": {"code": 400, "message": f"Syntax error: {error}", "errors": []}})
        else:
            self.send(200, self.server.page(0))

    def do_GET(self) -> None:
        asked = parse_qs(urlparse(self.path).query)
        self.send(200, self.server.page(int(asked.get("pageToken", ["0"])[0])))

    def send(self, status: int, answer: dict[str, Any]) -> None:
        """One JSON answer."""
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def bigquery(rows: Any, fingerprints: dict[str, int], busy: int = 0) -> Iterator[BigQueryServer]:
    """The server while a block runs."""
    with serving(BigQueryServer(rows, fingerprints, busy)) as server:
        yield server
