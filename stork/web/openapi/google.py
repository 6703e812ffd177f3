"""Vertex AI's endpoints and container, and ML Engine's models, described: one set of paths per model."""

from stork.config import Settings
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
    path_parameter,
    reference,
    tensor_schema,
    version_parameter,
)

VERTEX, ML_ENGINE, CONTAINER = "Vertex AI", "ML Engine", "Vertex AI container"
ERRORS = [status for status in PREDICT_ERRORS if status != 415]  # any content type is read as JSON
TEXT: Json = {"type": "string"}
SUMMARIES = {"predict": "Predict with", "rawPredict": "Predict as a container with", "explain": "Explain with"}
IDENTIFIER: Json = {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"}


def describe_vertex(models: list[Described]) -> Part:
    """An endpoint per model, by the model's name: predict, rawPredict and explain."""
    names = [
        path_parameter("project", IDENTIFIER, "Any: Stork has one.", "my-project"),
        path_parameter("location", IDENTIFIER, "Any.", "us-central1"),
    ]
    paths: dict[str, Json] = {}
    for model in models:
        endpoint = f"/v1/projects/{{project}}/locations/{{location}}/endpoints/{model.name}"
        for verb in ("predict", "rawPredict", *(["explain"] if model.explains else [])):
            paths[f"{endpoint}:{verb}"] = {"parameters": names, "post": vertex_operation(model, verb)}
    text = "Online prediction of an endpoint; its clients work unchanged."
    return Part(VERTEX, text, paths, {"GoogleRefusal": refusal()})


def vertex_operation(model: Described, verb: str) -> Json:
    """
    All take the same, and answer predictions.

    `:explain` divides each among the features; `:rawPredict` answers as the container does.
    """
    answer = {"predictions": predictions(model)}
    if verb == "explain":
        attributions = list_of({"type": "object", "description": "featureAttributions, and what they add up to."})
        answer |= {"deployedModelId": TEXT, "explanations": list_of(object_schema({"attributions": attributions}))}
    elif verb == "predict":
        answer |= {"deployedModelId": TEXT, "model": TEXT, "modelVersionId": TEXT, "modelDisplayName": TEXT}
    return operation(model, VERTEX, verb, prediction_fields(model), answer)


def prediction_fields(model: Described) -> dict[str, Json]:
    """What Vertex AI's clients send: instances, and the version or the alias to ask."""
    chosen = {"version": {"type": "integer", "minimum": 1}, "alias": TEXT}
    parameters = {**object_schema(chosen, []), "additionalProperties": False, "maxProperties": 1}
    return {**instances(model), "parameters": parameters}


def describe_container(models: list[Described], settings: Settings) -> Part:
    """The two routes that Vertex AI gives a container, each where the settings have it."""
    paths: dict[str, Json] = {}
    if settings.health_route:
        paths[settings.health_route] = {"get": tell_health()}
    for model in models:
        if settings.predict_route and model.is_default:
            answer = {"predictions": predictions(model)}
            predict = operation(model, CONTAINER, "predict", prediction_fields(model), answer)
            paths[settings.predict_route] = {"post": predict}
    return Part(CONTAINER, "What the service asks of whatever runs behind its endpoint.", paths, {})


def tell_health() -> Json:
    """Whether every model serves what it should; asked by the service, without a key."""
    reasons: Json = {"type": "object", "additionalProperties": TEXT, "description": "Reasons, by model."}
    ready = object_schema({"ready": {"type": "boolean"}, "problems": reasons})
    return {
        "tags": [CONTAINER],
        "operationId": "VertexAIcontainer.health",
        "summary": "Does every model serve what it should?",
        **OPEN,
        "responses": {
            "200": json_answer("It does.", ready),
            "503": json_answer("Not yet, or not any more: the reasons.", ready),
            **errors(reference("GoogleRefusal"), 400, 405),
        },
    }


def describe_mlengine(models: list[Described]) -> Part:
    """A model, or a version of it."""
    project = path_parameter("project", IDENTIFIER, "Any: Stork has one.", "my-project")
    paths: dict[str, Json] = {}
    for model in models:
        resource = f"/v1/projects/{{project}}/models/{model.name}"
        by_name = object_schema({output.name: tensor_schema(output) for output in model.schema.outputs})
        answer = {"predictions": list_of(by_name)}
        ways = [
            (resource, "", [project]),
            (f"{resource}/versions/{{version}}", "_version", [project, version_parameter(model)]),
        ]
        for path, suffix, parameters in ways:
            predict = operation(model, ML_ENGINE, f"predict{suffix}", instances(model), answer)
            paths[f"{path}:predict"] = {"parameters": parameters, "post": predict}
            paths[path] = {"parameters": parameters, "get": look(model, f"get{suffix}")}
    return Part(ML_ENGINE, "The older service, since shut down; its clients work unchanged.", paths, {})


def instances(model: Described) -> dict[str, Json]:
    """What both take: instances in row form, and the signature's name."""
    signature = {"type": "string", "enum": ["", model.schema.signature]}
    listed = list_of(model.instance, minItems=1, maxItems=model.max_instances)
    return {"instances": listed, "signature_name": signature}


def predictions(model: Described) -> Json:
    """The bare value of each instance where there is one output, else an object by output name."""
    outputs = {output.name: tensor_schema(output) for output in model.schema.outputs}
    return list_of(next(iter(outputs.values())) if len(outputs) == 1 else object_schema(outputs))


def operation(model: Described, tag: str, verb: str, fields: dict[str, Json], answer: dict[str, Json]) -> Json:
    """One that takes instances."""
    body = {**object_schema(fields, ["instances"]), "additionalProperties": False}
    return {
        "tags": [tag],
        "operationId": f"{model.name}.{tag}.{verb}".replace(" ", ""),
        "summary": f"{SUMMARIES[verb.partition('_')[0]]} {model.name}",
        "requestBody": json_body(body, two_instances={"instances": [model.example] * 2}),
        "responses": {
            "200": json_answer(
                "The predictions, in the order of the instances.", object_schema(answer), PREDICTION_HEADERS
            ),
            **errors(reference("GoogleRefusal"), *ERRORS),
        },
    }


def look(model: Described, verb: str) -> Json:
    """The resource itself."""
    answer = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
    return {
        "tags": [ML_ENGINE],
        "operationId": f"{model.name}.{ML_ENGINE}.{verb}".replace(" ", ""),
        "summary": f"What {model.name} is",
        "responses": {
            "200": json_answer("The resource.", answer),
            **errors(reference("GoogleRefusal"), 400, 401, 403, 404, 405, 409, 429, 503),
        },
    }


def refusal() -> Json:
    """google.rpc.Status."""
    details = list_of({"type": "object"})
    status = {"code": {"type": "integer"}, "message": TEXT, "status": TEXT, "details": details}
    return object_schema({"error": object_schema(status)})
