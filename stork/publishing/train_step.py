"""The step `train`: a candidate, learned from the spans in play."""

from typing import Any

from stork.data.ingest_step import chosen_spans
from stork.data.spans import MANIFEST, read_splits
from stork.publishing.candidate import sample_rows, write_candidate
from stork.publishing.report import version_in_service
from stork.schema.frozen import Schema
from stork.store.files import checksum
from stork.store.registry import Registry
from stork.store.runs import Step, package_versions
from stork.store.version import SpanUsed, write_manifest
from stork.training.trainer import train_model

CANDIDATE = "candidate"


def work(step: Step) -> dict[str, Any]:
    """
    Train, export and prove a candidate, whole, in the folder `candidate`.

    Raises:
        DataError: a split has no rows.
    """
    registry = Registry(step.settings)
    declaration = registry.declaration(step.model)
    schema = Schema.of(declaration)
    spans = chosen_spans(step)
    splits = read_splits(declaration, spans)
    step.say(f"rows: {len(splits.train):,} train, {len(splits.eval):,} eval, {len(splits.test):,} test")

    def progress(epoch: int, epochs: int, rmse: float) -> None:
        step.progress(epoch, epochs)
        step.say(f"epoch {epoch}: RMSE {rmse:.4f} on eval")

    trained = train_model(schema, declaration.training, splits.train, splits.eval, progress)
    step.say("exporting, and proving the LiteRT twin")
    folder = step.folder / CANDIDATE
    folder.mkdir()
    sample = sample_rows(declaration, registry.home(step.model), splits.train)
    twin = write_candidate(folder, schema, trained, splits.train, sample)
    parent = version_in_service(registry, step.model)
    source = [line for span in spans for line in span.manifest.source]
    write_manifest(
        folder,
        schema,
        twin,
        data=source,
        packages=package_versions(),
        parent=parent,
        spans=[SpanUsed(span.number, checksum(span.folder / MANIFEST)) for span in spans],
        runs={name: output.parent.name for name, output in step.inputs.items()} | {"train": step.run},
    )
    return {"epochs": trained.epochs, "twin": twin.proved, "spans": [span.number for span in spans]}
