"""The dialect of TensorFlow Serving's REST API: predict in row and column form, status, metadata."""

import re
from typing import Any

import msgspec

from stork.access.keys import Role
from stork.declaration import Feature, Output
from stork.errors import BadRequest, InvalidInstances, ModelNotFound, Problem, StorkError, VersionNotFound
from stork.schema.decode import UNREADABLE, parse_json
from stork.schema.frozen import Schema, tensor_name
from stork.serving.ask import Answer, Ask
from stork.serving.loader import LoadedVersion
from stork.serving.predictor import Predictor
from stork.web.dialects import Dialect, Reply, Request, error_headers, json_reply, prediction_headers
from stork.web.dialects.row_form import predictions, read_rows, shaped_columns, unwrap

NAMED = r"(?i)/v1/models/([^/:]+)(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?"
CALL = re.compile(NAMED + r":(classify|regress|predict)")
LOOK = re.compile(NAMED + r"(?:/(metadata))?")

DATA_TYPES = {
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "uint8": "DT_UINT8",
    "bool": "DT_BOOL",
    "string": "DT_STRING",
}


class Body(msgspec.Struct):
    """A predict request; keys that are none of these are ignored, as TensorFlow Serving does."""

    instances: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    signature_name: str = ""


bodies = msgspec.json.Decoder(Body)


def answer(predictor: Predictor, request: Request) -> Reply:
    """What TensorFlow Serving would answer, with Stork's schema rules for the content."""
    try:
        return dispatch(predictor, request)
    except StorkError as error:
        return refuse(error)


def refuse(error: StorkError) -> Reply:
    """Any error in TensorFlow Serving's shape; of refused instances every problem."""
    text = "; ".join(map(str, error.problems)) if isinstance(error, InvalidInstances) else str(error)
    return json_reply(error.status, {"error": text}, *error_headers(error))


def dispatch(predictor: Predictor, request: Request) -> Reply:
    """The route, by method and path."""
    if request.method == "POST" and (call := CALL.fullmatch(request.path)):
        return invoke(predictor, request, *call.groups())
    if request.method in ("GET", "HEAD"):
        if look := LOOK.fullmatch(request.path):
            name, version, alias, metadata = look.groups()
            return (describe_model if metadata else report_status)(predictor, name, version, alias)
        if request.path.lower().rstrip("/") == "/v1/models":
            raise BadRequest("Missing model name in request.")
    raise BadRequest(f"Malformed request: {request.method} {request.path}")


def find_version(predictor: Predictor, name: str, version: str | None, alias: str | None) -> LoadedVersion:
    """
    Raises:
        StorkError: 404 in TensorFlow Serving's words, then the names there are.
    """
    try:
        return predictor.version(name, int(version) if version else None, alias)
    except (ModelNotFound, VersionNotFound) as error:
        asked = f"Specific({name}, {version})" if version else f"Latest({name})"
        if alias:
            asked = f"Label({name}, {alias})"
        error.args = (f"Servable not found for request: {asked}; {error}",)
        raise


def invoke(
    predictor: Predictor, request: Request, name: str, version: str | None, alias: str | None, verb: str
) -> Reply:
    """`:predict`; the signatures Stork serves are predict signatures, which the other two verbs refuse."""
    loaded = find_version(predictor, name, version, alias)
    if verb.lower() != "predict":
        kind = {"classify": "classification", "regress": "regression"}[verb.lower()]
        raise BadRequest(
            f"Expected {kind} signature method_name to be tensorflow/serving/{verb.lower()}. "
            "Was: tensorflow/serving/predict"
        )
    signature, columnar, values = read_body(request.body)
    if signature not in ("", loaded.schema.signature):
        raise BadRequest(f'Serving signature name: "{signature}" not found in signature def')
    instances = (read_columns if columnar else read_rows)(loaded.schema, values)
    path = "$.inputs" if columnar else "$.instances"
    try:
        answered = predictor.predict(
            Ask(instances, name, loaded.version, None, path, dialect="tensorflow_serving", context=request.context)
        )
    except InvalidInstances as error:
        if columnar:
            error.problems = [transpose(problem) for problem in error.problems]
        raise
    return render(answered, columnar)


def read_body(body: bytes) -> tuple[str, bool, Any]:
    """
    The signature's name, whether the body is in column form, and the instances or inputs: as bytes where they are
    well-formed JSON, parsed where only Python reads them (a NaN).

    Raises:
        MalformedBody: not JSON.
        BadRequest: neither or both of the two forms.
    """
    try:
        parsed = bodies.decode(body)
        signature: Any = parsed.signature_name
        pairs = (("instances", parsed.instances), ("inputs", parsed.inputs))
        found: dict[str, Any] = {key: bytes(raw) for key, raw in pairs if raw is not msgspec.UNSET}
    except UNREADABLE:
        document = parse_json(body)
        if not isinstance(document, dict):
            raise BadRequest("Malformed request body: expected a JSON object") from None
        signature = document.get("signature_name", "")
        found = {key: document[key] for key in ("instances", "inputs") if key in document}
    if not isinstance(signature, str):
        raise BadRequest("'signature_name' key must be a string value.")
    if not found:
        raise BadRequest("Missing 'inputs' or 'instances' key")
    if len(found) == 2:
        raise BadRequest("Not formatted correctly: expected one of 'inputs' and 'instances', received both")
    ((key, values),) = found.items()
    return signature, key == "inputs", values


def read_columns(schema: Schema, values: Any) -> list[dict[str, Any]]:
    """
    Column form as instances.

    Raises:
        BadRequest: not an object of lists of one length.
    """
    columns = parse_json(values) if isinstance(values, bytes) else values
    if len(schema.features) == 1 and not isinstance(columns, dict):
        columns = {schema.features[0].name: columns}
    if not isinstance(columns, dict) or not all(isinstance(column, list) for column in columns.values()):
        raise BadRequest("$.inputs: expected an object of lists, one per input")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        received = ", ".join(f"{name}: {length}" for name, length in lengths.items()) or "none"
        raise BadRequest(f"$.inputs: expected lists of one length, at least 1, received {received}")
    rows = zip(*columns.values(), strict=True)
    wrapped = {feature.name for feature in schema.features if len(feature.tensor.shape) == 2}
    return [
        {name: unwrap(value) if name in wrapped else value for name, value in zip(columns, row, strict=True)}
        for row in rows
    ]


def transpose(problem: Problem) -> Problem:
    """A problem located in row 3 of a column: `$.inputs[3].mother_age` is written `$.inputs.mother_age[3]`."""
    found = re.fullmatch(r"(\$\.inputs)(\[\d+\])(.+)", problem.path)
    return Problem(found[1] + found[3] + found[2], problem.expected, problem.received) if found else problem


def render(answered: Answer, columnar: bool) -> Reply:
    """The predictions in the form they were asked in; the name is left out where there is one output."""
    headers = prediction_headers(answered.id, answered.version)
    if not columnar:
        return json_reply(200, {"predictions": predictions(answered)}, *headers)
    columns = shaped_columns(answered)
    return json_reply(200, {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}, *headers)


def report_status(predictor: Predictor, name: str, version: str | None, alias: str | None) -> Reply:
    """The status of the asked version, or of every version: each that exists answers, if need be after loading."""
    if version or alias:
        versions = [find_version(predictor, name, version, alias).version]
    else:
        try:
            versions = sorted(predictor.registry.versions(name), reverse=True)
        except ModelNotFound as error:
            error.args = (f"Could not find any versions of model {name}; {error}",)
            raise
    status = {"error_code": "OK", "error_message": ""}
    listed = [{"version": str(found), "state": "AVAILABLE", "status": status} for found in versions]
    return json_reply(200, {"model_version_status": listed})


def describe_model(predictor: Predictor, name: str, version: str | None, alias: str | None) -> Reply:
    """The signature that answers, as TensorFlow Serving describes it."""
    loaded = find_version(predictor, name, version, alias)
    schema = loaded.schema
    signature = {
        "inputs": {f.name: describe_tensor(f, schema.signature) for f in schema.features},
        "outputs": {o.name: describe_tensor(o, "StatefulPartitionedCall") for o in schema.outputs},
        "method_name": "tensorflow/serving/predict",
    }
    document = {
        "model_spec": {"name": name, "signature_name": "", "version": str(loaded.version)},
        "metadata": {"signature_def": {"signature_def": {schema.signature: signature}}},
    }
    return json_reply(200, document)


def describe_tensor(part: Feature | Output, prefix: str) -> dict[str, Any]:
    """A tensor's type and shape; 64-bit integers are JSON strings, as protobuf writes them."""
    dimensions = [{"size": str(size), "name": ""} for size in part.tensor.shape]
    return {
        "dtype": DATA_TYPES[part.tensor.dtype],
        "tensor_shape": {"dim": dimensions, "unknown_rank": False},
        "name": f"{prefix}_{tensor_name(part)}:0" if isinstance(part, Feature) else f"{prefix}:0",
    }


def owns(path: str) -> bool:
    """TensorFlow Serving's paths, in any case."""
    lower = path[:11].lower()
    return lower == "/v1/models/" or path.lower() == "/v1/models"


def role_for(method: str, path: str) -> Role:
    """Asking for predictions, or only about the model."""
    return "predict" if method == "POST" else "read"


DIALECT = Dialect("tensorflow_serving", owns, role_for, answer, refuse)
