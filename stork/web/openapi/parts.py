"""What every dialect's description is made of: the schemas of instances and predictions, bodies, answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from stork.declaration import Feature, Output
from stork.schema.decode import example_of
from stork.schema.frozen import Schema, numeric_limits
from stork.store.registry import STABLE
from stork.store.version import FurtherSignature

Json = dict[str, Any]


@dataclass(frozen=True)
class Described:
    """
    One model, by the schema of the version that answers when none is asked for.

    `is_default`: it is meant where no model is named. `explains`: its predictions can be divided among the features.
    A request may hold `max_instances`. `further` are the signatures it serves besides its own.
    """

    name: str
    version: int
    schema: Schema
    notice: str
    is_default: bool
    explains: bool
    max_instances: int
    further: dict[str, FurtherSignature]

    @property
    def example(self) -> Json:
        """An instance that is answered."""
        return example_of(self.schema)

    @property
    def instance(self) -> Json:
        """A reference to the schema of its instances."""
        return reference(f"{self.name}.Instance")

    @property
    def prediction(self) -> Json:
        """A reference to the schema of its predictions, by output."""
        return reference(f"{self.name}.Prediction")

    def schemas(self) -> dict[str, Json]:
        """What those references lead to."""
        return {
            f"{self.name}.Instance": instance_schema(self.schema),
            f"{self.name}.Prediction": object_schema({o.name: output_schema(o) for o in self.schema.outputs}),
        }


class Part(NamedTuple):
    """What a dialect has to say: a title, a sentence, its paths, and the schemas they refer to."""

    title: str
    text: str
    paths: dict[str, Json]
    schemas: dict[str, Json]


def reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def object_schema(properties: Mapping[str, Json], required: list[str] | None = None) -> Json:
    """An object; all its properties are required unless it is said which."""
    needed = list(properties) if required is None else required
    document: Json = {"type": "object", "properties": dict(properties)}
    return {**document, "required": needed} if needed else document  # an empty list is no valid OpenAPI


def list_of(items: Json, **limits: int) -> Json:
    return {"type": "array", "items": items, **limits}


def instance_schema(schema: Schema) -> Json:
    """A feature dict. What this lets through is accepted; "" for a missing value is accepted too, and not said."""
    properties = {feature.name: feature_schema(feature) for feature in schema.features}
    required = [feature.name for feature in schema.features if feature.required]
    return {**object_schema(properties, required), "additionalProperties": False}


def feature_schema(feature: Feature) -> Json:
    """A feature's values: type, range or vocabulary, whether it may be missing; in words its title, unit and help."""
    document: Json = {"title": feature.title or feature.name, "type": json_type(feature)}
    in_unit = f"In {feature.unit}." if feature.unit else ""
    titles = ", ".join(f"{write(v.value)}: {v.title}" for v in feature.values if v.title)
    if text := " ".join(filter(None, [feature.help, in_unit, titles and f"{titles}."])):
        document["description"] = text
    if feature.values and feature.kind != "boolean":
        # An enum without null lets no null through, nullable or not: OpenAPI 3.0.3, "nullable".
        document["enum"] = [value.value for value in feature.values] + ([] if feature.required else [None])
    elif document["type"] in ("number", "integer"):
        document["minimum"], document["maximum"] = numeric_limits(feature)
    if not feature.required:
        document["nullable"] = True
    if feature.default is not None:
        document["default"] = feature.default
    return document


def json_type(feature: Feature) -> str:
    """What JSON calls the feature's values."""
    if feature.kind == "category":
        return "string" if isinstance(feature.values[0].value, str) else "integer"
    return feature.kind


def write(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def output_schema(output: Output) -> Json:
    """One output of one instance: a value, or a list of k of them."""
    document: Json = {"title": output.title or output.name, "type": "number"}
    if output.tensor.dtype == "string":
        document = {"title": document["title"]} | (
            object_schema({"b64": {"type": "string"}}) if output.name.endswith("_bytes") else {"type": "string"}
        )
    elif output.tensor.dtype == "bool":
        document["type"] = "boolean"
    elif output.tensor.dtype not in ("float32", "float64"):
        document["type"] = "integer"
    if output.unit:
        document["description"] = f"In {output.unit}."
    width = output.tensor.shape[1] if len(output.tensor.shape) == 2 else 1
    return document if width == 1 else list_of(document, minItems=width, maxItems=width)


def tensor_schema(output: Output) -> Json:
    """The same nested as its tensor is: a one-element list where that has the shape [-1, 1]."""
    value = output_schema(output)
    return list_of(value, minItems=1, maxItems=1) if output.tensor.shape == (-1, 1) else value


def json_body(schema: Json, **examples: Any) -> Json:
    """A request's body, with examples by what they show (`_` for a space)."""
    shown = {name: {"summary": name.replace("_", " "), "value": value} for name, value in examples.items()}
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": shown}}}


def json_answer(text: str, schema: Json, headers: Json | None = None) -> Json:
    answer: Json = {"description": text, "content": {"application/json": {"schema": schema}}}
    return {**answer, "headers": headers} if headers else answer


WHEN = {
    400: "The request is not what its schema says; the message names each place.",
    401: "No key, or a wrong one.",
    403: "A key whose role does not allow this.",
    404: "No such model, version or alias; the message names those there are.",
    405: "Another method.",
    409: "A version that fails its checks, or a serving state that somebody else changed first.",
    413: "A body or a list that is too large.",
    415: "A body that is not JSON.",
    429: "More than this service, or this key, can be given now.",
    502: "The model failed.",
    503: "The model is not ready, or the service behind it is down.",
    504: "Nobody answered before the deadline.",
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
PREDICTION_HEADERS = {
    "X-Prediction-Id": {"description": "Finds the record in the prediction log.", "schema": {"type": "string"}},
    "X-Model-Version": {"description": "The version that answered.", "schema": {"type": "integer"}},
}
OPEN: Json = {"security": []}  # of an operation that needs no key where the others do
PREDICT_ERRORS = (400, 401, 403, 404, 405, 409, 413, 415, 429, 502, 503, 504)


def errors(schema: Json, *statuses: int) -> Json:
    """The refusals of an operation, all of one shape."""
    return {str(s): json_answer(WHEN[s], schema, RETRY_AFTER if s == 429 else None) for s in statuses}


def path_parameter(name: str, schema: Json, text: str, example: Any) -> Json:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema, "example": example}


def version_parameter(model: Described) -> Json:
    """`{version}`: an integer, by example the one that answers."""
    return path_parameter("version", {"type": "integer", "minimum": 1}, "A version's number.", model.version)


def alias_parameter(name: str = "alias") -> Json:
    """A movable name of a version."""
    return path_parameter(name, {"type": "string"}, "An alias: a movable name of a version.", STABLE)
