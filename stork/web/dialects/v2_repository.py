"""The model repository of the Open Inference Protocol, as Triton has it: what there is, load, unload."""

from typing import Any

from stork.errors import BadRequest, Conflict
from stork.schema.decode import parse_json
from stork.schema.feature import describe
from stork.serving.predictor import Predictor
from stork.serving.states import version_states
from stork.store.audit import audit, audit_refusal
from stork.store.unloading import load_again, unload
from stork.web.dialects import Reply, Request, json_reply

# What index says of a version that does not answer, and has not failed either.
REASONS = {"idle": "loaded when first asked for", "loading": "is being loaded"}


def list_repository(predictor: Predictor, request: Request) -> Reply:
    """Every version of every model: READY where it is loaded here, else why it is not."""
    only_ready = read_object(request.body, '{"ready": true}').get("ready") is True
    listed = []
    for name in predictor.models():
        for version, found in version_states(predictor.route(name)).items():
            entry = {"name": name, "version": str(version), "state": "READY", "reason": ""}
            if found.state != "available":
                entry |= {"state": "UNAVAILABLE", "reason": found.reason or REASONS[found.state]}
            if found.state == "available" or not only_ready:
                listed.append(entry)
    return json_reply(200, listed)


def change_loaded(predictor: Predictor, request: Request, name: str, verb: str) -> Reply:
    """
    `load` or `unload`: of the version in `parameters.version`, else of the whole model; in the audit either way.

    Raises:
        ModelNotFound, VersionNotFound, BadRequest: there is no such thing, or it is asked for in another way.
        Conflict: what is to be unloaded is in service, or what is to be loaded cannot be.
    """
    version = read_parameters(request.body)
    facts: dict[str, Any] = {"model": name, **({} if version is None else {"version": version}), "after": f"{verb}ed"}
    with audit_refusal(predictor.settings, "model", **facts):
        (load_here if verb == "load" else unload_everywhere)(predictor, name, version)
    audit(predictor.settings, "model", **facts)
    return json_reply(200, {})


def load_here(predictor: Predictor, name: str, version: int | None) -> None:
    """Make this process serve what the state asks for, and this version, at once; the others follow by themselves."""
    route = predictor.route(name)
    state = load_again(predictor.registry, name, version)
    route.follow()
    if route.problem:
        raise Conflict(f"model {name!r} does not load: {route.problem}")
    if version is not None:
        predictor.version(name, version)
    predictor.registry.wait_for_followers(name, state.generation)


def unload_everywhere(predictor: Predictor, name: str, version: int | None) -> None:
    """Let it go in this process at once, and wait a moment for the others."""
    route = predictor.route(name)
    state = unload(predictor.registry, name, version)
    route.follow()
    predictor.registry.wait_for_followers(name, state.generation)


def read_parameters(body: bytes) -> int | None:
    """
    The version that `{"parameters": {"version": 3}}` names; None where nothing is named.

    Raises:
        BadRequest: another parameter, which would go unheard.
    """
    wanted = '{"parameters": {"version": 3}}'
    parameters = read_object(body, wanted).get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest(f"expected {wanted} or nothing, received {describe(parameters)}")
    for name in parameters:
        if name not in ("version", "unload_dependents"):  # nothing depends on a model here
            raise BadRequest(f"parameters: expected version or nothing, received {describe(name)}")
    version = parameters.get("version")
    text = str(version) if type(version) in (int, str) else ""
    if version is not None and not (text.isdecimal() and len(text) <= 18):
        raise BadRequest(f"parameters.version: expected a version's number, received {describe(version)}")
    return None if version is None else int(text)


def read_object(body: bytes, wanted: str) -> dict[str, Any]:
    """
    A body that is a JSON object, or empty.

    Raises:
        MalformedBody, BadRequest: it is something else.
    """
    document = parse_json(body) if body.strip() else {}
    if not isinstance(document, dict):
        raise BadRequest(f"expected {wanted} or nothing, received {describe(document)}")
    return document
