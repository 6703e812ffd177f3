"""Versions, health and metrics, described."""

from stork.web.openapi.parts import (
    Described,
    Json,
    Part,
    alias_parameter,
    errors,
    json_answer,
    json_body,
    list_of,
    object_schema,
    path_parameter,
    reference,
)

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer"}


def describe(models: list[Described]) -> Part:
    """`/api/models...`: what there is, and the move of an alias."""
    paths: dict[str, Json] = {"/api/models": {"get": operation("List the models", "list_models", list_schema())}}
    if models:
        names = {**TEXT, "enum": [model.name for model in models]}
        named = [path_parameter("name", names, "A model.", models[0].name)]
        look = operation("Versions and aliases of a model", "describe_model", model_schema(), 401, 403, 404)
        paths["/api/models/{name}"] = {"parameters": named, "get": look}
        paths["/api/models/{name}/aliases/{alias}"] = {
            "parameters": [*named, alias_parameter()],
            "put": move(models[0]),
        }
    return Part("Versions", "What there is, and which version serves.", paths, {})


def describe_health(models: list[Described]) -> Part:
    """The routes that an orchestrator and Prometheus ask."""
    live, ready = object_schema({"live": {"type": "boolean"}}), reference("Readiness")
    readiness = object_schema(
        {
            "ready": {"type": "boolean"},
            "problems": {"type": "object", "additionalProperties": TEXT, "description": "Reasons, by model."},
            "log_failures": {**NUMBER, "description": "Records that the prediction log could not keep."},
        }
    )
    ready_operation = operation("Does every model serve what it should?", "ready", ready)
    ready_operation["responses"]["503"] = json_answer("Not yet, or not any more: the reasons.", ready)
    metrics = operation("Metrics", "metrics", {})
    metrics["responses"]["200"]["content"] = {
        "text/plain": {"schema": TEXT}, "application/openmetrics-text": {"schema": TEXT},
    }  # fmt: skip
    paths = {
        "/healthz": {"get": operation("Does the process answer?", "live", live)},
        "/readyz": {"get": ready_operation},
        "/metrics": {"get": metrics},
        "/openapi.json": {"get": operation("This description", "openapi", {"type": "object"})},
    }
    for path in paths.values():
        path["get"]["tags"] = ["Health"]
    return Part("Health", "For whoever runs the service.", paths, {"Readiness": readiness})


def operation(summary: str, identity: str, schema: Json, *refused: int) -> Json:
    """One that takes no body."""
    responses = {"200": json_answer("The answer.", schema), **errors(reference("Refusal"), *refused)}
    return {"tags": ["Versions"], "operationId": identity, "summary": summary, "responses": responses}


def list_schema() -> Json:
    return object_schema({"models": list_of(TEXT)})


def model_schema() -> Json:
    """A model's versions, newest first."""
    version = {
        "version": NUMBER,
        "created": {"type": "string", "format": "date-time"},
        "metrics": {"type": "object", "additionalProperties": {"type": "number"}},
        "quality": TEXT,
        "infra": TEXT,
        "aliases": list_of(TEXT),
        "backend": TEXT,
        "served": {**NUMBER, "nullable": True, "description": "Requests, by the prediction log as it stands."},
    }
    aliases = {"type": "object", "additionalProperties": NUMBER}
    versions = list_of(object_schema(version))
    return object_schema({"model": TEXT, "versions": versions, "aliases": aliases, "generation": NUMBER})


def move(model: Described) -> Json:
    """Make an alias name a version; the one operation that changes something."""
    body = object_schema({"version": {**NUMBER, "minimum": 1}, "generation": {**NUMBER, "nullable": True}}, ["version"])
    moved = {"model": TEXT, "alias": TEXT, "version": NUMBER, "before": {**NUMBER, "nullable": True}}
    counted = {"generation": NUMBER, "followed": NUMBER, "servers": NUMBER}
    document = operation(
        "Make an alias name a version", "move_alias", object_schema({**moved, **counted}), 400, 401, 403, 404, 409, 413
    )
    document["description"] = (
        "The version is first loaded in a fresh process and must answer its golden requests. "
        "With a generation only if nobody changed the serving state meanwhile."
    )
    document["requestBody"] = json_body({**body, "additionalProperties": False}, a_version={"version": model.version})
    document["security"] = [{"key": []}]
    return document
