"""
From a request's bytes or values to checked instances, or to every problem with its place.

Two roads give one answer. The fast one lets msgspec parse and check the bytes against types made from the schema; it
only says yes or no. Whatever it does not accept is read again by the slow one, value by value, which finds and words
every problem, and accepts the rare good body the fast one refused.
"""

import contextlib
import difflib
import functools
import itertools
import json
import operator
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from stork.declaration import Feature
from stork.errors import InvalidInstances, MalformedBody, PayloadTooLarge, Problem
from stork.schema.feature import Refused, check_value, describe
from stork.schema.frozen import Schema, tensor_name
from stork.schema.instances import Columns, Instances
from stork.schema.tensors import Column, Restore, compile_encoder, compile_restorer, encode_columns

MAX_PROBLEMS = 20
HIDDEN = "a value that is not shown"
NOTHING = "nothing"
UNKNOWN = "a feature of this model"
LONG = 8192  # bytes from which numpy counts one of them sooner than `bytes.count`

# What msgspec raises on a body: all that says no, and only the slow road knows why.
UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


class Pairs(dict[str, Any]):
    """A JSON object that remembers which keys it was given twice."""

    repeated: tuple[str, ...] = ()


class Cut(bytes):
    """A part of a body, the `whole`, that was cut out of it before anybody looked at it."""

    whole = b""


class Decoder:
    """
    What checks requests against one schema.

    A request may hold `max_instances`; `hidden` names the features whose values no error may show.
    """

    def __init__(self, schema: Schema, max_instances: int, hidden: Iterable[str] = ()) -> None:
        self.schema = schema
        self.max_instances = max_instances
        self.hidden = frozenset(hidden)
        self.features = {feature.name: feature for feature in schema.features}
        self._encoders = [(f.name, tensor_name(f), compile_encoder(f)) for f in schema.features]
        self._fields = [f"f{i}" for i in range(len(schema.features))]
        self._required = sum(f.required for f in schema.features)
        self._types = {f.name: types_of(f) | ({bytes} if f.kind == "string" else set()) for f in schema.features}
        row = msgspec.defstruct(
            "Row",
            [field_of(name, f) for name, f in zip(self._fields, schema.features, strict=True)],
            rename=dict(zip(self._fields, self.features, strict=True)),
            forbid_unknown_fields=True,
            omit_defaults=True,
            kw_only=True,
            gc=False,
        )
        self._one = msgspec.json.Decoder(row)
        self._many = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]

    @functools.cached_property
    def restorers(self) -> dict[str, Restore | None]:
        """By feature, what turns a column of its tensor's values into one of its own; None where they are the same."""
        return {name: compile_restorer(feature) for name, feature in self.features.items()}

    def decode_json(self, body: bytes, path: str = "$.instances", single: bool = False) -> Instances:
        """
        The instances in `body`: a JSON list of objects, or with `single` one object.

        Raises:
            MalformedBody: not JSON.
            InvalidInstances: JSON the schema refuses; each problem located below `path`.
            PayloadTooLarge: more instances than allowed.
        """
        try:
            rows = [self._one.decode(body)] if single else self._many.decode(body)
            if 0 < len(rows) <= self.max_instances:
                columns = self._columns(rows)
                if count_colons(body) == self._count_keys(columns, len(rows)):
                    return Instances(rows, encode_columns(self._encoders, columns))
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, OverflowError):
            pass  # the slow road says why, or accepts
        return self.decode_parsed(parse_json(body), path, single)

    def decode_parsed(self, instances: Any, path: str = "$.instances", single: bool = False) -> Instances:
        """The same for values of a request that are already parsed."""
        if isinstance(instances, list) and not single and len(instances) > self.max_instances:
            raise PayloadTooLarge(f"{path}: expected at most {self.max_instances} instances, received {len(instances)}")
        return self.decode([instances] if single else instances, path, single)

    def decode_columns(self, given: Columns, path: str = "$.inputs") -> Instances:
        """The same for instances by column; problems are located as `$.inputs.age[3]`."""
        if len(given) > self.max_instances:
            raise PayloadTooLarge(f"{path}: expected at most {self.max_instances} instances, received {len(given)}")
        if self._accepts_types(given.values):
            missing = [None] * len(given)
            columns = {name: given.values.get(name, missing) for name in self.features}
            with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
                return Instances(given, encode_columns(self._encoders, columns))
        try:
            return self.decode(given[:], path)
        except InvalidInstances as error:
            error.problems = [by_column(problem, path) for problem in error.problems]
            error.args = InvalidInstances(error.problems, error.total).args
            raise

    def _accepts_types(self, columns: dict[str, Column]) -> bool:
        """Whether every value is of a type its feature takes: what msgspec sees to in JSON. True is no number here."""
        return columns.keys() <= self.features.keys() and all(
            set(map(type, column)) <= self._types[name] for name, column in columns.items()
        )

    def decode(self, instances: Any, path: str = "$.instances", single: bool = False) -> Instances:
        """A list of instances that is Stork's own, of any length: the same checks."""
        if not isinstance(instances, list) or not instances:
            received = "an empty list" if instances == [] else describe(instances)
            raise InvalidInstances([Problem(path, "a list of at least one instance", received)])
        problems: list[Problem] = []
        total, rows = 0, []
        for index, instance in enumerate(instances):
            row, found = self._check_instance(instance, path if single else f"{path}[{index}]")
            total += len(found)
            problems += found[: MAX_PROBLEMS - len(problems)]
            rows.append(row)
        if problems:
            raise InvalidInstances(problems, total)
        columns: dict[str, Column] = {name: [row.get(name) for row in rows] for name in self.features}
        return Instances(rows, encode_columns(self._encoders, columns))

    def _columns(self, rows: list[Any]) -> dict[str, Column]:
        """One list per feature from the parsed structs."""
        if len(rows) == 1:
            return {name: [value] for name, value in zip(self.features, msgspec.structs.astuple(rows[0]), strict=True)}
        cells = list(itertools.chain.from_iterable(map(msgspec.structs.astuple, rows)))
        # Every eighth of eight features' values: sooner than zip, which goes round all the rows for every value.
        return {name: cells[place :: len(self.features)] for place, name in enumerate(self.features)}

    def _count_keys(self, columns: dict[str, Column], rows: int) -> int:
        """
        How many keys the parsed structs were given.

        A body with as many colons has no key twice (and none inside a string): msgspec alone keeps the last silently.
        """
        optional = [columns[f.name] for f in self.schema.features if not f.required]
        return rows * len(self.features) - sum(column.count(msgspec.UNSET) for column in optional)

    def _check_instance(self, instance: Any, path: str) -> tuple[dict[str, Any], list[Problem]]:
        """One instance value by value: the checked values that are not missing, and the problems."""
        if not isinstance(instance, dict):
            return {}, [Problem(path, "an object of features", describe(instance))]
        problems = [Problem(locate(path, name), "each feature once", "it twice") for name in repeated_keys(instance)]
        problems += [self._unknown(path, name) for name in instance if name not in self.features]
        row = {}
        for name, feature in self.features.items():
            try:
                value = check_value(feature, instance.get(name))
            except Refused as refused:
                problems.append(Problem(locate(path, name), str(refused), self._received(instance, name)))
            else:
                if value is not None:
                    row[name] = value
        return row, problems

    def _unknown(self, path: str, name: str) -> Problem:
        nearest = difflib.get_close_matches(name, self.features, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(self.features)}"
        return Problem(locate(path, name), f"{UNKNOWN} ({hint})", describe(name))

    def _received(self, instance: dict[str, Any], name: str) -> str:
        if name not in instance:
            return NOTHING
        return HIDDEN if name in self.hidden else describe(instance[name])


def field_of(name: str, feature: Feature) -> Any:
    """A feature as a field of the struct that msgspec parses into."""
    kind = functools.reduce(operator.or_, types_of(feature))
    if feature.required:
        return (name, kind)
    return (name, kind | msgspec.UnsetType, msgspec.UNSET)


def types_of(feature: Feature) -> set[Any]:
    """The Python types that JSON values of the feature are parsed to."""
    missing = set() if feature.required else {type(None)}
    if feature.kind == "boolean":
        return {bool} | missing
    if feature.kind == "string" or (feature.kind == "category" and isinstance(feature.values[0].value, str)):
        return {str} | missing
    return {int, float} | missing


def count_colons(text: bytes) -> int:
    """How many there are: in JSON without one inside a string, how many keys it has."""
    if len(text) < LONG:
        return text.count(b":")
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord(":")))


def by_column(problem: Problem, path: str) -> Problem:
    """A problem of row 3, `$.inputs[3].age`, located in its column: `$.inputs.age[3]`."""
    row, bracket, rest = problem.path.removeprefix(path).partition("]")
    return Problem(f"{path}{rest}{row}{bracket}", problem.expected, problem.received) if rest else problem


def parse_json(body: bytes) -> Any:
    """
    Any JSON document; objects are Pairs, NaN and infinities are let through for the checks to refuse.

    Raises:
        MalformedBody: with the line and column where it stops being JSON; of a Cut those in the whole body.
    """
    try:
        return load_json(body)
    except MalformedBody:
        if isinstance(body, Cut):
            load_json(body.whole)
        raise


def load_json(body: bytes) -> Any:
    """
    Raises:
        MalformedBody: with the line and column where it stops being JSON.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=collect_pairs)
    except UnicodeDecodeError as error:
        raise MalformedBody(
            f"expected JSON in UTF-8, received a byte that is not UTF-8 at offset {error.start}"
        ) from error
    except json.JSONDecodeError as error:
        raise MalformedBody(f"malformed JSON at line {error.lineno} column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise MalformedBody("malformed JSON: nested too deeply") from error
    except ValueError as error:
        raise MalformedBody("malformed JSON: a number has too many digits") from error


def collect_pairs(pairs: list[tuple[str, Any]]) -> Pairs:
    """A JSON object from its pairs, its repeated keys noted."""
    result = Pairs(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        result.repeated = tuple(name for name in result if names.count(name) > 1)
    return result


def repeated_keys(instance: dict[str, Any]) -> tuple[str, ...]:
    """The keys an object was given twice; none for a plain dict."""
    return instance.repeated if isinstance(instance, Pairs) else ()


def locate(path: str, name: str) -> str:
    """The JSONPath of a key: `$.a.b`, or `$.a["b c"]` where the key is no plain name."""
    if name.isidentifier() and name.isascii():
        return f"{path}.{name}"
    return f"{path}[{describe(name)}]"


def example_of(schema: Schema) -> dict[str, Any]:
    """A valid instance for documents and first tries."""
    return {feature.name: initial_value(feature) for feature in schema.features}


def initial_value(feature: Feature) -> Any:
    """The declared default, else not known (None) where that is allowed, else a plausible value."""
    return None if feature.default is None and not feature.required else default_value(feature)


def default_value(feature: Feature) -> Any:
    """The declared default, else a plausible value of the domain."""
    if feature.default is not None:
        return feature.default
    if feature.values:
        return feature.values[0].value
    if feature.range is not None and feature.kind != "string":
        middle = sum(feature.range) / 2
        return int(middle) if feature.kind == "integer" else middle
    return {"number": 0.0, "integer": 0, "boolean": True, "string": "a"}[feature.kind]
