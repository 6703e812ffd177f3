"""The step `transform`: what the graph needs to know of the rows, fitted on the training split."""

from typing import Any

import msgspec

from stork.data.ingest_step import chosen_spans
from stork.data.spans import read_split
from stork.data.validate_step import check_valid, expectations_of
from stork.schema.frozen import Schema
from stork.store.files import write_atomically
from stork.store.registry import Registry
from stork.store.runs import Step
from stork.store.version import read_verdict, write_verdict
from stork.training.transform import FILE, Constants, Scale, Vocabulary, fit_constants


def work(step: Step) -> dict[str, Any]:
    """
    Leave transform.json: for each feature how it is encoded, the constants, how many rows they are of; beside it the
    verdict on those rows, which the candidate takes along.

    Raises:
        NotValid: nobody looked at these rows, or they were found not to be what is expected and nobody waived that.
        DataError: no row is in the training split.
    """
    check_valid(step)
    declaration = Registry(step.settings).declaration(step.model)
    schema = Schema.of(declaration)
    spans = chosen_spans(step)
    rows = read_split(declaration, spans, "train")
    constants = fit_constants(schema, declaration.training.label, rows, tuple(span.used for span in spans))
    for line in tell(constants):
        step.say(line)
    content = msgspec.json.format(msgspec.json.encode(constants), indent=2) + b"\n"
    write_atomically(step.folder / FILE, content)
    write_verdict(step.folder, *read_verdict(step.inputs["validate"], "VALID"))
    return {"rows": constants.rows, "features": len(constants.features), "spans": [span.number for span in spans]}


def outside(step: Step) -> list[str]:
    """What rows are held to: where that changed, an old verdict is not enough."""
    return [expectations_of(step).digest]


def tell(constants: Constants) -> list[str]:
    """The constants as lines for a person."""
    label = constants.label
    lines = [f"fitted on {constants.rows:,} training rows; {label.name}: mean {label.mean:.4g}, sd {label.sd:.4g}"]
    return lines + [
        f"{name}: {describe(fitted)}, {fitted.known:,} known" for name, fitted in constants.features.items()
    ]


def describe(fitted: Scale | Vocabulary) -> str:
    """How a feature is encoded, in a few words."""
    if isinstance(fitted, Vocabulary):
        return f"one of {len(fitted.values)} values"
    reach = f"{fitted.low:.4g} to {fitted.high:.4g}"
    return f"mean {fitted.mean:.4g}, sd {fitted.sd:.4g}, {reach}, {len(fitted.boundaries)} boundaries"
