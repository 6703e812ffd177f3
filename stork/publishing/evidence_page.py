"""evidence.html and mltest.json: what is known of a version on one page, of the same size whatever its rows."""

from pathlib import Path

import msgspec

from stork.config import Settings
from stork.publishing.evidence import Evidence, gather_evidence
from stork.publishing.evidence_origin import show_data, show_input, show_lineage, show_schema
from stork.publishing.evidence_sections import Section, show_exam, show_quality
from stork.publishing.ml_test import SECTIONS, Sheet, fill_in
from stork.publishing.ml_test_data import DATA, MODEL
from stork.publishing.ml_test_service import INFRASTRUCTURE, MONITORING
from stork.report.page import write_page
from stork.store.files import write_atomically
from stork.store.registry import Registry
from stork.store.version import EVIDENCE, ML_TEST

ANOMALIES = 6  # that stand with the verdict; the section on data lists them again, with the warnings
TESTS = (*DATA, *MODEL, *INFRASTRUCTURE, *MONITORING)


def publish_evidence(settings: Settings, name: str, version: int) -> None:
    """Leave both files in the folder of a version below the root; what is shipped with the code stays as it is."""
    folder = Registry(settings).version_folder(name, version)
    if folder.is_relative_to(settings.root):
        write_evidence(gather_evidence(settings, name, version), folder / EVIDENCE)


def write_evidence(evidence: Evidence, path: Path) -> Sheet:
    """Leave the page as `path`, and the sheet beside it as mltest.json."""
    sheet = fill_in(TESTS, evidence)
    facts = {"model": evidence.lineage.model, "version": evidence.version, **sheet.plain()}
    content = msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n"
    write_atomically(path.with_name(ML_TEST), content)
    write_page(
        path,
        "evidence.html",
        model=evidence.declaration.model,
        version=evidence.version,
        created=evidence.manifest.created,
        verdicts=[tell_verdict(evidence, kind) for kind in ("BLESSED", "INFRA_BLESSED", "VALID")],
        note=evidence.manifest.note,
        sections=show_sections(evidence),
        sheet=sheet,
        parts=SECTIONS,
    )
    return sheet


def show_sections(evidence: Evidence) -> list[Section]:
    """In the order in which a reviewer asks."""
    return [
        *show_quality(evidence),
        show_exam(evidence),
        show_data(evidence),
        show_schema(evidence),
        show_input(evidence),
        show_lineage(evidence),
    ]


def tell_verdict(evidence: Evidence, kind: str) -> tuple[bool | None, str, list[str]]:
    """Whether it stands (None: it was not given), its name, its reasons; a waiver is one."""
    given = {"BLESSED": evidence.quality, "INFRA_BLESSED": evidence.infra, "VALID": evidence.validity}
    name, facts = given[kind]
    if not name:
        return None, f"no verdict {kind}", ["It was never given, or is gone."]
    waived = [f"waived: {facts['waived']}"] if facts.get("waived") else []
    reasons = facts.get("reasons", [])
    if kind == "VALID" and len(reasons) > ANOMALIES:
        reasons = [*reasons[:ANOMALIES], f"and {len(reasons) - ANOMALIES} more, under Data"]
    return name == kind, name, [*waived, *reasons]
