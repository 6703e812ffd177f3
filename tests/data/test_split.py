"""The split: the same one BigQuery would make, and blind to everything but the feature values."""

import numpy as np
import pytest
from parcels import parcel_rows, parcels

from stork.data.sources import Rows
from stork.data.split import bucket_of, buckets, fingerprints, row_keys, split_rows
from stork.declaration import Training

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("text", "fingerprint"),
    [
        ("1footrue", -1541654101129638711),
        ("2applefalse", 2794438866806483259),
        ("3true", -4880158226897771312),
    ],
)
def test_the_fingerprint_is_bigquerys(text: str, fingerprint: int) -> None:
    """The vectors that BigQuery's reference prints for FARM_FINGERPRINT."""
    assert fingerprints([text]).tolist() == [fingerprint]


@pytest.mark.parametrize(
    ("fingerprint", "bucket"),
    [(0, 0), (23, 3), (-23, 3), (2**63 - 1, 7), (-(2**63), 8), (-1541654101129638711, 1)],
)
def test_the_bucket_is_the_absolute_value_modulo(fingerprint: int, bucket: int) -> None:
    """MOD(ABS(x), 10), the smallest int64 included, whose absolute value no int64 holds."""
    assert bucket_of(np.array([fingerprint], np.int64), 10).tolist() == [bucket]


def test_a_key_is_the_feature_values_in_declared_order() -> None:
    """Whole numbers without a point, true and false in words, missing as nothing, the separator escaped."""
    columns = {"a": [1, 2.0, None], "b": [28, 0.5, "x|y"], "c": [True, False, "\\"]}
    rows = Rows(columns, np.zeros(3), ())
    assert row_keys(rows) == ["1|28|true", "2|0.5|false", r"|x\|y|\\"]


def test_equal_rows_fall_on_one_side() -> None:
    """Rows that agree in every feature are never in two splits, whatever their labels are."""
    rows = parcel_rows(400)
    twice = Rows({n: c + c for n, c in rows.columns.items()}, np.concatenate([rows.label, -rows.label]), ())
    sides = [set(row_keys(side)) for side in split_rows(twice, parcels().training)]
    assert sum(map(len, sides)) == len(set(row_keys(twice)))


def test_the_declared_buckets_make_the_splits() -> None:
    """Every row is in exactly one split, and its bucket says in which."""
    rows = parcel_rows(400)
    train, stop, test = split_rows(rows, Training(buckets=10, eval=(0, 1), test=(2,)))
    assert len(train) + len(stop) + len(test) == 400
    assert set(buckets(row_keys(stop), 10)) == {0, 1}
    assert set(buckets(row_keys(test), 10)) == {2}
