"""Who is let in, and who is asked for a key."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stork.access.gate import Gate
from stork.access.keys import Role
from stork.config import Settings
from stork.errors import Forbidden, QuotaExceeded, StorkError, Unauthorized

ADMIN = "k" * 20


def sent(**headers: str) -> Callable[[str], str]:
    """A reader of these headers; `X_API_Key` is X-API-Key."""
    return lambda name: headers.get(name.replace("-", "_"), "")


@pytest.fixture(params=["open", "keys"])
def gate(request: pytest.FixtureRequest, tmp_path: Path) -> Gate:
    """The gate of an open deployment, and that of one that asks for keys."""
    return Gate(Settings(root=tmp_path, access=request.param), ADMIN)


@pytest.fixture
def closed(tmp_path: Path) -> Gate:
    return Gate(Settings(root=tmp_path, access="keys"), ADMIN)


@pytest.mark.parametrize(
    ("access", "role", "error"),
    [
        ("open", "predict", None), ("open", "read", None), ("open", "operate", Unauthorized),
        ("keys", "anyone", None), ("keys", "predict", Unauthorized), ("keys", "read", Unauthorized),
    ],
)  # fmt: skip
def test_who_says_nothing(tmp_path: Path, access: str, role: Role, error: type[StorkError] | None) -> None:
    """An open deployment lets anybody predict and read; one with keys answers strangers on its health only."""
    gate = Gate(Settings(root=tmp_path, access=access), ADMIN)
    if error is None:
        assert gate.admit(sent(), role) is None
    else:
        with pytest.raises(error, match=r"expected a key .*received none"):
            gate.admit(sent(), role)


@pytest.mark.parametrize("role", ["predict", "read", "operate", "admin"])
def test_a_role_is_enough_or_it_is_not(closed: Gate, role: Role) -> None:
    """Each role includes those before it; what lies above is 403, not 401."""
    header = sent(X_API_Key=closed.store.create("team", "read")[1])
    if role in ("predict", "read"):
        caller = closed.admit(header, role)
        assert caller is not None and caller.name.startswith("team/")
    else:
        with pytest.raises(Forbidden, match=f"has the role read here; this needs {role}"):
            closed.admit(header, role)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER  {} "])
def test_a_key_comes_as_a_bearer_or_as_a_header_of_its_own(gate: Gate, form: str) -> None:
    """Both name the same caller; the admin key may come both ways too."""
    token = gate.store.create("team", "predict")[1]

    assert gate.admit(sent(Authorization=form.format(token)), "predict") == gate.admit(sent(X_API_Key=token), "predict")
    assert gate.admit(sent(X_API_Key=ADMIN), "admin") == gate.admit(sent(Authorization=f"Bearer {ADMIN}"), "admin")


@pytest.mark.parametrize(
    "headers",
    [
        {"X_API_Key": "stork_0123abcd_" + "x" * 43},
        {"Authorization": "Bearer stork_0123abcd_" + "x" * 43},
        {"X_API_Key": "k" * 19},
        {"X_API_Key": "stork_"},
    ],
)
def test_a_key_that_is_sent_must_be_valid(gate: Gate, headers: dict[str, str]) -> None:
    """Also where none is needed: a team whose key was revoked is told so, and not served without its limits."""
    with pytest.raises(Unauthorized, match=r"received one that was never given or is revoked|received another"):
        gate.admit(sent(**headers), "predict")


@pytest.mark.parametrize("value", ["Bearer ya29.somebody-elses", "Basic YTpi", "Bearer a.b.c"])
def test_what_other_services_ask_for_passes_by_an_open_deployment(tmp_path: Path, value: str) -> None:
    """Google's clients send their own tokens along; a deployment with keys takes them for no key."""
    assert Gate(Settings(root=tmp_path)).admit(sent(Authorization=value), "predict") is None
    with pytest.raises(Unauthorized):
        Gate(Settings(root=tmp_path, access="keys")).admit(sent(Authorization=value), "predict")
    with pytest.raises(Unauthorized, match="received none that this deployment knows"):
        Gate(Settings(root=tmp_path)).admit(sent(Authorization=value), "operate")


@pytest.mark.parametrize(
    "header",
    [
        "X-Goog-Authenticated-User-Email",
        "X-Goog-IAP-JWT-Assertion",
        "X-Appengine-User-Email",
        "X-Appengine-User-Is-Admin",
    ],
)
def test_headers_that_anybody_can_write_prove_nothing(gate: Gate, header: str) -> None:
    """Outside of Google's front ends they come from the caller: without a verified token nobody is who they say."""
    forged = {header.replace("-", "_"): "accounts.google.com:root@example.com"}
    with pytest.raises(Unauthorized, match="received none"):
        gate.admit(sent(**forged), "operate")


def test_a_revoked_key_is_refused_within_a_second(closed: Gate) -> None:
    """Whoever asks all the time is not let through by what was remembered."""
    key, token = closed.store.create("team", "predict")
    closed.admit(sent(X_API_Key=token), "predict")
    closed.store.revoke(key.id)
    deadline = time.monotonic() + 1.0
    with pytest.raises(Unauthorized):
        while time.monotonic() < deadline:
            closed.admit(sent(X_API_Key=token), "predict")
    assert closed.recall(key.id) is None


def test_requests_and_rows_are_counted(closed: Gate) -> None:
    """A request is counted when it is let in, its rows when they are known."""
    token = closed.store.create("team", "predict", requests="2/month", rows="10/month")[1]
    caller = closed.identify(sent(X_API_Key=token))
    assert caller is not None
    caller.arrive()
    caller.spend(8)
    with pytest.raises(QuotaExceeded, match="10 rows per month"):
        caller.spend(3)
    assert caller.left == {"requests": 1, "rows": 2}
    caller.arrive()
    with pytest.raises(QuotaExceeded, match="2 requests per month"):
        caller.arrive()
    assert caller.left == {"requests": 0, "rows": 2}


def test_requests_of_one_key_do_not_read_each_others_counts(closed: Gate) -> None:
    """What is left was true when each of them was counted."""
    token = closed.store.create("team", "predict", requests="9/month")[1]
    first, second = (closed.identify(sent(X_API_Key=token)) for _ in range(2))
    assert first is not None and second is not None
    first.arrive()
    second.arrive()

    assert (first.left, second.left) == ({"requests": 8}, {"requests": 7})


def test_who_is_refused_is_not_counted(closed: Gate) -> None:
    """A request beyond one's role takes nothing from the allowance."""
    token = closed.store.create("team", "predict", requests="1/month")[1]
    with pytest.raises(Forbidden):
        closed.admit(sent(X_API_Key=token), "operate")
    caller = closed.admit(sent(X_API_Key=token), "predict")
    assert caller is not None
    caller.arrive()

    assert caller.left == {"requests": 0}


def test_a_caller_shows_no_key(closed: Gate) -> None:
    """Neither its name nor how it is printed gives the token away."""
    key, token = closed.store.create("team", "predict")
    caller = closed.admit(sent(X_API_Key=token), "predict")

    assert caller is not None and token.partition(f"{key.id}_")[2] not in f"{caller!r} {caller.name} {caller.identity}"


def test_a_session_is_begun_with_a_key_and_recalled_by_its_id(closed: Gate) -> None:
    """The page remembers which key it was, never the key."""
    token = closed.store.create("team", "operate")[1]
    caller = closed.sign_in(token)

    assert closed.recall(caller.identity) == caller and caller.identity not in ("", token)
    assert closed.recall("") is None and closed.recall("../admin") is None
