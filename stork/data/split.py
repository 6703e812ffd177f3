"""
Which rows train, which stop the training, which test: decided by a hash of the row's key.

The key is the text of the columns of `[data] key`, else of all features in declared order, joined by `|`: a whole
number without a point (28), any other number as its shortest decimal (28.5), true and false as such, a missing value as
nothing, a string as it is with `\\` and `|` escaped by `\\`. Example: `1|28|39|1|true|false||`. Its bucket is
MOD(ABS(FARM_FINGERPRINT(key)), buckets), as BigQuery computes it. Rows that agree in every feature have one key, so
they never stand on two sides; the label and all columns that are no features stay out of the key unless `[data] key`
names them, since they would tear such rows apart.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from stork.data.sources import Rows
from stork.data.sql import Part, is_text, quoted
from stork.declaration import Declaration, Output, Training

WHOLE = 1e38  # beyond it SQL has no integer to write a whole number with


def key_sql(declaration: Declaration) -> str:
    """The key of a row as SQL over its typed columns, and over those not declared as text: what `row_keys` computes."""
    return " || '|' || ".join(canonical_sql(name, part) for name, part in key_parts(declaration).items())


def key_parts(declaration: Declaration) -> dict[str, Part | None]:
    """The columns of the key, each with what is declared of it; None where nothing is."""
    parts: dict[str, Part] = {feature.name: feature for feature in declaration.features}
    parts |= {output.name: output for output in declaration.outputs}
    names = declaration.data.key or tuple(feature.name for feature in declaration.features)
    return {name: parts.get(name) for name in names}


def canonical_sql(name: str, part: Part | None) -> str:
    """A column as it stands in a key; what is not declared is text."""
    column = quoted(name)
    if part is None or is_text(part):
        return f"coalesce(replace(replace({column}, '\\', '\\\\'), '|', '\\|'), '')"
    if isinstance(part, Output) or part.kind == "number":
        whole = f"{column} = trunc({column}) AND abs({column}) < {WHOLE!r}"
        return f"coalesce(CASE WHEN {whole} THEN {column}::HUGEINT::VARCHAR ELSE {column}::VARCHAR END, '')"
    return f"coalesce({column}::VARCHAR, '')"


def split_rows(rows: Rows, training: Training) -> tuple[Rows, Rows, Rows]:
    """The rows as (train, eval, test), by all their features."""
    found = masks(training, fingerprints(row_keys(rows)))
    return rows.select(found["train"]), rows.select(found["eval"]), rows.select(found["test"])


def masks(training: Training, fingerprint: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.bool_]]:
    """Which rows are in each split, shape (n,), by their keys' fingerprints, shape (n,)."""
    bucket = bucket_of(fingerprint, training.buckets)
    in_eval, in_test = np.isin(bucket, training.eval), np.isin(bucket, training.test)
    return {"train": ~in_eval & ~in_test, "eval": in_eval & ~in_test, "test": in_test}


def row_keys(rows: Rows) -> list[str]:
    """The key of every row, of all columns in order."""
    return ["|".join(map(canonical, values)) for values in zip(*rows.columns.values(), strict=True)]


def canonical(value: Any) -> str:
    """A value as it stands in a key."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < WHOLE else repr(value)
    return str(value).replace("\\", "\\\\").replace("|", "\\|")


def buckets(keys: Iterable[str], count: int) -> npt.NDArray[np.int64]:
    """MOD(ABS(FARM_FINGERPRINT(key)), count) of each key, shape (n,), 0 to count - 1."""
    return bucket_of(fingerprints(keys), count)


def bucket_of(fingerprint: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """
    MOD(ABS(fingerprint), count), shape (n,).

    >>> bucket_of(np.array([23, -23, -(2**63)]), 10).tolist()
    [3, 3, 8]
    """
    # ABS of the smallest int64 is no int64 (BigQuery raises an overflow there); as uint64 it is 2**63.
    magnitude = np.abs(fingerprint).view(np.uint64)
    return (magnitude % np.uint64(count)).astype(np.int64)


def fingerprints(keys: Iterable[str]) -> npt.NDArray[np.int64]:
    """
    BigQuery's FARM_FINGERPRINT of each key, shape (n,).

    Source: tf.fingerprint, the same farmhash64; on a worker that has no TensorFlow, farmhash.
    """
    try:
        import tensorflow as tf
    except ImportError:
        import farmhash

        return np.array([farmhash.fingerprint64(key) for key in keys], np.uint64).view(np.int64)
    hashed = tf.fingerprint(tf.constant(list(keys), tf.string), method="farmhash64").numpy()  # (n, 8) bytes
    return np.ascontiguousarray(hashed).view("<i8").reshape(-1)  # (n, 8) -> (n, 1) -> (n,)
