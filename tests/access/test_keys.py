"""The admin key keeps everybody else out."""

import multiprocessing
from pathlib import Path

import pytest

from stork.access.keys import derive_secret, includes, is_admin_key, load_admin_key, make_key
from stork.config import Settings
from stork.errors import SettingError


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    """The second start finds the key of the first."""
    settings = Settings(root=tmp_path)
    key = load_admin_key(settings)

    assert len(key) >= 32 and load_admin_key(settings) == key
    assert (tmp_path / "keys" / "admin").stat().st_mode & 0o777 == 0o600


def test_processes_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    """Workers of one server sign with the same secret."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(load_admin_key, [Settings(root=tmp_path)] * 8)

    assert len(set(keys)) == 1 and keys[0]
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["admin"]


def test_the_environments_key_wins_and_must_be_long(tmp_path: Path) -> None:
    """A short key is refused at the start, not found out later."""
    assert load_admin_key(Settings(root=tmp_path, admin_key="k" * 16)) == "k" * 16
    with pytest.raises(SettingError, match="at least 16 characters, received 5"):
        load_admin_key(Settings(root=tmp_path, admin_key="short"))
    with pytest.raises(SettingError, match="how other keys begin"):
        load_admin_key(Settings(root=tmp_path, admin_key="stork_" + "k" * 16))


@pytest.mark.parametrize(("key", "given"), [("k" * 16, ""), ("k" * 16, "k" * 15), ("k" * 16, "\ud800"), ("", "")])
def test_a_wrong_key_is_refused_also_where_there_is_none(key: str, given: str) -> None:
    """An empty key opens nothing: a deployment without one cannot be changed at all."""
    assert not is_admin_key(key, given)


def test_a_role_includes_those_before_it() -> None:
    """Who may operate may read and predict, and is no admin."""
    assert includes("operate", "predict") and includes("operate", "operate") and not includes("operate", "admin")


def test_the_secret_follows_from_the_key_and_does_not_show_it() -> None:
    """Every worker derives the same secret; another key gives another."""
    assert derive_secret("a" * 16) == derive_secret("a" * 16) != derive_secret("b" * 16)
    assert b"a" * 16 not in derive_secret("a" * 16)


def test_a_key_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """Making a key never replaces one."""
    (tmp_path / "admin").write_text("mine")
    make_key(tmp_path / "admin")

    assert (tmp_path / "admin").read_text() == "mine"
