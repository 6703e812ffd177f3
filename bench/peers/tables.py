"""What was measured, and how it is printed: Markdown tables, the best round of each figure."""

import math
from dataclasses import dataclass, field

REFERENCE = "Flask echo"


@dataclass
class Figures:
    """
    One server's best figures; `loads` by instances per body and connections, `paced` for clients that pause, `reasons`
    for what is missing.
    """

    loads: dict[tuple[int, int], dict[str, float]] = field(default_factory=dict)
    paced: dict[str, float] = field(default_factory=dict)
    cold_start: float = math.inf
    memory: float = math.inf
    size: float = math.inf
    reasons: list[str] = field(default_factory=list)

    def take_start(self, seconds: float) -> None:
        self.cold_start = min(self.cold_start, seconds)

    def take_memory(self, mebibytes: float) -> None:
        self.memory = min(self.memory, mebibytes)

    def take_load(self, rows: int, connections: int, found: dict[str, float]) -> None:
        """Keep the round if it had the most requests per second."""
        best = self.loads.get((rows, connections))
        if best is None or found["per_second"] > best["per_second"]:
            self.loads[rows, connections] = found

    def take_paced(self, found: dict[str, float]) -> None:
        """Keep the round if its p99 was the lowest."""
        if found["p99_ms"] < self.paced.get("p99_ms", math.inf):
            self.paced = found

    def refuse(self, reason: str) -> None:
        """Note, once, why something is missing."""
        if reason not in self.reasons:
            self.reasons.append(reason)


Table = dict[str, Figures]


def print_tables(table: Table) -> None:
    """Every figure there is, and the reasons for those there are not."""
    for rows, connections in sorted({key for figures in table.values() for key in figures.loads}):
        print_load(table, rows, connections)
    print("\n### 1 instance per body, 32 connections that pause after each answer\n")
    print_figures(1, {name: figures.paced for name, figures in table.items()})
    print("\n### Start and size\n")
    lines = [
        [name, cell(figures.cold_start, ".2f"), cell(figures.memory, ",.0f"), cell(figures.size, ",.0f")]
        for name, figures in table.items()
    ]
    print_markdown(["server", "cold start s", "PSS after load MiB", "installed MiB"], lines)
    reasons = [f"- {name}: {reason}" for name, figures in table.items() for reason in figures.reasons]
    if reasons:
        print("\n### Not measured\n")
        print("\n".join(reasons))


def print_load(table: Table, rows: int, connections: int) -> None:
    """What was measured of bodies of so many instances over so many connections."""
    print(f"\n### {rows} instance{'s' * (rows > 1)} per body, {connections} connection{'s' * (connections > 1)}\n")
    print_figures(rows, {name: figures.loads.get((rows, connections), {}) for name, figures in table.items()})


def print_figures(rows: int, table: dict[str, dict[str, float]]) -> None:
    """A line per server: requests for bodies of one instance, instances for bodies of several."""
    unit = "req" if rows == 1 else "instances"
    lines = []
    reference = table[REFERENCE].get("cpu_us", math.inf)
    for name, found in table.items():
        cpu = found.get("cpu_us", math.inf)
        rate = found.get("per_second", math.inf) * rows
        times = [cell(found.get(key, math.inf), ".2f") for key in ("p50_ms", "p99_ms")]
        lines.append([name, cell(rate, ",.0f"), cell(cpu, ",.0f"), cell(cpu / reference, ".2f"), *times])
    print_markdown(["server", f"{unit}/s", "CPU us/req", "x echo's CPU", "p50 ms", "p99 ms"], lines)


def cell(figure: float, form: str) -> str:
    """The figure as text; a dash where there is none."""
    return format(figure, form) if math.isfinite(figure) else "-"


def print_markdown(head: list[str], lines: list[list[str]]) -> None:
    """A table that reads well as it is: the first column left, figures right."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    for line in (head, rule, *lines):
        padded = [
            line[0].ljust(widths[0]),
            *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)),
        ]
        print(f"| {' | '.join(padded)} |")
