"""TensorFlow Serving's REST API, described: one set of paths per model, since each has its own instances."""

from stork.web.dialects.tensorflow_examples import DEFAULT, KINDS
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
    """
    Predict, classify, regress, status and metadata: of the version in service, of one by its number, of an alias (there
    called label). The verbs for examples only where the version in service has a signature for them.
    """
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
            for verb in ("classify", "regress"):
                if names := [key for key, signature in model.further.items() if signature.method == verb]:
                    paths[f"{base}{path}:{verb}"] = {"post": score(model, verb, by, names), **shared(parameters)}
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


def score(model: Described, verb: str, by: str, signatures: list[str]) -> Json:
    """`:classify` or `:regress`, by the signatures for it; what an example must hold their graph knows alone."""
    default = ["", DEFAULT] if DEFAULT in signatures else []
    names = [*default, *(name for name in signatures if name != DEFAULT)]
    example = {"type": "object", "additionalProperties": EXAMPLE_VALUES}
    fields: dict[str, Json] = {
        "signature_name": {"type": "string", "enum": names},
        "context": {**example, "description": "Features of every example that does not have them itself."},
        "examples": list_of(example, minItems=1, maxItems=model.max_instances),
    }
    pair = list_of({"anyOf": [{"type": "string"}, {"type": "number"}]}, minItems=2, maxItems=2)
    result = {"classify": list_of(pair), "regress": {"type": "number"}}[verb]
    text = {"classify": "A label and its score, for each class of each example.", "regress": "A number per example."}
    results = object_schema({"results": list_of(result)})
    return {
        **name(model, KINDS[verb], by),
        "requestBody": json_body(object_schema(fields, ["examples"] if default else ["examples", "signature_name"])),
        "responses": {
            "200": json_answer(text[verb], results, PREDICTION_HEADERS),
            **errors(reference("TensorFlowServingRefusal"), *PREDICT_ERRORS),
        },
    }


EXAMPLE_SCALARS: list[Json] = [
    {"type": "number"},
    {"type": "boolean"},
    {"type": "string"},
    object_schema({"b64": {"type": "string"}}),
]
EXAMPLE_VALUES: Json = {"anyOf": [*EXAMPLE_SCALARS, list_of({"anyOf": EXAMPLE_SCALARS})]}


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
