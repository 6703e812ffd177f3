"""Keys: made once, kept as a hash, gone when revoked."""

from datetime import timedelta
from pathlib import Path

import pytest

from stork.access.key_store import KeyStore
from stork.errors import BadRequest, NotFound, RootNotWritable


def test_a_key_is_found_by_its_token_and_by_no_other(tmp_path: Path) -> None:
    """The id in the token says where to look; every character of the rest must be right."""
    store = KeyStore(tmp_path)
    key, token = store.create("team a", "read", requests="1000/hour", rows="5/day", spike="20/second")

    assert store.find(token) == key and key.role == "read" and str(key.allowance.rows) == "5/day"
    assert store.find(token[:-1] + ("a" if token[-1] != "a" else "b")) is None


def test_the_file_holds_no_token_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    """Whoever copies the folder cannot ask with it."""
    key, token = KeyStore(tmp_path).create("team", "predict")
    path = tmp_path / "keys" / f"{key.id}.json"

    assert token.partition(f"{key.id}_")[2] not in path.read_text() and path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in (tmp_path / "keys").iterdir()] == [path.name]


@pytest.mark.parametrize(
    "token",
    ["", "stork_", "stork_../../x_" + "a" * 43, "stork_admin_" + "a" * 43, "stork_0123abcd_" + "a" * 43, "\ud800"],
)
def test_what_is_no_token_finds_nothing(tmp_path: Path, token: str) -> None:
    """No token leads out of the folder, or to another file in it."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "admin").write_text("secret")

    assert KeyStore(tmp_path).find(token) is None


def test_a_revoked_key_is_gone_and_the_others_stay(tmp_path: Path) -> None:
    """Revoking one twice names those there are."""
    store = KeyStore(tmp_path)
    (first, token), (second, _) = store.create("a", "predict"), store.create("b", "predict")
    store.revoke(first.id)

    assert store.find(token) is None and store.list() == [second]
    with pytest.raises(NotFound, match=rf"there is: {second.id} \(b\)"):
        store.revoke(first.id)


def test_a_key_expires(tmp_path: Path) -> None:
    """A key that lasts no time has expired at once; one without an end never does."""
    store = KeyStore(tmp_path)

    assert store.create("a", "predict", timedelta(0))[0].is_expired()
    assert not store.create("a", "predict")[0].is_expired()


@pytest.mark.parametrize("content", [b"", b"{", b'{"id": 1}', b"\xff"])
def test_a_damaged_file_is_no_key(tmp_path: Path, content: bytes) -> None:
    """Nobody gets in by breaking a file, and the other keys go on working."""
    store = KeyStore(tmp_path)
    (key, token), (other, _) = store.create("a", "predict"), store.create("b", "predict")
    (tmp_path / "keys" / f"{key.id}.json").write_bytes(content)

    assert store.find(token) is None and store.list() == [other]


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("", {}),
        ("a/b", {}),
        ("a\nb", {}),
        ("a", {"requests": "5"}),
        ("a", {"rows": "0/day"}),
        ("a", {"spike": "5/day"}),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(tmp_path: Path, name: str, limits: dict[str, str]) -> None:
    """The refusal says what was expected, and leaves nothing behind."""
    with pytest.raises(BadRequest, match="expected"):
        KeyStore(tmp_path).create(name, "predict", **limits)
    assert not list(tmp_path.glob("keys/*"))


def test_a_root_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """The error names the setting that gives keys a home."""
    (tmp_path / "root").write_text("a file in the way")
    with pytest.raises(RootNotWritable, match="STORK_ROOT"):
        KeyStore(tmp_path / "root").create("a", "predict")
