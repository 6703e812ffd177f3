"""The dialect of SageMaker's and MLflow's containers: whether the default model answers, and its predictions."""

from typing import Any

from stork import __version__
from stork.access.keys import Role
from stork.errors import (
    BadRequest,
    InvalidInstances,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    StorkError,
    UnsupportedMediaType,
)
from stork.schema.feature import describe
from stork.schema.frozen import Schema
from stork.serving.ask import Ask
from stork.serving.predictor import Predictor
from stork.web.dialects import (
    Dialect,
    Reply,
    Request,
    error_headers,
    json_reply,
    prediction_headers,
    read_pinned,
)
from stork.web.dialects.column_form import read_columns
from stork.web.dialects.csv_form import CSV_TYPE, read_csv, write_csv
from stork.web.dialects.envelope import parsed, read_fields
from stork.web.dialects.frame_form import read_records, read_split
from stork.web.dialects.row_form import predictions, read_rows

HEALTH = ("/ping", "/health")
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
PARAMS = ("version", "alias")

# MLflow's names of what went wrong: mlflow/protos/databricks.proto.
CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    502: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def answer(predictor: Predictor, request: Request) -> Reply:
    """Whether the default model is ready, its predictions, or the version of Stork."""
    try:
        if request.path in (*HEALTH, "/version"):
            if request.method not in ("GET", "HEAD"):
                raise MethodNotAllowed("GET")
            return tell_health(predictor) if request.path in HEALTH else tell_version()
        if request.path != "/invocations":
            raise NotFound(f"no such route: {request.path}; there is: /ping, /health, /version, /invocations")
        if request.method != "POST":
            raise MethodNotAllowed("POST")
        answered = predictor.predict(read_ask(predictor, request))
    except StorkError as error:
        return refuse(error)
    if request.context.header("Accept").partition(";")[0].strip().lower() == CSV_TYPE:
        return write_csv(answered)
    headers = prediction_headers(answered.id, answered.version)
    return json_reply(200, {"predictions": predictions(answered)}, *headers)


def refuse(error: StorkError) -> Reply:
    """Any error in MLflow's shape; of refused instances every problem."""
    text = "; ".join(map(str, error.problems)) if isinstance(error, InvalidInstances) else str(error)
    code = CODES.get(error.status, "BAD_REQUEST")
    return json_reply(error.status, {"error_code": code, "message": text}, *error_headers(error))


def tell_health(predictor: Predictor) -> Reply:
    """200 once the default model answers, else 503 with the reason."""
    route = predictor.route(predictor.default_model)
    if route.is_ready():
        return json_reply(200, {})
    return json_reply(503, {"error_code": CODES[503], "message": route.problem})


def tell_version() -> Reply:
    """Bare, as MLflow's server tells its own."""
    return Reply(200, [("Content-Type", "text/plain")], __version__.encode())


def read_ask(predictor: Predictor, request: Request) -> Ask:
    """
    What the body asks of the default model.

    Raises:
        UnsupportedMediaType: neither JSON nor CSV.
        BadRequest, MalformedBody: not what its Content-Type says, or not exactly one of the four forms.
        NotFound: there is no such version or alias.
    """
    kind, parameters = read_content_type(request.context.header("Content-Type"))
    ask = Ask([], predictor.default_model, dialect="invocations", context=request.context)
    if kind == CSV_TYPE:
        ask.path, has_header = "csv", parameters.get("header") != "absent"
        predictor.settle(ask, lambda loaded: read_csv(loaded.schema, request.body, has_header))
        return ask
    if kind != "application/json":
        raise UnsupportedMediaType(f"Content-Type: expected application/json or text/csv, received {kind or 'none'}")
    try:
        fields = read_fields(request.body)
    except MalformedBody:
        ask.instances = request.body  # the predictor refuses it, and logs that
        return ask
    forms = [form for form in FORMS if form in fields]
    if len(forms) != 1:
        raise BadRequest(f"expected exactly one of {', '.join(FORMS)}, received {', '.join(fields) or 'no field'}")
    ask.version, ask.alias = read_params(parsed(fields.get("params")))
    ask.path = f"$.{forms[0]}"
    predictor.settle(ask, lambda loaded: read_instances(loaded.schema, forms[0], fields[forms[0]]))
    return ask


def read_content_type(header: str) -> tuple[str, dict[str, str]]:
    """The media type and its parameters, in lower case."""
    kind, *given = (part.strip().lower() for part in header.split(";"))
    pairs = (parameter.partition("=") for parameter in given)
    return kind, {name.strip(): value.strip() for name, _, value in pairs}


def read_params(params: Any) -> tuple[int | None, str | None]:
    """
    The version or the alias that is asked for.

    Raises:
        BadRequest: another parameter: a misspelt one must not be answered by another version.
    """
    if params is None:
        return None, None
    if not isinstance(params, dict):
        raise BadRequest(f"$.params: expected an object, received {describe(params)}")
    for name in params:
        if name not in PARAMS:
            raise BadRequest(f"$.params: expected {' or '.join(PARAMS)}, received {describe(name)}")
    return read_pinned(params, "$.params")


def read_instances(schema: Schema, form: str, values: Any) -> Any:
    """The instances of one of the four forms, as bytes, rows or columns; `inputs` may be either of the last two."""
    if form == "dataframe_split":
        return read_split(schema, parsed(values))
    if form == "dataframe_records":
        return read_records(schema, values)
    is_list = isinstance(values, list) or (isinstance(values, bytes) and values.startswith(b"["))
    if form == "instances" or is_list:
        return read_rows(schema, values)
    return read_columns(schema, values)[0]


def owns(path: str) -> bool:
    return path in ("/ping", "/health", "/version", "/invocations") or path.startswith(("/ping/", "/invocations/"))


def role_for(method: str, path: str) -> Role:
    """Asking for predictions, looking, or only whether there are any: the platform that asks has no key."""
    if path in HEALTH:
        return "anyone"
    return "read" if path == "/version" else "predict"


DIALECT = Dialect("invocations", owns, role_for, answer, refuse)
