"""The dialect of the Open Inference Protocol, version 2, as Triton and KServe speak it: JSON and binary tensors."""

import re
from typing import Any

from stork import __version__
from stork.access.keys import Role
from stork.declaration import Feature, Output
from stork.errors import InvalidInstances, MethodNotAllowed, NotFound, StorkError, VersionNotFound
from stork.serving.predictor import Predictor
from stork.web.dialects import Dialect, Reply, Request, error_headers, json_reply
from stork.web.dialects.v2_infer import infer
from stork.web.dialects.v2_repository import change_loaded, list_repository
from stork.web.dialects.v2_statistics import list_statistics
from stork.web.dialects.v2_tensors import DATATYPES, describe_tensor

MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer|stats|config))?")
REPOSITORY = re.compile(r"/v2/repository/(?:(index)|models/([^/]+)/(load|unload))")
SERVER_ROUTES = ("/v2", "/v2/health/live", "/v2/health/ready")
EXTENSIONS = ["binary_tensor_data", "model_repository", "statistics"]


def answer(predictor: Predictor, request: Request) -> Reply:
    """What Triton would answer, with Stork's schema rules for the content."""
    try:
        return dispatch(predictor, request)
    except StorkError as error:
        return refuse(error)


def refuse(error: StorkError) -> Reply:
    """Any error in the protocol's shape; of refused instances every problem."""
    text = "; ".join(map(str, error.problems)) if isinstance(error, InvalidInstances) else str(error)
    return json_reply(error.status, {"error": text}, *error_headers(error))


def dispatch(predictor: Predictor, request: Request) -> Reply:
    """The route, by path and method."""
    path = request.path.rstrip("/")
    if found := MODEL.fullmatch(path):
        name, version, verb = found.groups()
        if name == "stats" and verb is None and version is None:
            check_method(request, "GET")
            return json_reply(200, {"model_stats": list_statistics(predictor, "", None)})
        check_method(request, "POST" if verb == "infer" else "GET")
        return MODEL_VERBS[verb](predictor, request, name, read_version(name, version))
    if found := REPOSITORY.fullmatch(path):
        check_method(request, "POST")
        return (
            list_repository(predictor, request) if found[1] else change_loaded(predictor, request, *found.groups()[1:])
        )
    if path not in SERVER_ROUTES:
        raise NotFound(f"no such route: {request.path}")
    check_method(request, "GET")
    if path == "/v2":
        return json_reply(200, {"name": "stork", "version": __version__, "extensions": EXTENSIONS})
    ready = path == "/v2/health/live" or not predictor.problems()
    return json_reply(200 if ready else 503, {path.rpartition("/")[2]: ready})


def check_method(request: Request, allowed: str) -> None:
    """
    Raises:
        MethodNotAllowed: HEAD counts as GET.
    """
    if request.method != allowed and (request.method, allowed) != ("HEAD", "GET"):
        raise MethodNotAllowed(allowed)


def read_version(name: str, text: str | None) -> int | None:
    """
    Raises:
        VersionNotFound: versions are numbers.
    """
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise VersionNotFound(name, f"version {text[:40]!r}", ["numbers"])
    return int(text)


def describe_model(predictor: Predictor, request: Request, name: str, version: int | None) -> Reply:
    """Name, versions, inputs and outputs of the version asked for."""
    loaded = predictor.version(name, version)
    document = {
        "name": name,
        "versions": [str(known) for known in predictor.registry.versions(name)],
        "platform": "tensorflow_savedmodel",
        "inputs": [describe_tensor(feature) for feature in loaded.schema.features],
        "outputs": [describe_tensor(output) for output in loaded.schema.outputs],
    }
    return json_reply(200, document)


def configure(predictor: Predictor, request: Request, name: str, version: int | None) -> Reply:
    """The part of Triton's model configuration that its clients read."""
    schema = predictor.version(name, version).schema
    document = {
        "name": name,
        "platform": "tensorflow_savedmodel",
        "max_batch_size": 0,
        "input": [configure_tensor(feature) for feature in schema.features],
        "output": [configure_tensor(output) for output in schema.outputs],
    }
    return json_reply(200, document)


def configure_tensor(part: Feature | Output) -> dict[str, Any]:
    kind = DATATYPES[part.tensor.dtype].replace("BYTES", "STRING")
    return {"name": part.name, "data_type": f"TYPE_{kind}", "dims": list(part.tensor.shape)}


def tell_ready(predictor: Predictor, request: Request, name: str, version: int | None) -> Reply:
    """200 when the version asked for answers, else 503."""
    predictor.route(name)
    try:
        predictor.version(name, version)
    except VersionNotFound:
        raise
    except StorkError:
        return json_reply(503, {"name": name, "ready": False})
    return json_reply(200, {"name": name, "ready": True})


def statistics(predictor: Predictor, request: Request, name: str, version: int | None) -> Reply:
    """What a model's versions were asked, and how long it took, as Triton writes it."""
    predictor.registry.home(name)
    return json_reply(200, {"model_stats": list_statistics(predictor, name, version)})


def owns(path: str) -> bool:
    return path == "/v2" or path.startswith("/v2/")


def role_for(method: str, path: str) -> Role:
    """Asking whether it is well, for predictions or what a model takes, how it fares, or making it load."""
    path = path.rstrip("/")
    if path.startswith("/v2/health/"):
        return "anyone"
    if path.endswith(("/load", "/unload")):
        return "operate"
    return "read" if path.endswith(("/index", "/stats")) else "predict"


MODEL_VERBS = {None: describe_model, "ready": tell_ready, "infer": infer, "stats": statistics, "config": configure}
DIALECT = Dialect("v2", owns, role_for, answer, refuse)
