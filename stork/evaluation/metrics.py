"""How far predictions are from labels: over all rows, and by slice."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stork.data.sources import Rows
from stork.declaration import Declaration, Feature
from stork.schema.tensors import Column

Floats = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]


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

    Errors of -3 and 4: the RMSE is sqrt(25 / 2), the MAE 3.5, and on average the prediction is 0.5 too high.

    >>> measure(np.array([7.0, 7.0]), np.array([4.0, 11.0]))
    Metrics(rows=2, rmse=3.5355339059327378, mae=3.5, bias=0.5)
    """
    error = np.asarray(prediction, np.float64) - np.asarray(label, np.float64)
    return Metrics(len(error), float(np.sqrt(np.mean(error**2))), float(np.mean(np.abs(error))), float(np.mean(error)))


def find_slices(declaration: Declaration, rows: Rows) -> dict[str, Mask]:
    """
    Where each value of each declared slice is, and where an optional feature is known, and missing; shape (n,).

    Keys read "Colour: Red"; slices of few rows, or none, are there too.
    """
    return {
        f"{feature.title or feature.name}: {title}": mask
        for feature in declaration.features
        if feature.name in declaration.evaluation.slices
        for title, mask in slice_rows(feature, rows.columns[feature.name]).items()
    }


def is_large(declaration: Declaration, mask: Mask) -> bool:
    """Whether a slice has the rows that it takes to say something of it: `min_slice_rows`."""
    return int(mask.sum()) >= max(1, declaration.evaluation.min_slice_rows)


def measure_slices(declaration: Declaration, rows: Rows, prediction: Floats) -> dict[str, Metrics]:
    """
    Metrics of each slice that is large enough.

    Of rows that are Red, Red and Blue, with errors of 1, 1 and 9, "Colour: Red" has an RMSE of 1, "Colour: Blue" of 9.
    """
    return {
        title: measure(rows.label[mask], prediction[mask])
        for title, mask in find_slices(declaration, rows).items()
        if is_large(declaration, mask)
    }


def small_slices(declaration: Declaration, rows: Rows) -> dict[str, int]:
    """The slices that `measure_slices` leaves out, and how many rows each has."""
    slices = find_slices(declaration, rows).items()
    return {title: int(mask.sum()) for title, mask in slices if not is_large(declaration, mask)}


def slice_rows(feature: Feature, column: Column) -> dict[str, Mask]:
    """Where a column, of n rows, has each of its values, shape (n,), by the value's title."""
    values = np.array(column, object)
    declared = [value.value for value in feature.values]
    known = np.array([value is not None for value in column], bool)
    found = {title_of(feature, value): values == value for value in declared or sorted(set(values[known].tolist()))}
    return found if feature.required else found | {"known": known, "missing": ~known}


def title_of(feature: Feature, value: object) -> str:
    """A value as a person reads it."""
    return next((v.title for v in feature.values if v.value == value and v.title), str(value))
