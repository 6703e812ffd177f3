"""What a declaration must not say, though each key of it is of its type: names of nothing, domains that do not fit."""

import math

import msgspec

from stork.declaration.data import SPAN_COLUMNS
from stork.declaration.declaration import Declaration
from stork.declaration.features import Feature
from stork.declaration.training import Search, Training


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
    entities = {"serving.sticky": declaration.serving.sticky, "log.entity": declaration.log.entity}
    references = {
        "form.what_if": [declaration.form.what_if] if declaration.form.what_if else [],
        **{f"{place}.feature": [entity.feature] for place, entity in entities.items() if entity.feature},
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
    found += evaluation_problems(declaration)
    if declaration.training.label and declaration.training.label not in outputs:
        found.append(f"training.label: no output is named {declaration.training.label!r}")
    if declaration.training.label:
        own = [name for name in (*names, *outputs) if name.lower() in SPAN_COLUMNS]
        found += [f"{name!r}: expected another name to train with, a column of spans has this one" for name in own]
    found += split_problems(declaration.training)
    if declaration.training.weight in (*names, *outputs):
        found.append(f"training.weight: {declaration.training.weight!r} is a feature or an output, not a weight")
    for key, search in declaration.tuning.space.searched.items():
        found += [f"tuning.space.{key}: {problem}" for problem in search_problems(key, search, declaration.training)]
    found += [
        f"{place}: expected a header or a feature, received both"
        for place, entity in entities.items()
        if entity.header and entity.feature
    ]
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


def split_problems(training: Training) -> list[str]:
    """Buckets that there are not, or that would be in two splits, or none left to learn from."""
    found = []
    for split in ("eval", "test"):
        beyond = [bucket for bucket in getattr(training, split) if not 0 <= bucket < training.buckets]
        if beyond:
            found.append(f"training.{split}: expected buckets from 0 to {training.buckets - 1}, received {beyond[0]}")
    if shared := sorted(set(training.eval) & set(training.test)):
        found.append(f"training: bucket {shared[0]} is in eval and in test")
    if len({*training.eval, *training.test}) >= training.buckets:
        found.append(f"training: all {training.buckets} buckets are in eval or test, none is left to learn from")
    return found


def evaluation_problems(declaration: Declaration) -> list[str]:
    """Bounds the wrong way round, and tolerances of slices that are not scored."""
    evaluation = declaration.evaluation
    found = []
    for name in ("rmse_ratio", "baseline_ratio"):
        low, high = getattr(evaluation, f"min_{name}"), getattr(evaluation, f"max_{name}")
        if low > high:
            found.append(f"evaluation.min_{name}: expected at most max_{name} ({high:g}), received {low:g}")
    sliced = [feature for feature in declaration.features if feature.name in evaluation.slices]
    known = [feature.name for feature in sliced] + [f"{feature.title or feature.name}: ..." for feature in sliced]
    for key in evaluation.max_slice_ratios:
        if key not in known and f"{key.partition(': ')[0]}: ..." not in known:
            found.append(f"evaluation.max_slice_ratios: expected one of {', '.join(known) or 'none'}, received {key!r}")
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


def search_problems(key: str, search: Search, training: Training) -> list[str]:
    """What is wrong with the values to try for one key of `[training]`."""
    low, high = search.low, search.high
    if bool(search.choices) == (low is not None or high is not None) or (low is None) != (high is None):
        return ["expected `low` and `high`, or `choices`"]
    found = []
    for value in search.choices or (low, high):
        try:
            msgspec.convert({key: msgspec.to_builtins(value)}, Training)
        except msgspec.ValidationError as error:
            found.append(f"{value!r} is no value of [training] {key}: {error}")
    if found:
        return found
    declared = getattr(training, key)
    if low is None or high is None:
        if search.log:
            found.append("`log` belongs to `low` and `high`")
        if declared not in search.choices:
            found.append(f"expected the declared {declared!r} among the choices, to compare with")
    elif not low < high or (search.log and low <= 0):
        found.append(f"expected low < high{', above 0 for `log`' if search.log else ''}; received {low} to {high}")
    elif not low <= declared <= high:
        found.append(f"expected the declared {declared!r} in {low} to {high}, to compare with")
    return found
