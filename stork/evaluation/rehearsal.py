"""What a version answers to real rows before it takes traffic: the most frequent and the strangest of the log."""

import json
import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from stork.declaration import Declaration
from stork.errors import InvalidInstances, VersionBroken
from stork.schema.feature import plain
from stork.schema.frozen import numeric_limits
from stork.schema.tensors import plain_values
from stork.serving.loader import LoadedVersion
from stork.store.prediction_log import last_records

RECORDS = 5000  # of the log, the newest
FREQUENT = STRANGE = 32  # rows of each kind
ROW_LENGTH = 500
CALLS_MILLISECONDS = 5000
CALLS = 300  # of one instance each, for the latency

Row = dict[str, Any]


class Difference(msgspec.Struct):
    """How far a numeric output is from that of the version in service: mean and largest |difference|, and where."""

    mean: float
    max: float
    row: Row


class Rehearsal(msgspec.Struct):
    """
    What was found. `rows` were asked, of which `refused` the version's schema does not take (`first_refused` says why).

    `differences` by output name, from version `against`; latency in milliseconds, memory in MB of the whole process.
    `skipped` says why no row of the log was asked.
    """

    rows: int = 0
    refused: int = 0
    first_refused: str = ""
    against: int | None = None
    differences: dict[str, Difference] = {}
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    memory_mb: float = 0.0
    skipped: str = ""


def choose_rows(folder: Path, hidden: frozenset[str]) -> list[Row]:
    """
    Distinct rows of the newest records: first the most frequent, then the strangest, refused ones among them.

    A row is the stranger, the rarer its values are, feature by feature: by the sum of the logarithms of their shares.
    Features in `hidden` are not in the log as they were: they are left out.
    """
    rows = [
        {name: value for name, value in row.items() if name not in hidden}
        for record in last_records(folder, RECORDS)
        for row in record.get("instances", [])
        if isinstance(row, dict)
    ]
    counts = Counter(json.dumps(row, sort_keys=True) for row in rows)
    frequent = [text for text, _ in counts.most_common(FREQUENT)]
    shares = Counter((name, json.dumps(value)) for row in rows for name, value in row.items())

    def familiarity(text: str) -> float:
        return sum(math.log(shares[name, json.dumps(value)] / len(rows)) for name, value in json.loads(text).items())

    strange = [text for text in sorted(counts, key=familiarity) if text not in set(frequent)][:STRANGE]
    return [json.loads(text) for text in [*frequent, *strange]]


def rehearse(
    candidate: LoadedVersion, declaration: Declaration, log: str, load_current: Callable[[], LoadedVersion | None]
) -> Rehearsal:
    """
    Ask a loaded version the rows of the log, and compare it with the one in service.

    That one is loaded only here, so that the memory measured before is the candidate's.

    Raises:
        VersionBroken: an answer is not finite or outside its declared range, or a budget is exceeded.
        BackendError: the version fails at a row.
    """
    found = Rehearsal(memory_mb=resident_megabytes())
    if candidate.local is None:
        return Rehearsal(skipped="requests are forwarded: nothing answers here")
    hidden = declaration.log.hidden
    lost = [f.name for f in candidate.schema.features if f.required and f.name in hidden]
    if log in ("stdout", "off"):
        found.skipped = "the log is not kept in files"
    elif lost:
        found.skipped = f"the log does not keep {', '.join(lost)}, which the version needs"
    else:
        ask_rows(candidate, load_current(), choose_rows(Path(log) / candidate.model, hidden), found)
        found.skipped = "" if found.rows else "no request has been logged yet"
    check_budgets(declaration, found)
    return found


def ask_rows(candidate: LoadedVersion, current: LoadedVersion | None, rows: list[Row], found: Rehearsal) -> None:
    """Every row alone, as a form sends it; then again and again, for the latency."""
    distances: dict[str, list[tuple[float, Row]]] = {}
    tensors = []
    for row in rows:
        found.rows += 1
        try:
            asked = candidate.decoder.decode([row], "$").tensors
        except InvalidInstances as error:
            found.refused += 1
            found.first_refused = found.first_refused or str(error)
            continue
        tensors.append(asked)
        for name, value in answer_in_range(candidate, row, candidate.predict(asked)).items():
            reference = ask_current(current, row).get(name)
            if isinstance(value, float | int) and isinstance(reference, float | int):
                distances.setdefault(name, []).append((abs(value - reference), row))
    if current is not None and distances:
        found.against = current.version
        for name, far in distances.items():
            largest, row = max(far, key=lambda pair: pair[0])
            mean = sum(distance for distance, _ in far) / len(far)
            found.differences[name] = Difference(round(mean, 6), round(largest, 6), row)
    if tensors:
        found.p50_ms, found.p99_ms = time_calls(candidate, tensors)


def answer_in_range(candidate: LoadedVersion, row: Row, outputs: dict[str, Any]) -> dict[str, Any]:
    """
    The answer by output name.

    Raises:
        VersionBroken: a number lies outside the output's declared range.
    """
    answer = {}
    for output in candidate.schema.outputs:
        (value,) = plain_values(output, outputs[output.name])
        low, high = numeric_limits(output)
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, float | int) and not low <= number <= high:
                raise VersionBroken(
                    f"to the logged row {json.dumps(row)[:ROW_LENGTH]} {output.name} is {plain(number)}, "
                    f"expected {plain(low)} to {plain(high)}"
                )
        answer[output.name] = value
    return answer


def ask_current(current: LoadedVersion | None, row: Row) -> Row:
    """What the version in service answers; nothing where it refuses the row."""
    if current is None or current.local is None:
        return {}
    try:
        outputs = current.predict(current.decoder.decode([row], "$").tensors)
    except InvalidInstances:
        return {}
    return {output.name: plain_values(output, outputs[output.name])[0] for output in current.schema.outputs}


def time_calls(candidate: LoadedVersion, tensors: list[Any]) -> tuple[float, float]:
    """Median and 99th percentile of single-instance calls, in milliseconds; of a slow version's first calls only."""
    took: list[float] = []
    while len(took) < CALLS and sum(took) < CALLS_MILLISECONDS:
        began = time.perf_counter()
        candidate.predict(tensors[len(took) % len(tensors)])
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return round(took[len(took) // 2], 3), round(took[math.ceil(0.99 * len(took)) - 1], 3)


def check_budgets(declaration: Declaration, found: Rehearsal) -> None:
    """
    Raises:
        VersionBroken: the version takes more time or memory than `[serving.budgets]` allows.
    """
    budgets = declaration.serving.budgets
    for what, limit, value, unit in (
        ("p99 of one instance", budgets.p99_ms, found.p99_ms, "ms"),
        ("memory of a process with it alone", budgets.memory_mb, found.memory_mb, "MB"),
    ):
        if limit and value > limit:
            raise VersionBroken(f"{what}: expected at most {limit:g} {unit}, received {value:g} {unit}")


def resident_megabytes() -> float:
    """Memory of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return round(pages * 4096 / 1e6, 1)
