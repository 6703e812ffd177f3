"""The step `train`: a candidate, learned from the spans in play."""

import shutil
from typing import Any

import msgspec

from stork.data.ingest_step import chosen_spans
from stork.data.spans import Splits, read_splits
from stork.declaration import Training
from stork.publishing.candidate import sample_rows, write_candidate
from stork.publishing.report import version_in_service
from stork.schema.frozen import Schema
from stork.store.registry import Registry
from stork.store.runs import Step, package_versions
from stork.store.version import read_verdict, write_manifest
from stork.training.checkpoint import Checkpoint, Epoch
from stork.training.curves import draw_curves
from stork.training.trainer import Trained, train_model
from stork.training.transform import Constants, read_constants
from stork.training.tuning_report import read_best

CANDIDATE = "candidate"


def work(step: Step) -> dict[str, Any]:
    """
    Train, export and prove a candidate, whole, in the folder `candidate`. A try that was killed is gone on with.

    Raises:
        DataError: a split has no rows, or the transform was fitted on others.
    """
    registry = Registry(step.settings)
    declaration = registry.declaration(step.model)
    schema = Schema.of(declaration)
    spans = chosen_spans(step)
    constants = read_constants(step.inputs["transform"], schema, spans)
    splits = read_splits(declaration, spans)
    step.say(f"rows: {len(splits.train):,} train, {len(splits.eval):,} eval, {len(splits.test):,} test")
    training = declaration.training.recipe
    if "tune" in step.inputs:
        training = read_best(step.inputs["tune"], training)
        step.say(f"with the best values of run {step.inputs['tune'].parent.name}")
    trained = train(step, schema, training, constants, splits)
    step.progress(0, 0)  # epochs say nothing of what follows, even if they were all
    step.say("exporting, and proving the LiteRT twin")
    folder = step.folder / CANDIDATE
    shutil.rmtree(folder, ignore_errors=True)
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
        spans=[span.used for span in spans],
        waived_data=read_verdict(step.inputs["transform"], "VALID")[1].get("waived", ""),
        runs=step.behind | {"train": step.run},
    )
    checkpoint_of(step).remove()
    return {
        "epochs": len(trained.history),
        "twin": twin.proved,
        "spans": [span.number for span in spans],
        "training": tell_recipe(training),
    }


def tell_recipe(training: Training) -> dict[str, Any]:
    """Every value that decides what is learned; also those that are as by default, which later code may change."""
    values = msgspec.to_builtins(msgspec.structs.asdict(training))
    return {name: value for name, value in values.items() if name != "vertex"}


def train(step: Step, schema: Schema, training: Training, constants: Constants, splits: Splits) -> Trained:
    """The model, and the curves of its training; a try that was lost goes on after its last whole epoch."""
    checkpoint = checkpoint_of(step)
    course = checkpoint.found
    done = course.history if course else []
    if done:
        step.say(f"going on after epoch {len(done)}, where an earlier try was lost")
    with draw_curves(step.folder / "tensorboard", done) as draw:

        def told(epoch: Epoch) -> None:
            draw(epoch)
            step.progress(epoch.number, epoch.epochs)
            step.say(f"epoch {epoch.number}: RMSE {epoch.eval_rmse:.4f} on eval")

        return train_model(schema, training, constants, splits.train, splits.eval, told, checkpoint)


def checkpoint_of(step: Step) -> Checkpoint:
    """Where the step keeps how far it came."""
    return Checkpoint(step.folder / "checkpoint.npz")
