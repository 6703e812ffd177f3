"""The LiteRT twin of a version: converted and proved equal to TensorFlow in a process of its own, or refused."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from stork.errors import VersionBroken
from stork.evaluation.limited import run_limited
from stork.evaluation.probe import with_missing
from stork.publishing.tensor_files import read_tensors, write_tensors
from stork.schema.frozen import Schema
from stork.schema.tensors import Tensors
from stork.serving.backends.litert import FILE
from stork.store.version import Twin

SECONDS = 300.0


class Found(msgspec.Struct, frozen=True):
    """
    What TensorFlow made of the probe.

    `kept` are the rows it answered, `refusal` its first error on another. `steady`: a row's answer is the same alone
    and among others, as it is for a model that is a function of its input. `left_out` says which outputs are no value
    or row of values per instance, and what they are.
    """

    kept: list[int]
    refusal: str
    steady: bool
    left_out: dict[str, str]


@dataclass(frozen=True)
class Examined:
    """What TensorFlow answers to the kept rows of the probe, by name of the outputs that can be served; the twin."""

    found: Found
    outputs: Tensors = field(repr=False)
    twin: Twin


def make_twin(folder: Path, schema: Schema, probe: Tensors) -> Twin:
    """
    Convert the folder's SavedModel to `model.tflite` and prove it on the probe and on every pattern of missing values.

    Without a proof there is no such file, and `reason` says why.
    """
    try:
        return examine(folder, schema, with_missing(schema, probe)).twin
    except VersionBroken as error:
        return Twin(proved=False, reason=str(error))


def examine(folder: Path, schema: Schema, probe: Tensors, make: bool = True) -> Examined:
    """
    Ask TensorFlow every row of the probe, alone and together; then `make` and prove the twin.

    Raises:
        VersionBroken: TensorFlow cannot load the folder, or answers no row of the probe.
    """
    with tempfile.TemporaryDirectory(prefix="stork-") as scratch:
        work = Path(scratch)
        (work / "schema.json").write_bytes(schema.to_json())
        write_tensors(work / "probe", probe)
        reason = run_limited("stork.publishing.proof", [str(folder), scratch, "twin" if make else "no twin"], SECONDS)
        if not (work / "found.json").is_file():
            if make:
                (folder / FILE).unlink(missing_ok=True)
            raise VersionBroken(f"asking the model failed: {reason.replace(str(folder), 'the SavedModel')}")
        found = msgspec.json.decode((work / "found.json").read_bytes(), type=Found)
        outputs = read_tensors(work / "outputs")
        twin = Twin(proved=False, reason=f"making the twin failed: {reason}", steady=found.steady)
        if (work / "twin.json").is_file():
            twin = msgspec.json.decode((work / "twin.json").read_bytes(), type=Twin)
    if make and not twin.proved:
        (folder / FILE).unlink(missing_ok=True)
    return Examined(found, outputs, twin)
