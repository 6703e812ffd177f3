"""TensorFlow Serving's REST API, described: one set of paths per model, since each has its own instances."""

from stork.web.openapi.parts import (
    PREDICT_ERRORS,
    PREDICTION_HEADERS,
    Described,
    Json,
    Part,
    alias_parameter,
    errors,
    feature_schema,
    json_answer,
    json_body,
    list_of,
    object_schema,
    reference,
    tensor_schema,
    version_parameter,
)

TITLE = "TensorFlow Serving"
TEXT = "The REST API of TensorFlow Serving; its clients work unchanged."


def describe(models: list[Described]) -> Part:
    """Predict, status and metadata: of the version in service, of a version, of an alias (there called label)."""
    paths: dict[str, Json] = {}
    for model in models:
        base = f"/v1/models/{model.name}"
        ways: list[tuple[str, str, list[Json]]] = [
            ("", "", []),
            ("/versions/{version}", "version", [version_parameter(model)]),
            ("/labels/{label}", "label", [alias_parameter("label")]),
        ]
        for path, suffix, parameters in ways:
            by = f" by {suffix}" if suffix else ""
            paths[f"{base}{path}:predict"] = {"post": predict(model, by), **shared(parameters)}
            paths[base + path] = {"get": look(model, "status", by, STATUS), **shared(parameters)}
            paths[f"{base}{path}/metadata"] = {"get": look(model, "metadata", by, METADATA), **shared(parameters)}
    return Part(TITLE, TEXT, paths, {"TensorFlowServingRefusal": object_schema({"error": {"type": "string"}})})


def shared(parameters: list[Json]) -> Json:
    return {"parameters": parameters} if parameters else {}


def name(model: Described, verb: str, by: str) -> Json:
    """What every operation has."""
    return {
        "tags": [TITLE],
        "operationId": f"{model.name}.{verb}{by}".replace(" ", "_"),
        "summary": f"{verb.capitalize()} of {model.name}{by}",
    }


def predict(model: Described, by: str) -> Json:
    """`:predict`, in row or column form."""
    columns = {feature: [value] * 2 for feature, value in model.example.items()}
    signature = {"signature_name": {"type": "string", "enum": ["", model.schema.signature]}}
    rows = {"instances": list_of(model.instance, minItems=1, maxItems=model.max_instances), **signature}
    features = {f.name: list_of(feature_schema(f), minItems=1) for f in model.schema.features}
    required = [feature.name for feature in model.schema.features if feature.required]
    inputs = {"inputs": {**object_schema(features, required), "additionalProperties": False}, **signature}
    row_form, column_form = object_schema(rows, ["instances"]), object_schema(inputs, ["inputs"])
    body = {
        "oneOf": [
            {"title": "Row form", **row_form, "not": {"required": ["inputs"]}},
            {"title": "Column form", **column_form, "not": {"required": ["instances"]}},
        ]
    }
    return {
        **name(model, "predictions", by),
        "description": "In column form all lists are of one length.",
        "requestBody": json_body(body, row_form={"instances": [model.example]}, column_form={"inputs": columns}),
        "responses": {
            "200": json_answer("The predictions, in the form they were asked in.", answer(model), PREDICTION_HEADERS),
            **errors(reference("TensorFlowServingRefusal"), *PREDICT_ERRORS),
        },
    }


def answer(model: Described) -> Json:
    """One output: its values alone. Several: by name, one object per instance or one list per output."""
    outputs = {output.name: tensor_schema(output) for output in model.schema.outputs}
    if len(outputs) == 1:
        ((_, values),) = outputs.items()
        forms = {"predictions": list_of(values), "outputs": list_of(values)}
    else:
        columns = {output: list_of(values) for output, values in outputs.items()}
        forms = {"predictions": list_of(object_schema(outputs)), "outputs": object_schema(columns)}
    return {"oneOf": [object_schema({key: form}) for key, form in forms.items()]}


def look(model: Described, verb: str, by: str, schema: Json) -> Json:
    """The model's status or metadata. A status is 503 where the model, or the version, does not answer."""
    refusal = reference("TensorFlowServingRefusal")
    unready = {"oneOf": [schema, refusal]} if schema is STATUS else refusal
    return {
        **name(model, verb, by),
        "responses": {
            "200": json_answer("As TensorFlow Serving says it.", schema),
            **errors(refusal, 400, 401, 403, 404, 409, 429, 504),
            **errors(unready, 503),
        },
    }


STATUS = object_schema(
    {
        "model_version_status": list_of(
            object_schema(
                {
                    "version": {"type": "string"},
                    "state": {"type": "string", "enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]},
                    "status": object_schema({"error_code": {"type": "string"}, "error_message": {"type": "string"}}),
                }
            )
        ),
        "name": {"type": "string"},
        "ready": {"type": "boolean"},
    }
)
METADATA = object_schema({"model_spec": {"type": "object"}, "metadata": {"type": "object"}})
