"""What App Engine is told, and what it is given."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from stage_app import stage_app

from stork.config import PROJECT, SETTINGS

APP = yaml.safe_load((PROJECT / "app.yaml").read_text())


def test_every_request_is_over_https() -> None:
    """No handler answers plain HTTP."""
    assert [handler["secure"] for handler in APP["handlers"]] == ["always"] * len(APP["handlers"])


def test_the_application_answers_what_static_files_do_not() -> None:
    """The last handler takes everything, the folders named exist, the port is App Engine's."""
    assert APP["handlers"][-1] == {"url": "/.*", "script": "auto", "secure": "always"}
    assert all((PROJECT / handler["static_dir"]).is_dir() for handler in APP["handlers"] if "static_dir" in handler)
    assert "$PORT" in APP["entrypoint"] and "warmup" in APP["inbound_services"]


def test_the_runtime_and_the_instance_are_ones_there_are() -> None:
    """Names that only Google would refuse, after minutes."""
    scaling = APP["automatic_scaling"]

    assert re.fullmatch(r"python31[0-4]", APP["runtime"]) and APP["instance_class"] in ("F1", "F2", "F4", "F4_1G")
    assert scaling["min_idle_instances"] <= scaling["max_instances"]


def test_its_variables_are_settings() -> None:
    """A misspelt setting would stop the application at its start."""
    assert set(APP["env_variables"]) <= {name for name, *_ in SETTINGS}


def test_a_staged_app_holds_what_it_needs_and_no_more(staged: Path) -> None:
    """Code, pages, models and requirements; no tests, no secrets of the repository, and a few megabytes."""
    files = [path.relative_to(staged) for path in staged.rglob("*") if path.is_file()]
    size = sum((staged / path).stat().st_size for path in files)

    assert {path.parts[0] for path in files} == {
        ".gcloudignore", "app.yaml", "gunicorn.conf.py", "main.py", "model", "requirements.txt", "static", "stork",
        "templates",
    }  # fmt: skip
    assert len(files) < 1000 and size < 50 << 20


def test_the_admin_key_travels_in_the_staged_file_only(staged: Path) -> None:
    """The key of the environment is in what is deployed, never in what is committed."""
    assert yaml.safe_load((staged / "app.yaml").read_text())["env_variables"]["STORK_ADMIN_KEY"] == "k" * 20
    assert "STORK_ADMIN_KEY" not in APP["env_variables"]


@pytest.mark.parametrize("key", ["short", 'with"quote-and-more', "line\nbreak" * 3])
def test_a_key_that_would_break_the_file_is_refused(tmp_path: Path, key: str) -> None:
    """A key cannot write other settings into app.yaml."""
    with pytest.raises(SystemExit, match="STORK_ADMIN_KEY"):
        stage_app(tensorflow=False, admin_key=key, target=tmp_path / "app")


def test_tensorflow_is_staged_with_an_instance_it_fits(tmp_path: Path) -> None:
    """F1 has 384 MB, TensorFlow needs more than 500."""
    stage_app(tensorflow=True, admin_key="", target=tmp_path / "app")
    requirements = (tmp_path / "app" / "requirements.txt").read_text()

    assert yaml.safe_load((tmp_path / "app" / "app.yaml").read_text())["instance_class"] == "F4"
    assert "tensorflow-cpu==" in requirements and "\n-r " not in requirements


def test_a_root_in_a_bucket_is_staged(tmp_path: Path) -> None:
    """The one place where App Engine can keep a change; its copy is where an instance may write."""
    stage_app(tensorflow=False, admin_key="", root="gs://my-project/stork", target=tmp_path / "app")
    variables = yaml.safe_load((tmp_path / "app" / "app.yaml").read_text())["env_variables"]

    assert (variables["STORK_ROOT"], variables["STORK_MIRROR"]) == ("gs://my-project/stork", "/tmp/stork")
    with pytest.raises(SystemExit, match="expected gs://bucket/prefix"):
        stage_app(tensorflow=False, admin_key="", root="/var/stork", target=tmp_path / "app")


@pytest.mark.sdk
def test_gcloud_reads_it_and_uploads_what_is_staged(sdk: Path, offline: dict[str, str], staged: Path) -> None:
    """gcloud's own parser accepts the file, and its own list of uploads is the staged application."""
    script = (
        "import sys; sys.path[:0] = [f'{sys.argv[1]}/lib/third_party', f'{sys.argv[1]}/lib'];"
        "from googlecloudsdk.api_lib.app import yaml_parsing;"
        "print(yaml_parsing.ServiceYamlInfo.FromFile(sys.argv[2]).runtime)"
    )
    parsed = subprocess.run(
        ["/usr/bin/python3", "-c", script, str(sdk), str(staged / "app.yaml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    listed = subprocess.run(
        ["gcloud", "meta", "list-files-for-upload", str(staged)],
        capture_output=True, text=True, env=offline, timeout=60, check=True,
    ).stdout.split()  # fmt: skip

    assert parsed.stdout.strip() == APP["runtime"], parsed.stderr
    assert {"main.py", "requirements.txt", "model/babyweight/1/model.tflite"} <= set(listed) and len(listed) < 1000
