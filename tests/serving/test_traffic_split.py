"""Which version answers a request that asks for none."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from deployments import declare_more
from fakes import fake_declaration, fake_version
from hypothesis import given
from hypothesis import strategies as st
from server import BABY
from versions import export_version

from stork.config import PROJECT, Settings
from stork.declaration import Entity
from stork.errors import InvalidInstances
from stork.schema.frozen import Schema
from stork.schema.held import HeldColumns
from stork.schema.instances import Columns
from stork.serving.ask import Ask, Context
from stork.serving.loader import LoadedVersion
from stork.serving.predictor import Predictor
from stork.serving.split import Split
from stork.store.prediction_log import read_records
from stork.store.registry import Registry
from stork.store.traffic import set_traffic
from stork.web.dialects import Request
from stork.web.dialects.v2_tensors import DATATYPES
from stork.web.door import DIALECTS

VERSION: LoadedVersion = fake_version(
    fake_declaration([{"name": "x", "kind": "number"}], [{"name": "y"}]), lambda tensors: {"y": tensors["x"]}
)
BY_HEADER = Entity(header="X-User-Id")


def split_between(traffic: dict[str, int], sticky: Entity = BY_HEADER) -> Split:
    return Split("m", sticky, traffic, dict.fromkeys(traffic, VERSION))


def ask_as(user: str) -> Ask:
    return Ask(b"[]", context=Context(header=lambda name: user if name == "X-User-Id" else ""))


def chosen(traffic: dict[str, int], users: list[str]) -> dict[str, str]:
    split = split_between(traffic)
    return {user: split.choose(ask_as(user))[0] for user in users}


USERS = [f"user-{number}" for number in range(4000)]


@pytest.mark.parametrize("percent", [0, 1, 10, 50, 99, 100])
def test_every_alias_gets_its_share_of_the_callers(percent: int) -> None:
    """Within what chance allows, and exactly where the share is none or all."""
    found = Counter(chosen({"stable": 100 - percent, "canary": percent}, USERS).values())

    assert abs(found["canary"] / len(USERS) * 100 - percent) <= (2.5 if 0 < percent < 100 else 0)


@given(low=st.integers(0, 100), high=st.integers(0, 100), user=st.text(min_size=1))
def test_who_is_on_canary_stays_there_while_it_grows(low: int, high: int, user: str) -> None:
    """From 10 to 25 percent nobody goes back; and the order in which the shares are written changes nothing."""
    low, high = sorted((low, high))
    before = chosen({"stable": 100 - low, "canary": low}, [user])[user]
    after = chosen({"canary": high, "stable": 100 - high}, [user])[user]

    assert (before, after) != ("canary", "stable")


def test_one_model_s_canaries_are_not_all_the_other_s() -> None:
    """The buckets are dealt anew for each model: the same callers do not try everything out."""
    other = Split("other", BY_HEADER, {"stable": 50, "canary": 50}, {"stable": VERSION, "canary": VERSION})
    here = chosen({"stable": 50, "canary": 50}, USERS)
    same = sum(other.choose(ask_as(user))[0] == alias for user, alias in here.items())

    assert 0.4 < same / len(USERS) < 0.6


def test_without_a_key_chance_decides_each_time() -> None:
    """A caller who does not say who they are meets both."""
    split = split_between({"stable": 50, "canary": 50})

    assert {split.choose(ask_as(""))[0] for _ in range(100)} == {"stable", "canary"}


def as_json(*users: Any) -> bytes:
    return json.dumps([{"user": user, "x": 1.5} for user in users]).encode()


@pytest.mark.parametrize(
    "ask",
    [
        Ask(as_json(7)),
        Ask(as_json(7.0)),
        Ask(as_json(7, 8, 9)),
        Ask(b'{"x": 1.5, "user": 7}', single=True),
        Ask([{"user": 7, "x": 1.5}]),
        Ask({"user": 7}, single=True),
        Ask(Columns({"x": [1.5, 2.5], "user": [7.0, 8.0]})),
        Ask(HeldColumns({"user": np.array([7, 8], np.float32)}, {"user": None})),
    ],
)
def test_a_feature_is_one_key_however_it_is_sent(ask: Ask) -> None:
    """Bytes, values, columns or arrays, 7 or 7.0: the first instance's value decides."""
    split = split_between({"stable": 50, "canary": 50}, Entity(feature="user"))

    assert {split.choose(ask)[0] for _ in range(20)} == {split.choose(Ask([{"user": 7}]))[0]}


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"{",
        b"[]",
        b"[1]",
        b'[{"x": 1}]',
        as_json(None),
        as_json(""),
        [],
        [1],
        {},
        None,
        Columns({"x": [1.5]}),
        [{"user": "\ud800"}],
        Columns({"user": ["\ud800"]}),
        b'[{"user": %b}]' % (b"[" * 3000 + b"]" * 3000),
    ],
)
def test_what_is_no_request_has_no_key(given: Any) -> None:
    """It goes to any version, whose schema says what is wrong with it."""
    split = split_between({"stable": 50, "canary": 50}, Entity(feature="user"))

    assert {split.choose(Ask(given))[0] for _ in range(100)} == {"stable", "canary"}


@pytest.fixture
def split_predictor(settings: Settings) -> Predictor:
    """Versions 1 (stable) and 2 (canary), which gets everything."""
    shutil.copytree(PROJECT / "model" / "babyweight" / "1", settings.root / "models" / "babyweight" / "2")
    registry = Registry(settings)
    registry.move_alias("babyweight", "canary", 2, "test")
    set_traffic(registry, "babyweight", {"canary": 100}, "test")
    predictor = Predictor(settings)
    predictor.route("babyweight").follow()
    return predictor


def test_the_log_says_that_the_split_chose(split_predictor: Predictor) -> None:
    """Nothing was asked, and the alias that answered is there; what asks for a version goes where it asks."""
    asks = [Ask([BABY]), Ask([BABY], alias="stable"), Ask([BABY], version=1)]
    answered = [split_predictor.predict(ask).version for ask in asks]
    records = list(read_records(Path(split_predictor.settings.log) / "babyweight"))

    assert answered == [2, 1, 1]
    assert [(r["asked"], r.get("alias")) for r in records] == [("", "canary"), ("stable", None), ("1", None)]


def test_a_split_that_ends_while_it_is_looked_at_still_chooses(split_predictor: Predictor) -> None:
    """Requests take what serves as it is at one moment; the thread that follows the state replaces it at any."""
    route = split_predictor.route("babyweight")

    class Late(Ask):
        @property
        def alias(self) -> None:  # type: ignore[override]
            route.split = None

        @alias.setter
        def alias(self, alias: str | None) -> None: ...

    assert route.choose(Late([BABY]))[0] == "canary"
    assert route.choose(Late([BABY]))[0] == ""


def test_the_share_of_an_alias_that_cannot_serve_goes_to_stable(settings: Settings) -> None:
    """A version whose files are gone takes no request with it, and what is wrong is said."""
    shutil.copytree(PROJECT / "model" / "babyweight" / "1", settings.root / "models" / "babyweight" / "2")
    registry = Registry(settings)
    registry.move_alias("babyweight", "canary", 2, "test")
    set_traffic(registry, "babyweight", {"canary": 100}, "test")
    (settings.root / "models" / "babyweight" / "2" / "model.tflite").unlink()
    predictor = Predictor(settings)
    predictor.route("babyweight").follow()

    assert predictor.predict(Ask([BABY])).version == 1
    assert "model.tflite is missing" in predictor.problems()["babyweight"]


@pytest.mark.tensorflow
def test_versions_whose_features_differ_answer_the_same_bodies(settings: Settings, schema: Schema) -> None:
    """A canary that knows an optional feature more: old clients are answered by both, new ones by it alone."""
    extra = msgspec.structs.replace(schema.features[-1], name="weekend", required=False)
    wider = msgspec.structs.replace(schema, features=(*schema.features, extra))
    export_version(settings.root / "models" / "babyweight" / "2", wider, pounds=8.0)
    registry = Registry(settings)
    registry.move_alias("babyweight", "canary", 2, "test")
    set_traffic(registry, "babyweight", {"canary": 50, "stable": 50}, "test")
    predictor = Predictor(settings)
    predictor.route("babyweight").follow()

    assert {predictor.predict(Ask([BABY])).version for _ in range(50)} == {1, 2}
    assert predictor.predict(Ask([{**BABY, "weekend": True}], version=2)).predictions[0]["weight_pounds"] > 8.0
    with pytest.raises(InvalidInstances, match="weekend"):
        predictor.predict(Ask([{**BABY, "weekend": True}], version=1))


def sent_header(name: str) -> str:
    return "application/json" if name == "Content-Type" else ""


NEWCOMER = {**BABY, "weekend": True}
WAYS = {
    "v2": ("/v2/models/babyweight/infer", "inputs"),
    "tensorflow_serving rows": ("/v1/models/babyweight:predict", "instances"),
    "tensorflow_serving columns": ("/v1/models/babyweight:predict", "inputs by name"),
    "vertex": ("/v1/projects/p/locations/l/endpoints/babyweight:predict", "instances"),
    "invocations": ("/invocations", "inputs by name"),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "sticky", ["", '[serving.sticky]\nheader = "X-User"', '[serving.sticky]\nfeature = "mother_age"']
)
@pytest.mark.parametrize("way", WAYS)
def test_every_dialect_reads_a_body_by_the_schema_of_the_version_that_answers(
    settings: Settings, schema: Schema, sticky: str, way: str
) -> None:
    """All traffic is the canary's, which alone knows a feature: a body with it is answered whatever stable knows."""
    path, form = WAYS[way]
    declare_more(settings, sticky)
    extra = msgspec.structs.replace(schema.features[-1], name="weekend", required=False)
    wider = msgspec.structs.replace(schema, features=(*schema.features, extra))
    export_version(settings.root / "models" / "babyweight" / "2", wider, pounds=8.0)
    registry = Registry(settings)
    registry.move_alias("babyweight", "canary", 2, "test")
    set_traffic(registry, "babyweight", {"canary": 100}, "test")
    predictor = Predictor(settings)
    predictor.route("babyweight").follow()
    body: dict[str, Any] = {"instances": [NEWCOMER]}
    if form == "inputs by name":
        body = {"inputs": {name: [value] for name, value in NEWCOMER.items() if value is not None}}
    if form == "inputs":
        known = {f.name: f for f in wider.features}
        given = {name: value for name, value in NEWCOMER.items() if value is not None}
        body = {
            "inputs": [
                {"name": name, "shape": [1], "datatype": DATATYPES[known[name].tensor.dtype], "data": [value]}
                for name, value in given.items()
            ]
        }
    request = Request("POST", path, json.dumps(body).encode(), Context(sent_header))
    dialect = next(dialect for dialect in DIALECTS if dialect.owns(path))

    reply = dialect.answer(predictor, request)

    assert reply.status == 200, reply.body
    assert dict(reply.headers)["X-Model-Version"] == "2"
    assert dialect.answer(predictor, request._replace(body=b'{"inputs": [], "instances": 1}')).status == 400
