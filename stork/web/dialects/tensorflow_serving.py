"""The dialect of TensorFlow Serving's REST API: its routes, and predict in row and column form."""

import re
from typing import Any

from stork.errors import BadRequest, InvalidInstances, MalformedBody, StorkError
from stork.schema.decode import NOTHING, UNKNOWN
from stork.schema.frozen import Schema
from stork.serving.ask import Answer, Ask
from stork.serving.loader import LoadedVersion
from stork.serving.predictor import Predictor
from stork.web.dialects import Dialect, Reply, Request, error_headers, json_reply, only_predicts, prediction_headers
from stork.web.dialects.column_form import read_columns
from stork.web.dialects.envelope import parsed, read_fields
from stork.web.dialects.row_form import predictions, read_rows, shaped_columns
from stork.web.dialects.tensorflow_examples import score_examples
from stork.web.dialects.tensorflow_status import describe_model, find_version, in_servings_words, report_status

NAMED = r"(?i)/v1/models/([^/:]+)(?:(?:/versions/(\d{1,18}))|(?:/labels/([^/:]+)))?"
CALL = re.compile(NAMED + r":(classify|regress|predict)")
LOOK = re.compile(NAMED + r"(?:/(metadata))?")


def answer(predictor: Predictor, request: Request) -> Reply:
    """What TensorFlow Serving would answer, with Stork's schema rules for the content."""
    try:
        return dispatch(predictor, request)
    except StorkError as error:
        return refuse(error)


def refuse(error: StorkError) -> Reply:
    """Any error in TensorFlow Serving's shape."""
    return json_reply(error.status, {"error": str(error)}, *error_headers(error))


def dispatch(predictor: Predictor, request: Request) -> Reply:
    """The route, by method and path."""
    if request.method == "POST" and (call := CALL.fullmatch(request.path)):
        name, version, alias, verb = call.groups()
        pinned = int(version) if version else None
        ask = Ask([], name, pinned, alias, dialect="tensorflow_serving", context=request.context)
        if verb.lower() == "predict":
            return predict(predictor, request.body, ask)
        return score_examples(predictor, request.body, ask, verb.lower())
    if request.method in ("GET", "HEAD"):
        if look := LOOK.fullmatch(request.path):
            name, version, alias, metadata = look.groups()
            pinned = int(version) if version else None
            return (describe_model if metadata else report_status)(predictor, name, pinned, alias)
        if request.path.lower().rstrip("/") == "/v1/models":
            raise BadRequest("Missing model name in request.")
    raise BadRequest(f"Malformed request: {request.method} {request.path}")


def predict(predictor: Predictor, body: bytes, ask: Ask) -> Reply:
    """Predictions of a row form or outputs of a column form; scalars for scalars."""
    try:
        ask.signature, form, values = read_body(body)
    except BadRequest:
        find_version(predictor, ask.model, ask.version, ask.alias)  # that it is not there is said first
        raise
    is_scalar, ask.path = False, f"$.{form}"

    def read(loaded: LoadedVersion) -> Any:
        nonlocal is_scalar
        schema = loaded.signature(ask.signature).schema
        if form == "instances":
            return read_rows(schema, values)
        columns, is_scalar = read_columns(schema, values)
        return columns

    with in_servings_words(ask.model, ask.version, ask.alias):
        schema = predictor.settle(ask, read).signature(ask.signature).schema
    try:
        answered = predictor.predict(ask)
    except InvalidInstances as error:
        error.args = (word_refusal(schema, error, form),)
        raise
    if form == "inputs":
        return render_columns(answered, is_scalar)
    return json_reply(200, {"predictions": predictions(answered)}, *prediction_headers(answered.id, answered.version))


def read_body(body: bytes) -> tuple[str, str, Any]:
    """
    The signature's name, the form (`instances` or `inputs`), and its values: as bytes where msgspec takes the body.

    Keys that are none of these are ignored, as TensorFlow Serving does. A body that is no JSON is all instances: the
    predictor refuses it, and logs that.

    Raises:
        BadRequest: neither or both of the two forms.
    """
    try:
        fields = read_fields(body)
    except MalformedBody:
        return "", "instances", body
    signature = parsed(fields.get("signature_name", ""))
    if not isinstance(signature, str):
        raise BadRequest("'signature_name' key must be a string value.")
    forms = [form for form in ("instances", "inputs") if form in fields]
    if not forms:
        raise BadRequest("Missing 'inputs' or 'instances' key")
    if len(forms) == 2:
        raise BadRequest("Not formatted correctly: expected one of 'inputs' and 'instances', received both")
    return signature, forms[0], fields[forms[0]]


def word_refusal(schema: Schema, error: InvalidInstances, form: str) -> str:
    """Every problem; before them, where a key is one too many or missing, the sentence that clients may look for."""
    problems = "; ".join(map(str, error.problems))
    for problem in error.problems:
        is_missing = problem.received == NOTHING
        if form == "inputs" and is_missing:
            name = problem.path.removeprefix("$.inputs").partition("[")[0].removeprefix(".")
            return f"Missing named input: {name} in 'inputs' object; {problems}"
        if form == "instances" and (is_missing or problem.expected.startswith(UNKNOWN)):
            row = problem.path.removeprefix("$.instances[").partition("]")[0]
            return f"Failed to process element: {row} of 'instances' list. {word_keys(schema)}; {problems}"
    return problems


def word_keys(schema: Schema) -> str:
    """What the keys of an instance must be, in TensorFlow Serving's words, and which of them may be left out."""
    keys = ",".join(sorted(feature.name for feature in schema.features))
    optional = ", ".join(feature.name for feature in schema.features if not feature.required)
    free = f" ({optional} may be left out)" if optional else ""
    return f"JSON object keys must be equal to: {keys}{free}"


def render_columns(answered: Answer, is_scalar: bool) -> Reply:
    """The outputs by name, or bare where there is one."""
    columns: dict[str, Any] = shaped_columns(answered)
    if is_scalar:
        columns = {name: values[0] for name, values in columns.items()}
    outputs = next(iter(columns.values())) if len(columns) == 1 else columns
    return json_reply(200, {"outputs": outputs}, *prediction_headers(answered.id, answered.version))


def owns(path: str) -> bool:
    """All of /v1, in any case, as TensorFlow Serving has it; the dialects of Google's services choose first."""
    return path[:4].lower() in ("/v1", "/v1/")


DIALECT = Dialect("tensorflow_serving", owns, only_predicts, answer, refuse)
