"""Bringing a foreign SavedModel in: read, described, tried, given a twin where that works, published."""

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stork.config import Settings
from stork.declaration import NAME, Declaration, load_declaration
from stork.errors import BadRequest, VersionBroken
from stork.evaluation.infra import check_version
from stork.evaluation.probe import with_missing
from stork.publishing.draft import describe_inputs, write_draft
from stork.publishing.further import SCORED, freeze_further, make_probe, write_further
from stork.publishing.push import publish
from stork.publishing.signatures import (
    FILES,
    Signature,
    check_inputs,
    choose_signature,
    left_out,
    observe,
    read_signatures,
    servable_outputs,
)
from stork.publishing.twin import Examined, examine
from stork.schema.frozen import Schema, numeric_limits, tensor_name
from stork.schema.tensors import Array, plain_values
from stork.store.files import write_atomically, writing
from stork.store.registry import STABLE, Registry
from stork.store.version import Golden, Twin, write_manifest

PROBE_ROWS = 200
GOLDEN_ROWS = 8
# The parts of a SavedModel that serving needs; whatever else lies in the folder stays where it is.
PARTS = (*FILES, "variables", "assets", "fingerprint.pb")


@dataclass(frozen=True)
class Imported:
    """
    What came of an import. `draft` is the model.toml that was written, None where the model had one.

    `refused_rows`: the model's words about the first row it did not take, empty where it took all. `left_out`: the
    outputs that cannot be served, and what they are.
    """

    model: str
    version: int
    signature: str
    twin: Twin
    draft: Path | None
    refused_rows: str
    serves: bool
    left_out: Mapping[str, str]


def import_model(settings: Settings, path: Path, name: str, signature: str | None = None) -> Imported:
    """
    Publish the SavedModel in the folder `path` as the next version of the model `name`.

    A new model gets a first model.toml and serves at once. A model there is already keeps its model.toml, whose
    features must fit the signature; no alias moves.

    Raises:
        BadRequest: the name is none, the folder holds no SavedModel that can be served, or it does not fit the model.
        NotFound: there is no such folder.
        VersionBroken: TensorFlow cannot load the model, it answers none of the rows it was tried with, or the version
            does not serve.
        RootNotWritable: there is nowhere to publish to.
    """
    if not re.fullmatch(NAME, name):
        raise BadRequest(f"name: expected letters, digits, _ . or -, first a letter, received {name!r}")
    signatures = read_signatures(path)
    chosen = choose_signature(signatures, signature)
    check_inputs(chosen)
    registry = Registry(settings)
    is_new = name not in registry.models()
    with writing(settings.root):
        settings.root.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=settings.root, prefix=".import-")
    with scratch:
        # A root of its own, so that the version is tried as a server would, before anybody can see it.
        stage = replace(settings, root=Path(scratch.name), backend="")
        folder = stage_model(stage, registry, path, name)
        # The chosen one too where it scores examples: its schema alone would not say that :classify may ask for it.
        others = {name: s for name, s in signatures.items() if name != chosen.name or s.method in SCORED}
        examined, skipped = seal_version(folder, chosen, others, is_new)
        check_version(stage, name, int(folder.name))
        version = publish(settings, name, folder)
        if is_new:
            # Last, so that a model is seen when it has a version; it serves because somebody asked for it by name.
            draft = settings.root / "models" / name / "model.toml"
            write_atomically(draft, (folder.parent / "model.toml").read_bytes())
            registry.move_alias(name, STABLE, version, by="import")
    return Imported(
        model=name,
        version=version,
        signature=chosen.name,
        twin=examined.twin,
        draft=draft if is_new else None,
        refused_rows=examined.found.refusal,
        serves=is_new,
        left_out=skipped,
    )


def stage_model(stage: Settings, registry: Registry, path: Path, name: str) -> Path:
    """A folder for the version below the root `stage`, with the parts of the SavedModel; beside it the declaration."""
    known = registry.versions(name) if name in registry.models() else {}
    folder = stage.root / "models" / name / str(max(known, default=0) + 1)
    folder.mkdir(parents=True)
    for part in PARTS:
        if (path / part).is_dir():
            shutil.copytree(path / part, folder / part)
        elif (path / part).is_file():
            shutil.copy(path / part, folder / part)
    if name in registry.models():
        shutil.copy(registry.home(name) / "model.toml", folder.parent)
    return folder


def seal_version(
    folder: Path, signature: Signature, others: Mapping[str, Signature], is_new: bool
) -> tuple[Examined, dict[str, str]]:
    """
    Try the staged SavedModel and make a whole version of it; a new model's declaration too. And the outputs left out.

    Raises:
        BadRequest: the model's declaration does not fit the signature.
        VersionBroken: TensorFlow cannot load it, or has no answer that could be served.
    """
    path, name = folder.parent / "model.toml", folder.parent.name
    skipped = {output: str(facts) for output, facts in left_out(signature).items()}
    if is_new:
        write_draft(path, name, signature, servable_outputs(signature), {})
    declaration = load_declaration(path)
    check_fit(declaration, signature)
    schema = Schema.of(declaration, signature.name)
    rows, tensors = make_probe(schema, signature, PROBE_ROWS)
    examined = examine(folder, schema, with_missing(schema, tensors))
    if is_new:
        # Only now is it known what the outputs really are.
        skipped |= examined.found.left_out
        write_draft(path, name, signature, observe(servable_outputs(signature), examined.outputs), skipped)
        schema = Schema.of(load_declaration(path), signature.name)
    elif examined.found.left_out:
        raise BadRequest(f"outputs of {path.parent.name!r} cannot be served: {examined.found.left_out}")
    (folder / "schema.json").write_bytes(schema.to_json())
    golden = choose_golden(schema, examined, rows)
    (folder / "golden.json").write_bytes(msgspec.json.encode(golden))
    write_further(folder, freeze_further(folder, others, declaration))
    note = f"imported, signature {signature.name}, written by TensorFlow {signature.written_by or 'of unknown version'}"
    write_manifest(folder, schema, examined.twin, note=note)
    return examined, skipped if is_new else {}


def check_fit(declaration: Declaration, signature: Signature) -> None:
    """
    Raises:
        BadRequest: the declared features are not the signature's inputs; the message names each difference.
    """
    wanted = {tensor_name(f): (f.tensor.dtype, f.tensor.shape) for f in declaration.features}
    given = {t: (d.tensor.dtype, d.tensor.shape) for t, d in describe_inputs(signature).items()}
    differences = [
        f"input {tensor!r}: the model has {show(wanted.get(tensor))}, the signature {show(given.get(tensor))}"
        for tensor in sorted(wanted.keys() | given.keys())
        if wanted.get(tensor) != given.get(tensor)
    ]
    outputs = {tensor_name(output): output.tensor.dtype for output in declaration.outputs}
    differences += [
        f"output {tensor!r}: the model has {dtype}, the signature {signature.outputs.get(tensor, 'none')}"
        for tensor, dtype in outputs.items()
        if tensor not in signature.outputs or signature.outputs[tensor].dtype != dtype
    ]
    if differences:
        name = declaration.model.name
        raise BadRequest(
            f"model {name!r} is there already, and the SavedModel does not fit it: {'; '.join(differences)}"
        )


def show(tensor: tuple[str, tuple[int, ...]] | None) -> str:
    """An input's dtype and shape."""
    return "none" if tensor is None else f"{tensor[0]} {list(tensor[1])}"


def choose_golden(schema: Schema, examined: Examined, rows: list[Any]) -> Golden:
    """
    The first rows with an answer that may be served, and that answer; none where it would be another one next time.

    Raises:
        VersionBroken: there is no such row: every answer is infinite, no number, or outside the declared range.
    """
    answers = {output.name: examined.outputs[tensor_name(output)] for output in schema.outputs}
    good = np.all([within(answers[output.name], *numeric_limits(output)) for output in schema.outputs], axis=0)
    if not good.any():
        first = ", ".join(f"{name}={values[0].tolist()!r}" for name, values in answers.items())
        raise VersionBroken(f"expected finite answers in the declared range, received none of {len(good)}; {first}")
    if not examined.found.steady:
        return Golden([], [])
    # Rows made for missing values, below the probe's own, have no instance; nor have tf.Examples.
    chosen = [at for at, row in enumerate(examined.found.kept) if good[at] and row < len(rows)][:GOLDEN_ROWS]
    columns = {o.name: plain_values(o, answers[o.name][chosen]) for o in schema.outputs}
    predictions = [{name: values[at] for name, values in columns.items()} for at in range(len(chosen))]
    return Golden([msgspec.to_builtins(rows[examined.found.kept[at]]) for at in chosen], predictions)


def within(values: Array, low: float, high: float) -> Array:
    """Which rows of (n,) or (n, k) hold only finite numbers from low to high, or only strings."""
    if values.dtype.kind not in "fiub":
        return np.ones(len(values), bool)
    wide = values.reshape(len(values), -1)  # (n,) -> (n, 1)
    with np.errstate(invalid="ignore"):
        found: Array = np.all(np.isfinite(wide) & (wide >= low) & (wide <= high), axis=1)
    return found
