"""What an import freezes of the signatures besides the one it chose: each with a schema of its own, or why not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from stork.declaration import Declaration, Feature, Output, Tensor
from stork.errors import BadRequest, VersionBroken
from stork.evaluation.probe import probe_rows
from stork.publishing.draft import describe_inputs
from stork.publishing.example_probe import probe_examples
from stork.publishing.signatures import (
    PREDICT,
    Signature,
    TensorFacts,
    check_inputs,
    observe,
    servable_outputs,
)
from stork.publishing.twin import Examined, examine
from stork.schema.frozen import Schema, tensor_name
from stork.schema.tensors import Tensors
from stork.store.version import FurtherSignature

PROBE_ROWS = 20
SCORED = {"tensorflow/serving/classify": "classify", "tensorflow/serving/regress": "regress"}
# What TensorFlow Serving takes for these verbs: one input, of tf.Examples, and one or all of these outputs.
INPUT = "inputs"
OUTPUTS = {"classify": {"classes": "string", "scores": "float32"}, "regress": {"outputs": "float32"}}


def freeze_further(
    folder: Path, others: Mapping[str, Signature], declaration: Declaration
) -> dict[str, FurtherSignature]:
    """Every other signature by name. TensorFlow is asked a few rows of each."""
    return {name: freeze_signature(folder, signature, declaration) for name, signature in others.items()}


def freeze_signature(folder: Path, signature: Signature, declaration: Declaration) -> FurtherSignature:
    """One signature with its schema; an input that is a declared feature is held to its declaration here too."""
    method = "predict" if signature.method in PREDICT else SCORED.get(signature.method, "")
    try:
        if not method:
            raise BadRequest(f"expected a signature to predict, classify or regress, received {signature.method}")
        check_inputs(signature)
        outputs = servable_outputs(signature)
        schema = make_schema(signature, outputs, declaration)
        if method in OUTPUTS:
            check_scored(signature, method)
            steady = is_steady(folder, signature, schema)
        else:  # what a predict signature really answers, its declaration does not always tell
            examined = try_signature(folder, signature, schema)
            schema = make_schema(signature, observe(outputs, examined.outputs), declaration)
            steady = examined.found.steady
        return FurtherSignature(method=method, schema=schema, steady=steady)  # type: ignore[arg-type]
    except (BadRequest, VersionBroken) as error:
        return FurtherSignature(reason=str(error))


def try_signature(folder: Path, signature: Signature, schema: Schema) -> Examined:
    """
    What TensorFlow makes of a few rows.

    Raises:
        VersionBroken: it answers none of them.
    """
    _, tensors = make_probe(schema, signature, PROBE_ROWS)
    return examine(folder, schema, tensors, make=False)


def is_steady(folder: Path, signature: Signature, schema: Schema) -> bool:
    """Whether a signature of tf.Examples answers them alone as among others; no where it cannot be tried."""
    if not signature.examples:  # what it parses is not known, so none can be made for it
        return False
    try:
        return try_signature(folder, signature, schema).found.steady
    except VersionBroken:
        return False


def make_probe(schema: Schema, signature: Signature, rows: int) -> tuple[list[Any], Tensors]:
    """Rows to try a signature with, as instances and as tensors; tf.Examples are none, since JSON has no bytes."""
    if signature.examples:
        (feature,) = schema.features
        examples = probe_examples(signature.examples, rows)
        return [], {tensor_name(feature): examples.reshape([rows, *[1] * (len(feature.tensor.shape) - 1)])}
    probe = probe_rows(schema, rows)
    return probe.rows[:], probe.tensors


def check_scored(signature: Signature, method: str) -> None:
    """
    Raises:
        BadRequest: the signature is not as TensorFlow Serving's own exporters make those of this method.
    """
    taken = {name: facts.dtype for name, facts in signature.inputs.items()}
    given = {name: facts.dtype for name, facts in signature.outputs.items()}
    if taken != {INPUT: "string"} or not given.items() <= OUTPUTS[method].items():
        raise BadRequest(
            f"to {method} it must take tf.Examples as {INPUT!r}, and answer {' or '.join(OUTPUTS[method])}; "
            f"received {signature}"
        )


def make_schema(signature: Signature, outputs: Mapping[str, TensorFacts], declaration: Declaration) -> Schema:
    """What requests for a signature are held to."""
    declared = {tensor_name(feature): feature for feature in declaration.features}
    features = [choose(declared.get(name), found) for name, found in describe_inputs(signature).items()]
    return Schema(
        model=declaration.model.name,
        features=tuple(features),
        outputs=tuple(
            Output(name=name, tensor=Tensor(dtype=facts.dtype, shape=facts.shape or (-1,)))  # type: ignore[arg-type]
            for name, facts in outputs.items()
        ),
        signature=signature.name,
    )


def choose(declared: Feature | None, found: Feature) -> Feature:
    """The declared feature of an input's name, where it is of the same type and shape; else what the input tells."""
    if declared is None or (declared.tensor.dtype, declared.tensor.shape) != (found.tensor.dtype, found.tensor.shape):
        return found
    return declared


def write_further(folder: Path, further: dict[str, FurtherSignature]) -> None:
    """signatures.json beside the schema; none where the model has but one signature."""
    if further:
        (folder / "signatures.json").write_bytes(msgspec.json.format(msgspec.json.encode(further), indent=2) + b"\n")
