"""
The ML Test Score of a version: 28 tests, each with its points and the recorded fact that earns them.

Source: Breck, Cai, Nielsen, Salib, Sculley, "The ML Test Score: A Rubric for ML Production Readiness and Technical Debt
Reduction", IEEE Big Data 2017. A test that is automated and repeated scores 1, one done by hand and documented 0.5;
the score is the least of the sums of the four sections.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from stork.publishing.evidence import Evidence

Section = Literal["Data", "Model", "Infrastructure", "Monitoring"]
SECTIONS: tuple[Section, ...] = ("Data", "Model", "Infrastructure", "Monitoring")
# (at most this score, how the paper reads it)
READINGS = (
    (0.0, "more of a research project than a productionized system"),
    (1.0, "not totally untested, but serious holes in reliability are possible"),
    (2.0, "a first pass at basic productionization; additional investment may be needed"),
    (3.0, "reasonably tested, but more of the tests and procedures may be automated"),
    (5.0, "strong levels of automated testing and monitoring, fit for mission-critical systems"),
    (7.0, "exceptional levels of automated testing and monitoring"),
)


@dataclass(frozen=True)
class Answer:
    """What a version shows for one test: its points (0, 0.5 or 1) and the fact behind them, or what is missing."""

    points: float
    fact: str


Judge = Callable[[Evidence], Answer]


@dataclass(frozen=True)
class Test:
    """One of the 28. `judge` reads the recorded facts; `held_by` names tests of this repository, which hold it too."""

    __test__ = False  # for pytest, which collects what is named so

    id: str
    section: Section
    title: str
    judge: Judge
    held_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A test and its answer."""

    test: Test
    answer: Answer

    @property
    def how(self) -> str:
        return {1.0: "automated", 0.5: "by hand"}.get(self.answer.points, "not done")

    @property
    def held_by(self) -> tuple[str, ...]:
        """Tests are evidence only where a point is given."""
        return self.test.held_by if self.answer.points else ()


@dataclass(frozen=True)
class Sheet:
    """All lines, in the paper's order."""

    lines: tuple[Line, ...]

    @property
    def sums(self) -> dict[str, float]:
        """The points of each section."""
        return {
            section: sum(line.answer.points for line in self.lines if line.test.section == section)
            for section in SECTIONS
        }

    @property
    def score(self) -> float:
        """The least of the sections: a system is as ready as what is tested least."""
        return min(self.sums.values())

    @property
    def reading(self) -> str:
        """How the paper reads the score."""
        return next(words for most, words in READINGS if self.score <= most)

    def plain(self) -> dict[str, Any]:
        """As mltest.json has it."""
        return {
            "score": self.score,
            "reading": self.reading,
            "sums": self.sums,
            "tests": [
                {
                    "id": line.test.id,
                    "section": line.test.section,
                    "title": line.test.title,
                    "points": line.answer.points,
                    "how": line.how,
                    "fact": line.answer.fact,
                    "tests": line.held_by,
                }
                for line in self.lines
            ],
        }


def fill_in(tests: tuple[Test, ...], evidence: Evidence) -> Sheet:
    """Every test asked what the version shows for it."""
    return Sheet(tuple(Line(test, test.judge(evidence)) for test in tests))
