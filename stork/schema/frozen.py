"""The schema of one version, frozen beside it as schema.json: what its requests are checked against for ever."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stork.declaration import Declaration, Feature, Output, Tensor
from stork.errors import VersionBroken

# What numpy calls each declared dtype. A string tensor is an object array of bytes.
NUMPY_DTYPES: dict[str, Any] = {
    "float32": np.float32,
    "float64": np.float64,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "bool": np.bool_,
    "string": np.object_,
}


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    Features and outputs as they were declared when the version was made.

    `signature` names the SavedModel's signature that answers.
    """

    model: str
    features: tuple[Feature, ...]
    outputs: tuple[Output, ...]
    signature: str = "serving_default"

    @classmethod
    def of(cls, declaration: Declaration, signature: str = "serving_default") -> "Schema":
        """The schema that a version made today gets."""
        return cls(
            model=declaration.model.name,
            features=declaration.features,
            outputs=declaration.outputs,
            signature=signature,
        )

    @property
    def hash(self) -> str:
        """Equal for two schemas that accept and answer the same: titles, help and form hints do not count."""
        features = [strip(f, "title", "help", "widget", "default", "missing_title", "unit") for f in self.features]
        outputs = [strip(o, "title", "display", "digits", "unit") for o in self.outputs]
        canonical = msgspec.json.encode([features, outputs, self.signature], order="deterministic")
        return hashlib.sha256(canonical).hexdigest()[:16]

    def to_json(self) -> bytes:
        """The content of schema.json."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def strip(part: Feature | Output, *hidden: str) -> dict[str, Any]:
    """A feature or output as plain data without what only people read."""
    plain = msgspec.to_builtins(part)
    kept = {key: value for key, value in plain.items() if key not in hidden}
    if "values" in kept:
        kept["values"] = [{k: v for k, v in value.items() if k != "title"} for value in kept["values"]]
    # JSON has no NaN: the one number a `missing` may be that JSON cannot hold.
    if (
        isinstance(part, Feature)
        and isinstance(part.tensor.missing, float)
        and part.tensor.missing != part.tensor.missing
    ):
        kept["tensor"] = {**kept["tensor"], "missing": "NaN"}
    return kept


def load_schema(path: Path) -> Schema:
    """
    The schema in a version folder's schema.json.

    Raises:
        VersionBroken: the file is missing or does not hold a schema.
    """
    try:
        return revive(msgspec.json.decode(path.read_bytes(), type=Schema))
    except (OSError, msgspec.MsgspecError) as error:
        raise VersionBroken(f"{path}: {error}") from error


def revive(schema: Schema) -> Schema:
    """Give float tensors back the NaN that JSON wrote as null."""
    features = tuple(
        msgspec.structs.replace(f, tensor=msgspec.structs.replace(f.tensor, missing=float("nan")))
        if not f.required and f.tensor.missing is None and f.tensor.dtype in ("float32", "float64")
        else f
        for f in schema.features
    )
    return msgspec.structs.replace(schema, features=features)


def tensor_name(part: Feature | Output) -> str:
    """The key of a feature or output in the model's signature."""
    return part.tensor.name or part.name


def numeric_limits(part: Feature | Output) -> tuple[float, float]:
    """The closed range a number must lie in: the declared one, else what its tensor can hold."""
    if part.range is not None:
        return part.range
    return dtype_limits(part.tensor)


def dtype_limits(tensor: Tensor) -> tuple[float, float]:
    """Smallest and largest finite value of a numeric tensor; integers as Python ints, so that int64 stays exact."""
    if tensor.dtype in ("float32", "float64"):
        info = np.finfo(NUMPY_DTYPES[tensor.dtype])
        return float(info.min), float(info.max)
    if tensor.dtype in ("int32", "int64", "uint8"):
        limits = np.iinfo(NUMPY_DTYPES[tensor.dtype])
        return int(limits.min), int(limits.max)
    return (0, 1) if tensor.dtype == "bool" else (float("-inf"), float("inf"))
