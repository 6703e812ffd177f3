"""Rows from a stream: the real client and the SDK's own emulator of Pub/Sub."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from parcels import write_parcels
from server import free_port

from stork.access.google import GoogleService
from stork.config import Settings
from stork.data.fetch import Fetcher
from stork.data.ingest import ingest
from stork.data.spans import SPLITS, Span, list_spans
from stork.declaration import Declaration, Source
from stork.errors import DataError

pytestmark = pytest.mark.tensorflow

TOPIC, SUBSCRIPTION = "projects/p/topics/rows", "projects/p/subscriptions/rows"
ROW = {"kilograms": 1.5, "zone": 3, "service": "slow", "insured": True, "shop": "a", "cost": 9.0}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator's address."""
    gcloud = shutil.which("gcloud")
    program = gcloud and Path(gcloud).resolve().parent.parent / "platform/pubsub-emulator/bin/cloud-pubsub-emulator"
    if not program or not program.is_file() or not shutil.which("java"):
        pytest.skip("the Cloud SDK's Pub/Sub emulator (google-cloud-cli-pubsub-emulator) or java is not installed")
    port = free_port()
    words = [str(program), "--host=127.0.0.1", f"--port={port}"]
    log = (tmp_path_factory.mktemp("emulator") / "log").open("wb")
    process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        log.close()


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until somebody listens."""
    for _ in range(300):
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "the emulator ended"
        time.sleep(0.1)
    raise AssertionError("the emulator does not listen")


@pytest.fixture
def stream(emulator: str) -> Iterator[GoogleService]:
    """A topic with one subscription, new for each test."""
    service = GoogleService("pubsub", "v1", emulator)
    projects = service.client.projects()
    service.call(projects.topics().create(name=TOPIC, body={}))
    body = {"topic": TOPIC, "ackDeadlineSeconds": 10}
    service.call(projects.subscriptions().create(name=SUBSCRIPTION, body=body))
    yield service
    service.call(projects.subscriptions().delete(subscription=SUBSCRIPTION))
    service.call(projects.topics().delete(topic=TOPIC))
    service.client.close()


@pytest.fixture
def deployed(tmp_path: Path, emulator: str) -> tuple[Settings, Declaration]:
    """A deployment of the parcels that listens to the emulator."""
    settings = Settings(models=tmp_path / "model", root=tmp_path / "var", log="off", pubsub_api=emulator)
    return settings, write_parcels(settings.models)


def publish(service: GoogleService, *texts: str) -> None:
    """Messages, in order."""
    messages = [{"data": b64encode(text.encode()).decode()} for text in texts]
    service.call(service.client.projects().topics().publish(topic=TOPIC, body={"messages": messages}))


def take(deployed: tuple[Settings, Declaration], scratch: Path, finish: bool = True, count: int = 100) -> Span | None:
    """One window of the subscription, and the span it becomes; `finish` acknowledges it."""
    settings, declaration = deployed
    for name in ("fetched", "span"):
        shutil.rmtree(scratch / name, ignore_errors=True)
        (scratch / name).mkdir(parents=True)
    source = Source(subscription=SUBSCRIPTION, seconds=2.0, messages=count)
    fetched = Fetcher(settings, declaration, scratch, scratch / "fetched").fetch(source)
    span = ingest(settings, declaration, fetched, scratch / "span") if fetched.files else None
    if finish:
        fetched.finish()
    return span


def rows_of(span: Span | None) -> list[dict[str, Any]]:
    """All accepted rows of a span."""
    assert span is not None
    return [row for split in SPLITS for row in pyarrow.parquet.read_table(span.path(split)).to_pylist()]


def test_a_window_of_messages_becomes_a_span(
    stream: GoogleService, deployed: tuple[Settings, Declaration], tmp_path: Path
) -> None:
    """Each message is a row; what is no row is refused and kept, as it came."""
    publish(stream, json.dumps(ROW), json.dumps({**ROW, "kilograms": 99}), "not JSON")
    span = take(deployed, tmp_path / "scratch", count=3)

    (row,) = rows_of(span)
    assert span is not None and {name: row[name] for name in ROW} == ROW
    refused = pyarrow.parquet.read_table(span.path("refused")).to_pylist()
    assert {(row["reason"], row["message"]) for row in refused} == {
        ("kilograms: outside 0 to 30", None),
        ("kilograms: missing", "not JSON"),
    }


def test_what_is_in_a_span_is_not_delivered_again(
    stream: GoogleService, deployed: tuple[Settings, Declaration], tmp_path: Path
) -> None:
    """Acknowledged: the next window is empty, and makes no span."""
    publish(stream, json.dumps(ROW))
    assert take(deployed, tmp_path / "scratch", count=1) is not None
    assert take(deployed, tmp_path / "scratch") is None


def test_a_message_delivered_twice_is_one_row(
    stream: GoogleService, deployed: tuple[Settings, Declaration], tmp_path: Path
) -> None:
    """Killed between the span and its acknowledgement: what comes again is known by its id."""
    publish(stream, *(json.dumps({**ROW, "zone": zone}) for zone in range(1, 6)))
    assert len(rows_of(take(deployed, tmp_path / "scratch", finish=False, count=5))) == 5
    give_back(stream, deployed[0])
    publish(stream, json.dumps({**ROW, "zone": 9}))
    span = take(deployed, tmp_path / "scratch")

    assert [row["zone"] for row in rows_of(span)] == [9]
    assert [span.number for span in list_spans(deployed[0], "parcels")] == [1, 2]


def give_back(service: GoogleService, settings: Settings) -> None:
    """Let every message that is leased be delivered again: seek to a time before it was published."""
    body = {"time": "2020-01-01T00:00:00Z"}
    service.call(service.client.projects().subscriptions().seek(subscription=SUBSCRIPTION, body=body))


def test_a_subscription_that_is_not_there_is_named(
    emulator: str, deployed: tuple[Settings, Declaration], tmp_path: Path
) -> None:
    """In the service's own words."""
    source = Source(subscription="projects/p/subscriptions/none", seconds=1.0)
    with pytest.raises(DataError, match="pubsub: 404"):
        Fetcher(*deployed, tmp_path, tmp_path).fetch(source)
