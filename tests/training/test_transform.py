"""The preprocessing in the graph: what each kind of value, and a missing one, becomes."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from parcels import parcel_rows, parcels

from stork.data.sources import Rows
from stork.errors import DataError
from stork.schema.frozen import Schema
from stork.training.transform import (
    FILE,
    REACHED_BY,
    Scale,
    Transform,
    Vocabulary,
    encode_rows,
    fit_constants,
    fit_scale,
    one_hot,
    read_constants,
    spread_number,
)

pytestmark = pytest.mark.tensorflow

SCHEMA = Schema.of(parcels())
ZONE = next(feature for feature in SCHEMA.features if feature.name == "zone")


def test_a_scale_counts_no_missing_value() -> None:
    """The number that stands for missing moves neither mean nor boundaries."""
    scale = fit_scale(ZONE, np.array([-1] * 50 + [2, 4] * 50))
    assert scale == Scale(mean=3.0, sd=1.0, low=2.0, high=4.0, boundaries=(4.0,), known=100)


def test_a_scale_ends_where_rows_do() -> None:
    """Values that hardly a training row reaches do not stretch it."""
    scale = fit_scale(ZONE, np.array([1] * (REACHED_BY - 1) + [3] * 50 + [5] * 50 + [9] * (REACHED_BY - 1)))
    assert (scale.low, scale.high) == (3.0, 5.0)


def test_a_column_of_one_value_has_a_scale() -> None:
    """Nothing is divided by zero where all training rows agree, or all lack the value."""
    assert fit_scale(ZONE, np.array([7] * 50)).sd == 1.0
    assert fit_scale(ZONE, np.array([-1] * 50)).sd == 1.0


@pytest.mark.parametrize(
    ("value", "number", "above"),
    [(2, -1.0, [0, 0]), (5, 0.5, [1, 0]), (6, 1.0, [1, 1]), (99, 1.0, [1, 1]), (-1, 0.0, [0, 0])],
)
def test_a_number_is_scaled_and_spread(value: int, number: float, above: list[int]) -> None:
    """Beyond its reach a number stays at the end; a missing one is the mean, and reaches no boundary."""
    import tensorflow as tf

    column = tf.constant([[value]])
    scale = Scale(mean=4.0, sd=2.0, low=2.0, high=6.0, boundaries=(5.0, 6.0), known=9)
    reached, scaled = spread_number(scale, column, tf.not_equal(column, -1))
    assert reached.numpy().tolist() == [above]
    assert scaled.numpy().tolist() == [[number]]


def test_an_unknown_value_is_no_known_one() -> None:
    """A value outside the vocabulary is zeros, not an error and not another value."""
    import tensorflow as tf

    hot = one_hot(np.array([b"slow", b"fast"], object), tf.constant([[b"fast"], [b"walking"]]))
    assert hot.numpy().tolist() == [[0, 1], [0, 0]]


def test_a_free_string_learns_its_common_words() -> None:
    """Words of the training rows are known; rare ones are not, and neither is the one that stands for missing."""
    rows = parcel_rows(300)
    rows.columns["shop"][: REACHED_BY - 1] = ["rare"] * (REACHED_BY - 1)
    shop = fit_constants(SCHEMA, "cost", rows).features["shop"]
    assert isinstance(shop, Vocabulary) and sorted(shop.values) == ["north", "south"]


def test_constants_are_read_as_they_were_fitted(tmp_path: Path) -> None:
    """Every figure, word and truth value comes back from transform.json to the last bit."""
    constants = fit_constants(SCHEMA, "cost", parcel_rows(300))
    (tmp_path / FILE).write_bytes(msgspec.json.encode(constants))
    assert read_constants(tmp_path, SCHEMA, []) == constants


def test_constants_for_another_schema_are_refused(tmp_path: Path) -> None:
    """A feature was added since they were fitted: they are not for it."""
    constants = fit_constants(SCHEMA, "cost", parcel_rows(300))
    (tmp_path / FILE).write_bytes(msgspec.json.encode(constants))
    fewer = msgspec.structs.replace(SCHEMA, features=SCHEMA.features[:-1])
    with pytest.raises(DataError, match=f"expected constants for the schema {fewer.hash}, received those for"):
        read_constants(tmp_path, fewer, [])


def test_missing_is_an_input_of_its_own() -> None:
    """The wide half sees that a value is missing; the deep half gets the average of the known ones."""
    rows = parcel_rows(300)
    rows.columns["insured"] = [True] * 75 + [False] * 25 + [None] * 200
    transform = Transform(SCHEMA, fit_constants(SCHEMA, "cost", rows))
    columns = {"kilograms": [1.0] * 2, "zone": [5] * 2, "service": ["fast"] * 2, "shop": ["north"] * 2}
    wide, deep = transform(encode_rows(SCHEMA, Rows(columns | {"insured": [True, None]}, np.zeros(2), ())))
    differs = (deep.numpy()[0] != deep.numpy()[1]).nonzero()
    assert deep.numpy()[1][differs].tolist() == [0.75, 0.25]
    assert (wide.numpy()[1] - wide.numpy()[0]).tolist().count(1.0) == 1
