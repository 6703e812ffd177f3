"""
Rows that arrive one by one as Pub/Sub messages: a window of them becomes a span, and only then are they acknowledged.

A message is one row, a JSON object of columns. What is no object is kept too, in the column `message`, and refused for
what it lacks. Delivery is at least once; a message that a span of the last days has, by its id, is not taken again.
Source: https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
"""

import base64
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stork.access.google import GoogleService
from stork.data.text_rows import write_text_rows

MESSAGE_ID = "message_id"
MESSAGE = "message"
AT_ONCE = 1000  # messages, the service's own limit
LEASE = 600  # seconds, the longest that the service grants
PAUSE = 0.2  # seconds before asking again where nothing waited
ACK_AT_ONCE = 2000  # ids in one request, which may have 512 KiB


@dataclass
class Window:
    """Messages that were pulled and wait for their span. `rows` are their columns; `acks` give them back when done."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    acks: list[str] = field(default_factory=list)
    repeated: int = 0

    def add(self, received: dict[str, Any], seen: set[str]) -> None:
        """Take a message, unless its id was seen."""
        self.acks.append(received["ackId"])
        message = received["message"]
        if message["messageId"] in seen:
            self.repeated += 1
        else:
            seen.add(message["messageId"])
            self.rows.append(read_message(message))


@dataclass(frozen=True)
class Limits:
    """When a window is over: after so many seconds, or messages."""

    seconds: float
    messages: int


class Subscription:
    """A subscription by its full name, projects/P/subscriptions/S, on a connection that `close` ends."""

    def __init__(self, api: str, name: str) -> None:
        self.name = name
        self.service = GoogleService("pubsub", "v1", api)
        self.resource = self.service.client.projects().subscriptions()
        self.close = self.service.close

    def pull(self, count: int) -> list[dict[str, Any]]:
        """At most so many messages, those that wait now: else the service waits longer than a window may be open."""
        body = {"maxMessages": min(AT_ONCE, count), "returnImmediately": True}
        found: list[dict[str, Any]] = self.service.call(self.resource.pull(subscription=self.name, body=body)).get(
            "receivedMessages", []
        )
        return found

    def lease(self, acks: list[str]) -> None:
        """Keep messages for ourselves for ten minutes from now."""
        for part in parts_of(acks):
            body = {"ackIds": part, "ackDeadlineSeconds": LEASE}
            self.service.call(self.resource.modifyAckDeadline(subscription=self.name, body=body))

    def acknowledge(self, acks: list[str]) -> None:
        """Say that the messages are kept: they are not delivered again."""
        for part in parts_of(acks):
            self.service.call(self.resource.acknowledge(subscription=self.name, body={"ackIds": part}))


def pull_window(
    subscription: Subscription, limits: Limits, known: Iterable[str], progress: Callable[[int, int], None]
) -> Window:
    """
    The messages of one window; those whose id is `known`, or came twice, are only counted.

    Leases are renewed while the window is open, so that nobody else gets its messages meanwhile.

    Raises:
        DataError: the service cannot be reached, or has no such subscription.
    """
    window, seen = Window(), set(known)
    began = renewed = time.monotonic()
    while (left := began + limits.seconds - time.monotonic()) > 0 and len(window.rows) < limits.messages:
        fresh = subscription.pull(limits.messages - len(window.rows))
        for received in fresh:
            window.add(received, seen)
        subscription.lease([received["ackId"] for received in fresh])
        if time.monotonic() - renewed > LEASE / 2:
            subscription.lease(window.acks)
            renewed = time.monotonic()
        progress(len(window.rows), limits.messages)
        if not fresh:
            time.sleep(min(PAUSE, left))
    return window


def parts_of(acks: list[str]) -> Iterable[list[str]]:
    """As many ids at a time as one request may have."""
    return (acks[start : start + ACK_AT_ONCE] for start in range(0, len(acks), ACK_AT_ONCE))


def read_message(message: dict[str, Any]) -> dict[str, Any]:
    """A message as a row; what is no JSON object is kept as text."""
    text = base64.b64decode(message.get("data", "")).decode("utf-8", "replace")
    try:
        row = json.loads(text)
    except ValueError:
        row = None
    columns = row if isinstance(row, dict) else {MESSAGE: text}
    return {**columns, MESSAGE_ID: message["messageId"]}


def write_window(window: Window, path: Path) -> int:
    """The rows of a window as a Parquet file of text; how many."""
    names: dict[str, None] = {}
    for row in window.rows:
        names |= dict.fromkeys(row)
    return write_text_rows(window.rows, list(names) or [MESSAGE_ID], path)
