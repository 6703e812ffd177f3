"""The sections that say what a model is, takes and gives: its features and outputs, and how people see them."""

from typing import Literal

from stork.declaration.section import Scalar, Section

Kind = Literal["number", "integer", "boolean", "category", "string"]
DType = Literal["float32", "float64", "int32", "int64", "uint8", "bool", "string"]


class Model(Section, frozen=True):
    """What the model is, in words a person reads. `notice` is printed wherever its data or predictions are shown."""

    name: str
    title: str
    description: str = ""
    notice: str = ""


class Tensor(Section, frozen=True):
    """
    How a feature or an output lies in the model's signature.

    `shape` is [-1] or [-1, 1] for a feature; an output may also be [-1, k]. `name` is the signature's key (default:
    the feature's own name). `missing` is what a missing value becomes; TOML's `nan` is allowed.
    """

    name: str = ""
    dtype: DType = "float32"
    shape: tuple[int, ...] = (-1,)
    missing: int | float | str | None = None


class Value(Section, frozen=True):
    """One value a feature can take, its title for people, and what the tensor holds for it (default: the value)."""

    value: Scalar
    title: str = ""
    encoded: int | float | str | None = None


class Feature(Section, frozen=True):
    """
    A column of the model's input.

    `range` is closed and in `unit`. `values` lists the vocabulary of a category, the titles of a boolean, or the few
    values an integer can take. A feature that is not `required` may be absent, null or empty; `missing_title` names
    that choice in the form. `widget` and `default` are for the form.
    """

    name: str
    kind: Kind
    title: str = ""
    range: tuple[float, float] | None = None
    values: tuple[Value, ...] = ()
    missing_title: str = ""
    required: bool = True
    unit: str = ""
    help: str = ""
    widget: Literal["", "number", "select", "radio", "text"] = ""
    default: Scalar | None = None
    tensor: Tensor = Tensor()


class Display(Section, frozen=True):
    """
    Another unit to show an output in: value x `factor`, rounded to `digits`.

    With a `sub_unit` the fraction is shown in it: 7.53 lb, 16 oz to one, is "7 lb 8.5 oz".
    """

    unit: str
    factor: float = 1.0
    digits: int = 2
    sub_unit: str = ""
    sub_per_unit: float = 1.0


class Output(Section, frozen=True):
    """What the model predicts: a number (or k of them, or a string) per instance, inside the closed `range`."""

    name: str
    title: str = ""
    unit: str = ""
    digits: int = 2
    range: tuple[float, float] | None = None
    display: tuple[Display, ...] = ()
    tensor: Tensor = Tensor()


class Form(Section, frozen=True):
    """`what_if` names the numeric feature along which the form page draws the prediction."""

    what_if: str = ""
