"""The first model.toml of an imported model: what its signature tells, for a person to put into words."""

import json
import re
from pathlib import Path

from stork.declaration import Feature, Tensor
from stork.publishing.signatures import Signature, TensorFacts, servable_outputs

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


def write_draft(folder: Path, name: str, signature: Signature, shapes: dict[str, tuple[int, ...]]) -> Path:
    """Write model.toml into `folder`; `shapes` are those of the outputs, where they are known. Its path."""
    features = describe_inputs(signature)
    parts = [HEAD.format(name=name, signature=signature.name, quoted=json.dumps(name))]
    parts += [
        FEATURE.format(
            name=json.dumps(feature.name),
            title=json.dumps(feature.title),
            kind=feature.kind,
            domain=DOMAINS[feature.kind],
            tensor=describe_tensor(tensor, feature.name, feature.tensor.dtype, feature.tensor.shape),
        )
        for tensor, feature in features.items()
    ]
    for tensor, facts in servable_outputs(signature).items():
        described = describe_tensor(tensor, tensor, facts.dtype, shapes.get(tensor, (-1,)))
        parts.append(OUTPUT.format(name=json.dumps(tensor), title=json.dumps(words(tensor)), tensor=described))
    path = folder / "model.toml"
    path.write_text("".join(parts), encoding="utf-8")
    return path


def describe_inputs(signature: Signature) -> dict[str, Feature]:
    """A feature for each input, by the input's name."""
    return {
        name: Feature(name=name, title=words(name), kind=kind_of(facts), tensor=tensor_of(facts))  # type: ignore[arg-type]
        for name, facts in signature.inputs.items()
    }


def kind_of(facts: TensorFacts) -> str:
    return KINDS.get(facts.dtype, "integer")


def tensor_of(facts: TensorFacts) -> Tensor:
    return Tensor(dtype=facts.dtype, shape=facts.shape or (-1,))  # type: ignore[arg-type]


def describe_tensor(tensor: str, name: str, dtype: str, shape: tuple[int, ...]) -> str:
    """The inside of a tensor's inline table."""
    named = f"name = {json.dumps(tensor)}, " if tensor != name else ""
    return f'{named}dtype = "{dtype}", shape = {list(shape)}'


def words(name: str) -> str:
    """A first title: `mother_age` is "Mother age"."""
    return (re.sub(r"[_\s]+", " ", name).strip() or name).capitalize()
