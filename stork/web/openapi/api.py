"""Stork's own dialect, described."""

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
    reference,
)


def describe(models: list[Described]) -> Part:
    """`POST /api/predict`: one instance of the default model, or a list of any model's."""
    bodies = [model.instance for model in models if model.is_default] + [envelope(model) for model in models]
    examples: Json = {}
    for model in models:
        if model.is_default:
            examples["one_instance"] = model.example
        listed = {"instances": [model.example] * 2, "model": model.name}
        examples[f"a_list_for_{model.name}"] = listed
        examples[f"version_{model.version}_of_{model.name}"] = {**listed, "version": model.version}
    operation = {
        "tags": ["Predictions"],
        "operationId": "predict",
        "summary": "Predict",
        "description": "One prediction per instance, in their order.",
        "requestBody": json_body({"anyOf": bodies}, **examples),
        "responses": {
            "200": json_answer("The predictions.", answer(models), PREDICTION_HEADERS),
            **errors(reference("Refusal"), *PREDICT_ERRORS),
        },
    }
    return Part("Predictions", "Stork's own JSON.", {"/api/predict": {"post": operation}}, {"Refusal": refusal()})


def envelope(model: Described) -> Json:
    """A list of instances with what is asked of whom; the model must be named unless it is the default."""
    properties = {
        "instances": list_of(model.instance, minItems=1, maxItems=model.max_instances),
        "model": {"type": "string", "enum": [model.name]},
        "version": {"type": "integer", "minimum": 1, "nullable": True},
        "alias": {"type": "string", "nullable": True, "description": "Instead of a version: a movable name of one."},
    }
    required = ["instances"] if model.is_default else ["instances", "model"]
    return {
        **object_schema(properties, required),
        "title": f"Instances of {model.name}",
        "additionalProperties": False,
        "not": {"required": ["version", "alias"]},
    }


def answer(models: list[Described]) -> Json:
    """Predictions and where they come from."""
    properties = {
        "predictions": list_of({"anyOf": [model.prediction for model in models]}, minItems=1),
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "id": {"type": "string", "description": "Finds the record in the prediction log."},
        "origin": {"type": "string", "description": "Given where the answer does not come from where it should."},
    }
    return object_schema(properties, ["predictions", "model", "version", "id"])


def refusal() -> Json:
    """What went wrong, and of refused instances where."""
    text = {"type": "string"}
    properties = {
        "error": {"type": "string", "description": "What was expected, what was received, where."},
        "id": {"type": "string", "description": "Finds the record in the prediction log."},
        "problems": list_of(object_schema({"path": text, "expected": text, "received": text}), maxItems=20),
        "total": {"type": "integer", "description": "How many problems there are; at most 20 are listed."},
    }
    return {**object_schema(properties, ["error"]), "additionalProperties": False}
