"""What a step depends on, as one hash: where it is the same, the step would do the same again."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from stork.config import PROJECT
from stork.declaration import Declaration
from stork.orchestration.dag import Node
from stork.store.files import checksum
from stork.store.runs import Step, package_versions

# No step's result depends on how it is asked for, or on pages.
ASIDE = ("cli", "web", "orchestration")


def fingerprint(node: Node, step: Step, declaration: Declaration, model: str) -> str:
    """A hash of the step's inputs (content, not names), parameters, declared sections, code and packages."""
    parts = {
        "step": node.name,
        "model": model,
        "inputs": {name: digest(folder) for name, folder in sorted(step.inputs.items())},
        "parameters": {name: step.parameters[name] for name in node.takes if name in step.parameters},
        "declared": {section: declared(declaration, section) for section in node.reads},
        "outside": node.outside()(step),
        "code": code_digest(),
        "packages": package_versions(),
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def declared(declaration: Declaration, section: str) -> Any:
    """A section, without what of it only says where the work is done."""
    return declaration.training.recipe if section == "training" else getattr(declaration, section)


def source_digest(declaration: Declaration) -> str:
    """A hash of all that is not in the root and decides what a step does: the declaration and the code."""
    sections = {name: declared(declaration, name) for name in declaration.__struct_fields__}
    return hashlib.sha256(msgspec.json.encode([sections, code_digest()], order="deterministic")).hexdigest()


def digest(folder: Path) -> str:
    """A hash of every file in a folder, names and content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = [f"{path.relative_to(folder)} {checksum(path)}" for path in files]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


@lru_cache(maxsize=1)
def code_digest() -> str:
    """A hash of the code that any step may run."""
    home = PROJECT / "stork"
    files = sorted(path for path in home.rglob("*.py") if path.relative_to(home).parts[0] not in ASIDE)
    return hashlib.sha256("\n".join(checksum(path) for path in files).encode()).hexdigest()
