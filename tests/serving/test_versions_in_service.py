"""Versions while they serve: switched without a lost request, refused when broken, followed by every process."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from load import Load, wait_for
from server import BABY, Server, start_server

from stork.config import Settings
from stork.errors import Conflict, VersionBroken
from stork.publishing.switch import roll_back, switch_alias
from stork.store.prediction_log import read_records
from stork.store.registry import Registry
from stork.store.version import read_verdict

KEY = "k" * 20


def weight(answer: bytes) -> float:
    value: float = json.loads(answer)["predictions"][0]["weight_pounds"]
    return value


@pytest.mark.tensorflow
def test_fifty_switches_under_load_lose_no_request(two_versions: Settings) -> None:
    """Every answer is one of the two versions' answers and carries the number of the version that gave it."""
    with start_server(two_versions, workers=2) as server:
        expected = {
            str(version): weight(server.predict({"instances": [BABY], "version": version}).body) for version in (1, 2)
        }
        registry = Registry(two_versions)
        with Load(server) as load:
            for count in range(50):
                state = registry.move_alias("babyweight", "stable", 2 - count % 2, by="test")
                assert registry.wait_for_followers("babyweight", state.generation, seconds=20) == (2, 2)

    assert load.failures == [] and len(load.answers) > 200
    assert {version: weight(body) for version, body in load.answers} == expected
    assert all(weight(body) == expected[version] for version, body in load.answers)


@pytest.mark.tensorflow
def test_switch_and_rollback_move_what_serves(two_versions: Settings) -> None:
    """The verbs check the version, move the alias, and say how many processes follow; back is where it was."""
    with start_server(two_versions) as server:
        done = switch_alias(two_versions, "babyweight", 2)
        there = server.predict().json["version"]
        back = roll_back(two_versions, "babyweight")

        assert (done.followed, done.servers, done.before, there) == (1, 1, 1, 2)
        assert (back.version, server.predict().json["version"]) == (1, 1)
    assert read_verdict(two_versions.root / "models" / "babyweight" / "2", "INFRA_BLESSED")[0] == "INFRA_BLESSED"


def corrupt_weights(folder: Path) -> None:
    content = bytearray((folder / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (folder / "model.tflite").write_bytes(content)


def reseal(folder: Path) -> None:
    """Make the manifest agree with the files as they are now, as a careless tool would."""
    from stork.schema.frozen import load_schema
    from stork.store.version import load_manifest, write_manifest

    twin = load_manifest(folder).twin
    write_manifest(folder, load_schema(folder / "schema.json"), twin)


def break_model(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(b"no model")
    reseal(folder)


def break_golden(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_text())
    golden["predictions"][0]["weight_pounds"] += 1
    (folder / "golden.json").write_text(json.dumps(golden))
    reseal(folder)


def break_golden_request(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_text())
    golden["instances"][0]["mother_age"] = 900
    (folder / "golden.json").write_text(json.dumps(golden))
    reseal(folder)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "model.tflite").unlink(), r"model\.tflite is missing"),
        (corrupt_weights, "its checksum differs"),
        (break_model, "does not load"),
        (break_golden, "golden request 0: weight_pounds expected"),
        (break_golden_request, "golden request failed"),
    ],
)
def test_a_broken_version_never_serves(settings: Settings, damage: Callable[[Path], None], reason: str) -> None:
    """It is refused with the reason, the alias stays, and the verdict is left beside it."""
    folder = settings.root / "models" / "babyweight" / "2"
    shutil.copytree(Registry(settings).version_folder("babyweight", 1), folder)
    damage(folder)

    with pytest.raises(VersionBroken, match=reason):
        switch_alias(settings, "babyweight", 2)
    assert Registry(settings).aliases("babyweight") == {"stable": 1}
    assert read_verdict(folder, "INFRA_BLESSED")[0] == "INFRA_NOT_BLESSED"


def test_a_rollback_needs_something_to_go_back_to(settings: Settings) -> None:
    """An alias that was never moved stays."""
    with pytest.raises(Conflict, match="never moved"):
        roll_back(settings, "babyweight")


def test_a_torn_state_keeps_the_last_good_one_serving(server: Server) -> None:
    """Predictions go on, and /readyz says what is wrong until it is mended."""
    path = server.settings.root / "serving" / "babyweight.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"aliases": {"sta')
    torn = wait_for(lambda: server.request("GET", "/readyz").status == 503)
    problems = server.request("GET", "/readyz").json["problems"]
    served = server.predict().status
    path.unlink()

    assert torn and "babyweight.json" in problems["babyweight"] and served == 200
    assert wait_for(lambda: server.request("GET", "/readyz").status == 200)


def test_killing_a_worker_loses_no_answered_requests_record(settings: Settings) -> None:
    """Whatever was answered before kill -9 is in the log, and the server goes on with a new worker."""
    with start_server(settings, workers=2) as server:
        with Load(server) as load:
            for _ in range(3):
                time.sleep(0.5)
                os.kill(server.workers()[0], signal.SIGKILL)
            time.sleep(0.5)
        alive = server.predict().status
    answered = {json.loads(body)["id"] for _, body in load.answers}
    logged = {record["id"] for record in read_records(Path(settings.log) / "babyweight")}

    assert alive == 200 and len(answered) > 200
    assert answered - logged == set()


def test_moving_an_alias_over_json_needs_the_admin_key(settings: Settings) -> None:
    """Without the key nothing moves; with it the answer says what happened, and a stale generation is a conflict."""
    path = "/api/models/babyweight/aliases/canary"
    with start_server(settings, STORK_ADMIN_KEY=KEY) as server:
        refused = server.request("PUT", path, {"version": 1})
        wrong = server.request("PUT", path, {"version": 1}, Authorization="Bearer " + "x" * 20)
        moved = server.request("PUT", path, {"version": 1}, Authorization=f"Bearer {KEY}")
        stale = server.request("PUT", path, {"version": 1, "generation": 0}, Authorization=f"Bearer {KEY}")
        unknown = server.request("PUT", path, {"version": 7}, Authorization=f"Bearer {KEY}")
        listed = server.request("GET", "/api/models/babyweight").json

    assert [answer.status for answer in (refused, wrong, moved, stale, unknown)] == [401, 401, 200, 409, 404]
    assert (moved.json["followed"], moved.json["servers"], moved.json["generation"]) == (1, 1, 1)
    assert listed["aliases"] == {"stable": 1, "canary": 1}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"version": "2"}', b'{"version": true}', b'{"version": 1, "x": 1}']
)
def test_a_move_that_makes_no_sense_is_told_what_was_expected(shared_server: Server, body: bytes) -> None:
    """The body is checked like every other."""
    key = (shared_server.settings.root / "keys" / "admin").read_text()
    answer = shared_server.request("PUT", "/api/models/babyweight/aliases/x", body, Authorization=f"Bearer {key}")

    assert answer.status == 400 and answer.json["error"]
