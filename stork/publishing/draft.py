"""The first model.toml of an imported model: what its signature tells, for a person to put into words."""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from stork.declaration import Feature, Tensor
from stork.publishing.signatures import Signature, TensorFacts

KINDS = {"string": "string", "bool": "boolean", "float32": "number", "float64": "number"}

HEAD = """\
# A first declaration of {name}, made from the signature {signature!r} of a SavedModel.
# Titles, help, units and defaults show as soon as this file is saved. What a request may hold (kind, range, values,
# required, tensor) is frozen in each version: change it here, then import the SavedModel again for a new version.

[model]
name = {quoted}
title = {quoted}
description = ""
"""

FEATURE = """
[[feature]]
name = {name}
title = {title}
kind = "{kind}"
help = ""
# unit = "..."
# {domain}
# required = false, with tensor = {{ ..., missing = ... }}: what the model takes for a value that is not known
tensor = {{ {tensor} }}
"""

DOMAINS = {
    "number": "range = [low, high]",
    "integer": 'range = [low, high], or values = [{ value = 1, title = "One" }, ...]',
    "boolean": 'values = [{ value = true, title = "Yes" }, { value = false, title = "No" }]',
    "string": 'kind = "category" and values = [{ value = "a", title = "A" }, ...], where the words are known',
}

OUTPUT = """
[[output]]
name = {name}
title = {title}
# unit = "...", digits = 2, range = [low, high]
tensor = {{ {tensor} }}
"""


def write_draft(
    path: Path, name: str, signature: Signature, outputs: Mapping[str, TensorFacts], left_out: Mapping[str, object]
) -> None:
    """Write the first model.toml of the model `name`: these outputs are declared, those only mentioned."""
    features = describe_inputs(signature)
    parts = [HEAD.format(name=name, signature=signature.name, quoted=quote(name))]
    parts += [
        FEATURE.format(
            name=quote(feature.name),
            title=quote(feature.title),
            kind=feature.kind,
            domain=DOMAINS[feature.kind],
            tensor=describe_tensor(tensor, feature.name, feature.tensor.dtype, feature.tensor.shape),
        )
        for tensor, feature in features.items()
    ]
    for tensor, facts in outputs.items():
        described = describe_tensor(tensor, tensor, facts.dtype, facts.shape or (-1,))
        parts.append(OUTPUT.format(name=quote(tensor), title=quote(words(tensor)), tensor=described))
    parts += [f"\n# Output {tensor!r} is left out: {facts}\n" for tensor, facts in left_out.items()]
    path.write_text("".join(parts), encoding="utf-8")


def describe_inputs(signature: Signature) -> dict[str, Feature]:
    """A feature for each input, by the input's name; the feature has it too, where a feature may be called that."""
    features: dict[str, Feature] = {}
    for tensor, facts in signature.inputs.items():
        taken = {feature.name for feature in features.values()} | signature.inputs.keys() - {tensor}
        name = plain_name(tensor, taken)
        kind = KINDS.get(facts.dtype, "integer")
        features[tensor] = Feature(name=name, title=words(name), kind=kind, tensor=tensor_of(facts))  # type: ignore[arg-type]
    return features


def plain_name(tensor: str, taken: Collection[str]) -> str:
    """The name without what no feature's name may hold (quotes, backslashes, control characters), and not taken."""
    name = "".join("_" if letter in '"\\' or not letter.isprintable() else letter for letter in tensor)
    while name in taken:
        name += "_"
    return name


def tensor_of(facts: TensorFacts) -> Tensor:
    return Tensor(dtype=facts.dtype, shape=facts.shape or (-1,))  # type: ignore[arg-type]


def describe_tensor(tensor: str, name: str, dtype: str, shape: tuple[int, ...]) -> str:
    """The inside of a tensor's inline table."""
    named = f"name = {quote(tensor)}, " if tensor != name else ""
    return f'{named}dtype = "{dtype}", shape = {list(shape)}'


def quote(text: str) -> str:
    """A TOML string: JSON's, but for escapes of half a character and for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def words(name: str) -> str:
    """A first title: `mother_age` is "Mother age"."""
    return (re.sub(r"[_\s]+", " ", name).strip() or name).capitalize()
