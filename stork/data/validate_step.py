"""The step `validate`: are the rows what is expected of them? A verdict, with its reasons, and every comparison."""

from collections.abc import Sequence
from typing import Any

import msgspec

from stork.data.anomalies import Validation
from stork.data.ingest_step import chosen_spans, read_play
from stork.data.skew import describe_log
from stork.data.spans import Span, find_spans
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

ANOMALIES = "anomalies.json"
LISTED = 5  # anomalies that an error names


def work(step: Step) -> dict[str, Any]:
    """
    Leave anomalies.json, .txt and .html, and VALID or NOT_VALID with its reasons; what is not valid ends no step but
    the next one.

    The parameter `waive_data` is a person's reason to go on with rows that are not valid: the verdict says so too. With
    `log` the logged requests are held to them, too.

    Raises:
        DeclarationError: data.toml cannot be read.
        DataError: there are no statistics of a span, or the log has nothing to compare.
    """
    expected = expectations_of(step)
    play = read_play(step.inputs["ingest"])
    spans = find_spans(step.settings, step.model, sorted({*play.chosen, play.newest}))
    logged = describe_log(step.settings.log, expected.declaration) if step.parameters.get("log") else None
    found = validate_spans(expected, spans, read_all(step.inputs["statistics"], play), play.line, logged)
    lines = tell_validation(found)
    write_atomically(step.folder / ANOMALIES, msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    write_atomically(step.folder / "anomalies.txt", "\n".join(lines).encode() + b"\n")
    for line in lines:
        step.say(line)
    decided = decide(step, found, expected, spans)
    write_anomalies(step.folder / "anomalies.html", expected.declaration, found, decided["verdict"], decided["waived"])
    return {"spans": list(found.spans), "warnings": len(found.warnings), **decided}


def expectations_of(step: Step) -> Expected:
    """What the model's declaration and data schema say now."""
    registry = Registry(step.settings)
    declaration = registry.declaration(step.model)
    return Expected.of(declaration, load_data_schema(registry.home(step.model), declaration))


def decide(step: Step, found: Validation, expected: Expected, spans: Sequence[Span]) -> dict[str, Any]:
    """Write the verdict; its name, how many errors there are, and why they were waived, if they were."""
    verdict = "NOT_VALID" if found.errors else "VALID"
    waived = step.parameters.get("waive_data", "") if found.errors else ""
    reasons = [str(anomaly) for anomaly in found.errors] or ["every column is as expected"]
    facts: dict[str, Any] = {"reasons": reasons, "spans": digests_of(spans), "expected": expected.digest}
    write_verdict(step.folder, verdict, facts | ({"waived": waived} if waived else {}))
    step.say(f"{verdict} (waived: {waived})" if waived else verdict)
    return {"verdict": verdict, "errors": len(found.errors), "waived": waived}


def digests_of(spans: Sequence[Span]) -> dict[str, str]:
    """The SHA-256 of each span's manifest, by its number."""
    return {str(span.number): span.used.sha256 for span in spans}


def check_valid(step: Step) -> None:
    """
    Raises:
        NotValid: the step `validate` found errors that nobody waived, or it looked at other spans, or held them to
            another declaration or data schema.
    """
    folder = step.inputs["validate"]
    facts = read_verdict(folder, "VALID")[1]
    judged = facts.get("spans", {})
    unseen = [number for number, digest in digests_of(chosen_spans(step)).items() if judged.get(number) != digest]
    again = f"`stork pipeline run {step.model} --to validate` looks at all"
    if unseen:
        raise NotValid(
            f"{step.model}: expected a verdict on span {', '.join(unseen)}, received one on span "
            f"{', '.join(judged) or 'none'} (run {folder.parent.name}); {again}"
        )
    if facts.get("expected") != expectations_of(step).digest:
        raise NotValid(
            f"{step.model}: expected a verdict by model.toml and {FILE} as they are, received one by others "
            f"(run {folder.parent.name}); {again}"
        )
    if refusal(folder, "VALID"):
        reasons = facts["reasons"]
        more = f"; and {len(reasons) - LISTED} more" if len(reasons) > LISTED else ""
        raise NotValid(
            f"{step.model}: NOT_VALID: {'; '.join(reasons[:LISTED])}{more}. All of it: {folder.name}/anomalies.html "
            f"of run {folder.parent.name}. To go on, state the change in the model's {FILE} "
            f"(`stork schema diff {step.model}` shows it), or give `--waive-data REASON`"
        )


def outside(step: Step) -> list[str]:
    """The data schema; the log is always another one."""
    path = Registry(step.settings).home(step.model) / FILE
    found = [checksum(path)] if path.is_file() else []
    return [*found, step.run] if step.parameters.get("log") else found
