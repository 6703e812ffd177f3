"""What is expected of every column: the declaration and the data schema, put together."""

from dataclasses import dataclass, field

from stork.data.sources import label_of
from stork.data.sql import Part, is_text
from stork.declaration import Declaration, Feature
from stork.declaration.data_schema import Column, DataSchema, Environment, Measure, Severity, is_numeric
from stork.schema.frozen import numeric_limits


@dataclass(frozen=True)
class Expectation:
    """
    A column that is expected, or may be there.

    `kind` is what its values are: integer, number, boolean, text, or empty for whatever comes. `is_required`: a row
    without a value is refused. `is_hidden`: reports do not tell its values. `limits` and `vocabulary` are None where
    any value will do.
    """

    name: str
    kind: str
    column: Column = field(default_factory=Column)
    is_required: bool = False
    is_label: bool = False
    is_feature: bool = False
    is_hidden: bool = False
    limits: tuple[float, float] | None = None
    vocabulary: tuple[str, ...] | None = None
    environments: tuple[Environment, ...] = ("TRAINING", "SERVING")

    @property
    def min_fraction(self) -> float:
        """The share of rows that must have a value; 0 where none needs one."""
        declared = self.column.min_fraction
        return declared if declared is not None else 1.0 if self.is_required else 0.0

    @property
    def measure(self) -> Measure:
        """How its distribution is compared, unless the data schema says otherwise: shares of values, or histograms."""
        if self.column.measure is not None:
            return self.column.measure
        return "jensen_shannon" if self.is_numeric else "l_infinity"

    @property
    def is_numeric(self) -> bool:
        return self.kind in ("integer", "number") and self.vocabulary is None

    def severity_of(self, anomaly: str, usual: Severity, schema: DataSchema) -> Severity:
        """What an anomaly is here: as this column says, else the whole schema, else as usual."""
        return self.column.severity.get(anomaly, schema.severity.get(anomaly, usual))


def expect(declaration: Declaration, schema: DataSchema) -> dict[str, Expectation]:
    """Every column that is declared in model.toml or data.toml, by name."""
    label = label_of(declaration)
    found = {
        feature.name: expect_feature(feature, schema, feature.name in declaration.log.hidden)
        for feature in declaration.features
    }
    found[label.name] = Expectation(
        label.name,
        "number",
        schema.columns.get(label.name, Column()),
        is_required=True,
        is_label=True,
        limits=bounds_of(label),
        environments=("TRAINING",),
    )
    for name, column in schema.columns.items():
        if name not in found:
            environments = column.environments if name != declaration.training.weight else ("TRAINING",)
            found[name] = Expectation(name, column.kind or "", column, limits=column.range, environments=environments)
    weight = declaration.training.weight
    if weight and weight not in found:
        found[weight] = Expectation(weight, "number", Column(min_fraction=1.0), environments=("TRAINING",))
    return found


def expect_feature(feature: Feature, schema: DataSchema, is_hidden: bool) -> Expectation:
    """A feature, by both."""
    column = schema.columns.get(feature.name, Column())
    kind = "text" if is_text(feature) else "integer" if feature.kind == "category" else feature.kind
    listed = feature.values if feature.kind != "boolean" else ()
    return Expectation(
        feature.name,
        kind,
        column,
        is_required=feature.required,
        is_feature=True,
        is_hidden=is_hidden,
        limits=bounds_of(feature) if is_numeric(feature) else None,
        vocabulary=tuple(str(value.value) for value in listed) if listed else None,
        environments=column.environments,
    )


def bounds_of(part: Part) -> tuple[float, float] | None:
    """The closed range of a number; None where there is no end to it."""
    return numeric_limits(part) if part.range is not None else None
