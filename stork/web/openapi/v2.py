"""The Open Inference Protocol, described: its service, its repository, and a set of paths per model."""

from stork.web.dialects.v2_tensors import DATATYPES
from stork.web.openapi.parts import (
    OPEN,
    PREDICT_ERRORS,
    PREDICTION_HEADERS,
    Described,
    Json,
    Part,
    errors,
    json_answer,
    json_body,
    list_of,
    object_schema,
    reference,
    version_parameter,
)

TITLE = "Open Inference Protocol"
ERRORS = [status for status in PREDICT_ERRORS if status != 415]  # JSON is read whatever its type
LOOKING = (400, 401, 403, 404, 405, 409, 429, 503)
TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer"}


def describe(models: list[Described]) -> Part:
    """Server, health and repository; then, per model and per version of it, metadata, readiness and inference."""
    live, ready = flag("live"), flag("ready")
    paths: dict[str, Json] = {
        "/v2": {"get": look("What this server is", "v2", object_schema({"name": TEXT, "version": TEXT}))},
        "/v2/health/live": {"get": OPEN | look("Does the process answer?", "v2.live", live)},
        "/v2/health/ready": {"get": OPEN | look("Does every model serve what it should?", "v2.ready", ready, ready)},
        "/v2/models/stats": {"get": look("What every model was asked", "v2.stats", reference("Statistics"))},
        "/v2/repository/index": {"post": index()},
    }
    for model in models:
        resource = f"/v2/models/{model.name}"
        for path, suffix in ((resource, ""), (f"{resource}/versions/{{version}}", "_version")):
            parameters = {"parameters": [version_parameter(model)]} if suffix else {}
            name = f"{model.name}.v2.{{}}{suffix}".format
            state = object_schema({"name": TEXT, "ready": {"type": "boolean"}})
            paths[path] = parameters | {"get": look("Its inputs and outputs", name("metadata"), metadata())}
            paths[f"{path}/ready"] = parameters | {"get": look("Does it answer?", name("ready"), state, state)}
            paths[f"{path}/config"] = parameters | {
                "get": look("For Triton's clients", name("config"), metadata("config"))
            }
            paths[f"{path}/stats"] = parameters | {
                "get": look("What it was asked", name("stats"), reference("Statistics"))
            }
            paths[f"{path}/infer"] = parameters | {"post": infer(model, name("infer"))}
    text = "Version 2, as Triton and KServe speak it; binary tensors after the JSON are taken and given too."
    return Part(TITLE, text, paths, {"V2Refusal": object_schema({"error": TEXT}), "Statistics": statistics()})


def flag(name: str) -> Json:
    return object_schema({name: {"type": "boolean"}})


def look(summary: str, identity: str, schema: Json, not_ready: Json | None = None) -> Json:
    """An operation that changes nothing; `not_ready` is what it says with 503."""
    responses = {"200": json_answer("The answer.", schema), **errors(reference("V2Refusal"), *LOOKING)}
    if not_ready is not None:
        either: Json = {"anyOf": [not_ready, reference("V2Refusal")]}
        responses["503"] = json_answer("Not yet, or not any more.", either)
    return {"tags": [TITLE], "operationId": identity, "summary": summary, "responses": responses}


def index() -> Json:
    """The repository's list."""
    entry = object_schema({"name": TEXT, "version": TEXT, "state": TEXT, "reason": TEXT})
    operation = look("Every version of every model", "v2.index", list_of(entry))
    body = json_body(object_schema({"ready": {"type": "boolean"}}, []), those_that_are_loaded={"ready": True})
    return {**operation, "requestBody": {**body, "required": False}}


def metadata(kind: str = "metadata") -> Json:
    """A model's tensors; the configuration names them otherwise."""
    sides = ("inputs", "outputs") if kind == "metadata" else ("input", "output")
    return object_schema({"name": TEXT, "platform": TEXT, **{side: list_of({"type": "object"}) for side in sides}})


def infer(model: Described, identity: str) -> Json:
    """Inference; the example gives every feature that is known, as it is."""
    tensor = {
        "name": {**TEXT, "enum": [feature.name for feature in model.schema.features]},
        "datatype": TEXT,
        "shape": list_of(NUMBER, minItems=1, maxItems=2),
        "data": list_of({}),
        "parameters": {"type": "object"},
    }
    body = object_schema(
        {
            "id": TEXT,
            "parameters": {"type": "object"},
            "inputs": list_of(object_schema(tensor, ["name", "datatype", "shape"])),
            "outputs": list_of(object_schema({"name": TEXT, "parameters": {"type": "object"}}, ["name"])),
        },
        ["inputs"],
    )
    output = object_schema({"name": TEXT, "datatype": TEXT, "shape": list_of(NUMBER)})
    answer = object_schema({"model_name": TEXT, "model_version": TEXT, "outputs": list_of(output)})
    answered = json_answer("The tensors, a row an instance.", answer, PREDICTION_HEADERS)
    return {
        "tags": [TITLE],
        "operationId": identity,
        "summary": f"Infer with {model.name}",
        "requestBody": json_body(body, one_instance={"inputs": example_inputs(model)}),
        "responses": {"200": answered, **errors(reference("V2Refusal"), *ERRORS)},
    }


def example_inputs(model: Described) -> list[Json]:
    """The example instance as tensors: true and false as BOOL, text as BYTES, numbers in their tensor's datatype."""
    inputs = []
    for feature in model.schema.features:
        value = model.example[feature.name]
        if value is not None:
            kind = DATATYPES[feature.tensor.dtype]
            kind = "BOOL" if isinstance(value, bool) else "BYTES" if isinstance(value, str) else kind
            inputs.append({"name": feature.name, "datatype": kind, "shape": [1], "data": [value]})
    return inputs


def statistics() -> Json:
    """Triton's statistics."""
    entry = {"name": TEXT, "version": TEXT, "inference_count": NUMBER, "execution_count": NUMBER}
    return object_schema({"model_stats": list_of(object_schema({**entry, "inference_stats": {"type": "object"}}))})
