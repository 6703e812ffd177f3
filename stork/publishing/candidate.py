"""What training leaves: a folder whole enough to be served, with examples that are nobody's rows."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stork.data.fetch import SAMPLE_SEED
from stork.data.sample import generate, load_sample, summarise
from stork.data.sources import Rows
from stork.declaration import Declaration
from stork.publishing.twin import make_twin
from stork.schema.decode import Decoder, default_value
from stork.schema.frozen import Schema, tensor_name
from stork.schema.tensors import check_predictions, plain_values
from stork.store.version import Golden, Twin
from stork.training.export import export_model
from stork.training.trainer import Trained
from stork.training.transform import encode_rows

BACKGROUND_ROWS = 64
GOLDEN_ROWS = 5  # besides the corners of the domain
PROBE_ROWS = 1000


def write_candidate(folder: Path, schema: Schema, trained: Trained, rows: Rows, sample: Rows | None) -> Twin:
    """
    A SavedModel of what was trained, its schema and examples, and a LiteRT twin, into an empty folder.

    The twin is proved on some of `rows`; `sample` are generated rows, of which the examples are taken.
    """
    export_model(trained, schema, folder)
    (folder / "schema.json").write_bytes(schema.to_json())
    write_examples(folder, schema, sample, trained)
    probe = rows.select(np.arange(len(rows)) < PROBE_ROWS)
    return make_twin(folder, schema, encode_rows(schema, probe))


def sample_rows(declaration: Declaration, home: Path, rows: Rows) -> Rows | None:
    """
    Generated rows to show: from the sample.json in the model's folder, else from tables of the rows themselves.

    None where the declaration has no `[sample]`.
    """
    path = home / "sample.json"
    if path.is_file():
        return generate(declaration, load_sample(path), BACKGROUND_ROWS + GOLDEN_ROWS, SAMPLE_SEED)
    if not declaration.sample.tables:
        return None
    return generate(declaration, summarise(declaration, rows), BACKGROUND_ROWS + GOLDEN_ROWS, SAMPLE_SEED)


def write_examples(folder: Path, schema: Schema, sample: Rows | None, trained: Trained) -> None:
    """golden.json and background.json, from generated rows and the declaration: no real row is in a version."""
    shown = [] if sample is None else sample.select(np.arange(len(sample)) < BACKGROUND_ROWS + GOLDEN_ROWS).instances()
    if shown:
        (folder / "background.json").write_bytes(msgspec.json.encode(shown[:BACKGROUND_ROWS]))
    instances = shown[BACKGROUND_ROWS:] + corners(schema)
    tensors = Decoder(schema, len(instances)).decode(instances).tensors
    (output,) = schema.outputs
    answered = check_predictions(schema, {tensor_name(output): trained.predict(tensors)}, len(instances))
    predictions = [{output.name: value} for value in plain_values(output, answered[output.name])]
    (folder / "golden.json").write_bytes(msgspec.json.encode(Golden(instances, predictions)))


def corners(schema: Schema) -> list[dict[str, Any]]:
    """Instances where a model goes wrong first: both ends of every domain, and all that may be missing missing."""
    lowest, highest, barest = {}, {}, {}
    for feature in schema.features:
        values: list[Any] = [value.value for value in feature.values] or list(feature.range or ())
        if feature.kind == "boolean":
            values = [False, True]
        elif feature.kind == "integer":
            values = [int(value) for value in values]
        usual = default_value(feature)
        lowest[feature.name], highest[feature.name] = (values[0], values[-1]) if values else (usual, usual)
        if feature.required:
            barest[feature.name] = usual
    return [lowest, highest, barest]
