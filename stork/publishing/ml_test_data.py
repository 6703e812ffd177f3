"""What a version shows for the tests of the ML Test Score on data and on the model."""

from stork.evaluation.intervals import ALL
from stork.evaluation.rivals import LINEAR
from stork.publishing.evidence import Evidence
from stork.publishing.ml_test import Answer, Judge, Test
from stork.publishing.report_text import write_ends


def not_done(fact: str) -> Answer:
    return Answer(0.0, fact)


def never(fact: str) -> Judge:
    """A judge of what nothing here does or records: no version can earn it."""
    return lambda evidence: not_done(fact)


def judge_schema(evidence: Evidence) -> Answer:
    spans = evidence.lineage.spans
    if not spans or any(span.state != "whole" for span in spans):
        return not_done("schema.json is frozen, but the rows that were held to it are not on record as they were")
    taken, refused = (sum(sum(getattr(span, name).values()) for span in spans) for name in ("rows", "refused"))
    return Answer(1.0, f"schema {evidence.schema.hash}: ingestion took {taken:,} rows by it and refused {refused:,}")


def judge_features(evidence: Evidence) -> Answer:
    found = evidence.report.importance if evidence.report else {}
    if not found:
        return not_done("what the model would lose without each feature is not on record")
    useless = [name for name, importance in found.items() if not importance.is_beneficial]
    if useless:
        return not_done(f"not shown to make the model better, on the test rows: {', '.join(useless)}")
    least = max(found, key=lambda name: found[name].ratio.high)
    return Answer(1.0, f"{len(found)} of {len(found)}; the least, {least}: a ratio of {write_ends(found[least].ratio)}")


def judge_privacy(evidence: Evidence) -> Answer:
    log = evidence.declaration.log
    kept = f"the log omits {', '.join(log.omit) or 'nothing'} and hashes {', '.join(log.hash) or 'nothing'}"
    return not_done(f"{kept}; spans are plain files, whose readers only the folder's permissions limit")


def judge_feature_code(evidence: Evidence) -> Answer:
    twin = evidence.manifest.twin
    if "transform" not in evidence.lineage.steps:
        return not_done("no transformation made by the pipeline is on record: what the graph does was not tested here")
    if not twin.proved:
        return not_done(f"the graph's twin is not proved: {twin.reason or 'no reason on record'}")
    return Answer(1.0, f"in the graph, and equal in its twin on {twin.rows:,} rows to {twin.max_difference:.1e}")


def judge_tuning(evidence: Evidence) -> Answer:
    tuned = evidence.lineage.steps.get("tune")
    if tuned is None or "trials" not in tuned.summary:
        return not_done("no search for better values of [training] is on record for this version")
    told = tuned.summary
    gained = f"RMSE on eval {told['rmse']:.4f}, as declared {told['declared_rmse']:.4f}"
    return Answer(1.0, f"{told['trials']} trials in run {tuned.run}: {gained}")


def judge_staleness(evidence: Evidence) -> Answer:
    staleness = evidence.report.staleness if evidence.report else None
    curves = staleness.curves if staleness else ()
    aged = [curve for curve in curves if curve.has_aged]
    if not staleness or not curves:
        return not_done("no earlier blessed version was scored in this version's run")
    if not aged:
        return not_done(f"the age at which a version is stale is unknown: {staleness.unknown}")
    curve = aged[-1]
    limit = f"stale after {curve.days:.0f} days" if curve.days is not None else f"not stale in {curve.seen:.0f} days"
    return Answer(1.0, f"aged on newer spans: {len(aged)}; version {curve.version}: {limit}")


def judge_simpler(evidence: Evidence) -> Answer:
    rival = evidence.report.rivals.get(LINEAR) if evidence.report else None
    if evidence.report is None or rival is None:
        return not_done("no linear model on the same rows is on record")
    own = evidence.report.test
    told = f"RMSE {own.rmse:.4f}, of the linear model {rival.rmse:.4f}"
    ends = evidence.report.intervals[ALL].ratios[LINEAR]
    if not ends.high < 1.0:
        return not_done(f"{told}: a ratio of {write_ends(ends)} does not rule out that the simpler one is as good")
    return Answer(1.0, f"{told}: a ratio of {write_ends(ends)}")


def judge_slices(evidence: Evidence) -> Answer:
    """Without a version in service no slice is held to anything, so a rubber stamp earns nothing."""
    verdict, facts = evidence.quality
    held = [made for made in facts.get("comparisons", []) if made["slice"]]
    failed = [made["slice"] for made in held if not made["holds"]]
    if not held:
        return not_done("no slice was held to a limit: the verdict compares slices with the version in service only")
    if failed or verdict != "BLESSED":
        return not_done(f"{verdict}; slices that do not hold: {', '.join(failed) or 'none'}")
    return Answer(1.0, f"{len(held)} slices within their limits beside version {facts.get('against')}")


DATA = (
    Test(
        "D1",
        "Data",
        "Feature expectations are captured in a schema",
        judge_schema,
        ("test_a_refused_row_is_kept_with_its_reason", "test_refuses_a_value_outside_its_domain"),
    ),
    Test(
        "D2",
        "Data",
        "All features are beneficial",
        judge_features,
        ("test_what_a_model_needs_is_told_from_what_it_does_not",),
    ),
    Test(
        "D3",
        "Data",
        "No feature's cost is too much",
        never("what a feature costs in latency, memory and upkeep is not recorded"),
    ),
    Test(
        "D4",
        "Data",
        "Features adhere to meta-level requirements",
        never("no rule says which features a model may not have"),
    ),
    Test("D5", "Data", "The data pipeline has appropriate privacy controls", judge_privacy),
    Test(
        "D6",
        "Data",
        "New features can be added quickly",
        never("how long it takes from a new feature to a version that has it is not measured"),
    ),
    Test(
        "D7",
        "Data",
        "All input feature code is tested",
        judge_feature_code,
        (
            "test_a_number_is_scaled_and_spread",
            "test_missing_is_an_input_of_its_own",
            "test_an_unknown_value_is_no_known_one",
            "test_serving_answers_as_the_training_graph",
        ),
    ),
)

MODEL = (
    Test(
        "M1",
        "Model",
        "Model specs are reviewed and submitted",
        never("the fingerprint of each step covers the declaration; who reviewed it is not recorded"),
    ),
    Test(
        "M2",
        "Model",
        "Offline and online metrics correlate",
        never("no labels of served predictions are joined to a version's metrics"),
    ),
    Test(
        "M3",
        "Model",
        "All hyperparameters have been tuned",
        judge_tuning,
        ("test_training_takes_the_best_values", "test_a_study_goes_on"),
    ),
    Test(
        "M4",
        "Model",
        "The impact of model staleness is known",
        judge_staleness,
        ("test_no_version_is_scored_on_what_it_learned_from", "test_days_are_read_off_the_curve"),
    ),
    Test(
        "M5",
        "Model",
        "A simpler model is not better",
        judge_simpler,
        ("test_each_learns_what_it_can", "test_the_verdict_says_whether_a_simpler_model_would_do"),
    ),
    Test(
        "M6",
        "Model",
        "Model quality is sufficient on all important data slices",
        judge_slices,
        ("test_no_slice_may_be_worse_than_its_tolerance", "test_a_slice_named_in_a_threshold_must_have_rows"),
    ),
    Test(
        "M7",
        "Model",
        "The model has been tested for considerations of inclusion",
        never("slices are those the declaration names; nothing looks for groups that the model treats worse"),
    ),
)
