"""What a candidate is asked in its exam: the edges of its domain, random rows, and rows that it must refuse."""

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from stork.declaration import Feature
from stork.evaluation.probe import draw_value
from stork.schema.decode import default_value
from stork.schema.feature import vocabulary
from stork.schema.frozen import Schema, numeric_limits

Row = dict[str, Any]

MAX_CORNERS = 512
MAX_VALUES = 256  # of one feature's vocabulary that are asked one by one; random rows find the others
REFUSED_SHARE, BATCH_SHARE = 0.05, 0.05
LARGEST_BATCH = 64
TEXTS = ("a", " ", "0", "12.5", "-1e308", "null", "café 東京", "a\tb\\c", "x" * 4096)
# Bodies that are no request at all.
BODIES = (b"", b"{", b"[]", b"null", b'{"instances": [', b'{"instances": []}', b'{"instances": {}}', b"\xff\xfe")


@dataclass(frozen=True)
class Asked:
    """One request: its body, how many instances it has, and whether it must be answered or refused."""

    body: bytes
    instances: int
    valid: bool


def make_requests(schema: Schema, count: int, seed: int) -> list[Asked]:
    """
    `count` requests in random order, the same for the same arguments.

    5% of them must be refused, 5% have 2 to 64 instances; of the rest, of one instance each, up to half are at the
    edges of the domain, and the others are random.
    """
    draw = random.Random(seed)
    refused = min(count // 2, math.ceil(count * REFUSED_SHARE))
    batches = int(count * BATCH_SHARE)
    edges = list(edge_rows(schema, draw))
    edges = draw.sample(edges, min(len(edges), (count - refused - batches + 1) // 2))
    singles = edges + [random_row(schema, draw) for _ in range(count - refused - batches - len(edges))]
    asked = [single(row) for row in singles]
    for _ in range(batches):
        rows = [random_row(schema, draw) for _ in range(draw.randint(2, LARGEST_BATCH))]
        asked.append(Asked(encode({"instances": rows}), len(rows), valid=True))
    wrong = list(wrong_requests(schema))
    asked += [wrong[at % len(wrong)] for at in draw.sample(range(max(refused, len(wrong))), refused)]
    draw.shuffle(asked)
    return asked


def single(row: Row, valid: bool = True) -> Asked:
    return Asked(encode({"instances": [row]}), 1, valid)


def encode(document: Any) -> bytes:
    return msgspec.json.encode(document)


def random_row(schema: Schema, draw: random.Random) -> Row:
    """A valid row; what may be missing sometimes is, in one of the three ways."""
    row = {feature.name: draw_value(feature, 3 + draw.randrange(6), draw) for feature in schema.features}
    return {
        name: draw.choice((None, "")) if value is None else value
        for name, value in row.items()
        if value is not None or draw.random() < 0.5
    }


def edge_rows(schema: Schema, draw: random.Random) -> Iterator[Row]:
    """Nothing but what is required; every edge of each feature, the others usual; corners of all edges together."""
    usual = {feature.name: default_value(feature) for feature in schema.features}
    required = {feature.name: usual[feature.name] for feature in schema.features if feature.required}
    optional = [feature.name for feature in schema.features if not feature.required]
    yield required
    yield required | dict.fromkeys(optional)
    yield required | dict.fromkeys(optional, "")
    for feature in schema.features:
        for value in edges_of(feature):
            yield usual | {feature.name: value}
            yield required | {feature.name: value}
    ends = [[edges_of(feature)[0], edges_of(feature)[-1]] for feature in schema.features]
    names = [feature.name for feature in schema.features]
    if 2 ** len(ends) <= MAX_CORNERS:
        corners = itertools.product(*ends)
    else:
        corners = (tuple(map(draw.choice, ends)) for _ in range(MAX_CORNERS))  # type: ignore[assignment]
    for corner in corners:
        yield dict(zip(names, corner, strict=True))


def edges_of(feature: Feature) -> list[Any]:
    """
    Values where a model goes wrong first: every one of a vocabulary; both ends of a range, what lies just inside them,
    and zero; texts of all sorts. The lowest comes first, the highest last; None where the feature may be missing.
    """
    if feature.kind == "boolean":
        edges: list[Any] = [False, True]
    elif feature.values:
        edges = sorted(vocabulary(feature), key=str if isinstance(feature.values[0].value, str) else None)[:MAX_VALUES]
    elif feature.kind == "string":
        edges = list(TEXTS)
    else:
        edges = number_edges(feature)
    return edges if feature.required else [edges[0], None, *edges[1:]]


def number_edges(feature: Feature) -> list[float | int]:
    """
    >>> number_edges(Feature(name="x", kind="integer", range=(17, 47)))
    [17, 18, 46, 47]
    """
    low, high = numeric_limits(feature)
    if feature.kind == "integer":
        first, last = math.ceil(low), math.floor(high)
        return sorted({value for value in (first, first + 1, 0, last - 1, last) if first <= value <= last})
    inside = (math.nextafter(low, math.inf), math.nextafter(high, -math.inf))
    values = {low, *inside, (low / 2 + high / 2), 0.0, high}
    return sorted(value for value in values if low <= value <= high)


def wrong_requests(schema: Schema) -> Iterator[Asked]:
    """Requests that the schema refuses: one value wrong, one missing, one too many, and bodies that are no request."""
    usual = {feature.name: default_value(feature) for feature in schema.features}
    for feature in schema.features:
        for value in wrong_values(feature):
            yield single(usual | {feature.name: value}, valid=False)
        if feature.required:
            yield single({name: value for name, value in usual.items() if name != feature.name}, valid=False)
            yield single(usual | {feature.name: None}, valid=False)
    unknown = "_".join(["unknown", *usual])[:60]
    yield single(usual | {unknown: 1}, valid=False)
    for body in BODIES:
        yield Asked(body, 0, valid=False)
    name = next(iter(usual))
    yield Asked(encode({"instances": [usual]}).replace(encode(name) + b":", encode(name) + b":NaN,"), 1, valid=False)


def wrong_values(feature: Feature) -> list[Any]:
    """Values of another type than the feature's, and just outside its domain."""
    wrong: list[Any] = [{}, []]
    if feature.kind == "string":
        return [*wrong, 5, True]
    wrong.append("no such value")
    if feature.kind == "boolean":
        return [*wrong, 2]
    if feature.kind in ("number", "integer") and feature.range is not None and not feature.values:
        low, high = feature.range
        wrong += [low - 1, high + 1, math.nextafter(high, math.inf)]
    if feature.kind == "integer":
        wrong.append(numeric_limits(feature)[0] + 0.5)
    return [*wrong, True]
