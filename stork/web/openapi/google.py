"""Vertex AI's endpoints and ML Engine's models, described: one set of paths per model."""

from stork.web.openapi.parts import (
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

VERTEX, ML_ENGINE = "Vertex AI", "ML Engine"
ERRORS = [status for status in PREDICT_ERRORS if status != 415]  # any content type is read as JSON
TEXT: Json = {"type": "string"}
IDENTIFIER: Json = {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"}


def describe_vertex(models: list[Described]) -> Part:
    """An endpoint per model, by the model's name: predict and explain."""
    names = [
        path_parameter("project", IDENTIFIER, "Any: Stork has one.", "my-project"),
        path_parameter("location", IDENTIFIER, "Any.", "us-central1"),
    ]
    paths: dict[str, Json] = {}
    for model in models:
        endpoint = f"/v1/projects/{{project}}/locations/{{location}}/endpoints/{model.name}"
        paths[f"{endpoint}:predict"] = {"parameters": names, "post": vertex_operation(model, "predict")}
        if model.explains:
            paths[f"{endpoint}:explain"] = {"parameters": names, "post": vertex_operation(model, "explain")}
    text = "Online prediction of an endpoint; its clients work unchanged. rawPredict takes what predict takes."
    return Part(VERTEX, text, paths, {"GoogleRefusal": refusal()})


def vertex_operation(model: Described, verb: str) -> Json:
    """`:predict` and `:explain` take the same, and answer predictions; the latter divides each among the features."""
    chosen = {"version": {"type": "integer", "minimum": 1}, "alias": TEXT}
    parameters = {**object_schema(chosen, []), "additionalProperties": False, "maxProperties": 1}
    fields = {**instances(model), "parameters": parameters}
    answer = {"predictions": predictions(model), "deployedModelId": TEXT}
    if verb == "explain":
        attributions = list_of({"type": "object", "description": "featureAttributions, and what they add up to."})
        answer["explanations"] = list_of(object_schema({"attributions": attributions}))
    else:
        answer |= {"model": TEXT, "modelVersionId": TEXT, "modelDisplayName": TEXT}
    return operation(model, VERTEX, verb, fields, answer)


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
        "summary": f"{verb.partition('_')[0].capitalize()} with {model.name}",
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
