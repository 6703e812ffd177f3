"""The signatures of a SavedModel, read from its file in a process of its own and without building the model."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from stork.declaration import DType
from stork.errors import BadRequest, NotFound
from stork.evaluation.limited import end_process, run_limited
from stork.publishing.example_probe import ExampleFeature, read_features
from stork.schema.tensors import Tensors
from stork.serving.backends.saved_model import TAG, import_tensorflow

SECONDS = 120.0
FILES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")
DEFAULT = "serving_default"
PREDICT = ("tensorflow/serving/predict", "")
INPUT_SHAPES = ((-1,), (-1, 1))


class TensorFacts(msgspec.Struct, frozen=True):
    """
    An input or an output: its tensor in the graph ("" for a sparse or composite one), its dtype as TensorFlow names
    it, its shape with -1 for any size, None for any rank.
    """

    tensor: str
    dtype: str
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        return f"{self.dtype} {'of any rank' if self.shape is None else list(self.shape)}"


class Signature(msgspec.Struct, frozen=True):
    """
    Named inputs and outputs. `method` is what TensorFlow Serving is to do with them; `written_by` its version.

    `examples`: what the graph itself expects in its only input, where it parses that as tf.Examples.
    """

    name: str
    method: str
    inputs: dict[str, TensorFacts]
    outputs: dict[str, TensorFacts]
    written_by: str
    examples: dict[str, ExampleFeature] = {}

    def __str__(self) -> str:
        sides = (", ".join(f"{name} {facts}" for name, facts in side.items()) for side in (self.inputs, self.outputs))
        return f"{self.name} ({' -> '.join(sides)})"


def read_signatures(folder: Path) -> dict[str, Signature]:
    """
    Every signature with inputs and outputs, by name.

    Raises:
        NotFound: there is no such folder.
        BadRequest: it holds no SavedModel, or one that cannot be read or has no signature to serve.
    """
    check_folder(folder)
    with tempfile.TemporaryDirectory(prefix="stork-") as scratch:
        listed = Path(scratch) / "signatures.json"
        reason = run_limited("stork.publishing.signatures", [str(folder.resolve()), str(listed)], SECONDS)
        if reason:
            raise BadRequest(f"{folder}: reading the SavedModel failed: {reason}")
        found = msgspec.json.decode(listed.read_bytes(), type=list[Signature])
    if not found:
        raise BadRequest(f"{folder}: the SavedModel has no signature with inputs and outputs")
    return {signature.name: signature for signature in found}


def check_folder(folder: Path) -> None:
    """
    Raises:
        NotFound, BadRequest: this is not the folder of a SavedModel; where another is near, the message names it.
    """
    if folder.is_file():
        hint = "; model.export(FOLDER) in Keras writes one" if folder.suffix in (".keras", ".h5", ".hdf5") else ""
        raise BadRequest(f"{folder}: expected the folder of a SavedModel, received a file{hint}")
    if not folder.is_dir():
        raise NotFound(f"{folder}: there is no such folder")
    if not any((folder / name).is_file() for name in FILES):
        inside = sorted(path.parent for path in folder.glob("*/saved_model.pb"))
        hint = f"; did you mean {inside[-1]}?" if inside else ""
        raise BadRequest(f"{folder}: expected a SavedModel, found no {FILES[0]} in it{hint}")


def choose_signature(signatures: dict[str, Signature], asked: str | None) -> Signature:
    """
    The signature of this name; without one `serving_default`, or the only one that predicts.

    Raises:
        BadRequest: there is no such signature, or it is not clear which is meant; the message lists them.
    """
    listed = "; ".join(map(str, signatures.values()))
    if asked is not None:
        if asked not in signatures:
            raise BadRequest(f"the SavedModel has no signature {asked!r}; it has: {listed}")
        return signatures[asked]
    predicting = {name: s for name, s in signatures.items() if s.method in PREDICT} or signatures
    if DEFAULT in predicting:
        return predicting[DEFAULT]
    if len(predicting) > 1:
        which = "none that predicts" if DEFAULT in signatures else "none"
        raise BadRequest(f"the SavedModel has several signatures and {which} is {DEFAULT!r}; choose one: {listed}")
    return next(iter(predicting.values()))


def check_inputs(signature: Signature) -> None:
    """
    Raises:
        BadRequest: an input is not a plain tensor of a known type and shape [-1] or [-1, 1]; every such one is named.
    """
    problems = [f"input {name!r}: {problem}" for name, facts in signature.inputs.items() if (problem := refuse(facts))]
    tensors = [facts.tensor for facts in signature.inputs.values()]
    shared = [name for name, facts in signature.inputs.items() if facts.tensor and tensors.count(facts.tensor) > 1]
    if shared:
        problems.append(f"inputs {', '.join(map(repr, shared))} are one and the same tensor of the graph")
    if "" in signature.inputs:
        problems.append("an input has no name")
    if problems:
        raise BadRequest(f"signature {signature.name!r} cannot be served: {'; '.join(problems)}")


def refuse(facts: TensorFacts) -> str:
    """Why an input of this kind cannot be served; empty when it can."""
    if not facts.tensor:
        return "expected a plain tensor, received a sparse or composite one"
    if facts.dtype not in get_args(DType):
        return f"expected one of {', '.join(get_args(DType))}, received {facts.dtype}"
    if facts.shape in INPUT_SHAPES:
        return ""
    received = "one of unknown rank" if facts.shape is None else str(list(facts.shape))
    return f"expected one value per instance, shape [-1] or [-1, 1], received {received}"


def left_out(signature: Signature) -> dict[str, TensorFacts]:
    """Outputs that cannot be served."""
    served = servable_outputs(signature)
    return {name: facts for name, facts in signature.outputs.items() if name not in served}


def servable_outputs(signature: Signature) -> dict[str, TensorFacts]:
    """
    Outputs with a value or a row of values per instance, as far as the signature tells; the others are left out.

    A shape [] is taken for an unknown one: old exports write it for outputs of any rank.

    Raises:
        BadRequest: there is none.
    """
    kept = {
        name: facts
        for name, facts in signature.outputs.items()
        if name
        and facts.tensor
        and facts.dtype in get_args(DType)
        and (facts.shape is None or facts.shape == () or (len(facts.shape) < 3 and facts.shape[0] == -1))
    }
    if not kept:
        raise BadRequest(
            f"signature {signature.name!r} cannot be served: expected an output of shape [-1], [-1, 1] or [-1, k], "
            f"received {', '.join(f'{name} {facts}' for name, facts in signature.outputs.items())}"
        )
    return kept


def observe(outputs: Mapping[str, TensorFacts], answered: Tensors) -> dict[str, TensorFacts]:
    """The outputs that can be served, with the shapes they really have; -1 for the rows."""
    return {
        name: msgspec.structs.replace(facts, shape=(-1, *answered[name].shape[1:]))
        for name, facts in outputs.items()
        if name in answered
    }


def main(arguments: list[str]) -> None:
    """Write the signatures of the SavedModel in arguments[0] to the file arguments[1]."""
    folder, listed = arguments
    tensorflow = import_tensorflow()
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    try:
        meta_graphs = parse_saved_model(folder).meta_graphs
    except (OSError, tensorflow.errors.OpError) as error:
        raise BadRequest(str(error)) from error
    tag_sets = [sorted(meta_graph.meta_info_def.tags) for meta_graph in meta_graphs]
    if [TAG] not in tag_sets:
        raise BadRequest(f"expected a graph tagged {TAG!r}, received graphs tagged {tag_sets}")
    meta_graph = meta_graphs[tag_sets.index([TAG])]
    shapes = placeholder_shapes(meta_graph.graph_def)
    names = [name for name in sorted(meta_graph.signature_def) if not name.startswith("__saved_model")]
    found = [describe_signature(name, meta_graph, shapes) for name in names]
    Path(listed).write_bytes(msgspec.json.encode([s for s in found if s.inputs and s.outputs]))


def placeholder_shapes(graph: Any) -> dict[str, tuple[int, ...]]:
    """Graph tensor -> shape: what really is fed, which some signatures misstate."""
    return {
        f"{node.name}:0": plain_shape(node.attr["shape"].shape)
        for node in graph.node
        if node.op == "Placeholder" and "shape" in node.attr and not node.attr["shape"].shape.unknown_rank
    }


def plain_shape(shape: Any) -> tuple[int, ...]:
    return tuple(int(axis.size) for axis in shape.dim)


def describe_signature(name: str, meta_graph: Any, shapes: dict[str, tuple[int, ...]]) -> Signature:
    """A signature as plain data; inputs and outputs by name."""
    signature = meta_graph.signature_def[name]
    inputs, outputs = (
        {key: describe_tensor(side[key], shapes) for key in sorted(side)}
        for side in (signature.inputs, signature.outputs)
    )
    tensors = [facts.tensor for facts in inputs.values()]
    examples = read_features(meta_graph.graph_def, tensors[0]) if len(tensors) == 1 else {}
    written_by = meta_graph.meta_info_def.tensorflow_version
    return Signature(name, signature.method_name, inputs, outputs, written_by, examples)


def describe_tensor(info: Any, shapes: dict[str, tuple[int, ...]]) -> TensorFacts:
    tensorflow = import_tensorflow()
    dtype = tensorflow.as_dtype(info.dtype).name if info.dtype else "of no type"  # as the output of an init op
    declared = None if info.tensor_shape.unknown_rank else plain_shape(info.tensor_shape)
    tensor = str(info.name) if info.WhichOneof("encoding") == "name" else ""
    return TensorFacts(tensor, dtype, shapes.get(tensor, declared))


if __name__ == "__main__":
    end_process(main)
