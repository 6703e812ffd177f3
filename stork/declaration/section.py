"""What every section of model.toml is, and the kinds of values that several of them take."""

from typing import Annotated, Literal

import msgspec

BackendName = Literal["auto", "litert", "saved_model", "vertex", "mlengine"]
Scalar = bool | int | float | str
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Ratio = Annotated[float, msgspec.Meta(ge=0)]

NAME = r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A table of model.toml."""
