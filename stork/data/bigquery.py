"""
Rows that BigQuery selects, by a query kept beside the model's declaration.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from stork.access.google import GoogleService
from stork.data.split import key_parts
from stork.data.sql import Part, is_text
from stork.data.text_rows import write_text_rows
from stork.declaration import Declaration, Feature, Output
from stork.errors import DataError

PAGE = 20_000  # rows
WAIT_MS = 10_000  # what one request waits for the query to be done
PATIENCE = 360  # such waits: an hour


def select_rows(api: str, project: str, query: str, path: Path) -> int:
    """
    Run a GoogleSQL query, and keep its rows as a Parquet file of text; how many there were.

    Raises:
        DataError: BigQuery refused the query, or did not finish it within an hour; the message has its reason.
    """
    with closing(GoogleService("bigquery", "v2", api)) as service:
        return write_answer(service, project, query, path)


def write_answer(service: GoogleService, project: str, query: str, path: Path) -> int:
    """Ask, wait until the query is done, and keep page after page."""
    jobs = service.client.jobs()
    body = {"query": query, "useLegacySql": False, "timeoutMs": WAIT_MS, "maxResults": PAGE}
    answer = service.call(jobs.query(projectId=project, body=body))
    place = {"projectId": project, "jobId": answer["jobReference"]["jobId"], "maxResults": PAGE}
    if location := answer["jobReference"].get("location"):
        place["location"] = location
    for _ in range(PATIENCE):
        if answer["jobComplete"]:
            break
        answer = service.call(jobs.getQueryResults(**place, timeoutMs=WAIT_MS))
    else:
        raise DataError(f"bigquery: job {place['jobId']} is not done after an hour")
    names = [field["name"] for field in answer["schema"]["fields"]]

    def pages() -> Iterator[dict[str, Any]]:
        page = answer
        while True:
            for row in page.get("rows", []):
                yield {name: cell["v"] for name, cell in zip(names, row["f"], strict=True)}
            if "pageToken" not in page:
                return
            page = service.call(jobs.getQueryResults(**place, pageToken=page["pageToken"]))

    return write_text_rows(pages(), names, path)


def key_query(declaration: Declaration, rows: str) -> str:
    """
    GoogleSQL that adds to the rows of a query the key's text, its fingerprint and its bucket, as a span has them.

    Keep in `rows` the columns' own types: what is text there is taken as it is.
    """
    return (
        f"WITH stork_rows AS ({rows.rstrip().rstrip(';')}), "
        f"stork_keys AS (SELECT *, {bigquery_key(declaration)} AS stork_key FROM stork_rows) "
        "SELECT *, FARM_FINGERPRINT(stork_key) AS stork_fingerprint, "
        f"MOD(ABS(FARM_FINGERPRINT(stork_key)), {declaration.training.buckets}) AS stork_bucket FROM stork_keys"
    )


def bigquery_key(declaration: Declaration) -> str:
    """The key of a row in GoogleSQL: what `data/split.py` computes."""
    parts = [canonical_column(name, part) for name, part in key_parts(declaration).items()]
    return "CONCAT(" + ", '|', ".join(parts) + ")"


def canonical_column(name: str, part: Part | None) -> str:
    """A column as it stands in a key."""
    column = f"`{name}`"
    if part is None or is_text(part):
        return f"COALESCE(REPLACE(REPLACE(CAST({column} AS STRING), '\\\\', '\\\\\\\\'), '|', '\\\\|'), '')"
    if isinstance(part, Feature) and part.kind == "boolean":
        return f"CASE WHEN {column} THEN 'true' WHEN NOT {column} THEN 'false' ELSE '' END"
    if isinstance(part, Output) or part.kind == "number":
        whole = f"{column} = TRUNC({column}) AND ABS({column}) < 1e18"
        return (
            f"COALESCE(CASE WHEN {whole} THEN CAST(CAST({column} AS INT64) AS STRING) "
            f"ELSE CAST({column} AS STRING) END, '')"
        )
    return f"COALESCE(CAST(CAST({column} AS INT64) AS STRING), '')"
