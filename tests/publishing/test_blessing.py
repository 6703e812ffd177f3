"""Both verdicts on a candidate, and the push that obeys them: what takes traffic, what does not, what is on record."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from candidates import export_candidate, honest, no_number
from click.testing import CliRunner
from parcels import TOML, write_parcels

from stork.cli import cli
from stork.config import Settings
from stork.errors import BadRequest, Conflict, NotBlessed, VersionBroken
from stork.publishing import bless_step, push_step
from stork.publishing.lineage import tell_lineage, trace_version
from stork.publishing.switch import switch_alias
from stork.schema.frozen import load_schema
from stork.store.registry import STABLE, Registry
from stork.store.runs import Step
from stork.store.version import load_manifest, read_verdict, write_manifest

pytestmark = pytest.mark.tensorflow
RAMP = "\n[serving.ramp]\nmin_requests = 1\npatience = 1\n"


@dataclass
class Deployment:
    """A deployment of the parcels model with an exported candidate, and what its steps said."""

    settings: Settings
    candidate: Path
    said: list[str] = field(default_factory=list)

    def step(self, name: str, inputs: tuple[str, ...], **parameters: Any) -> Step:
        """A step as a run gives it, in a folder of its own."""
        runs = self.settings.root / "runs" / "1"
        (runs / name).mkdir(parents=True, exist_ok=True)
        folders = {step: runs / step for step in inputs}
        return Step(self.settings, "parcels", "1", runs / name, folders, parameters, self.said.append, lambda *_: None)

    def measure(self, rmse: float, baseline: float | None = None, version: int | None = None) -> None:
        """Leave what `evaluate` would: this RMSE, where that of the mean is 2."""
        scored = None if baseline is None else {"rows": 100, "rmse": baseline}
        report = {"test": {"rows": 100, "rmse": rmse}, "mean": {"rows": 100, "rmse": 2.0}, "baseline": scored}
        path = self.settings.root / "runs" / "1" / "evaluate" / "report.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**report, "baseline_version": version}))

    def bless(self, **parameters: Any) -> dict[str, Any]:
        """Examine and judge the candidate."""
        train = self.settings.root / "runs" / "1" / "train"
        if not train.exists():
            shutil.copytree(self.candidate, train / "candidate")
        return bless_step.work(self.step("bless", ("train", "evaluate"), **parameters))

    def push(self, **parameters: Any) -> dict[str, Any]:
        return push_step.work(self.step("push", ("train", "evaluate", "bless"), **parameters))

    def serve_another(self) -> None:
        """Let version 7, the same model made at another time, be in service."""
        folder = self.settings.root / "models" / "parcels" / "7"
        shutil.copytree(self.candidate, folder)
        write_manifest(folder, load_schema(folder / "schema.json"), load_manifest(folder).twin)
        Registry(self.settings).move_alias("parcels", STABLE, 7, by="test")

    @property
    def aliases(self) -> dict[str, int]:
        return Registry(self.settings).aliases("parcels")

    def tell(self, *words: str) -> str:
        """What a verb prints."""
        done = CliRunner().invoke(cli, [*words], env=self.settings.environment())
        return done.output


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good candidate, and one that answers no number to heavy parcels."""
    home = tmp_path_factory.mktemp("exported")
    for price in (honest, no_number):
        export_candidate(home / price.__name__, price, twin=True)
    return {price.__name__: home / price.__name__ for price in (honest, no_number)}


@pytest.fixture
def deployment(tmp_path: Path, exported: dict[str, Path]) -> Deployment:
    """With the good candidate, measured as good enough."""
    settings = Settings(models=tmp_path / "model", root=tmp_path / "var", log=str(tmp_path / "log"))
    write_parcels(settings.models)
    (settings.models / "parcels" / "model.toml").write_text(TOML + RAMP)
    made = Deployment(settings, exported["honest"])
    made.measure(1.0)
    return made


@pytest.fixture
def served(deployment: Deployment) -> Deployment:
    """The same, pushed and in service."""
    deployment.bless()
    deployment.push(alias=STABLE)
    return deployment


def test_with_both_blessings_an_alias_moves(served: Deployment) -> None:
    """Both verdicts lie beside the version with their reasons, and the exam says what was asked under which runtime."""
    folder = Registry(served.settings).version_folder("parcels", 1)
    quality, infra = read_verdict(folder, "BLESSED"), read_verdict(folder, "INFRA_BLESSED")

    assert (served.aliases, quality[0], infra[0]) == ({STABLE: 1}, "BLESSED", "INFRA_BLESSED")
    assert quality[1]["rubber_stamped"] and quality[1]["comparisons"][0]["ratio"] == 0.5
    assert infra[1]["exam"]["requests"] == 200 and infra[1]["exam"]["runtime"]["backend"] == "litert"
    assert "200 requests" in infra[1]["reasons"][0] and infra[1]["rehearsal"]["skipped"]


@pytest.mark.parametrize("wish", [{"alias": STABLE}, {"canary": 10}])
def test_without_the_quality_nothing_takes_traffic(deployment: Deployment, wish: dict[str, Any]) -> None:
    """The reason is told, nothing is published for it; without that wish the version is published, unnamed."""
    deployment.measure(2.5)
    deployment.bless()
    with pytest.raises(NotBlessed, match=r"NOT_BLESSED: RMSE 2\.5000 is 1\.2500 x that of predicting the mean"):
        deployment.push(**wish)

    assert Registry(deployment.settings).versions("parcels") == {} and deployment.aliases == {}
    assert deployment.push()["verdicts"] == ["NOT_BLESSED", "INFRA_BLESSED"] and deployment.aliases == {}


def test_a_waiver_is_on_record_wherever_the_version_is(deployment: Deployment) -> None:
    """The version passes, and its verdict stays what it is: the file, manifest, lineage and list of versions tell."""
    deployment.measure(2.5)
    done = deployment.bless(waive="the rows of May are known to be bad")
    deployment.push(alias=STABLE)
    folder = Registry(deployment.settings).version_folder("parcels", 1)

    assert (done["verdict"], deployment.aliases) == ("NOT_BLESSED", {STABLE: 1})
    assert "RMSE 2.5" in read_verdict(folder, "BLESSED")[1]["reasons"][0]
    assert load_manifest(folder).waived == "the rows of May are known to be bad"
    assert "  waived: the rows of May are known to be bad" in tell_lineage(
        trace_version(deployment.settings, "parcels", 1)
    )
    listed = deployment.tell("versions", "parcels")
    assert "NOT_BLESSED (waived), INFRA_BLESSED stable\n" in listed and "waived: the rows of May" in listed


def test_a_waiver_of_the_rows_is_on_record_too(deployment: Deployment) -> None:
    """What a candidate says of the rows it learned from stands in the version, its lineage and the list."""
    deployment.bless()
    folder = deployment.settings.root / "runs" / "1" / "train" / "candidate"
    twin = load_manifest(folder).twin
    write_manifest(folder, load_schema(folder / "schema.json"), twin, waived_data="a new shop opened")
    deployment.push()

    lineage = trace_version(deployment.settings, "parcels", 1)
    assert "  learned from rows that were NOT_VALID, waived: a new shop opened" in tell_lineage(lineage)
    assert "rows not valid, waived: a new shop opened" in deployment.tell("versions", "parcels")


def test_a_waiver_without_need_leaves_no_trace(deployment: Deployment) -> None:
    """What is blessed anyway was not waived."""
    done = deployment.bless(waive="just in case")

    assert (done["verdict"], done["waived"]) == ("BLESSED", "")
    assert "there is nothing to waive" in deployment.said


def test_what_cannot_serve_is_not_waived(deployment: Deployment, exported: dict[str, Path]) -> None:
    """A waiver is about quality. A version that failed its exam is published when wished, and never switched to."""
    deployment.candidate = exported["no_number"]
    deployment.bless(waive="we need it")
    with pytest.raises(NotBlessed, match=r"INFRA_NOT_BLESSED: 1 of 1 cold starts failed; .*not a finite number"):
        deployment.push(alias=STABLE)
    deployment.push()

    with pytest.raises(VersionBroken, match=r"version 1 failed its exam: .*not a finite number"):
        switch_alias(deployment.settings, "parcels", 1)
    assert deployment.aliases == {}


def test_a_blessing_holds_for_the_runtime_of_its_exam(deployment: Deployment) -> None:
    """Where another package or processor would answer, a push refuses and says what differs; a switch warns."""
    deployment.bless()
    path = deployment.settings.root / "runs" / "1" / "bless" / "INFRA_BLESSED"
    text = (
        path.read_text()
        .replace('"machine": "', '"machine": "Plan 9 on ')
        .replace('"cpu_flags": [', '"cpu_flags": ["avx9",')
    )
    path.write_text(text)
    with pytest.raises(
        NotBlessed, match=r"examined under another runtime: machine: .* Plan 9 .*; .* here without avx9"
    ):
        deployment.push(alias=STABLE)
    deployment.push()

    warnings = switch_alias(deployment.settings, "parcels", 1).warnings
    assert len(warnings) == 2 and "machine: examined with Plan 9" in warnings[0]
    assert "warning: examined under another runtime" in deployment.tell("switch", "parcels", "1")


def test_a_switch_keeps_what_the_exam_found(served: Deployment) -> None:
    """The check of a switch is less than an exam, so it does not replace its verdict, also when it fails for once."""
    folder = Registry(served.settings).version_folder("parcels", 1)
    before = read_verdict(folder, "INFRA_BLESSED")[1]["exam"]
    declared = served.settings.models / "parcels" / "model.toml"
    declared.write_text(f"{TOML}{RAMP}\n[serving.budgets]\nmemory_mb = 1\n")
    with pytest.raises(VersionBroken, match="expected at most 1 MB"):
        switch_alias(served.settings, "parcels", 1)
    failed = read_verdict(folder, "INFRA_BLESSED")
    declared.write_text(TOML + RAMP)
    switch_alias(served.settings, "parcels", 1)

    assert (failed[0], failed[1]["exam"]) == ("INFRA_NOT_BLESSED", before)
    assert read_verdict(folder, "INFRA_BLESSED")[1]["reasons"] == before["reasons"]


def test_a_comparison_with_a_version_that_left_holds_no_more(deployment: Deployment) -> None:
    """Blessed beside no version, and then one went into service: neither push nor the next verdict looks away."""
    deployment.bless()
    deployment.serve_another()
    with pytest.raises(NotBlessed, match="compared with version None, now version 7 is in service"):
        deployment.push(alias=STABLE)

    assert deployment.bless()["verdict"] == "NOT_BLESSED"
    assert "it was measured beside version None, now version 7 is in service" in str(deployment.said)


def test_a_canary_gets_its_share_and_is_watched(deployment: Deployment) -> None:
    """The ramp begins at the percent that was asked for; without requests to judge by it ends, and stable has all."""
    deployment.serve_another()
    deployment.measure(1.0, baseline=1.0, version=7)
    deployment.bless()
    with pytest.raises(Conflict, match=r"step 10%: expected 1 requests for canary .* all traffic is on stable"):
        deployment.push(canary=10, every=0.2)
    state = Registry(deployment.settings).state("parcels")

    assert "{'stable': 90, 'canary': 10}" in str([change.after for change in state.history])
    assert (state.traffic, state.aliases) == (None, {STABLE: 7, "canary": 8})


def test_an_alias_and_a_canary_are_two_wishes(deployment: Deployment) -> None:
    """Only one of them can be meant."""
    deployment.bless()
    with pytest.raises(BadRequest, match="an alias or a canary, received both"):
        deployment.push(alias=STABLE, canary=10)
