"""
The exam of a candidate: it is served by fresh server processes, as it would be, and asked thousands of requests.

It passes when every request is answered as it must be: the golden ones as they were, valid rows with finite numbers in
the declared range, wrong ones with 4xx; and when it stays within `[serving.budgets]` and `[serving.exam]`.
"""

import math
import tempfile
import time
from pathlib import Path

import msgspec

from stork.config import Settings
from stork.declaration import Budgets, Declaration
from stork.evaluation.exam_requests import make_requests
from stork.evaluation.exam_sitting import Progress, Sitting, sit
from stork.evaluation.runtime import Runtime, runtime_here
from stork.schema.frozen import load_schema
from stork.serving.loader import choose_local
from stork.store.registry import STABLE, Registry
from stork.store.version import load_golden, load_manifest

SEED = 20
CONFIDENCE = 0.95


class Exam(msgspec.Struct, kw_only=True):
    """
    What came of it, and why. `requests` were asked (of `instances` rows; `refused` of them rightly refused) in `starts`
    cold starts of a server, of which `failed_starts` did not end well.

    `crash_rate` is the upper 95% bound of the share of requests that fail; latency in milliseconds over HTTP, one
    instance at a time; `memory_mb` the largest of a server process; `ended` the signal or exit code of one that died,
    `stderr` the end of what it said. It holds for `runtime`.
    """

    passed: bool
    reasons: list[str]
    starts: int
    failed_starts: int
    requests: int
    instances: int
    refused: int
    crash_rate: float
    seconds: float
    start_seconds: float
    p50_ms: float
    p99_ms: float
    memory_mb: float
    ended: str
    stderr: str
    seed: int
    runtime: Runtime
    fingerprint: str


def examine_candidate(
    settings: Settings, declaration: Declaration, home: Path, candidate: Path, tell: Progress
) -> Exam:
    """
    The exam of a whole candidate folder; `home` holds the model.toml.

    The server is started with these settings, but with folders, a port and a log of its own, and open to everybody.
    Where requests are forwarded in service, the backend that stands in for the remote one is examined.
    """
    began = time.monotonic()
    manifest, limits = load_manifest(candidate), declaration.serving.exam
    schema = load_schema(candidate / "schema.json")
    sitting = Sitting(schema, limits, load_golden(candidate), tell, began + limits.seconds)
    requests = make_requests(schema, limits.requests, SEED)
    with tempfile.TemporaryDirectory(prefix="stork-exam-") as scratch:
        name = declaration.model.name
        stage = stage_candidate(settings, choose_local(settings, declaration, manifest), Path(scratch), name, home)
        (stage.models / name / "1").symlink_to(candidate.resolve())
        Registry(stage).move_alias(name, STABLE, 1, by="exam")  # whatever number [serving] start names
        starts = 0
        while starts < limits.starts and time.monotonic() < sitting.deadline:
            sit(sitting, stage, requests[starts :: limits.starts], Path(scratch) / f"stderr-{starts}")
            starts += 1
    runtime = runtime_here(settings, stage.backend)
    return conclude(sitting, declaration.serving.budgets, starts, time.monotonic() - began, runtime)


def stage_candidate(settings: Settings, backend: str, scratch: Path, name: str, home: Path) -> Settings:
    """Settings of a deployment that has nothing but this model's declaration, in a folder of its own."""
    models = scratch / "models"
    (models / name).mkdir(parents=True)
    (models / name / "model.toml").write_bytes((home / "model.toml").read_bytes())
    return Settings(
        models=models,
        root=scratch / "var",
        log=str(scratch / "log"),
        model=name,
        backend=backend,
        server=settings.server,
        threads=settings.threads,
        max_body=settings.max_body,
        max_instances=settings.max_instances,
    )


def conclude(sitting: Sitting, budgets: Budgets, starts: int, seconds: float, runtime: Runtime) -> Exam:
    """The result, with its reasons."""
    took = sorted(sitting.took) or [0.0]
    crash_rate = bound_rate(len(sitting.failures), sitting.requests + len(sitting.failures))
    exam = Exam(
        passed=False,
        reasons=[],
        starts=starts,
        failed_starts=sitting.failed_starts,
        requests=sitting.requests,
        instances=sitting.instances,
        refused=sitting.refused,
        crash_rate=crash_rate,
        seconds=round(seconds, 3),
        start_seconds=round(sitting.slowest_start, 3),
        p50_ms=round(took[len(took) // 2], 3),
        p99_ms=round(took[math.ceil(0.99 * len(took)) - 1], 3),
        memory_mb=sitting.memory_mb,
        ended=sitting.ended,
        stderr=sitting.stderr,
        seed=SEED,
        runtime=runtime,
        fingerprint=runtime.fingerprint,
    )
    exam.reasons = find_faults(sitting, budgets, exam)
    exam.passed = not exam.reasons
    exam.reasons = exam.reasons or [tell_passed(exam)]
    return exam


def find_faults(sitting: Sitting, budgets: Budgets, exam: Exam) -> list[str]:
    """Why it did not pass: what failed, each only once, and how often; which budget it does not keep."""
    faults = []
    if sitting.failures:
        faults.append(f"{exam.failed_starts} of {exam.starts} cold starts failed")
        faults += dict.fromkeys(sitting.failures)
    elif exam.requests < sitting.limits.requests:
        faults.append(
            f"the exam was not over within {sitting.limits.seconds:g} s: expected {sitting.limits.requests:,} requests "
            f"in {sitting.limits.starts} cold starts, received {exam.requests:,} in {exam.starts}"
        )
    for what, limit, value, unit in (
        ("p99 of one instance", budgets.p99_ms, exam.p99_ms, "ms"),
        ("memory of a server process", budgets.memory_mb, exam.memory_mb, "MB"),
    ):
        if limit and value > limit:
            faults.append(f"{what}: expected at most {limit:g} {unit}, received {value:g} {unit}")
    return faults


def tell_passed(exam: Exam) -> str:
    """What it was asked and how it did, in a sentence."""
    return (
        f"{exam.requests:,} requests of {exam.instances:,} instances in {exam.starts} cold starts, each answered as it "
        f"must be ({exam.refused:,} refused): at most {exam.crash_rate:.3%} fail, with {CONFIDENCE:.0%} confidence; "
        f"p99 {exam.p99_ms:g} ms, {exam.memory_mb:g} MB, ready in {exam.start_seconds:.1f} s ({exam.runtime.backend})"
    )


def bound_rate(failures: int, requests: int, confidence: float = CONFIDENCE) -> float:
    """
    The upper bound of a failure rate, by Clopper and Pearson (Biometrika 26, 1934), one-sided.

    It is the p at which P(X <= failures) = 1 - confidence, X ~ Binomial(requests, p). Without failures that is
    1 - (1 - confidence)^(1 / requests), about 3 / requests: the rule of three.

    >>> round(bound_rate(0, 10_000), 6), round(bound_rate(1, 100), 4)
    (0.0003, 0.0466)
    """
    if failures >= requests:
        return 1.0
    low, high = failures / requests, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(failures, requests, middle) > 1 - confidence else (low, middle)
    return high


def at_most(failures: int, requests: int, rate: float) -> float:
    """P(X <= failures) for X ~ Binomial(requests, rate), 0 < rate < 1."""
    logarithms = (
        math.lgamma(requests + 1) - math.lgamma(k + 1) - math.lgamma(requests - k + 1)
        + k * math.log(rate) + (requests - k) * math.log1p(-rate)
        for k in range(failures + 1)
    )  # fmt: skip
    return math.fsum(map(math.exp, logarithms))
