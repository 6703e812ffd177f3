"""What the documents say is there, is there; what is there, they say."""

import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from server import Server

import stork
from stork.access.gate import Gate
from stork.cli import cli
from stork.config import PROJECT, SETTINGS, Settings
from stork.serving.predictor import Predictor
from stork.web.admission import Admission
from stork.web.app import create_pages

DOCS = sorted((PROJECT / "docs").glob("*.md"))
README = (PROJECT / "README.md").read_text()
EVERYTHING = README + "".join(path.read_text() for path in DOCS)


@pytest.mark.parametrize("name", [name for name, *_ in SETTINGS])
def test_every_setting_is_documented(name: str) -> None:
    """A setting nobody can read about does not exist."""
    assert f"`{name}`" in (PROJECT / "docs" / "settings.md").read_text()


def test_no_setting_is_documented_that_is_not_there() -> None:
    """The documents name no variable that would stop the start."""
    assert set(re.findall(r"STORK_[A-Z_]+", EVERYTHING)) <= {name for name, *_ in SETTINGS}


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_is_documented_and_helps(verb: str) -> None:
    """Each command stands in the README or the docs, and its --help says what it does."""
    assert re.search(rf"stork {verb}\b", EVERYTHING)
    assert CliRunner().invoke(cli, [verb, "--help"]).exit_code == 0


def test_every_route_is_documented(predictor: Predictor, settings: Settings) -> None:
    """Each URL of the application is in the docs; `<name>` stands for a model."""
    rules = create_pages(settings, predictor, Admission(Gate(settings), settings), b"secret").url_map.iter_rules()
    missing = [rule.rule for rule in rules if rule.endpoint != "static" and f"{rule.rule}`" not in EVERYTHING]

    assert not missing


def test_links_between_documents_lead_somewhere() -> None:
    """No document points to a file that is not there."""
    for path in [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *DOCS]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            assert target.startswith("http") or (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_readmes_curl_line_is_answered(shared_server: Server) -> None:
    """Whoever pastes it gets a prediction."""
    line = next(line for line in README.splitlines() if line.startswith("curl "))
    command = line.replace("http://127.0.0.1:8080", shared_server.url)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20, check=True)

    assert re.match(r'\{"predictions":\[\{"weight_pounds":\d\.\d+\}\],"model":"babyweight","version":1', done.stdout)


def test_the_changelog_begins_with_this_version() -> None:
    """The version that is released is the one that is described."""
    versions = re.findall(r"^## (\S+)", (PROJECT / "CHANGELOG.md").read_text(), re.M)

    assert versions[0] == stork.__version__


def test_requirements_agree_with_each_other() -> None:
    """No package is pinned twice, and every direct dependency of pyproject.toml is pinned for the server."""
    pins: dict[str, str] = {}
    apart = PROJECT / "requirements-beam.txt"  # an environment of its own
    for path in sorted({*PROJECT.glob("requirements*.txt")} - {apart}):
        for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", path.read_text(), re.M):
            key = name.lower().replace("_", "-")
            assert key not in pins, f"{name} is pinned twice"
            pins[key] = version
    direct = re.findall(r'^  "([a-z0-9-]+)>=', (PROJECT / "pyproject.toml").read_text(), re.M)

    assert set(direct) <= set(pins)


def test_help_lists_the_verbs() -> None:
    """`python -m stork --help` is the first thing a newcomer tries."""
    done = subprocess.run(
        [sys.executable, "-m", "stork", "--help"], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=True
    )

    assert all(verb in done.stdout for verb in ("serve", "train", "push", "switch", "rollback", "log", "import"))


def test_every_test_that_the_complaints_name_exists() -> None:
    """What other servers' users complain about is held by tests, not by promises."""
    named = set(re.findall(r"`(test_\w+)`", (PROJECT / "docs" / "complaints.md").read_text()))
    defined = {
        name
        for path in (PROJECT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    }

    assert named and not named - defined
