"""
Plots as SVG text in a page, drawn without a library: bars, histograms, lines, intervals.

Each is drawn in a box of 360 x 200 units, so that its letters are read on a phone, and is coloured by the page's style
sheet. Its numbers stand beside it as a table.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 360.0, 200.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 10.0, 8.0, 36.0
ROW = 20.0  # of a bar and its name
LETTER = 6.4  # units a letter takes at most, on average


@dataclass(frozen=True)
class Plot:
    """A drawing, its title, and the same numbers as a table."""

    title: str
    svg: Markup
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    series: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bucket:
    """So much of something from `low` to `high`: a count, or a share."""

    low: float
    high: float
    amount: float


@dataclass(frozen=True)
class Point:
    """A point of a line; `low` and `high` are the ends of what is uncertain about it."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Interval:
    """A named value and the ends of what is uncertain about it."""

    name: str
    value: float
    low: float
    high: float


def draw_histogram(title: str, series: dict[str, Sequence[Bucket]], x_title: str = "") -> Plot:
    """Shares per unit of x, so that buckets of any width compare; up to two series over each other."""
    shares = {name: share_out(buckets) for name, buckets in series.items()}
    dense = {
        name: [Bucket(b.low, b.high, b.amount / ((b.high - b.low) or 1.0)) for b in found]
        for name, found in shares.items()
    }
    everything = [bucket for found in dense.values() for bucket in found]
    if not everything:
        return Plot(title, Markup(""), ("From", "To"), (), tuple(series))
    frame = Frame(
        Scale.over([b.low for b in everything] + [b.high for b in everything], LEFT, WIDTH - RIGHT),
        Scale.over([0.0, *(b.amount for b in everything)], HEIGHT - BOTTOM, TOP),
    )
    marks = [
        rectangle(frame, bucket, f"series-{index}") for index, found in enumerate(dense.values()) for bucket in found
    ]
    rows = tuple(
        (write(b.low), write(b.high), *(["", name] if len(series) > 1 else [""])[1:], f"{b.amount:.2%}")
        for name, found in shares.items()
        for b in found
    )
    headings = ("From", "To", *(["Of"] if len(series) > 1 else []), "Share")
    return Plot(title, svg(title, [*axes(frame, x_title), *marks]), headings, rows, tuple(series))


def draw_bars(title: str, series: dict[str, dict[str, float]], most: int = 12) -> Plot:
    """A group of horizontal bars per name, shares from 0 to 1; of many names the `most` largest."""
    largest: dict[str, float] = {}
    for shares in series.values():
        for name, share in shares.items():
            largest[name] = max(share, largest.get(name, 0.0))
    names = sorted(largest, key=lambda name: -largest[name])[:most]
    left = min(150.0, 8 + LETTER * max((len(name) for name in names), default=0))
    group = max(ROW, 10.0 * len(series) + 6)
    scale = Scale.over([0.0, *(largest[name] for name in names)], left, WIDTH - 48)
    marks = []
    for index, name in enumerate(names):
        top = TOP + index * group
        marks.append(text(left - 6, top + group / 2 + 3, shorten(name, left), "end"))
        for which, shares in enumerate(series.values()):
            share, y = shares.get(name, 0.0), top + 3 + which * (group - 6) / len(series)
            width = scale(share) - left
            bar = f'<rect class="series-{which}" x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" '
            marks.append(Markup(bar + f'height="{(group - 6) / len(series) - 1:.1f}"/>'))
            if len(series) == 1:
                marks.append(text(scale(share) + 5, top + group / 2 + 3, f"{share:.1%}"))
    rows = tuple((name, *(f"{shares.get(name, 0.0):.2%}" for shares in series.values())) for name in names)
    headings = ("Value", *(series if len(series) > 1 else ["Share"]))
    return Plot(title, svg(title, marks, TOP + group * len(names) + 4), headings, rows, tuple(series))


def draw_lines(title: str, series: dict[str, Sequence[Point]], x_title: str = "", y_title: str = "") -> Plot:
    """A line with dots per series, and a bar at each point that has ends."""
    points = [point for found in series.values() for point in found]
    if not points:
        return Plot(title, Markup(""), (x_title, y_title), (), tuple(series))
    heights = [y for p in points for y in (p.y, p.low, p.high) if y is not None]
    frame = Frame(
        Scale.over([p.x for p in points], LEFT, WIDTH - RIGHT), Scale.over(heights, HEIGHT - BOTTOM, TOP + 10)
    )
    marks: list[Markup] = [text(2, TOP + 2, y_title)] if y_title else []
    for index, found in enumerate(series.values()):
        where = " ".join(f"{frame.x(p.x):.1f},{frame.y(p.y):.1f}" for p in found)
        marks.append(Markup(f'<polyline class="series-{index}" points="{where}"/>'))
        for p in found:
            x = frame.x(p.x)
            if p.low is not None and p.high is not None:
                marks.append(line(x, frame.y(p.low), x, frame.y(p.high), f"ends series-{index}"))
            marks.append(Markup(f'<circle class="series-{index}" cx="{x:.1f}" cy="{frame.y(p.y):.1f}" r="2.5"/>'))
    rows = tuple(
        (*([name] if len(series) > 1 else []), write(p.x), write(p.y), span_of(p.low, p.high))
        for name, found in series.items()
        for p in found
    )
    headings = (*(["Of"] if len(series) > 1 else []), x_title or "x", y_title or "y", "Interval")
    return Plot(title, svg(title, [*axes(frame, x_title), *marks]), headings, rows, tuple(series))


def draw_intervals(title: str, intervals: Sequence[Interval], x_title: str = "", line_at: float | None = None) -> Plot:
    """A dot and its ends per name, below each other, and a line at what they are compared with."""
    left = min(150.0, 8 + LETTER * max((len(i.name) for i in intervals), default=0))
    ends = [end for i in intervals for end in (i.low, i.high)] + ([] if line_at is None else [line_at])
    if not intervals:
        return Plot(title, Markup(""), ("Name", x_title), ())
    bottom = TOP + ROW * len(intervals)
    frame = Frame(Scale.over(ends, left, WIDTH - RIGHT), Scale(0, 1, bottom, TOP))
    marks = list(x_axis(frame, x_title))
    if line_at is not None:
        marks.append(line(frame.x(line_at), TOP, frame.x(line_at), bottom, "reference"))
    for index, i in enumerate(intervals):
        y = TOP + ROW * (index + 0.5)
        marks.append(text(left - 6, y + 3, shorten(i.name, left), "end"))
        marks.append(line(frame.x(i.low), y, frame.x(i.high), y, "ends series-0"))
        marks.append(Markup(f'<circle class="series-0" cx="{frame.x(i.value):.1f}" cy="{y:.1f}" r="3"/>'))
    rows = tuple((i.name, write(i.value), span_of(i.low, i.high)) for i in intervals)
    return Plot(title, svg(title, marks, bottom + BOTTOM), ("Name", x_title or "Value", "Interval"), rows)


def draw_small(buckets: Sequence[Bucket]) -> Markup:
    """A histogram for a table's cell: its shape, and nothing else."""
    if not buckets:
        return Markup("")
    x = Scale.over([b.low for b in buckets] + [b.high for b in buckets], 0, 120)
    y = Scale.over([0.0, *(b.amount for b in buckets)], 30, 1)
    marks = [rectangle(Frame(x, y), bucket, "series-0", bottom=30) for bucket in buckets]
    return Markup('<svg class="small" viewBox="0 0 120 30" aria-hidden="true">{}</svg>').format(Markup("").join(marks))


@dataclass(frozen=True)
class Scale:
    """From a number in `low` to `high` to a place in `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> "Scale":
        """A scale that holds all of these numbers; a single one is in its middle."""
        low, high = min(values), max(values)
        return cls(low, high, start, end) if high > low else cls(low - 0.5, high + 0.5, start, end)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """
        Round numbers inside, evenly spaced, about `most` of them.

        >>> Scale(0.3, 9.6, 0, 100).ticks()
        [2.0, 4.0, 6.0, 8.0]
        """
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 12) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Frame:
    """The two scales of a plot."""

    x: Scale
    y: Scale


def share_out(buckets: Sequence[Bucket]) -> list[Bucket]:
    """The buckets with shares that add up to 1; none where there is nothing in them."""
    total = sum(bucket.amount for bucket in buckets)
    return [Bucket(b.low, b.high, b.amount / total) for b in buckets] if total else []


def axes(frame: Frame, x_title: str) -> Iterator[Markup]:
    yield from x_axis(frame, x_title)
    for tick in frame.y.ticks(4):
        y = frame.y(tick)
        yield line(frame.x.start, y, frame.x.end, y, "grid")
        yield text(frame.x.start - 5, y + 3, write(tick), "end")


def x_axis(frame: Frame, title: str) -> Iterator[Markup]:
    bottom = frame.y.start
    yield line(frame.x.start, bottom, frame.x.end, bottom, "axis")
    for tick in frame.x.ticks():
        yield text(frame.x(tick), bottom + 14, write(tick), "middle")
    if title:
        yield text((frame.x.start + frame.x.end) / 2, bottom + 29, title, "middle")


def rectangle(frame: Frame, bucket: Bucket, kind: str, bottom: float = HEIGHT - BOTTOM) -> Markup:
    """A bucket as a bar; one without width is as thin as can be seen."""
    left, right, top = frame.x(bucket.low), frame.x(bucket.high), frame.y(bucket.amount)
    width = max(1.5, right - left)
    shape = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(0.0, bottom - top):.1f}"'
    return Markup(f'<rect class="{kind}" {shape}/>')


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')


def text(x: float, y: float, words: str, anchor: str = "start") -> Markup:
    return Markup(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>')


def svg(title: str, marks: Sequence[Markup], height: float = HEIGHT) -> Markup:
    """The drawing, named for who cannot see it."""
    opening = Markup('<svg class="plot" role="img" aria-label="{}" viewBox="0 0 {:.0f} {:.0f}">')
    return opening.format(title, WIDTH, height) + Markup("").join(marks) + Markup("</svg>")


def shorten(name: str, room: float) -> str:
    """A name that fits into so many units."""
    letters = int((room - 6) / LETTER)
    return name if len(name) <= letters else name[: letters - 1] + "…"


def span_of(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{write(low)} to {write(high)}"


def write(value: float) -> str:
    """A number in a few letters."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
