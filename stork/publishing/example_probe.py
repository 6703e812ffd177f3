"""tf.Examples to try a signature with that parses them: what its graph expects in one, and made-up ones."""

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from stork.schema.tensors import Array
from stork.schema.tf_example import Values, encode_example
from stork.serving.backends.saved_model import import_tensorflow

PARSERS = ("ParseExample", "ParseExampleV2")
WORDS = (b"", b"a", b"0", b"unknown")


class ExampleFeature(msgspec.Struct, frozen=True):
    """A feature of a tf.Example: float32, int64 or string, and how many values of it."""

    dtype: str
    size: int


def read_features(graph: Any, tensor: str) -> dict[str, ExampleFeature]:
    """What the graph expects in the tf.Examples of this tensor; empty where it does not parse any there."""
    nodes = {node.name: node for node in graph.node}
    for node in nodes.values():
        if node.op in PARSERS and source_of(nodes, node.input[0]) == tensor.partition(":")[0]:
            return dict(parsed_features(nodes, node))
    return {}


def source_of(nodes: Mapping[str, Any], tensor: str) -> str:
    """The node that a tensor comes from, handed through or not."""
    node = nodes[tensor.partition(":")[0]]
    return source_of(nodes, node.input[0]) if node.op == "Identity" else str(node.name)


def parsed_features(nodes: Mapping[str, Any], parser: Any) -> Iterator[tuple[str, ExampleFeature]]:
    """Sparse features, of which one value will do, and dense ones, of which there are as many as their shape says."""
    tensorflow = import_tensorflow()

    def keys(position: int, count: int) -> list[str]:
        inputs = parser.input[position : position + count]
        held = [tensorflow.make_ndarray(nodes[name.partition(":")[0]].attr["value"].tensor) for name in inputs]
        return [key.decode() for array in held for key in np.ravel(array)]

    if parser.op == "ParseExample":  # one input per key
        sparse_count, dense_count = parser.attr["Nsparse"].i, parser.attr["Ndense"].i
        sparse, dense = keys(2, sparse_count), keys(2 + sparse_count, dense_count)
    else:  # one input for all sparse keys, one for all dense ones
        sparse, dense = keys(2, 1), keys(3, 1)
    shapes = [[axis.size for axis in shape.dim] for shape in parser.attr["dense_shapes"].list.shape]
    sizes = [1] * len(sparse) + [math.prod(max(1, size) for size in shape) for shape in shapes]
    types = [*parser.attr["sparse_types"].list.type, *parser.attr["Tdense"].list.type]
    for key, size, dtype in zip([*sparse, *dense], sizes, types, strict=True):
        yield key, ExampleFeature(tensorflow.as_dtype(dtype).name, size)


def probe_examples(features: Mapping[str, ExampleFeature], rows: int, seed: int = 1) -> Array:
    """Serialized tf.Examples, shape (rows,), always the same for the same arguments; the first holds only zeros."""
    draw = random.Random(seed)
    examples = [
        encode_example({name: draw_values(feature, row, draw) for name, feature in features.items()})
        for row in range(rows)
    ]
    return np.array(examples, np.object_)


def draw_values(feature: ExampleFeature, row: int, draw: random.Random) -> Values:
    """As many values as the feature has; small, since a graph may look them up in a table."""
    if feature.dtype == "string":
        return [WORDS[draw.randrange(len(WORDS)) if row else 0] for _ in range(feature.size)]
    if feature.dtype == "float32":
        return [draw.uniform(-1, 1) * row for _ in range(feature.size)]
    return [draw.randrange(1 + min(row, 2)) for _ in range(feature.size)]
