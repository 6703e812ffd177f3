"""Instances as the model's own tensors: accepted, refused and understood as the same values by column are."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parcels import parcels
from server import BABY

from stork.config import PROJECT
from stork.declaration import Feature, Tensor, Value, load_declaration
from stork.errors import InvalidInstances, PayloadTooLarge
from stork.schema.decode import Decoder
from stork.schema.frozen import NUMPY_DTYPES, Schema
from stork.schema.held import HeldColumns, HeldDecoder, compile_check

SCHEMA = Schema.of(load_declaration(PROJECT / "model" / "babyweight" / "model.toml"))
DECODER = Decoder(SCHEMA, max_instances=4)
HELD = HeldDecoder(DECODER)
DTYPES = {feature.name: NUMPY_DTYPES[feature.tensor.dtype] for feature in SCHEMA.features}

GOOD = {**BABY, "is_male": 1.0, "mother_married": 0.0, "cigarette_use": np.nan, "alcohol_use": np.nan}
ODD = st.sampled_from([0, 1, 2, -0.0, 0.5, 1.5, 9, 10, 28, 47, 60, 61, 900, 1e30, -1e30, np.nan, np.inf, -np.inf])


def held(rows: list[dict[str, Any]], left_out: tuple[str, ...] = ()) -> HeldColumns:
    """Rows of what tensors hold as arrays of the schema's dtypes; what an integer cannot hold becomes some integer."""
    with np.errstate(invalid="ignore"):
        columns = {
            name: np.array([row[name] for row in rows], np.float64).astype(dtype)
            for name, dtype in DTYPES.items()
            if name not in left_out
        }
    return HeldColumns(columns, DECODER.restorers)


def outcome(decode: Any) -> Any:
    """The tensors as lists, or every problem."""
    try:
        return {name: np.nan_to_num(tensor, nan=-9.0).tolist() for name, tensor in decode().tensors.items()}
    except InvalidInstances as error:
        return [str(problem) for problem in error.problems]


@given(st.sampled_from(sorted(DTYPES)), st.lists(ODD, min_size=1, max_size=3))
def test_arrays_are_held_to_what_lists_are(name: str, values: list[float]) -> None:
    """The same tensors, or the same problems at the same places."""
    instances = held([{**GOOD, name: value} for value in values])

    assert outcome(lambda: HELD.decode(instances, "$.inputs")) == outcome(
        lambda: DECODER.decode_columns(instances.listed())
    )


def feature(kind: str, dtype: str, *codes: Any, **options: Any) -> Feature:
    """A feature x whose values are held as these codes."""
    missing = options.pop("missing", None)
    values = tuple(Value(value=index, encoded=code) for index, code in enumerate(codes))
    tensor = Tensor(dtype=dtype, missing=missing)  # type: ignore[arg-type]
    return Feature(name="x", kind=kind, values=values, required=missing is None, tensor=tensor, **options)  # type: ignore[arg-type]


FEATURES = [
    feature("integer", "int64"),
    feature("integer", "uint8", range=(1.5, 200)),
    feature("integer", "int32", range=(-5, 1e10), missing=-1),
    feature("integer", "float64"),
    feature("integer", "float32", range=(0, 100_000), missing=np.nan),
    feature("number", "float32", range=(0.1, 60.1)),
    feature("number", "float32", range=(-60.09999999, 60.09999999), missing=900),
    feature("number", "float32", range=(0, 1e300)),
    feature("number", "float64", range=(0.1, 60.1)),
    feature("boolean", "bool"),
    feature("boolean", "uint8", missing=9),
    feature("category", "int64", 2**53, 2**53 + 2),
    feature("category", "int32", 0, 100_000),
    feature("category", "float32", 0.1, 0.75, missing=np.nan),
]
NUMBERS = [*(ODD_ONES := [0, 1, -1, 2, 9, 47, 60, 200, 255, 900, 100_000, 2**53, 2**53 + 1, 2**53 + 2]), 2**63 - 1]
REALS = [*ODD_ONES, 0.1, 0.5, 0.75, 1.5, 60.1, 60.2, -60.1, -0.0, 1e30, 3.4e38, np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f"{f.kind}-{f.tensor.dtype}-{f.range}")
@given(data=st.data())
def test_every_dtype_is_held_to_what_lists_are(feature: Feature, data: st.DataObject) -> None:
    """Few or many: whole numbers that no float64 tells apart, ends that no float32 holds, what stands for missing."""
    decoder = Decoder(Schema.of(msgspec.structs.replace(parcels(), features=(feature,))), max_instances=300)
    dtype = NUMPY_DTYPES[feature.tensor.dtype]
    is_real = np.issubdtype(dtype, np.floating)
    fitting = (
        REALS
        if is_real
        else [n for n in NUMBERS if dtype is np.bool_ or np.iinfo(dtype).min <= n <= np.iinfo(dtype).max]
    )
    array = np.array(data.draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=3)), dtype)
    array = np.tile(array, data.draw(st.sampled_from([1, 100])))
    instances = HeldColumns({"x": array}, decoder.restorers)

    assert outcome(lambda: HeldDecoder(decoder).decode(instances, "$.inputs")) == outcome(
        lambda: decoder.decode_columns(instances.listed())
    )


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f"{f.kind}-{f.tensor.dtype}-{f.range}")
@given(data=st.data())
def test_numbers_are_held_to_what_lists_are(feature: Feature, data: st.DataObject) -> None:
    """What JSON holds of a tensor, null too, gives the tensors or problems that the values it stands for give."""
    decoder = Decoder(Schema.of(msgspec.structs.replace(parcels(), features=(feature,))), max_instances=300)
    numbers = data.draw(st.lists(st.sampled_from([*NUMBERS, *REALS, 10**400, None]), min_size=1, max_size=3))
    instances = HeldColumns({"x": numbers * data.draw(st.sampled_from([1, 100]))}, decoder.restorers)

    assert outcome(lambda: HeldDecoder(decoder).decode(instances, "$.inputs")) == outcome(
        lambda: decoder.decode_columns(instances.listed(), "$.inputs")
    )


def test_no_number_stands_for_a_text() -> None:
    """A list of numbers for a feature whose tensor holds text is refused as in any other form."""
    decoder = Decoder(Schema.of(parcels()), max_instances=4)
    instances = HeldColumns({"kilograms": [1.5], "service": [1]}, decoder.restorers)

    assert outcome(lambda: HeldDecoder(decoder).decode(instances, "$.inputs")) == [
        '$.inputs.service[0]: expected one of "slow", "fast", received 1'
    ]


def test_good_arrays_are_not_copied() -> None:
    """Thousands of rows pass without a Python object for each value."""
    instances = held([GOOD, GOOD])
    checked = HELD.decode(instances, "$.inputs")

    assert all(np.shares_memory(checked.tensors[name], np.asarray(array)) for name, array in instances.values.items())


def test_a_feature_left_out_is_missing() -> None:
    """An optional one in every row; a required one is named."""
    checked = HELD.decode(held([GOOD, GOOD], left_out=("is_male",)), "$.inputs")

    assert np.isnan(checked.tensors["is_male"]).all()
    with pytest.raises(InvalidInstances, match=r"\$\.inputs\.plurality\[0\]"):
        HELD.decode(held([GOOD], left_out=("plurality",)), "$.inputs")


def test_the_log_keeps_what_the_arrays_stand_for() -> None:
    """True and not 1.0, nothing and not NaN."""
    (row,) = HELD.decode(held([GOOD]), "$.inputs").rows[:1]

    assert row == {**{k: v for k, v in BABY.items() if v is not None}, "is_male": True, "mother_married": False}


def test_too_many_are_refused() -> None:
    """As in any other form."""
    with pytest.raises(PayloadTooLarge, match="at most 4 instances, received 5"):
        HELD.decode(held([GOOD] * 5), "$.inputs")


@pytest.mark.parametrize("rows", [1, 255, 256, 1000])
def test_codes_that_a_float32_cannot_tell_apart_are_not_taken_for_each_other(rows: int) -> None:
    """2^24 is none of them, though it is what 2^24 + 1 becomes."""
    accepts = compile_check(feature("category", "float32", 2**24 + 1, 2**24 + 3))

    assert not accepts(np.full(rows, 2**24, np.float32))


@pytest.mark.parametrize(("number", "accepted"), [(0.0, True), (30.0, True), (30.5, False), (np.nan, False)])
def test_the_ends_of_a_range_are_inside(number: float, accepted: bool) -> None:
    """A model with text among its features takes arrays too, by the other road."""
    decoder = Decoder(Schema.of(parcels()), max_instances=4)
    columns = {"kilograms": np.array([number], np.float32), "service": np.array(["slow"], object)}
    instances = HeldColumns(columns, decoder.restorers)

    assert isinstance(outcome(lambda: HeldDecoder(decoder).decode(instances, "$")), dict) is accepted
