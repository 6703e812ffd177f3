"""SQL over the prediction log, with DuckDB where it is installed."""

from pathlib import Path

from stork.errors import BadRequest, ConfigurationError
from stork.store.prediction_log import segments

COLUMNS = {
    "id": "VARCHAR",
    "time": "TIMESTAMPTZ",
    "model": "VARCHAR",
    "version": "BIGINT",
    "asked": "VARCHAR",
    "dialect": "VARCHAR",
    "status": "BIGINT",
    "rows": "BIGINT",
    "instances": "JSON[]",
    "predictions": "JSON",
    "latency": "STRUCT(total DOUBLE, model DOUBLE)",
    "origin": "VARCHAR",
    "backend": "VARCHAR",
    "error": "VARCHAR",
    "schema": "VARCHAR",
    "trace": "VARCHAR",
    "alias": "VARCHAR",
}


def query_log(folder: Path, sql: str) -> str:
    """
    The rows of a query over the table `predictions`, drawn as a table.

    Raises:
        ConfigurationError: DuckDB is not installed.
        BadRequest: nothing is logged yet, or the query is wrong.
    """
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise ConfigurationError("--sql needs DuckDB: pip install -r requirements-train.txt") from error
    files = [str(path) for path in segments(folder)]
    if not files:
        raise BadRequest(f"nothing logged yet in {folder}")
    connection = duckdb.connect()
    source = connection.read_json(
        files,  # type: ignore[arg-type]  # its stub knows one file, the function takes many
        columns=COLUMNS,
        format="newline_delimited",
        ignore_errors=True,
    )
    source.create_view("predictions")
    try:
        return str(connection.sql(sql))
    except duckdb.Error as error:
        raise BadRequest(f"--sql: {error}") from error
