"""Bounds that annotations of settings state, as `Annotated[float, Within(0, 1)]`; how a value is shown in a message."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

__all__ = [
    "CONTROL",
    "Channels",
    "Count",
    "DataPath",
    "DataPathOrNone",
    "Interval",
    "Items",
    "Matches",
    "Name",
    "Share",
    "Table",
    "Weight",
    "Within",
    "shown",
]

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that steer a terminal or the direction of writing, and half characters; none stands in a setting."""


@dataclass(frozen=True, slots=True)
class Within:
    """Bounds of a number; `above` and `below` leave the bound itself out."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a number is inside."""
        low = value > self.low if self.above else value >= self.low
        return bool(low and (value < self.high if self.below else value <= self.high))

    def words(self) -> str:
        """The bounds in words."""
        low, high = f"{self.low:.10g}", f"{self.high:.10g}"
        if self.high == math.inf:
            return f"above {low}" if self.above else f"{low} or more"
        end = f"below {high}" if self.below else high
        return f"above {low}, up to {end}" if self.above else f"{'from ' * self.below}{low} to {end}"


@dataclass(frozen=True, slots=True)
class Matches:
    """A pattern that a whole text, or each name in a table, fits; in words."""

    pattern: str
    meaning: str

    def holds(self, value: Any) -> bool:
        """Whether a text fits."""
        return re.fullmatch(self.pattern, value) is not None

    def words(self) -> str:
        """The pattern in words."""
        return self.meaning


@dataclass(frozen=True, slots=True)
class Items:
    """Bounds of the number of entries of a list or a table."""

    low: int = 0
    high: int = 1_000

    def holds(self, value: Any) -> bool:
        """Whether a list or table has so many entries."""
        return self.low <= len(value) <= self.high

    def words(self) -> str:
        """The bounds in words."""
        return f"{self.low} to {self.high} entries"


@dataclass(frozen=True, slots=True)
class Interval:
    """A list of two numbers within bounds, from low to high; both may be equal unless `strict`."""

    low: float
    high: float
    strict: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a list is such an interval."""
        if len(value) != 2 or not self.low <= value[0] <= value[1] <= self.high:
            return False
        return bool(value[0] < value[1] or not self.strict)

    def words(self) -> str:
        """The interval in words."""
        sign = "<" if self.strict else "≤"
        return f"[from, to], {self.low:g} ≤ from {sign} to ≤ {self.high:g}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table inside a table: what `declared` takes."""

    of: Any


def shown(value: Any, most: int = 80) -> str:
    """A value for a message: one line without control characters, cut where it is long."""
    if isinstance(value, Mapping | list | tuple) and most < 12:
        return "{…}" if isinstance(value, Mapping) else "[…]"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        return f"a number of about {int(value.bit_length() * 0.30103)} digits"
    if isinstance(value, str):
        text = repr(value[: most + 1])
    elif isinstance(value, Mapping):
        text = (
            "{" + ", ".join(f"{shown(k, most // 2)}: {shown(v, most // 2)}" for k, v in list(value.items())[:8]) + "}"
        )
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(shown(v, most // 2) for v in list(value)[:8]) + "]"
    else:
        text = repr(value)
    text = CONTROL.sub("?", text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


Name = Annotated[
    str,
    Matches(
        r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}",
        "a name of letters, digits, dots, dashes and underscores, not a path",
    ),
]
"""The stem of a file, or a key."""
_PART = r"(?!\.\.(?:/|$))[^/\x00-\x1f]{1,200}"
_PATH = f"{_PART}(?:/{_PART}){{0,30}}"
_INSIDE = "a path inside the data folder, without .."
DataPath = Annotated[str, Matches(_PATH, _INSIDE)]
"""A file, a folder or a pattern under the data folder."""
DataPathOrNone = Annotated[str, Matches(f"(?:{_PATH})?", f"'', or {_INSIDE}")]
"""The same, or an empty text."""
Share = Annotated[float, Within(0, 1)]
"""A probability or a fraction."""
Weight = Annotated[float, Within(0, 1e6)]
"""The weight of a term or of a choice."""
Count = Annotated[int, Within(1, 1_000_000_000)]
"""How many, at least one."""
Channels = Annotated[int, Within(1, 2_048)]
"""Width of a layer."""
