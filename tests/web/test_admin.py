"""The versions page: everybody may look, who has the key may switch."""

import re
import shutil
from collections.abc import Iterator

import pytest
from server import Server, start_server
from visitor import Visitor

from stork.config import PROJECT, Settings

PATH = "/models/babyweight/versions"
KEY = "k" * 20


@pytest.fixture
def visitor(settings: Settings) -> Iterator[Visitor]:
    """Somebody who looks at a server of two workers that has a version 2, a copy of the shipped one."""
    shutil.copytree(PROJECT / "model" / "babyweight" / "1", settings.root / "models" / "babyweight" / "2")
    with start_server(settings, workers=2, STORK_ADMIN_KEY=KEY) as server:
        visitor = Visitor(server, PATH)
        visitor.look()
        yield visitor


def test_everybody_sees_versions_nobody_sees_buttons(visitor: Visitor) -> None:
    """Number, error, verdicts, alias and requests served; the button needs the key."""
    for _ in range(3):
        visitor.server.predict()
    row = re.search(r'<th scope="row">1</th>.*?</tr>', visitor.look(), re.S)

    assert row is not None and "stable" in row[0] and re.search(r"<td>3</td>", row[0])
    assert "Make 2 stable" not in visitor.page


def test_who_signs_in_can_switch(visitor: Visitor) -> None:
    """After the key the button is there, moves the alias, and the page says what happened."""
    visitor.sign_in(KEY)
    assert "Make 2 stable" in visitor.look()
    visitor.send(version="2", generation="0")

    assert "stable of babyweight is now version 2 (before: 1); 2 of 2 server processes serve it" in visitor.look()
    assert visitor.server.predict().json["version"] == 2


def test_a_wrong_key_is_told_and_opens_nothing(visitor: Visitor) -> None:
    """The page says so; a switch without having signed in moves nothing."""
    wrong = visitor.sign_in("x" * 20)
    visitor.look()
    visitor.send(version="2", generation="0")

    assert wrong.status == 401 and b"This key is not known here" in wrong.body
    assert "expected a key" in visitor.look()
    assert visitor.server.predict().json["version"] == 1


def test_a_form_of_another_page_is_refused(visitor: Visitor) -> None:
    """Without the token of this page nothing is changed, though the visitor is signed in."""
    visitor.sign_in(KEY)
    visitor.page = ""
    answer = visitor.send(version="2", generation="0")

    assert answer.status == 400 and visitor.server.predict().json["version"] == 1


def test_a_change_made_meanwhile_is_told(visitor: Visitor) -> None:
    """A page that was left open does not overwrite what somebody else did."""
    visitor.sign_in(KEY)
    visitor.look()
    visitor.send(version="2", generation="0")
    visitor.look()
    visitor.send(version="1", generation="0")

    assert "expected generation 0, found 1" in visitor.look()


@pytest.mark.parametrize("path", ["/models/nobody", "/models/nobody/versions", "/models/..%2f..%2fkeys/versions", "/x"])
def test_what_is_not_there_is_a_page_that_says_so(shared_server: Server, path: str) -> None:
    """404, in words, with the way back; nothing of the machine is shown."""
    answer = shared_server.request("GET", path, Accept="text/html,*/*;q=0.8")

    assert answer.status == 404 and b"Back to the form" in answer.body
    assert str(shared_server.settings.root).encode() not in answer.body


def test_cookies_are_for_this_site_only(visitor: Visitor) -> None:
    """No script reads the session, and no other site sends it."""
    visitor.cookie = ""
    visitor.look()
    answer = visitor.sign_in(KEY)

    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in answer.headers["set-cookie"].split(";")}


@pytest.mark.parametrize("name", ["nobody", "%00", "x" * 300, "..", "%ff"])
@pytest.mark.parametrize("path", ["/api/models/{}", "/api/models/{}/shadow", "/models/{}/versions"])
def test_no_name_is_too_strange_to_be_not_there(shared_server: Server, path: str, name: str) -> None:
    """Also a name that no file can have is 404, and nobody's fault."""
    assert shared_server.request("GET", path.format(name)).status == 404
