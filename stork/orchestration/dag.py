"""The steps of the pipeline, in order: named as strings, so that the work is imported only when a step runs."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stork.errors import BadRequest


@dataclass(frozen=True)
class Node:
    """
    A step of the pipeline.

    `work` is `module:function`; the function takes a Step and returns a small summary. `after` names the steps whose
    output it reads, `reads` the sections of the declaration and `takes` the parameters that it depends on: where none
    of these changed, nor the code, nor the packages, nor what the module's own `outside(step)` lists, it is skipped.
    A step that is not `kept` is never skipped: it knows itself what is done already. An `optional` one runs when asked.
    `places` are where else than here it can be carried out. `seconds` are a guess for a first time: what it took
    with the rows that are generated where there are none, on two cores of an AMD EPYC.
    """

    name: str
    work: str
    help: str
    after: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    kept: bool = True
    optional: bool = False
    places: tuple[str, ...] = ()
    seconds: float = 0.0

    def load(self) -> Callable[..., dict[str, Any]]:
        """The function."""
        module, _, name = self.work.partition(":")
        found: Callable[..., dict[str, Any]] = getattr(importlib.import_module(module), name)
        return found

    def outside(self) -> Callable[..., list[str]]:
        """What else the step depends on."""
        module = importlib.import_module(self.work.partition(":")[0])
        found: Callable[..., list[str]] = getattr(module, "outside", lambda step: [])
        return found


ROWS = ("features", "outputs", "data")
PIPELINE = (
    Node(
        "ingest",
        "stork.data.ingest_step:work",
        "Make the next span of rows not seen yet.",
        reads=(*ROWS, "sample"),
        takes=("data", "subscription", "seconds", "messages", "where", "spans"),
        seconds=3.0,
    ),
    Node(
        "statistics",
        "stork.data.statistics_step:work",
        "Count and describe the values of every column of the spans in play.",
        after=("ingest",),
        reads=(*ROWS, "log"),
        takes=("compare",),
        seconds=0.5,
    ),
    Node(
        "validate",
        "stork.data.validate_step:work",
        "Hold the spans in play to what is expected of them.",
        after=("ingest", "statistics"),
        reads=(*ROWS, "training", "log"),
        takes=("waive_data", "log"),
    ),
    Node(
        "transform",
        "stork.training.transform_step:work",
        "Fit means, deviations and vocabularies on the training split.",
        after=("ingest", "validate"),
        reads=(*ROWS, "training"),
    ),
    Node(
        "tune",
        "stork.training.tune_step:work",
        "Look for better values of [training], as [tuning] says.",
        after=("ingest", "transform"),
        reads=(*ROWS, "training", "tuning"),
        optional=True,
        places=("vertex",),
        seconds=45.0,
    ),
    Node(
        "train",
        "stork.publishing.train_step:work",
        "Learn the label, and leave a candidate.",
        after=("ingest", "transform", "tune"),
        reads=(*ROWS, "training", "sample"),
        places=("vertex",),
        seconds=6.0,
    ),
    Node(
        "evaluate",
        "stork.publishing.evaluate_step:work",
        "Score the candidate, by slice, beside the version in service.",
        after=("ingest", "train"),
        reads=(*ROWS, "training", "evaluation"),
        seconds=5.0,
    ),
    Node(
        "bless",
        "stork.publishing.bless_step:work",
        "Judge the candidate's quality, and examine it in a server of its own.",
        after=("train", "evaluate"),
        reads=("features", "outputs", "evaluation", "serving", "log"),
        takes=("waive",),
        seconds=5.0,
    ),
    Node(
        "push",
        "stork.publishing.push_step:work",
        "Publish the candidate as the next version; an alias moves only when told.",
        after=("ingest", "train", "evaluate", "bless"),
        takes=("alias", "canary", "every"),
        kept=False,
        seconds=0.5,
    ),
)


def find_node(name: str) -> Node:
    """
    Raises:
        BadRequest: no step has this name.
    """
    for node in PIPELINE:
        if node.name == name:
            return node
    raise BadRequest(f"expected a step ({', '.join(node.name for node in PIPELINE)}), received {name!r}")


def order(names: Sequence[str]) -> list[Node]:
    """
    The named steps, each after those it reads from.

    Raises:
        BadRequest: no step has such a name.
    """
    wanted = {find_node(name).name for name in names}
    return [node for node in PIPELINE if node.name in wanted]


def steps_until(last: str | None = None, optional: Sequence[str] = ()) -> list[str]:
    """All steps up to and including `last` (default: all); of the optional ones those named."""
    names = [node.name for node in PIPELINE]
    until = names.index(find_node(last).name) + 1 if last else len(names)
    return [n.name for n in PIPELINE[:until] if not n.optional or n.name in optional or n.name == last]
