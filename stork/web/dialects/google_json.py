"""How Google's prediction services write requests and errors: one envelope, and google.rpc.Status."""

from typing import Any

from stork.errors import BadRequest, InvalidInstances, MalformedBody, StorkError
from stork.schema.feature import describe
from stork.serving.ask import Ask
from stork.serving.predictor import Predictor
from stork.web.dialects import Reply, Request, envelope, error_headers, json_reply
from stork.web.dialects.row_form import read_rows

# google.rpc.Code by HTTP status: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"

Fields = dict[str, Any]


def read_fields(body: bytes, known: tuple[str, ...]) -> Fields:
    """
    The fields of a body: `instances` as bytes where msgspec reads the body, all else parsed.

    A body that is no JSON is all instances: the predictor refuses it, and logs that.

    Raises:
        BadRequest: not an object, a field twice, or one that is not among `known`, as Google's services say it.
    """
    try:
        fields = envelope.read_fields(body)
        read = {name: value if name == "instances" else envelope.parsed(value) for name, value in fields.items()}
    except MalformedBody:
        return {"instances": body}
    for name in read:
        if name not in known:
            raise BadRequest(f"Invalid JSON payload received. Unknown name {describe(name)}: Cannot find field.")
    return read


def read_ask(predictor: Predictor, request: Request, fields: Fields, asked: Ask) -> Ask:
    """
    What is `asked`, with the fields' instances, in row form; missing ones are left for the predictor to refuse.

    The schema of the version that answers decides whether values come as the tensors have them.

    Raises:
        BadRequest: the body names a signature that the version does not serve.
        NotFound: there is no such model, version or alias.
    """
    asked.context = request.context
    schema = predictor.settle(asked, lambda loaded: read_rows(loaded.schema, fields.get("instances"))).schema
    signature = fields.get("signature_name") or schema.signature
    if signature != schema.signature:
        raise BadRequest(f"signature_name: expected {schema.signature!r}, received {describe(signature)}")
    return asked


def refuse(error: StorkError) -> Reply:
    """Any error as google.rpc.Status; each located problem of refused instances as a field violation."""
    details = []
    if isinstance(error, InvalidInstances):
        violations = [violation(p.path, f"expected {p.expected}, received {p.received}") for p in error.problems]
        details.append({"@type": BAD_REQUEST, "fieldViolations": violations})
    status = {
        "code": error.status,
        "message": str(error),
        "status": CODES.get(error.status, "INTERNAL"),
        "details": details,
    }
    return json_reply(error.status, {"error": status}, *error_headers(error))


def violation(path: str, description: str) -> dict[str, str]:
    """A field violation; its field is the path from the request's root: `instances[3].age`."""
    return {"field": path.removeprefix("$").removeprefix("."), "description": description}
