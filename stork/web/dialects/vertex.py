"""The dialect of Vertex AI's online prediction: predict, explain and rawPredict of an endpoint."""

import base64
import re
from typing import Any, NamedTuple

import msgspec

from stork.errors import BadRequest, MethodNotAllowed, ModelNotFound, NotFound, StorkError
from stork.schema.decode import UNREADABLE, parse_json
from stork.schema.feature import describe
from stork.serving.ask import Answer, Ask
from stork.serving.explain import Explanation, attribute, count_rows_asked, find_obstacle
from stork.serving.predictor import Predictor, check_deadline
from stork.web.dialects import (
    Dialect,
    Reply,
    Request,
    encode_json,
    json_reply,
    only_predicts,
    prediction_headers,
    read_pinned,
)
from stork.web.dialects.google_json import Fields, read_ask, read_fields, refuse
from stork.web.dialects.row_form import predictions

ROUTE = re.compile(r"/v1(?:beta1)?/(projects/[^/]+/locations/[^/]+)/endpoints/([^/:]+):(predict|explain|rawPredict)")
OWNED = re.compile(r"/v1beta1(?:/|$)|/v1/projects(?:/|$)")

# `labels` are for the service's bills; they mean nothing here, as there.
PREDICT = ("instances", "parameters", "labels", "signature_name")
EXPLAIN = (*PREDICT, "deployedModelId", "explanationSpecOverride")


class HttpBody(msgspec.Struct):
    """google.api.HttpBody: any content, which is base64 where it stands in JSON."""

    data: str


class Wrapper(msgspec.Struct, rename="camel"):
    """A rawPredict request that carries its body in a field."""

    http_body: HttpBody


wrappers = msgspec.json.Decoder(Wrapper)


class Endpoint(NamedTuple):
    """What a request asks: the project and location it names (`projects/P/locations/L`), the endpoint, the model."""

    parent: str
    id: str
    model: str


def answer(predictor: Predictor, request: Request) -> Reply:
    """What the service would answer for an endpoint that Stork is deployed to."""
    try:
        found = ROUTE.fullmatch(request.path)
        if found is None:
            raise NotFound(
                f"no such route: {request.path}; there is: .../endpoints/<id>:predict, :explain, :rawPredict"
            )
        if request.method != "POST":
            raise MethodNotAllowed("POST")
        endpoint = Endpoint(found[1], found[2], find_model(predictor, found[2]))
        return VERBS[found[3]](predictor, request, endpoint)
    except StorkError as error:
        return refuse(error)


def find_model(predictor: Predictor, endpoint: str) -> str:
    """
    The model that an endpoint's id stands for: the one of that name, or the default one by the id of the deployment.

    Raises:
        NotFound: it stands for none; the message names the ids there are.
    """
    own = predictor.settings.endpoint
    if own and endpoint == own:
        return predictor.default_model
    try:
        predictor.route(endpoint)
    except ModelNotFound as error:
        known = ", ".join(filter(None, [own, *predictor.models()]))
        raise NotFound(f"no endpoint {endpoint!r}; there is: {known or 'none'}") from error
    return endpoint


def predict(predictor: Predictor, request: Request, endpoint: Endpoint) -> Reply:
    """`:predict`: the predictions, and which model and version they are of."""
    fields = read_fields(request.body, PREDICT)
    answered = predictor.predict(read_prediction_ask(predictor, request, endpoint.model, fields))
    document: dict[str, Any] = {
        "predictions": predictions(answered),
        "deployedModelId": str(answered.version),
        "model": f"{endpoint.parent}/models/{answered.model}",
        "modelVersionId": str(answered.version),
        "modelDisplayName": answered.model,
    }
    if answered.origin != "dynamic":
        document["metadata"] = {"origin": answered.origin}
    return json_reply(200, document, *prediction_headers(answered.id, answered.version))


def read_prediction_ask(
    predictor: Predictor, request: Request, model: str, fields: Fields, dialect: str = "vertex"
) -> Ask:
    """
    The instances of a body, for the version or the alias in its `parameters`.

    Raises:
        BadRequest: any other parameter, which would go unheard.
    """
    parameters = fields.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest(f"$.parameters: expected an object, received {describe(parameters)}")
    for name in parameters:
        if name not in ("version", "alias"):
            raise BadRequest(f"$.parameters: expected version or alias, received {describe(name)}")
    version, alias = read_pinned(parameters, "$.parameters")
    return read_ask(predictor, request, fields, Ask(b"", model, version, alias, dialect=dialect))


def explain(predictor: Predictor, request: Request, endpoint: Endpoint) -> Reply:
    """`:explain`: the predictions, and each one divided among the features."""
    fields = read_fields(request.body, EXPLAIN)
    fields["parameters"] = chosen_version(fields)
    ask = read_prediction_ask(predictor, request, endpoint.model, fields)
    assert ask.settled is not None  # by reading it
    loaded = ask.settled[1]
    obstacle = find_obstacle(loaded.schema, loaded.background)
    if obstacle:
        raise BadRequest(obstacle)
    ask.charge += count_rows_asked(loaded)
    answered = predictor.predict(ask)
    explanations = []
    asked: Any = ask.instances
    for instance in parse_json(asked) if isinstance(asked, bytes) else asked:
        check_deadline(request.context.deadline)
        explanations.append(attribute(loaded, instance, request.context.deadline))
    document = {
        "explanations": [{"attributions": [attribution(answered, explanation)]} for explanation in explanations],
        "deployedModelId": str(answered.version),
        "predictions": predictions(answered),
    }
    return json_reply(200, document, *prediction_headers(answered.id, answered.version))


def chosen_version(fields: Fields) -> Any:
    """
    The parameters of an explain request, with its `deployedModelId`, which is a version here, as one of them.

    Raises:
        BadRequest: it asks for another explanation than the one there is.
    """
    if fields.get("explanationSpecOverride"):
        raise BadRequest("$.explanationSpecOverride: expected none: contributions are exact, and computed in one way")
    chosen, parameters = fields.get("deployedModelId"), fields.get("parameters")
    if not chosen:
        return parameters
    if not isinstance(chosen, str) or not re.fullmatch(r"\d{1,18}", chosen):
        raise BadRequest(f"$.deployedModelId: expected a version, received {describe(chosen)}")
    if parameters:
        raise BadRequest("expected deployedModelId or parameters, received both")
    return {"version": int(chosen)}


def attribution(answered: Answer, explanation: Explanation) -> dict[str, Any]:
    """An explanation as the service writes it: exact, so without an error of approximation."""
    output = next(o for o in answered.loaded.schema.outputs if o.name == explanation.output)
    document: dict[str, Any] = {
        "baselineOutputValue": explanation.base,
        "instanceOutputValue": explanation.prediction,
        "featureAttributions": explanation.contributions,
        "approximationError": 0.0,
        "outputName": explanation.output,
    }
    if output.tensor.shape == (-1, 1):
        document["outputIndex"] = [0]
    return document


def predict_raw(predictor: Predictor, request: Request, endpoint: Endpoint) -> Reply:
    """`:rawPredict`: what a container behind the endpoint would answer to the body as it is."""
    wrapped = read_wrapped(request.body)
    inner = request if wrapped is None else request._replace(body=wrapped)
    reply, version = predict_alone(predictor, inner, endpoint.model, "vertex")
    body = reply.body
    if wrapped is not None:
        body = encode_json({"contentType": "application/json", "data": base64.b64encode(body).decode()})
    ids = ("X-Vertex-AI-Endpoint-Id", endpoint.id), ("X-Vertex-AI-Deployed-Model-Id", str(version))
    return Reply(reply.status, [*reply.headers, *ids], body)


def predict_alone(predictor: Predictor, request: Request, model: str, dialect: str) -> tuple[Reply, int]:
    """The predictions alone, as a container answers them, and the version they are of."""
    fields = read_fields(request.body, PREDICT)
    answered = predictor.predict(read_prediction_ask(predictor, request, model, fields, dialect))
    headers = prediction_headers(answered.id, answered.version)
    return json_reply(200, {"predictions": predictions(answered)}, *headers), answered.version


def read_wrapped(body: bytes) -> bytes | None:
    """
    The body inside `{"httpBody": {"contentType", "data"}}`, which is how clients made from the service's description
    send it; None for a body that came as it is.

    Raises:
        BadRequest: the data is no base64.
    """
    try:
        found = wrappers.decode(body).http_body
    except UNREADABLE:
        return None
    try:
        return base64.b64decode(found.data, validate=True)
    except ValueError as error:  # also that of text beyond ASCII
        raise BadRequest(f"$.httpBody.data: expected base64, received {describe(found.data)}") from error


def owns(path: str) -> bool:
    """The paths of Google's resources, but for ML Engine's models, which that dialect takes first."""
    return OWNED.match(path) is not None


VERBS = {"predict": predict, "explain": explain, "rawPredict": predict_raw}

DIALECT = Dialect("vertex", owns, only_predicts, answer, refuse)
