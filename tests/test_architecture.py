"""The shape of the house: who may import whom, and what the web process may not load."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stork.config import PROJECT, Settings

PACKAGE = PROJECT / "stork"
# Highest first; a layer imports only from layers below it, or from itself.
LAYERS = [
    ("__main__",),
    ("cli",),
    ("web",),
    ("orchestration",),
    ("publishing",),
    ("evaluation",),
    ("serving", "training"),
    ("data",),
    ("report",),
    ("store",),
    ("access",),
    ("schema",),
    ("declaration",),
    ("remote",),
    ("config",),
    ("container",),
    ("errors",),
    ("turn",),
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def layer_of(module: str) -> str:
    """stork.serving.backends.litert -> serving."""
    return module.split(".")[1] if "." in module else ""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path, in_functions: bool) -> set[str]:
    """The modules of Stork a file imports: when it is loaded, or also later, inside functions."""
    tree = ast.parse(path.read_text())
    functions = {
        inner
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
    }
    found = set()
    for node in ast.walk(tree):
        if node in functions and not in_functions:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    known = {name_of(module) for module in MODULES}
    return {name for name in found if name in known}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_layer_imports_only_below_it(path: Path) -> None:
    """Every import points down the list of layers, also the late ones inside functions."""
    here = layer_of(name_of(path))
    broken = [
        f"{name_of(path)} imports {name}: {here or 'stork'} is not above {layer_of(name)}"
        for name in imports_of(path, in_functions=True)
        if here
        and layer_of(name)
        and layer_of(name) != here
        and (RANK[layer_of(name)] <= RANK[here] if layer_of(name) in RANK else True)
    ]

    assert not broken, "\n".join(broken)


def test_no_module_is_in_an_import_cycle() -> None:
    """No module needs itself to load."""
    graph = {name_of(path): imports_of(path, in_functions=False) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"import cycle: {' -> '.join([*trail[trail.index(name) :], name])}"
        if name not in done:
            for needed in graph[name] - {name}:
                visit(needed, (*trail, name))
            done.add(name)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("word", ["utils", "util", "helpers", "common", "misc"])
def test_no_module_is_named_for_nothing(word: str) -> None:
    """A module says in its name what it is about."""
    assert not [name_of(path) for path in MODULES if path.stem == word]


def test_only_the_declaration_knows_the_scenario() -> None:
    """No code names a baby, a pound or a week: a second scenario is another folder in model/."""
    words = ("baby", "pound", "gestation", "plurality", "newborn", "birth")
    found = [f"{name_of(path)}: {word}" for path in MODULES for word in words if word in path.read_text().lower()]

    assert not found


ANSWER_ONE = """
import io, json, sys
from main import app
from stork.schema.decode import example_of

schema = app.predictor.version(app.predictor.default_model).schema
body = json.dumps(example_of(schema)).encode()
environ = {"PATH_INFO": "/api/predict", "REQUEST_METHOD": "POST", "HTTP_HOST": "localhost",
           "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(body)}
status = []
answer = b"".join(app(environ, lambda code, headers, exc=None: status.append(code)))
assert status == ["200 OK"], answer
heavy = ("tensorflow", "keras", "googleapiclient", "google.auth", "requests", "redis", "duckdb", "pyarrow")
print([name for name in heavy if name in sys.modules])
"""


def test_the_web_process_answers_without_tensorflow(settings: Settings) -> None:
    """Neither the application nor its first prediction loads TensorFlow, DuckDB, Redis or the Google client."""
    done = subprocess.run(
        [sys.executable, "-c", ANSWER_ONE],
        cwd=PROJECT,
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
