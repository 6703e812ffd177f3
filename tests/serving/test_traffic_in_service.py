"""Split and shadow while requests come: set over JSON, followed by every process, seen in answers, log and sums."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from deployments import declare_more, publish_copy
from server import BABY, Response, Server, start_server

from stork.config import Settings
from stork.store.registry import Registry

KEY = "k" * 20
MODEL = "/api/models/babyweight"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers; version 2 is the canary and refuses mothers above 30; callers are known by X-User-Id."""
    folder = tmp_path_factory.mktemp("traffic")
    settings = Settings(root=folder / "var", log=str(folder / "log"), admin_key=KEY)
    declare_more(settings, '[serving.sticky]\nheader = "X-User-Id"')
    publish_copy(settings, 2, mother_age={"range": [10, 30]})
    with start_server(settings, workers=2) as server:
        end = time.monotonic() + 20
        while Registry(settings).wait_for_followers("babyweight", 0) != (2, 2) and time.monotonic() < end:
            time.sleep(0.05)
        assert put(server, "aliases/canary", {"version": 2}).status == 200
        yield server


def put(server: Server, path: str, body: Any) -> Response:
    return server.request("PUT", f"{MODEL}/{path}", body, Authorization=f"Bearer {KEY}")


def version_for(server: Server, user: str) -> int:
    answer = server.request("POST", "/api/predict", BABY, X_User_Id=user)
    assert answer.headers["x-model-version"] == str(answer.json["version"])
    version: int = answer.json["version"]
    return version


def test_what_is_explained_is_the_version_that_the_split_chooses(busy: Server) -> None:
    """Whoever is predicted for by an alias beside stable is told why by that."""
    publish_copy(busy.settings, 5)
    put(busy, "aliases/copy", {"version": 5})
    put(busy, "traffic", {"traffic": {"copy": 100}})
    path = "/v1/projects/p/locations/l/endpoints/babyweight:{}".format
    versions = {
        verb: busy.request("POST", path(verb), {"instances": [BABY]}).json["deployedModelId"]
        for verb in ("predict", "explain")
    }
    put(busy, "traffic", {"traffic": None})
    busy.request("DELETE", f"{MODEL}/aliases/copy", Authorization=f"Bearer {KEY}")

    assert versions == {"predict": "5", "explain": "5"}


def test_a_split_holds_for_every_process_and_every_caller(busy: Server) -> None:
    """A caller keeps their version whichever worker answers, canary callers keep theirs as it grows; off ends it."""
    users = [f"user-{number}" for number in range(60)]
    moved = put(busy, "traffic", {"traffic": {"stable": 70, "canary": 30}})
    some = {user: version_for(busy, user) for user in users}
    again = {user: version_for(busy, user) for user in users}
    put(busy, "traffic", {"traffic": {"stable": 40, "canary": 60}})
    more = {user: version_for(busy, user) for user in users}
    put(busy, "traffic", {"traffic": None})

    assert (moved.json["followed"], moved.json["servers"]) == (2, 2)
    assert some == again and set(some.values()) == {1, 2}
    assert all(more[user] == 2 for user, version in some.items() if version == 2)
    assert {version_for(busy, user) for user in users} == {1}


def test_a_shadow_is_summed_over_all_processes_and_never_seen(busy: Server) -> None:
    """Answers are stable's; what the shadow's own schema refuses is counted as such."""
    put(busy, "shadow", {"shadow": {"alias": "canary"}})
    answers = [busy.predict({**BABY, "mother_age": age}) for age in (20, 25, 35, 40) for _ in range(5)]
    sums, end = {}, time.monotonic() + 10
    while sum(sums.get(what, 0) for what in ("compared", "refused", "dropped")) < 20 and time.monotonic() < end:
        time.sleep(0.05)
        found = busy.request("GET", f"{MODEL}/shadow").json
        sums = found["sums"][0] if found["sums"] else {}
    put(busy, "shadow", {"shadow": None})

    assert {(answer.status, answer.json["version"]) for answer in answers} == {(200, 1)}
    assert found["shadow"] == {"alias": "canary"} and (sums["shadow"], sums["version"], sums["failed"]) == (2, 1, 0)
    assert (sums["compared"] > 0, sums["refused"] > 0, sums["difference"]["weight_pounds"]["max"]) == (True, True, 0.0)
    assert "expected 10 to 30" in sums["last_error"]


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("traffic", {"traffic": {"stable": 90}}, 400, "sum to 100, received stable=90"),
        ("traffic", {"traffic": {"nobody": 100}}, 404, "no alias 'nobody'"),
        ("traffic", {"traffic": {"stable": 90.5}}, 400, "Expected `int`, got `float` - at `$.traffic"),
        ("traffic", {}, 400, "required field `traffic`"),
        ("traffic", b"{", 400, "malformed JSON"),
        ("traffic", {"traffic": None, "generation": 0}, 409, "expected generation 0"),
        ("shadow", {"shadow": {"version": 9}}, 404, "no version 9"),
        ("shadow", {"shadow": {"version": 1, "share": 0}}, 400, "$.shadow.share"),
        ("shadow", {"shadow": {}}, 400, "expected a version or an alias, received neither"),
        ("shadow", {"version": 1}, 400, "unknown field `version`"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(busy: Server, path: str, body: Any, status: int, message: str) -> None:
    """With what was expected and what was received."""
    refused = put(busy, path, body)

    assert refused.status == status and message in refused.json["error"]


@pytest.mark.parametrize(("method", "path"), [("PUT", "traffic"), ("PUT", "shadow"), ("DELETE", "aliases/canary")])
def test_who_changes_traffic_shows_a_key(busy: Server, method: str, path: str) -> None:
    """As for moving an alias."""
    refused = busy.request(method, f"{MODEL}/{path}", {}, Authorization="Bearer nothing")

    assert refused.status == 401


def test_an_alias_is_removed_unless_it_gets_traffic(busy: Server) -> None:
    """The refusal says what to change first; what the model is says it too."""
    put(busy, "aliases/blue", {"version": 2})
    put(busy, "traffic", {"traffic": {"stable": 99, "blue": 1}})
    described = busy.request("GET", MODEL).json
    key = {"Authorization": f"Bearer {KEY}"}
    refused = busy.request("DELETE", f"{MODEL}/aliases/blue", **key)
    put(busy, "traffic", {"traffic": None})
    removed = busy.request("DELETE", f"{MODEL}/aliases/blue", **key)

    assert described["traffic"] == {"stable": 99, "blue": 1} and described["shadow"] is None
    assert (refused.status, removed.status, removed.json["aliases"]) == (409, 200, {"canary": 2, "stable": 1})


def test_the_versions_page_shows_split_and_shadow(busy: Server) -> None:
    """Who gets what, what the shadow found, and every change of both."""
    put(busy, "traffic", {"traffic": {"stable": 95, "canary": 5}})
    put(busy, "shadow", {"shadow": {"version": 2, "share": 25}})
    page = " ".join(re.sub(r"<[^>]+>", " ", busy.request("GET", "/models/babyweight/versions").body.decode()).split())
    put(busy, "traffic", {"traffic": None})
    put(busy, "shadow", {"shadow": None})

    assert "95% to stable , 5% to canary ." in page and "Version 2 answers copies of 25% of the requests" in page
    assert "traffic from stable=100 to stable=95 canary=5, by api" in page
