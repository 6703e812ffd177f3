"""What a declaration must not say, though each key of it is of its type: names of nothing, domains that do not fit."""

import math

from stork.declaration.sections import Declaration, Feature


def find_contradictions(declaration: Declaration) -> list[str]:
    """What msgspec cannot see: names that refer to nothing, domains that do not fit their kind."""
    found: list[str] = []
    names = [feature.name for feature in declaration.features]
    outputs = [output.name for output in declaration.outputs]
    for kind, given in (("feature", names), ("output", outputs)):
        found += [f"{kind} {name!r} is declared twice" for name in sorted({n for n in given if given.count(n) > 1})]
        if not given:
            found.append(f"at least one [[{kind}]] is needed")
    for feature in declaration.features:
        found += [f"feature {feature.name!r}: {problem}" for problem in feature_problems(feature)]
    references = {
        "form.what_if": [declaration.form.what_if] if declaration.form.what_if else [],
        "serving.sticky.feature": [declaration.serving.sticky.feature] if declaration.serving.sticky.feature else [],
        "log.omit": declaration.log.omit,
        "log.hash": declaration.log.hash,
        "evaluation.slices": declaration.evaluation.slices,
        "sample.tables": [name for table in declaration.sample.tables for name in (table.feature, *table.given)],
        "sample.label_given": declaration.sample.label_given,
    }
    for where, given_names in references.items():
        found += [f"{where}: no feature is named {name!r}" for name in given_names if name not in names]
    for index, table in enumerate(declaration.sample.tables):
        drawn = [earlier.feature for earlier in declaration.sample.tables[:index]]
        found += [
            f"sample.tables: {table.feature!r} is given {name!r}, which needs a table before it"
            for name in table.given
            if name in names and name not in drawn
        ]
    if declaration.training.label and declaration.training.label not in outputs:
        found.append(f"training.label: no output is named {declaration.training.label!r}")
    if declaration.serving.sticky.header and declaration.serving.sticky.feature:
        found.append("serving.sticky: expected a header or a feature, received both")
    policies = [name for name in ("latest", "specific", "all") if getattr(declaration.serving.policy, name) is not None]
    if len(policies) > 1:
        found.append(f"serving.policy: expected one of latest, specific and all, received {', '.join(policies)}")
    for number, source in enumerate(declaration.data.sources):
        given = [name for name in ("files", "sample", "bigquery", "subscription") if getattr(source, name)]
        if len(given) != 1:
            found.append(
                f"data.source[{number}]: expected one of files, sample, bigquery and subscription, "
                f"received {', '.join(given) or 'none'}"
            )
    return found


def feature_problems(feature: Feature) -> list[str]:
    """What contradicts itself in one feature."""
    found: list[str] = []
    values = [value.value for value in feature.values]
    if feature.kind == "category" and not values:
        found.append("a category needs `values`")
    if feature.kind == "category" and len({type(value) for value in values}) > 1:
        found.append("the values of a category are all integers or all strings")
    if feature.kind in ("number", "string") and values:
        found.append(f"`values` belong to a category, an integer or a boolean, not to a {feature.kind}")
    if feature.kind == "boolean" and any(type(value) is not bool for value in values):
        found.append("the values of a boolean are true and false")
    if feature.kind == "integer" and any(type(value) is not int for value in values):
        found.append("the values of an integer are whole numbers")
    if len(set(values)) < len(values):
        found.append("a value is listed twice")
    if feature.range is not None:
        low, high = feature.range
        if feature.kind not in ("number", "integer"):
            found.append("`range` belongs to a number or an integer")
        elif not low <= high or math.isinf(low) or math.isinf(high):
            found.append(f"expected a range [low, high], received [{low}, {high}]")
    if feature.tensor.shape not in ((-1,), (-1, 1)):
        found.append(f"expected a tensor of shape [-1] or [-1, 1], received {list(feature.tensor.shape)}")
    if not feature.name.isprintable() or set(feature.name) & {'"', "\\"} or not feature.name:
        found.append("expected a name without quotes, backslashes and control characters")  # JSON would escape them
    if not feature.required and feature.tensor.missing is None:
        found.append("a feature that is not required says what its tensor holds when missing (`tensor.missing`)")
    return found
