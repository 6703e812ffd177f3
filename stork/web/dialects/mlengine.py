"""The dialect of ML Engine (later AI Platform Prediction): predict of a model or a version, and what they are."""

import re
from typing import Any

from stork.access.keys import Role
from stork.errors import BackendError, InvalidInstances, MethodNotAllowed, NotFound, StorkError
from stork.serving.ask import Ask
from stork.serving.predictor import Predictor
from stork.store.registry import STABLE
from stork.web.dialects import Dialect, Reply, Request, json_reply, prediction_headers
from stork.web.dialects.google_json import read_ask, read_fields, refuse
from stork.web.dialects.row_form import objects, shaped_columns

ROUTE = re.compile(r"/v1/(projects/[^/]+/models/([^/:]+))(?:/versions/([^/:]+))?(:predict)?")
OWNED = re.compile(r"/v1/projects/[^/]+/models(/|$)")


def answer(predictor: Predictor, request: Request) -> Reply:
    """Predictions for POST `:predict`, a resource for GET."""
    try:
        found = ROUTE.fullmatch(request.path)
        if found is None:
            raise NotFound(f"no route {request.path}; there is: .../models/<name>[/versions/<version>][:predict]")
        resource, model, asked, verb = found.groups()
        if request.method not in (("POST",) if verb else ("GET", "HEAD")):
            raise MethodNotAllowed("POST" if verb else "GET")
        version, alias = read_version(asked)
        if verb:
            return predict(predictor, request, Ask(b"", model, version, alias, dialect="mlengine"))
        if asked is None:
            return json_reply(200, describe_model(predictor, resource, model))
        return json_reply(200, describe_version(predictor, resource, model, version, alias))
    except StorkError as error:
        return refuse(error)


def read_version(asked: str | None) -> tuple[int | None, str | None]:
    """The version of `v3` or `3`; any other name is an alias; none asks for neither."""
    if asked is None:
        return None, None
    number = re.fullmatch(r"v?(\d{1,18})", asked)
    return (int(number[1]), None) if number else (None, asked)


def predict(predictor: Predictor, request: Request, ask: Ask) -> Reply:
    """
    An object by output name per instance, also where there is one output.

    The service is said to have answered `{"error": "Prediction failed: ..."}` where an instance failed, with a status
    that its own client may not have raised. Here it is an error to every client, in the words of the service.
    """
    fields = read_fields(request.body, ("instances", "signature_name"))
    try:
        answered = predictor.predict(read_ask(predictor, request, fields, ask))
    except (InvalidInstances, BackendError) as error:
        error.args = (f"Prediction failed: {error}",)
        raise
    headers = prediction_headers(answered.id, answered.version)
    return json_reply(200, {"predictions": objects(shaped_columns(answered))}, *headers)


def describe_model(predictor: Predictor, resource: str, model: str) -> dict[str, Any]:
    """The model as `projects.models.get` answers it; its default version is what `stable` names."""
    declared = predictor.declaration(model).model
    return {
        "name": resource,
        "description": declared.description or declared.title,
        "defaultVersion": describe_version(predictor, resource, model, None, STABLE),
    }


def describe_version(
    predictor: Predictor, resource: str, model: str, version: int | None, alias: str | None
) -> dict[str, Any]:
    """The version as `projects.models.versions.get` answers it, by its canonical name."""
    loaded = predictor.version(model, version, alias)
    return {
        "name": f"{resource}/versions/v{loaded.version}",
        "isDefault": predictor.registry.aliases(model).get(STABLE) == loaded.version,
        "createTime": f"{loaded.manifest.created:%Y-%m-%dT%H:%M:%SZ}",
        "state": "READY",
        "framework": "TENSORFLOW",
    }


def owns(path: str) -> bool:
    """The paths of ML Engine's models: those of TensorFlow Serving have no project, those of Vertex AI a location."""
    return OWNED.match(path) is not None


def role_for(method: str, path: str) -> Role:
    """Asking for predictions, or only about the model."""
    return "predict" if method == "POST" else "read"


DIALECT = Dialect("mlengine", owns, role_for, answer, refuse)
