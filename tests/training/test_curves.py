"""What TensorBoard is shown of a training."""

from pathlib import Path

import pytest

from stork.training.checkpoint import Epoch

pytestmark = pytest.mark.tensorflow


def epoch(number: int) -> Epoch:
    """An epoch whose figures tell its number."""
    return Epoch(number, 9, 0.5 / number, 0.25 / number, 1.0 / number, 0.01 * number)


def read_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar in the event files of a folder, as TensorBoard reads them: (epoch, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, float(make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def test_every_epoch_is_drawn(tmp_path: Path) -> None:
    """Loss and learning rate of train, loss and RMSE of eval, at the epoch's number."""
    from stork.training.curves import draw_curves

    with draw_curves(tmp_path / "curves") as draw:
        draw(epoch(1))
        draw(epoch(2))
    train, stop = (read_scalars(tmp_path / "curves" / split) for split in ("train", "eval"))
    assert train == {
        "loss": [(1, 0.5), (2, 0.25)],
        "learning_rate": [(1, pytest.approx(0.01)), (2, pytest.approx(0.02))],
    }
    assert stop == {"loss": [(1, 0.25), (2, 0.125)], "rmse": [(1, 1.0), (2, 0.5)]}


def test_no_epoch_is_drawn_twice(tmp_path: Path) -> None:
    """A training that goes on after epoch 1 draws epoch 2 anew: what the lost try drew of it is gone."""
    from stork.training.curves import draw_curves

    with draw_curves(tmp_path) as draw:
        draw(epoch(1))
        draw(epoch(2))
    with draw_curves(tmp_path, [epoch(1)]) as draw:
        draw(epoch(2))
    assert [number for number, _ in read_scalars(tmp_path / "eval")["rmse"]] == [1, 2]
