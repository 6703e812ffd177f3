"""Instances and predictions as CSV, as MLflow (with a header) and SageMaker (without) send them."""

import csv
import io
from collections.abc import Callable
from typing import Any

from stork.declaration import Feature
from stork.errors import BadRequest, MalformedBody
from stork.schema.feature import describe
from stork.schema.frozen import Schema
from stork.schema.instances import Columns
from stork.serving.ask import Answer
from stork.web.dialects import Reply, prediction_headers

CSV_TYPE = "text/csv"
NOT_A_NUMBER = ("NaN", "nan")
BOOLEANS = {"true": True, "false": False}


def read_csv(schema: Schema, body: bytes, has_header: bool) -> Columns:
    """
    The columns that the first line names; without a header the schema's features in their order.

    An empty cell is a missing value, and so is NaN where no text is expected. A column without a name is the index
    that pandas writes, and left out.

    Raises:
        MalformedBody: no CSV in UTF-8.
        BadRequest: no line, values for names, a name twice, or a line of another length than the first.
    """
    lines = read_lines(body)
    known = [feature.name for feature in schema.features]
    names = lines.pop(0)[1] if has_header and lines else known
    if not set(names) & set(known) and any(type(read_number(name)) is not str for name in names if name):
        absent = f"Content-Type: {CSV_TYPE}; header=absent"
        raise BadRequest(f"csv line 1: expected names, received values; {absent} has none")
    if not lines:
        raise BadRequest("csv: expected at least one line of values, received none")
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise BadRequest(f"csv: expected each column once, received {describe(repeated[0])} twice")
    for number, cells in lines:
        if len(cells) != len(names):
            raise BadRequest(f"csv line {number}: expected {len(names)} values, received {len(cells)}")
    readers = {feature.name: cell_reader(feature) for feature in schema.features}
    by_name = zip(names, zip(*(cells for _, cells in lines), strict=True), strict=True)
    columns = {name: [readers.get(name, str)(cell) for cell in cells] for name, cells in by_name if name}
    if not columns:
        raise BadRequest("csv: expected columns with names, received none")
    return Columns(columns)


def read_lines(body: bytes) -> list[tuple[int, list[str]]]:
    """
    Every line that is not blank, with its number from 1.

    Raises:
        MalformedBody: not UTF-8, or quotes that do not close.
    """
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        return [(reader.line_num, cells) for cells in reader if cells]
    except UnicodeDecodeError as error:
        raise MalformedBody(f"expected CSV in UTF-8, received a byte that is none at offset {error.start}") from error
    except csv.Error as error:
        raise MalformedBody(f"malformed CSV: {error}") from error


def cell_reader(feature: Feature) -> Callable[[str], Any]:
    """A function from a cell to the feature's value, None where it is missing; what is no value of it stays text."""
    if feature.kind == "string" or (feature.kind == "category" and isinstance(feature.values[0].value, str)):
        return lambda cell: cell if cell else None
    if feature.kind == "boolean":
        return lambda cell: BOOLEANS.get(cell.strip().lower(), cell) if is_given(cell) else None
    return read_number


def read_number(cell: str) -> Any:
    """An integer exactly, else a float; None where it is missing, text where it is no number."""
    if not is_given(cell):
        return None
    for read in (int, float):
        try:
            return read(cell)
        except ValueError:
            continue
    return cell


def is_given(cell: str) -> bool:
    return bool(cell.strip()) and cell.strip() not in NOT_A_NUMBER


def write_csv(answered: Answer) -> Reply:
    """
    One line per prediction, without a header: outputs in the schema's order, a row of values as many cells.

    Bytes that are no text are their base64.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in zip(*answered.columns.values(), strict=True):
        cells = [cell for value in row for cell in (value if isinstance(value, list) else [value])]
        writer.writerow([cell["b64"] if isinstance(cell, dict) else cell for cell in cells])
    headers = prediction_headers(answered.id, answered.version)
    return Reply(200, [("Content-Type", CSV_TYPE), *headers], text.getvalue().encode())
