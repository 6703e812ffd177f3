"""The versions of a model and who gets which requests, described."""

from stork.web.openapi.parts import (
    Described,
    Json,
    Part,
    errors,
    json_answer,
    json_body,
    list_of,
    object_schema,
    path_parameter,
    reference,
)

TITLE = "Versions"
TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer"}
PERCENT: Json = {"type": "integer", "minimum": 0, "maximum": 100}
NAMED_NUMBERS: Json = {"type": "object", "additionalProperties": NUMBER, "nullable": True}
ANY_OBJECT: Json = {"type": "object", "nullable": True}
GENERATION: Json = {**NUMBER, "nullable": True, "description": "Only if the state is still of this generation."}
CHANGE_ERRORS = (400, 401, 403, 404, 409, 413)


def describe(models: list[Described]) -> Part:
    """`/api/models...`: what there is, and the changes of it."""
    paths: dict[str, Json] = {
        "/api/models": {"get": operation("List the models", "list_models", {"models": list_of(TEXT)})}
    }
    if models:
        names = {**TEXT, "enum": [model.name for model in models]}
        named = [path_parameter("name", names, "A model.", models[0].name)]
        alias = path_parameter("alias", TEXT, "An alias: a movable name of a version.", "canary")
        here = "/api/models/{name}"
        look = operation("Versions, aliases and traffic of a model", "describe_model", model_fields(), 401, 403, 404)
        paths[here] = {"parameters": named, "get": look}
        moves = {"put": move_alias(models[0]), "delete": remove_alias()}
        paths[f"{here}/aliases/{{alias}}"] = {"parameters": [*named, alias], **moves}
        paths[f"{here}/traffic"] = {"parameters": named, "put": split_traffic()}
        paths[f"{here}/shadow"] = {"parameters": named, "get": look_at_shadow(), "put": cast_shadow()}
    return Part(TITLE, "What there is, and which version gets which requests.", paths, {})


def operation(summary: str, identity: str, fields: dict[str, Json], *refused: int) -> Json:
    """One that takes no body and answers an object."""
    answer = json_answer("The answer.", object_schema(fields))
    responses = {"200": answer, **errors(reference("Refusal"), *refused)}
    return {"tags": [TITLE], "operationId": identity, "summary": summary, "responses": responses}


def change(summary: str, identity: str, fields: dict[str, Json], text: str) -> Json:
    """One that changes something, so that it needs a key."""
    refused = operation(summary, identity, fields, *CHANGE_ERRORS)
    return {**refused, "description": text, "security": [{"key": []}]}


def model_fields() -> dict[str, Json]:
    """A model's versions, newest first, and its serving state."""
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
    return {
        "model": TEXT,
        "versions": list_of(object_schema(version)),
        "aliases": {"type": "object", "additionalProperties": NUMBER},
        "traffic": NAMED_NUMBERS,
        "shadow": ANY_OBJECT,
        "generation": NUMBER,
    }


def move_alias(model: Described) -> Json:
    """PUT an alias."""
    fields = {"model": TEXT, "alias": TEXT, "version": NUMBER, "before": {**NUMBER, "nullable": True}, **FOLLOWED}
    document = change(
        "Make an alias name a version", "move_alias", fields,
        "The version is first loaded in a fresh process and must answer its golden requests.",
    )  # fmt: skip
    body = object_schema({"version": {**NUMBER, "minimum": 1}, "generation": GENERATION}, ["version"])
    return {**document, "requestBody": closed_body(body, a_version={"version": model.version})}


def remove_alias() -> Json:
    """DELETE an alias."""
    fields = {"model": TEXT, "aliases": {"type": "object", "additionalProperties": NUMBER}, "generation": NUMBER}
    return change("Forget an alias", "remove_alias", fields, "One that gets traffic is kept.")


def split_traffic() -> Json:
    """PUT the split."""
    percents = {"type": "object", "additionalProperties": PERCENT, "nullable": True, "description": "By alias."}
    document = change(
        "Split the requests that ask for no version",
        "split_traffic",
        STATE,
        "100 percent together; null: all to stable.",
    )
    body = object_schema({"traffic": percents, "generation": GENERATION}, ["traffic"])
    return {**document, "requestBody": closed_body(body, all_to_stable={"traffic": {"stable": 100}})}


def cast_shadow() -> Json:
    """PUT the shadow."""
    fields = {
        "version": {**NUMBER, "minimum": 1, "nullable": True},
        "alias": {**TEXT, "nullable": True, "description": "Instead of a version."},
        "share": {**PERCENT, "description": "Of the requests, in percent."},
    }
    shadow = {**object_schema(fields, []), "additionalProperties": False, "nullable": True}
    document = change("Let a version answer copies of requests", "cast_shadow", STATE, "null: none does.")
    body = object_schema({"shadow": shadow, "generation": GENERATION}, ["shadow"])
    return {**document, "requestBody": closed_body(body, no_shadow={"shadow": None})}


def look_at_shadow() -> Json:
    """GET the shadow."""
    sums = {**list_of({"type": "object"}), "nullable": True, "description": "Null where the log is not kept in files."}
    fields = {"model": TEXT, "shadow": ANY_OBJECT, "sums": sums}
    return operation("The shadow, and what was found of it", "shadow", fields, 401, 403, 404)


def closed_body(schema: Json, **examples: Json) -> Json:
    """A body of these keys and no others."""
    return json_body({**schema, "additionalProperties": False}, **examples)


FOLLOWED = {"generation": NUMBER, "followed": NUMBER, "servers": NUMBER}
STATE = {"model": TEXT, "traffic": NAMED_NUMBERS, "shadow": ANY_OBJECT, "before": {"nullable": True}, **FOLLOWED}
