"""
The OpenAPI document of this deployment, made from the schemas of the versions in service.

OpenAPI 3.0.3, since gateways (Apigee) read no later one: what may be null is `nullable`. Each dialect describes itself
by one function in DESCRIPTIONS.
"""

from collections.abc import Callable
from typing import Any

from stork import __version__
from stork.errors import StorkError
from stork.schema.frozen import load_schema
from stork.serving.explain import find_obstacle
from stork.serving.predictor import Predictor
from stork.store.registry import STABLE
from stork.store.version import load_background, load_signatures
from stork.web.openapi import api, google, health, invocations, tensorflow_serving, v2, versions
from stork.web.openapi.parts import Described, Part

DESCRIPTIONS: tuple[Callable[[list[Described]], Part], ...] = (
    api.describe,
    tensorflow_serving.describe,
    v2.describe,
    google.describe_vertex,
    google.describe_mlengine,
    invocations.describe,
    versions.describe,
    health.describe,
)

TEXT = (
    "Predictions of tabular models, in several dialects. A request is checked against the schema of the version that "
    "answers it; described here are the schemas of the versions in service."
)


def make_document(predictor: Predictor) -> dict[str, Any]:
    """
    The whole document, the default model first.

    No model needs to be loaded for it; one whose version cannot be read is left out.
    """
    models = [found for name in predictor.models() if (found := describe_model(predictor, name)) is not None]
    models.sort(key=lambda model: not model.is_default)
    parts = [describe(models) for describe in DESCRIPTIONS]
    parts.append(google.describe_container(models, predictor.settings))
    return {
        "openapi": "3.0.3",
        "info": {"title": "Stork", "version": __version__, "description": "\n\n".join([TEXT, *notices(models)])},
        "servers": [{"url": "/"}],
        "tags": [{"name": part.title, "description": part.text} for part in parts if part.paths],
        "paths": {path: item for part in parts for path, item in part.paths.items()},
        "components": {
            "schemas": {
                name: schema
                for schemas in [*(model.schemas() for model in models), *(part.schemas for part in parts)]
                for name, schema in schemas.items()
            },
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        **({"security": [{"key": []}]} if predictor.settings.access == "keys" else {}),
    }


def describe_model(predictor: Predictor, name: str) -> Described | None:
    """The model as its `stable` version sees it; None where there is none that can be read."""
    registry = predictor.registry
    try:
        declaration = registry.declaration(name)
        version = registry.aliases(name)[STABLE]
        folder = registry.version_folder(name, version)
        schema, background = load_schema(folder / "schema.json"), load_background(folder)
        further = {name: signature for name, signature in load_signatures(folder).items() if signature.schema}
    except (StorkError, KeyError, OSError):
        return None
    return Described(
        name=name,
        version=version,
        schema=schema,
        notice=declaration.model.notice,
        is_default=name == predictor.default_model,
        explains=not find_obstacle(schema, background),
        max_instances=predictor.settings.max_instances,
        further=further,
    )


def notices(models: list[Described]) -> list[str]:
    """What must be printed wherever these models' predictions are shown, each once."""
    return list(dict.fromkeys(model.notice for model in models if model.notice))
