"""Instances by column: checked as those by row are, and located by column."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from server import BABY

from stork.config import PROJECT
from stork.declaration import Feature, Tensor, load_declaration
from stork.errors import InvalidInstances, PayloadTooLarge
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.schema.instances import Columns

SCHEMA = Schema.of(load_declaration(PROJECT / "model" / "babyweight" / "model.toml"))
DECODER = Decoder(SCHEMA, max_instances=3)

values = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 60), st.sampled_from([1.0, 28.5, float("nan"), "", "1", 39, 39.0])
)


def by_column(rows: list[dict[str, Any]]) -> Columns:
    return Columns({name: [row.get(name) for row in rows] for name in rows[0]})


def outcome(decode: Any) -> Any:
    """The tensors as lists, or how many problems there were."""
    try:
        return {name: np.nan_to_num(tensor, nan=-9.0).tolist() for name, tensor in decode().tensors.items()}
    except InvalidInstances as error:
        return error.total


def test_a_text_that_is_required_may_not_be_left_out() -> None:
    """Its column is missing, as its value would be by row."""
    text = Feature(name="s", kind="string", required=True, tensor=Tensor(dtype="string"))
    number = Feature(name="n", kind="integer", required=False)
    decoder = Decoder(Schema(model="m", signature="s", features=(text, number), outputs=()), max_instances=3)

    with pytest.raises(InvalidInstances, match=r"s\[0\]: expected a string, received nothing"):
        decoder.decode_columns(Columns({"n": [1, 2]}))


@given(st.fixed_dictionaries(dict.fromkeys(BABY, values)), st.fixed_dictionaries(dict.fromkeys(BABY, values)))
def test_columns_are_held_to_what_rows_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The same values are accepted or refused, and become the same tensors, in either form."""
    rows = [BABY, BABY | one, BABY | other]

    assert outcome(lambda: DECODER.decode_columns(by_column(rows))) == outcome(lambda: DECODER.decode(rows))


def test_a_problem_is_located_in_its_column() -> None:
    """Who sent columns is told the column, then the row."""
    with pytest.raises(InvalidInstances) as caught:
        DECODER.decode_columns(by_column([BABY, {**BABY, "mother_age": 900}]))

    assert str(caught.value) == "$.inputs.mother_age[1]: expected 10 to 60, received 900"


def test_a_column_left_out_is_missing_in_every_row() -> None:
    """Optional features may be left out whole; what the log keeps does not name them either."""
    columns = Columns({name: [value] * 2 for name, value in BABY.items() if value is not None})
    instances = DECODER.decode_columns(columns)

    assert np.isnan(instances.tensors["alcohol_use"]).all()
    assert instances.rows[:1] == [{name: value for name, value in BABY.items() if value is not None}]


def test_too_many_rows_are_refused_before_they_are_read() -> None:
    """The limit of instances holds for columns too."""
    with pytest.raises(PayloadTooLarge, match="at most 3 instances, received 4"):
        DECODER.decode_columns(by_column([BABY] * 4))
