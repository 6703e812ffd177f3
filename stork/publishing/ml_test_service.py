"""What a version shows for the tests of the ML Test Score on infrastructure and on monitoring."""

from stork.publishing.evidence import Evidence
from stork.publishing.ml_test import Answer, Judge, Test
from stork.publishing.ml_test_data import never, not_done
from stork.store.serving_state import STABLE

WHOLE_RUN = ("ingest", "transform", "train", "evaluate", "bless", "push")


def judge_reproducible(evidence: Evidence) -> Answer:
    trained = evidence.lineage.steps.get("train")
    seed = trained.summary.get("training", {}).get("seed") if trained else None
    if seed is None:
        return not_done("no training with a seed is on record for this version")
    return Answer(1.0, f"trained with seed {seed} in run {trained.run if trained else ''}")


def judge_model_code(evidence: Evidence) -> Answer:
    if "train" not in evidence.lineage.steps:
        return not_done("the pipeline did not train it: the code that specified the model is not known here")
    return Answer(1.0, f"trained by the pipeline, in run {evidence.lineage.steps['train'].run}")


def judge_pipeline(evidence: Evidence) -> Answer:
    missing = [step for step in WHOLE_RUN if step not in evidence.lineage.steps]
    if missing:
        return not_done(f"it did not come out of the whole pipeline: no {', '.join(missing)} on record")
    return Answer(1.0, f"it came out of the whole pipeline: {', '.join(WHOLE_RUN)}")


def judge_quality_gate(evidence: Evidence) -> Answer:
    verdict, facts = evidence.quality
    if verdict != "BLESSED":
        waived = f", waived: {facts['waived']}" if facts.get("waived") else ""
        return not_done(f"{verdict or 'no verdict on quality was given'}{waived}")
    against = facts.get("against")
    beside = "the mean only: rubber-stamped" if against is None else f"the mean and version {against}"
    return Answer(1.0, f"BLESSED beside {beside}")


def judge_canary(evidence: Evidence) -> Answer:
    """A ramp counts where the version became stable by it; a split made by hand is on record, and counts half."""
    version = evidence.version
    for change in evidence.history:
        if change.by == "ramp" and change.alias == STABLE and change.after == version:
            return Answer(1.0, f"a ramp made it stable at {change.time:%Y-%m-%d %H:%M}Z")
    named: dict[str, object] = {}
    for change in evidence.history:
        if change.kind == "alias":
            named[change.alias] = change.after
        shares = change.after if change.kind == "traffic" and isinstance(change.after, dict) else {}
        part = [share for alias, share in shares.items() if named.get(alias) == version and share != 100]
        if part and change.by != "ramp":
            return Answer(0.5, f"given {part[0]}% of the traffic by hand at {change.time:%Y-%m-%d %H:%M}Z")
    return not_done("no ramp brought it to all traffic, and no split by hand gave it a part")


def judge_rollback(evidence: Evidence) -> Answer:
    if not evidence.others:
        return not_done("there is no other version to go back to")
    return Answer(1.0, f"to go back to: version {', '.join(map(str, evidence.others[-5:]))}, in one step")


def judge_stability(evidence: Evidence) -> Answer:
    exam = evidence.exam
    if exam is None or not exam.passed:
        return not_done("no exam that it passed is on record")
    asked = f"{exam.requests:,} requests of the exam ({exam.instances:,} rows, the ends of every domain among them)"
    return Answer(1.0, f"finite and in range on {asked}; in service what is not finite is no answer")


def judge_invariants(evidence: Evidence) -> Answer:
    """Half of it earns nothing: rows alone, or requests that are held to the schema one by one."""
    rows = f"the rows it learned from are {evidence.validity[0] or 'not validated on record'}"
    logged = evidence.validation.rows.get("log", 0) if evidence.validation else 0
    if not logged or evidence.validity[0] != "VALID":
        return not_done(f"{rows}; logged instances that were held to them: {logged:,}")
    return Answer(1.0, f"{rows}, and so are {logged:,} logged instances beside them")


def judge_regressions(evidence: Evidence) -> Answer:
    """Fixed budgets also catch what grows a little with each version; without them nothing is compared."""
    exam, budgets = evidence.exam, evidence.declaration.serving.budgets
    if exam is None or not exam.passed:
        return not_done("no exam that it passed is on record")
    took = f"p99 {exam.p99_ms:g} ms and {exam.memory_mb:g} MB in its exam"
    if not 0 < exam.p99_ms <= budgets.p99_ms or not 0 < exam.memory_mb <= budgets.memory_mb:
        return not_done(f"{took}, which no [serving.budgets] bound")
    return Answer(1.0, f"{took}, at most {budgets.p99_ms:g} ms and {budgets.memory_mb:g} MB of [serving.budgets]")


def line(id: str, title: str, judge: Judge, *held_by: str) -> Test:
    return Test(id, "Infrastructure" if id.startswith("I") else "Monitoring", title, judge, held_by)


INFRASTRUCTURE = (
    line(
        "I1",
        "Training is reproducible",
        judge_reproducible,
        "test_one_seed_gives_one_model",
        "test_an_interrupted_training_ends_with_the_same_model",
    ),
    line(
        "I2",
        "Model specification code is unit tested",
        judge_model_code,
        "test_the_model_learns",
        "test_a_training_that_diverges_is_an_error",
    ),
    line(
        "I3",
        "The full ML pipeline is integration tested",
        judge_pipeline,
        "test_what_is_pushed_serves",
        "test_a_killed_run_goes_on_where_it_was_lost",
    ),
    line(
        "I4",
        "Model quality is validated before attempting to serve it",
        judge_quality_gate,
        "test_without_the_quality_nothing_takes_traffic",
        "test_a_model_that_learned_something_wrong_is_refused",
    ),
    line(
        "I5",
        "The model allows debugging by observing its computation on a single example",
        never("nothing shows the tensors of one example step by step; a prediction is explained by feature only"),
    ),
    line(
        "I6",
        "Models are tested via a canary process before they serve",
        judge_canary,
        "test_a_good_candidate_becomes_stable",
        "test_a_candidate_out_of_range_loses_its_traffic",
    ),
    line(
        "I7",
        "Models can be quickly and safely rolled back",
        judge_rollback,
        "test_switch_and_rollback_move_what_serves",
        "test_fifty_switches_under_load_lose_no_request",
    ),
)

MONITORING = (
    line(
        "Mo1",
        "Dependency changes result in notification",
        never("another runtime is refused at push; nobody is notified when a source of rows or a package changes"),
    ),
    line(
        "Mo2",
        "Data invariants hold in training and serving inputs",
        judge_invariants,
        "test_requests_unlike_the_training_rows_are_named",
    ),
    line(
        "Mo3",
        "Training and serving features compute the same values",
        never("no sample of the prediction log was computed again by the training graph and compared"),
    ),
    line(
        "Mo4",
        "Models are not too stale",
        never("staleness is measured when a later version is evaluated; nothing watches the one in service"),
    ),
    line(
        "Mo5",
        "The model is numerically stable",
        judge_stability,
        "test_what_is_no_value_of_the_output_is_refused",
        "test_a_model_that_fails_when_it_is_called_is_refused",
    ),
    line(
        "Mo6",
        "No dramatic or slow-leak regressions in speed, latency, throughput or memory",
        judge_regressions,
        "test_a_budget_is_kept",
    ),
    line(
        "Mo7",
        "No regression in prediction quality on served data",
        never("no labels of served predictions are joined to this version's predictions"),
    ),
)
