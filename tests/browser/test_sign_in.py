"""Signing in as a person meets it: in Chromium, on a server that asks for keys."""

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import pytest
from server import Server, start_server

from stork.access.key_store import KeyStore
from stork.config import Settings

pytestmark = pytest.mark.browser


@pytest.fixture
def closed(settings: Settings) -> Iterator[Server]:
    """A server that asks everybody who they are."""
    with start_server(dataclasses.replace(settings, access="keys")) as server:
        yield server


def test_a_key_opens_the_form_until_it_is_revoked(browser: Any, closed: Server) -> None:
    """The page asks for a key, tells a wrong one, predicts with the right one, and asks again in place of the form."""
    store = KeyStore(closed.settings.root)
    key, token = store.create("midwives", "predict")
    page = browser.new_context(base_url=closed.url).new_page()
    page.set_default_timeout(10_000)
    page.goto("/")
    page.get_by_label("Your key").fill("a wrong one")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("This key is not known here").wait_for()

    page.get_by_label("Your key").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="PREDICT").click()
    page.locator("#answer output").wait_for()

    store.revoke(key.id)
    time.sleep(1)
    page.get_by_role("button", name="PREDICT").click()
    page.get_by_label("Your key").wait_for()
    assert page.get_by_role("button", name="PREDICT").count() == 0
    page.context.close()
