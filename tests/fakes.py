"""Small stand-ins that keep the protocols of the real parts."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from stork.config import Settings
from stork.declaration import Declaration
from stork.errors import ModelNotFound
from stork.schema.decode import Decoder
from stork.schema.frozen import Schema
from stork.schema.tensors import Tensors, plain_values
from stork.serving.ask import Answer, Ask
from stork.serving.loader import LoadedVersion
from stork.serving.predictor import check
from stork.serving.trace import NO_TRACE, Trace
from stork.store.version import Manifest, Twin

Predict = Callable[[Tensors], Tensors]


class FakeBackend:
    """A backend, here or remote, that is one function; `rows` notes how many rows each call had."""

    name = "fake"

    def __init__(self, function: Predict) -> None:
        self.function = function
        self.rows: list[int] = []

    def predict(self, tensors: Tensors, deadline: float = math.inf, trace: Trace = NO_TRACE) -> Tensors:
        self.rows.append(len(next(iter(tensors.values()))))
        return self.function(tensors)

    def close(self) -> None:
        pass


def fake_declaration(features: list[dict[str, Any]], outputs: list[dict[str, Any]], **more: Any) -> Declaration:
    """A declaration of these features and outputs, named `fake`."""
    model = {"name": "fake", "title": "A fake"}
    return msgspec.convert({"model": model, "feature": features, "output": outputs, **more}, Declaration)


def fake_version(
    declaration: Declaration, function: Predict, background: list[dict[str, Any]] | None = None
) -> LoadedVersion:
    """Version 1 of a declared model, answered by a function."""
    schema = Schema.of(declaration)
    return LoadedVersion(
        model=declaration.model.name,
        version=1,
        manifest=Manifest(
            model=declaration.model.name,
            created=datetime(2026, 1, 1, tzinfo=UTC),
            files={},
            schema=schema.hash,
            twin=Twin(proved=False),
        ),
        schema=schema,
        decoder=Decoder(schema, max_instances=100),
        local=FakeBackend(function),
        background=background or [],
    )


class FakePredictor:
    """Answers for one declared model as the predictor does, and logs nothing."""

    def __init__(self, declaration: Declaration, loaded: LoadedVersion) -> None:
        self.loaded = loaded
        self.default_model = declaration.model.name
        self.settings = Settings()
        self._declaration = declaration

    def models(self) -> list[str]:
        return [self.default_model]

    def declaration(self, name: str) -> Declaration:
        if name != self.default_model:
            raise ModelNotFound(name, self.models())
        return self._declaration

    def route(self, name: str) -> None:
        self.declaration(name)

    def version(self, name: str, version: int | None = None, alias: str | None = None) -> LoadedVersion:
        return self.loaded

    def settle(self, ask: Ask, read: Callable[[LoadedVersion], Any]) -> LoadedVersion:
        ask.settled = "", self.loaded
        ask.instances = read(self.loaded)
        return self.loaded

    def predict(self, ask: Ask) -> Answer:
        instances = check(self.loaded, ask)
        answered = self.loaded.answer(instances.tensors)
        columns = {o.name: plain_values(o, answered.outputs[o.name]) for o in self.loaded.schema.outputs}
        return Answer("fake-1", self.default_model, 1, columns, self.loaded, answered.origin, answered.backend)


class Clock:
    """Seconds, as the test says."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
