"""Bringing a foreign SavedModel in: read, described, tried, given a twin where that works, published."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stork.config import Settings
from stork.declaration import NAME, Declaration, load_declaration
from stork.errors import BadRequest, ModelNotFound
from stork.publishing.draft import describe_inputs, write_draft
from stork.publishing.probe import probe_rows, with_missing
from stork.publishing.push import publish
from stork.publishing.signatures import Signature, check_inputs, choose_signature, read_signatures, servable_outputs
from stork.publishing.twin import Examined, examine
from stork.schema.frozen import Schema, tensor_name
from stork.schema.tensors import Tensors, plain_values
from stork.store.files import write_atomically, writing
from stork.store.registry import STABLE, Registry
from stork.store.version import Golden, Twin, write_manifest

PROBE_ROWS = 200
GOLDEN_ROWS = 8
# The parts of a SavedModel that serving needs; whatever else lies in the folder stays where it is.
PARTS = ("saved_model.pb", "saved_model.pbtxt", "variables", "assets", "fingerprint.pb")


@dataclass(frozen=True)
class Imported:
    """What came of an import. `draft` is the model.toml that was written, None where the model had one."""

    model: str
    version: int
    signature: str
    twin: Twin
    draft: Path | None
    refused_rows: str
    serves: bool


def import_model(settings: Settings, path: Path, name: str, signature: str | None = None) -> Imported:
    """
    Publish the SavedModel in the folder `path` as the next version of the model `name`.

    A new model gets a first model.toml and serves at once. A model there is already keeps its model.toml, whose
    features must fit the signature; no alias moves.

    Raises:
        BadRequest: the name is none, the folder holds no SavedModel that can be served, or it does not fit the model.
        NotFound: there is no such folder.
        VersionBroken: TensorFlow cannot load the model, or it answers none of the rows it was tried with.
        RootNotWritable: there is nowhere to publish to.
    """
    if not re.match(NAME, name) or name.startswith("."):
        raise BadRequest(f"name: expected letters, digits, _ . or -, first a letter, received {name!r}")
    chosen = choose_signature(read_signatures(path), signature)
    check_inputs(chosen)
    registry = Registry(settings)
    home = settings.root / "models" / name
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".import-") as scratch:
        folder = Path(scratch) / "version"
        copy_model(path, folder)
        declaration, draft = find_declaration(registry, name, chosen, Path(scratch))
        schema = Schema.of(declaration, chosen.name)
        probe = probe_rows(schema, PROBE_ROWS)
        examined = examine(folder, schema, with_missing(schema, probe.tensors))
        if draft is not None:
            # Only now is it known what shape the outputs really have.
            draft = write_draft(Path(scratch), name, chosen, output_shapes(schema, examined.outputs))
            schema = Schema.of(load_declaration(draft), chosen.name)
        seal(folder, schema, examined, probe.rows, f"imported from the SavedModel {path.resolve().name}")
        version = publish(settings, name, folder)
        if draft is not None:
            # Last, so that a model is seen when it has a version; it serves because somebody asked for it by name.
            write_atomically(home / "model.toml", draft.read_bytes())
            registry.move_alias(name, STABLE, version, by="import")
    return Imported(
        model=name,
        version=version,
        signature=chosen.name,
        twin=examined.twin,
        draft=home / "model.toml" if draft is not None else None,
        refused_rows=examined.found.refusal,
        serves=draft is not None,
    )


def copy_model(path: Path, folder: Path) -> None:
    """The parts of the SavedModel that serving needs."""
    folder.mkdir()
    for part in PARTS:
        if (path / part).is_dir():
            shutil.copytree(path / part, folder / part)
        elif (path / part).is_file():
            shutil.copy(path / part, folder / part)


def find_declaration(
    registry: Registry, name: str, signature: Signature, scratch: Path
) -> tuple[Declaration, Path | None]:
    """
    The model's declaration, which must fit the signature; for a new model a first one, and the file it is in.

    Raises:
        BadRequest: the model's features are not the signature's inputs; the message names each difference.
    """
    try:
        declaration = registry.declaration(name)
    except ModelNotFound:
        shapes = {output: shape for output, facts in servable_outputs(signature).items() if (shape := facts.shape)}
        draft = write_draft(scratch, name, signature, shapes)
        return load_declaration(draft), draft
    wanted = {tensor_name(f): (f.tensor.dtype, f.tensor.shape) for f in declaration.features}
    given = {t: (d.tensor.dtype, d.tensor.shape) for t, d in describe_inputs(signature).items()}
    differences = [
        f"input {tensor!r}: the model has {wanted.get(tensor, 'none')}, the signature {given.get(tensor, 'none')}"
        for tensor in sorted(wanted.keys() | given.keys())
        if wanted.get(tensor) != given.get(tensor)
    ]
    differences += [
        f"output {tensor_name(output)!r}: the signature has none"
        for output in declaration.outputs
        if tensor_name(output) not in signature.outputs
    ]
    if differences:
        raise BadRequest(
            f"model {name!r} is there already, and this SavedModel does not fit it: {'; '.join(differences)}"
        )
    return declaration, None


def output_shapes(schema: Schema, outputs: Tensors) -> dict[str, tuple[int, ...]]:
    """
    The shape each output really has, -1 for the rows.

    Raises:
        BadRequest: an output has more than one axis besides the rows.
    """
    found = {}
    for output in schema.outputs:
        shape = outputs[tensor_name(output)].shape
        if len(shape) > 2:
            raise BadRequest(f"output {output.name!r}: expected a value or a row per instance, received {list(shape)}")
        found[tensor_name(output)] = (-1, *shape[1:])
    return found


def seal(folder: Path, schema: Schema, examined: Examined, rows: list[object], note: str) -> None:
    """Schema, golden requests with what TensorFlow answered, and the manifest."""
    (folder / "schema.json").write_bytes(schema.to_json())
    kept = [row for row in examined.found.kept if row < len(rows)][:GOLDEN_ROWS] if examined.found.steady else []
    answers = {o.name: plain_values(o, examined.outputs[tensor_name(o)]) for o in schema.outputs}
    predictions = [{name: values[index] for name, values in answers.items()} for index in range(len(kept))]
    instances = [msgspec.to_builtins(rows[row]) for row in kept]
    (folder / "golden.json").write_bytes(msgspec.json.encode(Golden(instances, predictions)))
    write_manifest(folder, schema, examined.twin, note=note)
