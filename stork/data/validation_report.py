"""What validation found, in lines for a person."""

from stork.data.anomalies import QUESTIONS, Validation


def tell_validation(found: Validation) -> list[str]:
    """Errors first, by question, each with a row that shows it; then how many comparisons were made."""
    spans = ", ".join(map(str, found.spans))
    lines = [f"spans {spans}: {len(found.errors)} errors, {len(found.warnings)} warnings"]
    for severity, anomalies in (("error", found.errors), ("warning", found.warnings)):
        for anomaly in sorted(anomalies, key=lambda each: (each.question or 9, -each.span)):
            lines.append(f"{severity}: {anomaly} [{QUESTIONS[anomaly.question]}]")
            if anomaly.example is not None:
                example = anomaly.example
                values = ", ".join(f"{name}={value}" for name, value in example.values.items())
                lines.append(f"  for example {example.file} row {example.row}: {values}")
    pairs = dict.fromkeys((made.treatment.name, made.control.name) for made in found.comparisons)
    for pair in pairs:
        comparisons = [made for made in found.comparisons if (made.treatment.name, made.control.name) == pair]
        passed = sum(made.passed for made in comparisons)
        lines.append(
            f"{pair[0]} beside {pair[1]}: {len(comparisons)} comparisons, {passed} passed; "
            f"one in {1 / found.false_alarms:,.0f} such pairs differs by chance"
        )
        for made in comparisons:
            mark = "=" if made.passed else "!"
            lines.append(f"  {mark} {made.column} {made.measure}: {made.value:.4f}, threshold {made.threshold:.4f}")
    return lines
