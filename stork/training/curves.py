"""The curves of a training, for TensorBoard: a run for each of `train` and `eval`, so that they share a chart."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stork.training.checkpoint import Epoch
from stork.training.trainer import Told


@contextmanager
def draw_curves(folder: Path, history: Iterable[Epoch] = ()) -> Iterator[Told]:
    """
    A callable that adds the scalars of an epoch to the event files in `folder`.

    They begin anew with the epochs of `history`: what a lost try wrote after its last checkpoint would be there twice.
    """
    import tensorflow as tf

    shutil.rmtree(folder, ignore_errors=True)
    with ExitStack() as stack:
        writers = {}
        for split in ("train", "eval"):
            writers[split] = tf.summary.create_file_writer(str(folder / split))
            stack.callback(writers[split].close)

        def add(epoch: Epoch) -> None:
            for split, scalars in scalars_of(epoch).items():
                with writers[split].as_default(step=epoch.number):
                    for name, value in scalars.items():
                        tf.summary.scalar(name, value)
                writers[split].flush()

        for epoch in history:
            add(epoch)
        yield add


def scalars_of(epoch: Epoch) -> dict[str, dict[str, float]]:
    """What is drawn of an epoch, by split and name."""
    return {
        "train": {"loss": epoch.train_loss, "learning_rate": epoch.learning_rate},
        "eval": {"loss": epoch.eval_loss, "rmse": epoch.eval_rmse},
    }
