"""SageMaker's and MLflow's container, described: its paths are of the default model alone."""

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
    tensor_schema,
)

TITLE = "SageMaker and MLflow"
TEXT = "What their containers answer: a ping, and predictions of the default model for rows, columns, frames or CSV."


def describe(models: list[Described]) -> Part:
    """The ping and the invocations; nothing where there is no model."""
    paths: dict[str, Json] = {}
    for model in models:
        if model.is_default:
            paths |= {path: {"get": ping(path)} for path in ("/ping", "/health")}
            paths["/version"] = {"get": tell_version()}
            paths["/invocations"] = {"post": invoke(model)}
    text: Json = {"type": "string"}
    return Part(TITLE, TEXT, paths, {"MLflowRefusal": object_schema({"error_code": text, "message": text})})


def ping(path: str) -> Json:
    return {
        "tags": [TITLE],
        "operationId": path.removeprefix("/"),
        **OPEN,
        "summary": "Whether the default model answers",
        "responses": {
            "200": json_answer("It does.", {"type": "object"}),
            **errors(reference("MLflowRefusal"), 400, 405, 503),
        },
    }


def tell_version() -> Json:
    return {
        "tags": [TITLE],
        "operationId": "version",
        "summary": "The version of Stork",
        "responses": {
            "200": {"description": "Its number.", "content": {"text/plain": {"schema": {"type": "string"}}}},
            **errors(reference("MLflowRefusal"), 400, 401, 403, 405),
        },
    }


def invoke(model: Described) -> Json:
    """Exactly one of the four forms, or CSV."""
    outputs = {output.name: tensor_schema(output) for output in model.schema.outputs}
    prediction = next(iter(outputs.values())) if len(outputs) == 1 else object_schema(outputs)
    answer = json_answer(
        "One prediction per row.", object_schema({"predictions": list_of(prediction)}), PREDICTION_HEADERS
    )
    answer["content"]["text/csv"] = {"schema": {"type": "string"}}
    return {
        "tags": [TITLE],
        "operationId": "invocations",
        "summary": f"Predictions of {model.name}",
        "description": "CSV has a line of names, or `header=absent` in its Content-Type and the schema's order.",
        "requestBody": bodies(model),
        "responses": {"200": answer, **errors(reference("MLflowRefusal"), *PREDICT_ERRORS)},
    }


def bodies(model: Described) -> Json:
    """Every way to write the instances, with an example of each."""
    rows = list_of(model.instance, minItems=1, maxItems=model.max_instances)
    parts: dict[str, Json] = {
        "columns": list_of({"type": "string"}),
        "index": list_of({}),
        "data": list_of(list_of({})),
    }
    forms = {
        "dataframe_split": object_schema(parts, ["columns", "data"]),
        "dataframe_records": rows,
        "instances": rows,
        "inputs": {"type": "object"},
    }
    chosen: dict[str, Json] = {"version": {"type": "integer", "minimum": 1}, "alias": {"type": "string"}}
    params: Json = {**object_schema(chosen, []), "additionalProperties": False, "maxProperties": 1}
    one_of = [{"title": f, **object_schema({f: schema, "params": params}, [f])} for f, schema in forms.items()]
    body = json_body(
        {"oneOf": one_of},
        rows={"instances": [model.example]},
        columns={"inputs": {name: [value] * 2 for name, value in model.example.items()}},
        frame={"dataframe_split": {"columns": list(model.example), "data": [list(model.example.values())]}},
    )
    body["content"]["text/csv"] = {"schema": {"type": "string"}, "example": csv_of(model.example)}
    return body


def csv_of(instance: Json) -> str:
    """A line of names and one of values, nothing for one that is not known."""
    values = ("" if value is None else str(value).lower() for value in instance.values())
    return f"{','.join(instance)}\n{','.join(values)}\n"
