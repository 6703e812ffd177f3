"""
What the rows of a model should look like beyond what model.toml says: `data.toml` beside it, reviewed like code.

Kinds and domains of features are declared in model.toml alone; this file has how often a column is known, which other
columns there may be, and how far a span may differ from the one before.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from stork.declaration.declaration import Declaration
from stork.declaration.explain import explain
from stork.declaration.features import Feature
from stork.declaration.section import Section
from stork.errors import DeclarationError

FILE = "data.toml"
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Amount = Annotated[int, msgspec.Meta(ge=0)]
Environment = Literal["TRAINING", "SERVING"]
Severity = Literal["error", "warning", "off"]
ColumnKind = Literal["integer", "number", "boolean", "text"]
Measure = Literal["l_infinity", "jensen_shannon", "normalized_difference", "tfdv_jensen_shannon", "off"]


class Examples(Section, frozen=True):
    """
    How many rows a span may have that are not refused; how many may come, as a multiple of those of the span before.

    `unique` true: no key occurs twice. 0 and None: not limited.
    """

    min: Amount = 1
    max: Amount = 0
    min_ratio: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    max_ratio: Annotated[float, msgspec.Meta(gt=0)] | None = None
    unique: bool = False


class Comparing(Section, frozen=True):
    """
    When two spans count as different.

    `false_alarms` is how probable it is that one validation finds a difference, by chance, between two spans of the
    same origin: each comparison's threshold follows from it and from the number of rows. A difference beyond that is a
    warning, and an error where it is also larger than the effect that matters: `l_infinity` for shares of values and of
    rows that have one, `jensen_shannon` (bits) for numbers.
    """

    false_alarms: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.001
    l_infinity: Share = 0.1
    jensen_shannon: Share = 0.05


class Column(Section, frozen=True):
    """
    What is expected of one column.

    `kind` and `range` are for columns that model.toml does not declare. `min_fraction` is the share of rows that have
    a value, at least; `min_domain_mass` the share of values inside the domain; `tolerance` the share of rows that may
    be refused for this column before that is an error. `drift` and `skew` are thresholds that take the place of
    calibrated ones, in the unit of `measure`; one that came from TensorFlow Data Validation is held against its own
    formula where `measure` is tfdv_jensen_shannon. `unique` limits how many different values there are. `severity`
    says, by an anomaly's name, what it is here: error, warning or off.
    """

    kind: ColumnKind | None = None
    range: tuple[float, float] | None = None
    min_fraction: Share | None = None
    min_values: Amount = 1
    max_values: Amount = 1
    min_domain_mass: Share = 1.0
    tolerance: Share = 0.01
    unique: tuple[Amount, Amount] | None = None
    measure: Measure | None = None
    drift: Share | None = None
    skew: Share | None = None
    environments: tuple[Environment, ...] = ("TRAINING", "SERVING")
    severity: dict[str, Severity] = {}


class Accepted(Section, frozen=True):
    """
    Differences of a span from the one before it that somebody looked at: of which columns, by whom, and why.

    `stork schema accept` adds one. They are warnings for this span; the next one is compared with it as ever.
    """

    columns: tuple[str, ...]
    span: int
    reason: Annotated[str, msgspec.Meta(min_length=1)]
    by: str = ""
    date: str = ""


class DataSchema(Section, frozen=True):
    """All of a data.toml."""

    examples: Examples = Examples()
    comparing: Comparing = Comparing()
    severity: dict[str, Severity] = {}
    columns: dict[str, Column] = msgspec.field(default={}, name="column")
    accepted: tuple[Accepted, ...] = ()

    def accepted_for(self, span: int, column: str) -> str:
        """Why a difference of the column in that span was accepted; empty where nobody did."""
        found = (each.reason for each in self.accepted if each.span == span and column in each.columns)
        return next(found, "")


def load_data_schema(home: Path, declaration: Declaration) -> DataSchema:
    """
    The data.toml in a model's folder; where there is none, what follows from model.toml.

    Raises:
        DeclarationError: it is not TOML, has an unknown key, or contradicts itself or model.toml.
    """
    path = home / FILE
    try:
        return parse_data_schema(path.read_text(encoding="utf-8"), declaration)
    except FileNotFoundError:
        return DataSchema()
    except OSError as error:
        raise DeclarationError(f"{path}: {error.strerror or error}") from error
    except (DeclarationError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path}: {error}") from error


def parse_data_schema(text: str, declaration: Declaration) -> DataSchema:
    """
    Raises:
        DeclarationError: as for `load_data_schema`.
    """
    try:
        parsed = tomllib.loads(text)
        schema = msgspec.convert(parsed, DataSchema)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(str(error)) from error
    except msgspec.ValidationError as error:
        raise DeclarationError(explain(str(error), parsed, text, DataSchema)) from error
    problems = find_problems(schema, declaration)
    if problems:
        raise DeclarationError("; ".join(problems))
    return schema


def find_problems(schema: DataSchema, declaration: Declaration) -> list[str]:
    """What msgspec cannot see."""
    found = []
    declared = {feature.name for feature in declaration.features} | {output.name for output in declaration.outputs}
    numeric = {feature.name for feature in declaration.features if is_numeric(feature)}
    numeric |= {output.name for output in declaration.outputs}
    for name, column in schema.columns.items():
        where = f"column.{name}"
        if name in declared:
            for key in ("kind", "range"):
                if getattr(column, key) is not None:
                    found.append(f"{where}.{key}: {name!r} is declared in model.toml, which says its {key}")
        if column.min_values > column.max_values:
            found.append(f"{where}.min_values: expected at most max_values ({column.max_values})")
        if column.unique is not None and column.unique[0] > column.unique[1]:
            found.append(f"{where}.unique: expected [least, most], received {list(column.unique)}")
        if column.range is not None and column.range[0] > column.range[1]:
            found.append(f"{where}.range: expected [low, high], received {list(column.range)}")
        is_number = name in numeric or column.kind in ("number", "integer")
        found += [f"{where}.measure: {problem}" for problem in measure_problems(column, is_number)]
    return found


def measure_problems(column: Column, is_number: bool) -> Iterator[str]:
    """What does not fit the measure of a column."""
    if is_number and column.measure in ("l_infinity", "normalized_difference"):
        yield f"{column.measure} is for categories, received a number"
    if column.measure == "tfdv_jensen_shannon":
        if not is_number:
            yield f"{column.measure} is for numbers, received another kind"
        if column.drift is None and column.skew is None:
            yield f"expected drift or skew beside {column.measure}, which has no calibrated threshold, received neither"


def is_numeric(feature: Feature) -> bool:
    """Whether a feature is a number, and not one of a few values."""
    return feature.kind in ("number", "integer") and not feature.values
