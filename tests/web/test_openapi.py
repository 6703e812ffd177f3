"""`/openapi.json`: valid, complete, and every example in it is answered."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import fake_declaration
from flask import Flask
from server import Server, start_server

from stork.access.gate import Gate
from stork.config import Settings
from stork.declaration import Declaration
from stork.schema.frozen import Schema
from stork.serving.predictor import Predictor
from stork.web.admission import Admission
from stork.web.app import create_pages
from stork.web.openapi import make_document
from stork.web.openapi.parts import feature_schema, instance_schema, output_schema

KEY = "a key for the examples"


@pytest.fixture
def document(predictor: Predictor) -> dict[str, Any]:
    """The document of the shipped model, which need not be loaded for it."""
    return make_document(predictor)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose admin key is known, so that also the example of a switch can be sent."""
    folder = tmp_path_factory.mktemp("openapi")
    with start_server(Settings(root=folder / "var", log=str(folder / "log"), admin_key=KEY)) as running:
        yield running


def test_the_document_is_valid_openapi_3_0_3(document: dict[str, Any]) -> None:
    """Gateways read no later version, so no type is a list."""
    validator = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not installed")
    validator.validate(document)

    assert document["openapi"] == "3.0.3"
    assert not [node for node in walk(document) if isinstance(node.get("type"), list)]


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


def test_every_json_route_is_described(document: dict[str, Any], predictor: Predictor, settings: Settings) -> None:
    """A new route under /api, or one that orchestrators ask, must not be forgotten."""
    pages: Flask = create_pages(settings, predictor, Admission(Gate(settings), settings), b"secret")
    rules = {re.sub(r"<(\w+)>", r"{\1}", rule.rule) for rule in pages.url_map.iter_rules()}
    programs = {rule for rule in rules if rule.startswith("/api/") or rule in ("/healthz", "/readyz", "/metrics")}

    assert programs <= document["paths"].keys()


def test_a_containers_routes_are_described_where_it_has_them(predictor: Predictor, settings: Settings) -> None:
    """By the paths that the settings give them; the container predicts the default model, and health needs no key."""
    routed = dataclasses.replace(settings, health_route="/health", predict_route="/predict", access="keys")
    described = make_document(Predictor(routed))["paths"]
    plain = make_document(predictor)

    assert described["/health"]["get"]["security"] == [] and "503" in described["/health"]["get"]["responses"]
    sent = described["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert sorted(sent["properties"]) == ["instances", "parameters", "signature_name"]
    assert "/predict" not in plain["paths"] and "Vertex AI container" not in [tag["name"] for tag in plain["tags"]]


def test_what_platforms_ask_is_described_without_a_key(settings: Settings) -> None:
    """Where everything else needs one; the platform that asks has none."""
    paths = make_document(Predictor(dataclasses.replace(settings, access="keys")))["paths"]
    gets = {path for path, item in paths.items() if item.get("get", {}).get("security") == []}

    assert gets == {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/ping", "/health"}


def test_every_operation_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    """Clients are generated from them."""
    ids = [node["operationId"] for node in walk(document) if "operationId" in node]

    assert len(ids) == len(set(ids)) > 10


def test_every_example_is_answered(server: Server) -> None:
    """Whoever copies one gets 200: bodies, and the values of path parameters."""
    document = server.request("GET", "/openapi.json").json
    refused = []
    for path, item in document["paths"].items():
        for parameter in item.get("parameters", []):
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
        for method, operation in item.items():
            for body in examples(operation) if method != "parameters" else []:
                reply = server.request(method.upper(), path, body, Authorization=f"Bearer {KEY}")
                refused += [(method, path, reply.status, reply.body)] if reply.status != 200 else []

    assert not refused


def examples(operation: dict[str, Any]) -> list[Any]:
    """The bodies to send: the examples, or none at all."""
    if "requestBody" not in operation:
        return [None]
    shown = operation["requestBody"]["content"]["application/json"]["examples"]
    return [example["value"] for example in shown.values()]


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ({"kind": "number", "range": [0, 9.5], "unit": "kg"}, {"type": "number", "minimum": 0, "maximum": 9.5}),
        ({"kind": "integer", "tensor": {"dtype": "uint8"}}, {"type": "integer", "minimum": 0, "maximum": 255}),
        ({"kind": "boolean", "required": False}, {"type": "boolean", "nullable": True}),
        ({"kind": "string"}, {"type": "string"}),
        (
            {"kind": "category", "required": False, "values": [{"value": "a"}, {"value": "b"}]},
            {"type": "string", "enum": ["a", "b", None], "nullable": True},
        ),
        ({"kind": "integer", "values": [{"value": 1}, {"value": 2}]}, {"type": "integer", "enum": [1, 2]}),
    ],
)
def test_a_feature_says_what_it_takes(feature: dict[str, Any], expected: dict[str, Any]) -> None:
    """Type, range or vocabulary, and null where it may be missing, which an enum must list too."""
    declared = fake_declaration([{"name": "x", **feature}], [{"name": "y"}]).features[0]
    described = feature_schema(declared)

    assert {key: value for key, value in described.items() if key not in ("title", "description")} == expected
    assert ("In kg." in described.get("description", "")) == (declared.unit == "kg")


def test_where_nothing_is_required_no_list_says_so() -> None:
    """An empty `required` is no valid OpenAPI 3.0."""
    declared = fake_declaration([{"name": "x", "kind": "string", "required": False}], [{"name": "y"}])

    assert "required" not in instance_schema(Schema.of(declared))


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        ({"dtype": "float32"}, {"type": "number"}),
        ({"dtype": "int64", "shape": [-1, 1]}, {"type": "integer"}),
        ({"dtype": "string"}, {"type": "string"}),
        (
            {"shape": [-1, 3]},
            {"type": "array", "items": {"type": "number", "title": "y"}, "minItems": 3, "maxItems": 3},
        ),
    ],
)
def test_an_output_says_what_it_gives(tensor: dict[str, Any], expected: dict[str, Any]) -> None:
    """As the answer holds it: a value per instance, or a list of k."""
    output = fake_declaration([{"name": "x", "kind": "number"}], [{"name": "y", "tensor": tensor}]).outputs[0]
    described = output_schema(output)
    described.pop("title", None)

    assert described == expected


def test_a_model_that_cannot_be_read_costs_only_its_own_part(predictor: Predictor) -> None:
    """The description of the other models stays."""
    broken = predictor.settings.root / "models" / "broken"
    broken.mkdir(parents=True)
    (broken / "model.toml").write_text("this is no TOML")
    document = make_document(predictor)

    assert predictor.models() == ["babyweight", "broken"]
    assert "/v1/models/babyweight:predict" in document["paths"] and "/v1/models/broken:predict" not in document["paths"]


def test_notices_stand_in_the_document(document: dict[str, Any], declaration: Declaration) -> None:
    """Whoever asks a model from here reads the terms of its data."""
    assert declaration.model.notice in document["info"]["description"]
