"""`/openapi.json`, and `/docs`, the same for people: read it, and try it out."""

import json
from typing import Any, NamedTuple

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from stork.web.dialects import encode_json
from stork.web.health import find_predictor
from stork.web.openapi import make_document

blueprint = Blueprint("docs", __name__)

Json = dict[str, Any]


@blueprint.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """The OpenAPI document, as of now: it follows the versions in service."""
    return encode_json(make_document(find_predictor())), {"Content-Type": "application/json"}


@blueprint.get("/docs")
def show() -> ResponseReturnValue:
    """Every operation with its fields, its examples and its answers; with script, a form to try it."""
    document = make_document(find_predictor())
    sections = [(tag, list_operations(document, tag["name"])) for tag in document["tags"]]
    lead, *notices = document["info"]["description"].split("\n\n")
    return render_template("docs.html", lead=lead, notices=notices, sections=sections)


class Row(NamedTuple):
    """A field of a body: where it stands, what it is called, what it takes."""

    path: str
    title: str
    takes: str
    required: bool
    text: str


class Operation(NamedTuple):
    """One operation as the page shows it; `examples` are pretty JSON by title, `answers` texts by status."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    secured: bool
    parameters: list[Json]
    fields: list[tuple[str, list[Row]]]
    examples: dict[str, str]
    answers: dict[str, str]


def list_operations(document: Json, tag: str) -> list[Operation]:
    """The operations under a tag, in the order of the document."""
    return [
        read_operation(document, path, item.get("parameters", []), method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters" and tag in operation["tags"]
    ]


def read_operation(document: Json, path: str, parameters: list[Json], method: str, operation: Json) -> Operation:
    body = operation.get("requestBody", {"content": {}})["content"].get("application/json", {})
    shown = body.get("examples", {}).values()
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text=operation.get("description", ""),
        secured="security" in operation or "security" in document,
        parameters=parameters,
        fields=[table for form in forms(document, body.get("schema", {})) for table in list_fields(document, form)],
        examples={example["summary"]: json.dumps(example["value"], indent=2) for example in shown},
        answers={status: answer["description"] for status, answer in operation["responses"].items()},
    )


def forms(document: Json, schema: Json) -> list[Json]:
    """The forms that a body may have: those of an anyOf or oneOf, or the one there is."""
    choices = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return [resolve(document, choice) for choice in choices if choice]


def resolve(document: Json, schema: Json) -> Json:
    """What a reference leads to, with the name it had as a title."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    found: Json = document["components"]["schemas"][name]
    return {"title": name, **found}


def list_fields(document: Json, form: Json) -> list[tuple[str, list[Row]]]:
    """The table of an object's fields, and those of objects inside it that have no name of their own."""
    rows, inner = [], []
    for name, schema in form.get("properties", {}).items():
        given = resolve(document, schema)
        rows.append(
            Row(
                name,
                schema.get("title", ""),
                describe_values(document, schema),
                name in form.get("required", []),
                given.get("description", ""),
            )
        )
        if "properties" in schema:
            inner += list_fields(document, {**schema, "title": name})
    return [(form.get("title", ""), rows), *inner]


WORDS: dict[str, str] = {"integer": "whole number", "string": "text", "boolean": "true or false"}


def describe_values(document: Json, schema: Json) -> str:
    """The values of a field in words: "whole number, 10 to 60", "list of house.Instance"."""
    if "$ref" in schema:
        return str(resolve(document, schema)["title"])
    if "type" not in schema:
        return "any value"
    if schema["type"] == "array":
        return f"list of {describe_values(document, schema['items'])}"
    words = WORDS.get(schema["type"], str(schema["type"]))
    if "enum" in schema:
        words = "one of " + ", ".join(json.dumps(value) for value in schema["enum"] if value is not None)
    elif abs(schema.get("maximum", 1e30)) < 1e15:
        words += f", {schema['minimum']:g} to {schema['maximum']:g}"
    return f"{words}, or null" if schema.get("nullable") else words
