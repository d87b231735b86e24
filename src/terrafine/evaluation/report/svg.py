"""Plain SVG charts: scales, axes, lines, steps and dots, drawn as text without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

from terrafine.evaluation.nice import MULTIPLES, nice_step

__all__ = ["Plot", "Scale", "Style", "decimal", "nice_ticks", "number", "short"]

MINUS = "\u2212"
DASH = "\u2013"


def number(value: float | int | None, digits: int = 3) -> str:
    """A number with `digits` significant figures, thin-spaced thousands and a true minus; a dash where undefined."""
    if value is None or not math.isfinite(value):
        return DASH
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 10**digits):
        text = f"{int(value):,}"
    elif abs(value) < 1e-12:
        text = "0"
    elif abs(value) < 1e-5:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa}e{int(power)}"
    else:
        places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{places}f}"
    return text.replace(",", "\u202f").replace("-", MINUS)


def decimal(value: float | int | None, digits: int = 3, places: int = 5) -> str:
    """As `number`, but with at most so many decimal places and never a power of ten: for tables."""
    if value is None or not math.isfinite(value) or isinstance(value, int) or abs(value) >= 10.0 ** (digits - places):
        return number(value, digits)
    text = f"{value:.{places}f}"
    return text.replace("-", MINUS) if float(text) else "0"


def short(value: float | int | None, digits: int = 6) -> str:
    """As `number`, without trailing zeros: for round values such as ticks and settings."""
    if value is not None and 1e-6 <= abs(value) < 1e-3:
        return f"{value:.6f}".rstrip("0").replace("-", MINUS)
    text = number(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def nice_ticks(lower: float, upper: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2, 5 × 10ⁿ apart) within [lower, upper]."""
    span = upper - lower
    if not span > 0:
        return [lower]
    step = nice_step(span / about, tolerance=1e-3)
    first = math.ceil(lower / step - 1e-9)
    last = math.floor(upper / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


@dataclass(frozen=True)
class Scale:
    """Data to position; `log` is base 10, `reverse` puts the upper end first."""

    lower: float
    upper: float
    log: bool = False
    reverse: bool = False

    def part(self, value: float) -> float:
        """Share of the axis at a value, 0 at its start."""
        if self.log:
            share = (math.log10(value) - math.log10(self.lower)) / (math.log10(self.upper) - math.log10(self.lower))
        else:
            share = (value - self.lower) / (self.upper - self.lower)
        return 1 - share if self.reverse else share

    def ticks(self, about: int = 5) -> list[float]:
        """Values to mark."""
        if not self.log:
            return nice_ticks(self.lower, self.upper, about)
        found = []
        for power in range(math.floor(math.log10(self.lower)), math.ceil(math.log10(self.upper)) + 1):
            found += [m * 10.0**power for m in MULTIPLES if self.lower <= m * 10.0**power <= self.upper]
        return found


@dataclass(frozen=True)
class Style:
    """How one surface is drawn everywhere on the page."""

    colour: str
    dash: str = ""
    width: float = 1.8


@dataclass
class Plot:
    """A framed chart of fixed size; marks are added, then `render` gives the SVG text."""

    x: Scale
    y: Scale
    x_label: str
    y_label: str
    width: int = 500
    height: int = 290
    left: int = 58
    x_names: Sequence[str] | None = None
    y_names: Sequence[str] | None = None
    tick_text: Callable[[float], str] = short
    marks: list[str] = field(default_factory=list)

    right, top, bottom = 14, 14, 46

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixel position of a data point."""
        across = self.width - self.left - self.right
        down = self.height - self.top - self.bottom
        return self.left + self.x.part(x) * across, self.top + (1 - self.y.part(y)) * down

    def line(self, xs: Sequence[float], ys: Sequence[float | None], style: Style, dots: bool = False) -> None:
        """A line through the points, broken where y is None."""
        runs: list[list[tuple[float, float]]] = [[]]
        for x, y in zip(xs, ys, strict=True):
            if y is None or not math.isfinite(y):
                runs.append([])
            else:
                runs[-1].append(self.at(x, min(max(y, self.y.lower), self.y.upper)))
        for run in runs:
            if len(run) > 1:
                points = " ".join(f"{a:.1f},{b:.1f}" for a, b in run)
                self.marks.append(f'<polyline points="{points}" fill="none" {_stroke(style)}/>')
            if dots or len(run) == 1:
                self.marks += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{style.colour}"/>' for a, b in run]

    def steps(self, edges: Sequence[float], heights: Sequence[float], style: Style) -> None:
        """A histogram's outline."""
        xs = [edge for edge in edges for _ in (0, 1)]
        ys = [0.0, *[height for height in heights for _ in (0, 1)], 0.0]
        self.line(xs, ys, style)

    def range_mark(self, y: float, value: float, interval: Sequence[float] | None, style: Style) -> None:
        """A dot with its interval on a horizontal row."""
        if interval is not None:
            (a, b), (c, _) = self.at(interval[0], y), self.at(interval[1], y)
            self.marks.append(f'<line x1="{a:.1f}" x2="{c:.1f}" y1="{b:.1f}" y2="{b:.1f}" {_stroke(style)}/>')
        a, b = self.at(value, y)
        self.marks.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="5" fill="{style.colour}"/>')
        text_x = self.at(max(value, interval[1] if interval is not None else value), y)[0] + 9
        self.marks.append(f'<text x="{text_x:.1f}" y="{b + 4:.1f}" class="value">{number(value)}</text>')

    def rule(self, x: float | None = None, y: float | None = None, label: str = "", colour: str = "#55605c") -> None:
        """A thin marked line across the frame."""
        box = (self.left, self.top, self.width - self.right, self.height - self.bottom)
        if x is not None:
            a = self.at(x, self.y.lower)[0]
            start, end, text = (a, float(box[1])), (a, float(box[3])), (a + 4, box[1] + 12.0)
        else:
            b = self.at(self.x.lower, y if y is not None else 0.0)[1]
            start, end, text = (float(box[0]), b), (float(box[2]), b), (box[0] + 5.0, b - 4)
        self.marks.append(
            f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
            f'stroke="{colour}" stroke-width="1" stroke-dasharray="2 3"/>'
            f'<text x="{text[0]:.1f}" y="{text[1]:.1f}" class="note">{escape(label)}</text>'
        )

    def _axes(self) -> list[str]:
        right, bottom = self.width - self.right, self.height - self.bottom
        parts = []
        names_x = dict(enumerate(self.x_names or []))
        for value in names_x or self.x.ticks(6):
            a = self.at(value, self.y.lower)[0]
            text = names_x.get(int(value), "") if names_x else self.tick_text(value)
            parts.append(f'<line x1="{a:.1f}" x2="{a:.1f}" y1="{self.top}" y2="{bottom}" class="grid"/>')
            parts.append(f'<text x="{a:.1f}" y="{bottom + 16}" text-anchor="middle">{escape(text)}</text>')
        names_y = dict(enumerate(self.y_names or []))
        for value in names_y or self.y.ticks(5):
            b = self.at(self.x.lower, value)[1]
            text = names_y.get(int(value), "") if names_y else self.tick_text(value)
            parts.append(f'<line x1="{self.left}" x2="{right}" y1="{b:.1f}" y2="{b:.1f}" class="grid"/>')
            parts.append(f'<text x="{self.left - 7}" y="{b + 4:.1f}" text-anchor="end">{escape(text)}</text>')
        middle_x, middle_y = (self.left + right) / 2, (self.top + bottom) / 2
        parts.append(f'<rect x="{self.left}" y="{self.top}" width="{right - self.left}" ')
        parts[-1] += f'height="{bottom - self.top}" class="frame"/>'
        parts.append(f'<text x="{middle_x:.0f}" y="{self.height - 8}" text-anchor="middle" class="axis">')
        parts[-1] += f"{escape(self.x_label)}</text>"
        parts.append(f'<text transform="translate(13 {middle_y:.0f}) rotate(-90)" text-anchor="middle" class="axis">')
        parts[-1] += f"{escape(self.y_label)}</text>"
        return parts

    def render(self, title: str, key: str) -> str:
        """The SVG element; `title` is its accessible name, `key` a unique id."""
        body = "".join(self._axes() + self.marks)
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-labelledby="{key}" class="chart">'
            f'<title id="{key}">{escape(title)}</title>{body}</svg>'
        )


def _stroke(style: Style) -> str:
    dash = f' stroke-dasharray="{style.dash}"' if style.dash else ""
    return f'stroke="{style.colour}" stroke-width="{style.width}" stroke-linejoin="round"{dash}'
