"""The step `validate`: are the rows what is expected of them? A verdict, with its reasons, and every comparison."""

from typing import Any

import msgspec

from stork.data.anomalies import Validation
from stork.data.ingest_step import read_play
from stork.data.spans import find_spans
from stork.data.statistics_step import read_all
from stork.data.validation import Expected, validate_spans
from stork.data.validation_page import write_anomalies
from stork.data.validation_report import tell_validation
from stork.declaration.data_schema import FILE, load_data_schema
from stork.errors import NotValid
from stork.store.files import checksum, write_atomically
from stork.store.registry import Registry
from stork.store.runs import Step
from stork.store.version import read_verdict, refusal, write_verdict

LISTED = 5  # anomalies that an error names


def work(step: Step) -> dict[str, Any]:
    """
    Leave anomalies.json, .txt and .html, and VALID or NOT_VALID with its reasons; what is not valid ends no step but
    the next one.

    The parameter `waive_data` is a person's reason to go on with rows that are not valid: the verdict says so too.

    Raises:
        DeclarationError: data.toml cannot be read.
    """
    registry = Registry(step.settings)
    declaration = registry.declaration(step.model)
    expected = Expected.of(declaration, load_data_schema(registry.home(step.model), declaration))
    play = read_play(step.inputs["ingest"])
    spans = find_spans(step.settings, step.model, sorted({*play.chosen, play.newest}))
    found = validate_spans(expected, spans, read_all(step.inputs["statistics"], play), play.previous)
    lines = tell_validation(found)
    write_atomically(step.folder / "anomalies.json", msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    write_atomically(step.folder / "anomalies.txt", "\n".join(lines).encode() + b"\n")
    for line in lines:
        step.say(line)
    decided = decide(step, found)
    write_anomalies(step.folder / "anomalies.html", declaration, found, decided["verdict"], decided["waived"])
    return {"spans": list(found.spans), "warnings": len(found.warnings), **decided}


def decide(step: Step, found: Validation) -> dict[str, Any]:
    """Write the verdict; its name, how many errors there are, and why they were waived, if they were."""
    verdict = "NOT_VALID" if found.errors else "VALID"
    waived = step.parameters.get("waive_data", "") if found.errors else ""
    reasons = [str(anomaly) for anomaly in found.errors] or ["every column is as expected"]
    write_verdict(step.folder, verdict, {"reasons": reasons} | ({"waived": waived} if waived else {}))
    step.say(f"{verdict} (waived: {waived})" if waived else verdict)
    return {"verdict": verdict, "errors": len(found.errors), "waived": waived}


def check_valid(step: Step) -> None:
    """
    Raises:
        NotValid: the step `validate` found errors, and nobody waived them.
    """
    folder = step.inputs["validate"]
    if refusal(folder, "VALID"):
        reasons = read_verdict(folder, "VALID")[1].get("reasons", ["it has no verdict"])
        more = f"; and {len(reasons) - LISTED} more" if len(reasons) > LISTED else ""
        raise NotValid(
            f"{step.model}: NOT_VALID: {'; '.join(reasons[:LISTED])}{more}. All of it: {folder.name}/anomalies.html "
            f"of run {folder.parent.name}. To go on, state the change in the model's {FILE} "
            f"(`stork schema diff {step.model}` shows it), or give `--waive-data REASON`"
        )


def outside(step: Step) -> list[str]:
    """The data schema."""
    path = Registry(step.settings).home(step.model) / FILE
    return [checksum(path)] if path.is_file() else []
