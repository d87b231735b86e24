"""Parts of the generated documentation: results, tables, values with intervals, wrapped prose."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.common import RESULTS

Record = Mapping[str, Any]
Section = Callable[[], str]
WIDTH = 120


def result(name: str) -> dict[str, Any]:
    """A result file, or an empty record where the benchmark has not run."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value: float | None, interval: Sequence[float] | None = None, digits: int = 3) -> str:
    """A value, and its interval in brackets where it has one that is wider than a point."""
    if value is None:
        return "undefined"
    text = f"{value:.{digits}f}"
    if interval is None or interval[0] == interval[1]:
        return text
    return f"{text} ({interval[0]:.{digits}f}–{interval[1]:.{digits}f})"


def wrapped(text: str) -> str:
    """Prose and list items wrapped at 120 characters; tables stay as they are."""
    return "".join(_fill(line) for line in text.splitlines(keepends=True))


def _fill(line: str) -> str:
    if len(line) <= WIDTH + 1 or line.startswith("|"):
        return line
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) + "\n"
