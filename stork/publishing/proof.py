"""The program that asks a model and makes its twin: `python -m stork.publishing.proof FOLDER WORK`, within limits."""

from collections.abc import Collection
from pathlib import Path

import msgspec
import numpy as np

from stork.errors import BackendError, VersionBroken
from stork.evaluation.limited import end_process
from stork.publishing.conversion import NotConvertible, convert
from stork.publishing.tensor_files import read_tensors, write_tensors
from stork.publishing.twin import Found
from stork.schema.frozen import Schema, load_schema
from stork.schema.tensors import Array, Tensors
from stork.serving.backends import Backend
from stork.serving.backends.litert import FILE, LiteRTBackend
from stork.serving.backends.saved_model import SavedModelBackend
from stork.store.version import Twin

TOLERANCE = 1e-5
# A model that keeps state or draws at random differs by more; summing in another order differs by less.
STEADY = 1e-3

Answer = Tensors | None  # of one row; None where the backend refused it


class Different(Exception):
    """The twin is not one; the text says where it differs."""


def main(arguments: list[str]) -> None:
    """Read WORK/schema.json and WORK/probe; write WORK/found.json and outputs, FOLDER/model.tflite, WORK/twin.json."""
    folder, work = map(Path, arguments[:2])
    schema, probe = load_schema(work / "schema.json"), read_tensors(work / "probe")
    backend = SavedModelBackend(folder, schema)
    alone, refusal = ask_alone(backend, probe)
    kept = [row for row, answer in enumerate(alone) if answer is not None]
    if not kept:
        raise VersionBroken(f"the model answers none of the {len(alone)} rows it was asked: {refusal}")
    together = backend.predict(select_rows(probe, kept))
    left_out = find_odd(together, len(kept))
    if len(left_out) == len(together):
        raise VersionBroken(f"no output holds a value or a row of values per instance; {left_out}")
    alone = [None if answer is None else without(answer, left_out) for answer in alone]
    together = without(together, left_out)
    steady = is_steady(together, [answer for answer in alone if answer is not None])
    write_tensors(work / "outputs", together)
    (work / "found.json").write_bytes(msgspec.json.encode(Found(kept, refusal, steady, left_out)))
    if arguments[2:] == ["no twin"]:
        return
    reason = "the model keeps state, draws at random, or mixes the rows of a request"
    twin = Twin(proved=False, reason=reason, steady=False)
    if steady:
        twin = prove_twin(folder, schema, probe, alone, together)
    (work / "twin.json").write_bytes(msgspec.json.encode(twin))


def prove_twin(folder: Path, schema: Schema, probe: Tensors, alone: list[Answer], together: Tensors) -> Twin:
    """Convert, then compare every row alone and all rows together."""
    try:
        (folder / FILE).write_bytes(convert(folder, schema.signature))
        twin = LiteRTBackend(folder, schema)
        worst = compare_alone(alone, ask_alone(twin, probe)[0], probe)
        kept = [row for row, answer in enumerate(alone) if answer is not None]
        worst = max(worst, largest_difference(together, twin.predict(select_rows(probe, kept)), "all rows together"))
    except (NotConvertible, Different, BackendError) as error:
        return Twin(proved=False, reason=str(error).replace(f"{folder}/", ""))
    return Twin(proved=True, rows=len(kept), max_difference=worst)


def ask_alone(backend: Backend, probe: Tensors) -> tuple[list[Answer], str]:
    """The answer to each row by itself, and why the first that has none was refused."""
    answers: list[Answer] = []
    refusal = ""
    for row in range(count_rows(probe)):
        try:
            answers.append(backend.predict(select_rows(probe, [row])))
        except BackendError as error:
            answers.append(None)
            refusal = refusal or str(error)
    return answers, refusal


def select_rows(tensors: Tensors, rows: list[int]) -> Tensors:
    return {name: array[rows] for name, array in tensors.items()}


def without(tensors: Tensors, names: Collection[str]) -> Tensors:
    return {name: array for name, array in tensors.items() if name not in names}


def count_rows(tensors: Tensors) -> int:
    return len(next(iter(tensors.values())))


def find_odd(outputs: Tensors, rows: int) -> dict[str, str]:
    """Outputs that are not one value, or one row of values, per instance, and what they are instead."""
    return {
        name: f"shape {list(array.shape)} for {rows} rows"
        for name, array in outputs.items()
        if array.ndim not in (1, 2) or len(array) != rows
    }


def is_steady(together: Tensors, alone: list[Tensors]) -> bool:
    """Whether rows are answered alone as they are among others."""
    for name, array in together.items():
        if any(answer[name].shape != (1, *array.shape[1:]) for answer in alone):
            return False
        if not np.all(differences(array, np.concatenate([answer[name] for answer in alone])) <= STEADY):
            return False
    return True


def compare_alone(wanted: list[Answer], received: list[Answer], probe: Tensors) -> float:
    """
    The largest difference over all rows asked one by one.

    Raises:
        Different: by more than the tolerance, or a row is answered by one and refused by the other.
    """
    worst = 0.0
    for row, (ours, theirs) in enumerate(zip(wanted, received, strict=True)):
        where = f"for {show_row(probe, row)}"
        if (ours is None) != (theirs is None):
            raise Different(f"{where} {'the twin' if ours is None else 'only TensorFlow'} has an answer")
        if ours is not None and theirs is not None:
            worst = max(worst, largest_difference(ours, theirs, where))
    return worst


def largest_difference(wanted: Tensors, received: Tensors, where: str) -> float:
    """
    The largest |difference| / max(1, |y|) over all outputs.

    Raises:
        Different: it is above the tolerance, or shapes, types, integers or strings are not the same.
    """
    worst = 0.0
    for name, ours in wanted.items():
        theirs = received[name]
        if (ours.shape, ours.dtype.kind) != (theirs.shape, theirs.dtype.kind):
            raise Different(
                f"output {name!r} {where}: TensorFlow answers {ours.dtype} {list(ours.shape)}, "
                f"the twin {theirs.dtype} {list(theirs.shape)}"
            )
        by = differences(ours, theirs)
        worst = max(worst, float(by.max(initial=0.0)))
        if worst > TOLERANCE:
            at = int(by.argmax())
            raise Different(
                f"output {name!r} {where}: TensorFlow answers {ours.ravel()[at]}, the twin {theirs.ravel()[at]}"
            )
    return worst


def differences(ours: Array, theirs: Array) -> Array:
    """|difference| / max(1, |y|) of each value; for integers and strings 0 where equal, else infinite. NaN is NaN."""
    ours, theirs = ours.ravel(), theirs.ravel()
    if ours.dtype.kind != "f":
        return np.where(ours == theirs, 0.0, np.inf)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore", over="ignore"):
        by = np.abs(ours.astype(np.float64) - theirs) / np.maximum(1.0, np.abs(ours.astype(np.float64)))
    return np.where(same, 0.0, np.nan_to_num(by, nan=np.inf, posinf=np.inf))


def show_row(probe: Tensors, row: int) -> str:
    """A row as a person reads it."""
    return ", ".join(f"{name}={array.ravel()[row : row + 1].tolist()[0]!r}" for name, array in probe.items())[:300]


if __name__ == "__main__":
    end_process(main)
