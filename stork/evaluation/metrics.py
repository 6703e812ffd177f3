"""How far predictions are from labels: over all rows, and by slice."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stork.data.sources import Rows
from stork.declaration import Declaration, Feature
from stork.schema.tensors import Column

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Metrics:
    """Errors in the label's unit; `rows` is how many they are over."""

    rows: int
    rmse: float
    mae: float
    bias: float


def measure(label: Floats, prediction: Floats) -> Metrics:
    """
    RMSE = sqrt(mean((p - y)^2)), MAE = mean(|p - y|), bias = mean(p - y); both arrays of shape (n,), n at least 1.

    >>> measure(np.array([7.0, 8.0]), np.array([7.5, 8.5]))
    Metrics(rows=2, rmse=0.5, mae=0.5, bias=0.5)
    """
    error = np.asarray(prediction, np.float64) - np.asarray(label, np.float64)
    return Metrics(len(error), float(np.sqrt(np.mean(error**2))), float(np.mean(np.abs(error))), float(np.mean(error)))


def measure_slices(declaration: Declaration, rows: Rows, prediction: Floats) -> dict[str, Metrics]:
    """
    Metrics of each value of each declared slice, and of the rows where an optional feature is known, and missing.

    Keys read "Colour: Red"; a slice of fewer rows than `min_slice_rows` is left out.
    """
    found = {}
    for feature in declaration.features:
        if feature.name in declaration.evaluation.slices:
            for title, mask in slice_rows(feature, rows.columns[feature.name]).items():
                if mask.sum() >= max(1, declaration.evaluation.min_slice_rows):
                    found[f"{feature.title or feature.name}: {title}"] = measure(rows.label[mask], prediction[mask])
    return found


def small_slices(declaration: Declaration, rows: Rows) -> dict[str, int]:
    """The slices that `measure_slices` leaves out, and how many rows each has."""
    return {
        f"{feature.title or feature.name}: {title}": int(mask.sum())
        for feature in declaration.features
        if feature.name in declaration.evaluation.slices
        for title, mask in slice_rows(feature, rows.columns[feature.name]).items()
        if mask.sum() < max(1, declaration.evaluation.min_slice_rows)
    }


def slice_rows(feature: Feature, column: Column) -> dict[str, npt.NDArray[np.bool_]]:
    """Where a column, of n rows, has each of its values, shape (n,), by the value's title."""
    values = np.array(column, object)
    declared = [value.value for value in feature.values]
    known = np.array([value is not None for value in column], bool)
    found = {title_of(feature, value): values == value for value in declared or sorted(set(values[known].tolist()))}
    return found if feature.required else found | {"known": known, "missing": ~known}


def title_of(feature: Feature, value: object) -> str:
    """A value as a person reads it."""
    return next((v.title for v in feature.values if v.value == value and v.title), str(value))
