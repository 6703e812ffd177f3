"""`:classify` and `:regress` of TensorFlow Serving's REST API: tf.Examples in, labels and scores or numbers out."""

import math
import struct
from typing import Any

from stork.errors import BadRequest
from stork.schema.instances import Columns
from stork.schema.tf_example import Values, encode_example
from stork.serving.ask import Answer, Ask
from stork.serving.loader import LoadedVersion
from stork.serving.predictor import Predictor
from stork.web.dialects import Reply, json_reply, prediction_headers
from stork.web.dialects.envelope import parsed, read_fields
from stork.web.dialects.row_form import is_base64, read_base64
from stork.web.dialects.tensorflow_status import find_version

DEFAULT = "serving_default"
KINDS = {"classify": "classification", "regress": "regression"}
JSON_TYPES = {dict: "Object", list: "Array", str: "String", type(None): "Null"}


def score_examples(predictor: Predictor, body: bytes, ask: Ask, verb: str) -> Reply:
    """The results of `classify` ([label, score] pairs) or `regress` (numbers), one per example, in their order."""
    find_version(predictor, ask.model, ask.version, ask.alias)
    fields = read_fields(body)
    ask.path = "$.examples"

    def read(loaded: LoadedVersion) -> Columns:
        ask.signature = find_signature(loaded, parsed(fields.get("signature_name", "")), verb)
        (feature,) = loaded.further.schema(ask.signature).features
        return Columns({feature.name: read_examples(fields, verb)})

    predictor.settle(ask, read)
    answered = predictor.predict(ask)
    results = classifications(answered) if verb == "classify" else next(iter(answered.columns.values()))
    return json_reply(200, {"results": results}, *prediction_headers(answered.id, answered.version))


def find_signature(loaded: LoadedVersion, asked: Any, verb: str) -> str:
    """
    The name of a signature for this verb: the one that is asked for, else `serving_default`.

    Raises:
        BadRequest: there is none, it is for another verb, or it cannot be served.
    """
    if not isinstance(asked, str):
        raise BadRequest("'signature_name' key must be a string value.")
    name = asked or DEFAULT
    if name not in loaded.further.listed and name in (loaded.schema.signature, DEFAULT):
        method = "predict"
    else:
        loaded.further.schema(name)
        method = loaded.further.listed[name].method
    if method != verb:
        raise BadRequest(
            f"Expected {KINDS[verb]} signature method_name to be tensorflow/serving/{verb}. "
            f"Was: tensorflow/serving/{method}"
        )
    return name


def read_examples(fields: dict[str, Any], verb: str) -> list[Any]:
    """
    Each example serialized, `context` in it unless it says otherwise itself.

    Raises:
        BadRequest: no list of objects of values or lists of values of one type.
    """
    if "examples" not in fields:
        raise BadRequest(f"When method is {verb}, key 'examples' is expected and was not found")
    examples = parsed(fields["examples"])
    if not isinstance(examples, list):
        raise BadRequest("Expecting 'examples' value to be an list/array")
    if not examples:
        raise BadRequest("'examples' value is an empty array")
    try:
        context = read_features(parsed(fields["context"])) if "context" in fields else {}
        return [encode_example({**context, **read_features(example)}) for example in examples]
    except (OverflowError, struct.error) as error:
        raise BadRequest(f"Cannot convert a JSON value to int64 or float: {error}") from error
    except UnicodeEncodeError as error:
        raise BadRequest("expected text, received half of a surrogate pair") from error


def read_features(example: Any) -> dict[str, Values]:
    """Every feature of an example as a list of values of one type."""
    if not isinstance(example, dict):
        raise BadRequest(f"Example must be JSON object but got JSON {json_type(example)}")
    return {name: read_values(name, given) for name, given in example.items()}


def read_values(name: str, given: Any) -> Any:
    """
    One feature's values: floats, integers (true is 1) or bytes; whether a number has a point says what it is.

    Raises:
        BadRequest: they are of several types, or none of these.
    """
    values = [read_element(name, value) for value in (given if isinstance(given, list) else [given])]
    if len(set(map(type, values))) > 1:
        first = {float: "float", int: "int64", bytes: "bytes"}[type(values[0])]
        raise BadRequest(f"Unexpected element type in feature: {name} expecting type: {first}")
    return values


def read_element(name: str, value: Any) -> float | int | bytes:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if is_base64(value):
        value = read_base64(value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise BadRequest(f"Feature: {name} has element with unexpected JSON type: {json_type(value)}")


def classifications(answered: Answer) -> list[list[list[Any]]]:
    """[label, score] for each class of each example; a label that the model does not give is empty, a score 0."""
    columns = {name: list(map(as_list, values)) for name, values in answered.columns.items()}
    sizes = [len(row) for row in next(iter(columns.values()))]
    labels = columns.get("classes") or [[""] * size for size in sizes]
    scores = columns.get("scores") or [[0.0] * size for size in sizes]
    return [list(map(list, zip(*row, strict=True))) for row in zip(labels, scores, strict=True)]


def json_type(value: Any) -> str:
    """What TensorFlow Serving calls the type of a JSON value."""
    return JSON_TYPES.get(type(value), "Number")


def as_list(value: Any) -> list[Any]:
    """A row of one class is a plain value."""
    return value if isinstance(value, list) else [value]
