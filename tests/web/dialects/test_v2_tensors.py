"""Tensors of plain numbers take a road of their own, to the same place."""

import json
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from server import BABY

from stork.config import PROJECT
from stork.declaration import load_declaration
from stork.errors import StorkError
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.schema.held import HeldColumns, HeldDecoder
from stork.web.dialects.v2_infer import Body, bodies, number_bodies, read_body
from stork.web.dialects.v2_tensors import DATATYPES, read_columns

SCHEMA = Schema.of(load_declaration(PROJECT / "model" / "babyweight" / "model.toml"))
DECODER = Decoder(SCHEMA, max_instances=4)
HELD = HeldDecoder(DECODER)
GOOD = {**BABY, "is_male": 1.0, "mother_married": 0.0, "cigarette_use": None, "alcohol_use": None}
OWN = {feature.name: DATATYPES[feature.tensor.dtype] for feature in SCHEMA.features}

NUMBERS = st.sampled_from([None, 0, 1, 2, -0.0, 0.5, 1.0, 9, 10, 28.0, 28.5, 60, 61, 900, 1e30, 2**70])
DATATYPE = st.sampled_from(["FP32", "INT32", "FP64", "BYTES", "BOOL"])


def document(changed: dict[str, list[Any]], datatypes: dict[str, str], nested: bool = False) -> bytes:
    """An inference request of two rows, these columns and datatypes changed."""
    columns = {name: [value, value] for name, value in GOOD.items()} | changed
    data = {name: [[value] for value in column] if nested else column for name, column in columns.items()}
    types = OWN | datatypes
    return json.dumps(
        {"inputs": [{"name": n, "shape": [2], "datatype": types[n], "data": data[n]} for n in columns]}
    ).encode()


def outcome(body: Body) -> Any:
    """The tensors and what the log keeps, or the error."""
    try:
        given = read_columns(DECODER, body.inputs, b"")
        decode = HELD.decode if isinstance(given, HeldColumns) else DECODER.decode_columns
        checked = decode(given, "inputs")  # type: ignore[arg-type]
    except StorkError as error:
        return str(error)
    return {n: np.nan_to_num(t, nan=-9.0).tolist() for n, t in checked.tensors.items()}, repr(checked.rows[:])


@given(
    st.dictionaries(st.sampled_from(sorted(OWN)), st.lists(NUMBERS, min_size=2, max_size=2), max_size=2),
    st.dictionaries(st.sampled_from(sorted(OWN)), DATATYPE, max_size=1),
)
def test_plain_numbers_are_understood_as_any_data(changed: dict[str, list[Any]], datatypes: dict[str, str]) -> None:
    """The same tensors, the same log, the same error, whether msgspec saw to the numbers or the check does."""
    content = document(changed, datatypes)

    assert outcome(number_bodies.decode(content)) == outcome(bodies.decode(content))


def test_plain_numbers_are_not_looked_at_one_by_one() -> None:
    """In the datatypes of the model's own tensors they reach the check as the lists that were parsed."""
    body = read_body(document({}, {}))
    given = read_columns(DECODER, body.inputs, b"")

    assert isinstance(given, HeldColumns)
    assert all(given.values[tensor.name] is tensor.data for tensor in body.inputs)


def test_nested_numbers_mean_the_same() -> None:
    """What msgspec does not take as plain numbers goes the longer way."""
    assert outcome(read_body(document({}, {}, nested=True))) == outcome(read_body(document({}, {})))
