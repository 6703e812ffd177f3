"""The sections of evidence.html on what a version comes from: data, schema, what went in, lineage."""

from itertools import islice

from stork.data.anomalies import Validation
from stork.data.concealing import conceal_spans
from stork.data.findings import find
from stork.data.spans import SPLITS
from stork.data.statistics import ALL, SpanStatistics
from stork.declaration import Feature, Output
from stork.publishing.evidence import Evidence
from stork.publishing.evidence_sections import Section, Table
from stork.report.page import count, number, percent

MOST = 20  # spans, files and findings that are listed: the page is of one size whatever a version learned from


def show_data(evidence: Evidence) -> Section:
    """The spans, what was refused, and the newest span's statistics in brief."""
    spans = evidence.lineage.spans
    rows = []
    for s in spans[-MOST:]:
        lost = "-" if s.state == "gone" else count(sum(s.refused.values()))
        rows.append((f"span {s.span}", s.state, *(count(s.rows.get(split)) for split in SPLITS), lost))
    refused = [(f"span {s.span}", count(rows), why) for s in spans[-MOST:] for why, rows in s.refused.items()]
    tables = [Table(("Span", "State", "Train", "Eval", "Test", "Refused"), rows)] if rows else []
    tables += [Table(("Refused", "Rows", "Why"), refused[:MOST], words=True)] if refused else []
    learned = [evidence.statistics[max(evidence.statistics)]] if evidence.statistics else []
    newest = next(iter(conceal_spans(learned, evidence.declaration.log.hidden)), None)
    if evidence.validation and evidence.validation.anomalies:
        tables.append(list_anomalies(evidence.validation))
    if evidence.validation and any(not made.passed for made in evidence.validation.comparisons):
        tables.append(list_comparisons(evidence.validation))
    if newest:
        tables.append(describe_columns(newest))
    return Section(
        "data",
        "Data",
        lines=[*tell_validation(evidence.validation), *(tell_findings(evidence, newest) if newest else ())],
        tables=tables,
        missing=list(tell_missing_data(evidence)),
    )


def tell_missing_data(evidence: Evidence) -> list[str]:
    """What is not on record of the rows."""
    spans, found = evidence.lineage.spans, []
    if not spans:
        learned = "; ".join(evidence.manifest.data) or "rows of which nothing is on record"
        found.append(f"Its manifest names no span. It learned from {learned}.")
    found += [f"Span {span.span} is {span.state}: it is not what was read." for span in spans if span.state != "whole"]
    if len(spans) > MOST:
        found.append(f"The newest {MOST} of {len(spans)} spans are listed.")
    if not evidence.statistics:
        found.append("No statistics of its rows are on record in a form read here.")
    if evidence.validation is None:
        found.append("No validation of its rows is on record in a form read here: neither anomalies nor comparisons.")
    elif len(evidence.validation.anomalies) > MOST:
        found.append(f"The first {MOST} of {len(evidence.validation.anomalies)} anomalies are listed.")
    return found


def tell_validation(validation: Validation | None) -> list[str]:
    """How much was found, and how many comparisons were made with the span before."""
    if validation is None:
        return []
    spans = f"Validated spans: {', '.join(map(str, validation.spans[-MOST:]))}; "
    found = f"{len(validation.errors)} errors, {len(validation.warnings)} warnings"
    passed = sum(made.passed for made in validation.comparisons)
    compared = f"; {passed} of {len(validation.comparisons)} comparisons with the span before passed"
    return [f"{spans}{found}{compared if validation.comparisons else ''}."]


def list_comparisons(validation: Validation) -> Table:
    """Those with the span before that did not pass."""
    failed = [made for made in validation.comparisons if not made.passed][:MOST]
    rows = [(c.column, c.measure, f"{c.value:.4f}", f"{c.threshold:.4f}", c.largest or "-") for c in failed]
    return Table(("Not as the span before", "Measure", "Value", "Threshold", "Differs most"), rows)


def list_anomalies(validation: Validation) -> Table:
    """Errors first."""
    listed = [*validation.errors, *validation.warnings][:MOST]
    return Table(("Anomaly", "Severity", "What"), [(a.name, a.severity, a.sentence) for a in listed], words=True)


def tell_findings(evidence: Evidence, newest: SpanStatistics) -> list[str]:
    """What stands out in the newest span."""
    found = [f"Span {newest.span}: {line}." for line in find(newest, evidence.declaration.training.label)]
    return found[:MOST] or [f"Span {newest.span}: nothing stands out."]


def describe_columns(statistics: SpanStatistics) -> Table:
    """The declared columns of a span in brief."""
    rows = []
    for column in statistics.splits[ALL].columns:
        if not column.declared:
            continue
        told = column.numbers
        figures = (told.mean, told.sd, told.min, told.max) if told else (None,) * 4
        missing = percent(column.missing / column.rows) if column.rows else "-"
        known = ("" if column.exact else "~") + count(column.unique)
        rows.append((column.name, column.declared, missing, known, *(number(figure) for figure in figures)))
    headings = (f"Column of span {statistics.span}", "Kind", "Missing", "Different", "Mean", "Sd", "Min", "Max")
    return Table(headings, rows)


def show_schema(evidence: Evidence) -> Section:
    """What a request is checked against, and how it becomes tensors."""
    schema = evidence.schema
    inputs = [
        (f.name, f.kind, tell_domain(f), "required" if f.required else "may be missing", tell_tensor(f))
        for f in schema.features
    ]
    outputs = [(o.name, tell_domain(o), o.unit or "-", tell_tensor(o)) for o in schema.outputs]
    return Section(
        "schema",
        "Schema",
        facts=(("Hash", schema.hash), ("Signature", schema.signature)),
        tables=(
            Table(("Feature", "Kind", "Domain", "Presence", "Tensor"), inputs, words=True),
            Table(("Output", "Domain", "Unit", "Tensor"), outputs, words=True),
        ),
    )


def tell_domain(part: Feature | Output) -> str:
    """The closed range, or the values."""
    if part.range:
        return f"{number(part.range[0])} to {number(part.range[1])}"
    values = [str(value.value) for value in part.values] if isinstance(part, Feature) else []
    more = f" and {len(values) - MOST} more" if len(values) > MOST else ""
    return ", ".join(values[:MOST]) + more or "any"


def tell_tensor(part: Feature | Output) -> str:
    tensor = part.tensor
    missing = f", missing is {tensor.missing!r}" if isinstance(part, Feature) and not part.required else ""
    return f"{tensor.name or part.name}: {tensor.dtype} {list(tensor.shape)}{missing}"


def show_input(evidence: Evidence) -> Section:
    """Packages, parameters, the runs of its steps."""
    steps = evidence.lineage.steps
    rows = []
    for name, done in sorted(steps.items(), key=lambda step: step[1].began or evidence.manifest.created):
        began = f"{done.began:%Y-%m-%d %H:%M:%S}Z" if done.began else "its run is gone"
        rows.append(
            (name, done.run, began, f"{done.seconds:.1f} s" if done.seconds else "-", done.fingerprint[:16] or "-")
        )
    training = steps["train"].summary.get("training", {}) if "train" in steps else {}
    asked = evidence.trained.parameters if evidence.trained else {}
    facts = [(f"[training] {name}", str(value) or "none") for name, value in training.items()]
    facts += [(f"asked: {name}", tell_parameter(value)) for name, value in asked.items()]
    packages = ", ".join(f"{name} {version}" for name, version in evidence.manifest.packages.items())
    facts.append(("Packages", packages or "not on record"))
    missing = [] if training else ["The parameters and the seed of its training are not on record."]
    if not steps:
        missing.append("Its manifest names no run: when and by what steps it was made is not on record.")
    return Section(
        "input",
        "What went in",
        lines=["A fingerprint covers a step's inputs, parameters, code and packages."] if steps else (),
        facts=facts,
        tables=(Table(("Step", "Run", "Began", "Took", "Fingerprint"), rows),) if rows else (),
        missing=missing,
    )


def tell_parameter(value: object) -> str:
    """A parameter; of files only their names, which say enough to a stranger."""
    listed = value if isinstance(value, list) else [value]
    names = [str(part).rsplit("/", 1)[-1] for part in islice(listed, MOST)]
    return ", ".join(names) + (f" and {len(listed) - MOST} more" if len(listed) > MOST else "")


def show_lineage(evidence: Evidence) -> Section:
    """Back to the files, each with its SHA-256; and the files of the version itself."""
    read = [(f"span {s.span}", file.name, file.where, file.sha256) for s in evidence.lineage.spans for file in s.read]
    files = [(name, count(facts.bytes), facts.sha256) for name, facts in evidence.manifest.files.items()]
    tables = [Table(("Span", "Read from", "Rows where", "SHA-256"), read[-MOST:], words=True)] if read else []
    missing = [] if read else ["No file that it learned from is on record with a checksum."]
    if len(read) > MOST:
        missing.append(f"The last {MOST} of {len(read)} files are listed; `stork lineage` has all.")
    parent, made_here = evidence.manifest.parent, bool(evidence.manifest.runs)
    before = f"version {parent} was in service" if parent else "no version was in service"
    return Section(
        "lineage",
        "Lineage",
        facts=(("Trained while", before if parent or made_here else "not on record"),),
        tables=[*tables, Table(("File of the version", "Bytes", "SHA-256"), files[: 2 * MOST], words=True)],
        missing=missing,
    )
