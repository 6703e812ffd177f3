"""
Lay out in deploy/staged what App Engine gets: `python3 deploy/stage.py [--tensorflow]`, as `make deploy` does.

The admin key and the bucket of the environment (STORK_ADMIN_KEY, STORK_ROOT) go into the staged app.yaml, never into
the repository.
"""

import argparse
import os
import re
import shutil
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
STAGED = PROJECT / "deploy" / "staged"
FILES = ("app.yaml", "main.py", "gunicorn.conf.py", "requirements.txt", ".gcloudignore")
FOLDERS = ("stork", "templates", "static", "model")


def stage(tensorflow: bool, admin_key: str, root: str = "", target: Path = STAGED) -> None:
    """
    Copy the application to `target`, which is emptied first; with `tensorflow` its packages and an instance they fit.

    `root` is gs://bucket/prefix, or empty: then nothing can be changed through the deployment.

    Raises:
        SystemExit: the admin key is not one that app.yaml can hold, or the root is not in a bucket.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in FILES:
        shutil.copy(PROJECT / name, target / name)
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    configuration = (target / "app.yaml").read_text()
    if admin_key:
        if not re.fullmatch(r"[A-Za-z0-9_-]{16,}", admin_key):
            raise SystemExit("STORK_ADMIN_KEY: expected at least 16 letters, digits, - or _")
        configuration = configuration.replace("env_variables:\n", f'env_variables:\n  STORK_ADMIN_KEY: "{admin_key}"\n')
    if root:
        if not re.fullmatch(r"gs://[a-z0-9._-]+(/[A-Za-z0-9._-]+)*/?", root):
            raise SystemExit("STORK_ROOT: expected gs://bucket/prefix, since App Engine has no disk to keep it on")
        configuration = configuration.replace("env_variables:\n", f'env_variables:\n  STORK_ROOT: "{root}"\n')
    if tensorflow:
        configuration = re.sub(r"(?m)^instance_class: \w+", "instance_class: F4", configuration)
        more = (PROJECT / "requirements-tensorflow.txt").read_text().replace("-r requirements.txt\n", "")
        with (target / "requirements.txt").open("a") as requirements:
            requirements.write(more)
    (target / "app.yaml").write_text(configuration)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tensorflow", action="store_true")
    stage(options.parse_args().tensorflow, os.environ.get("STORK_ADMIN_KEY", ""), os.environ.get("STORK_ROOT", ""))
