"""Generated pages agree with the results; prose is wrapped; commands in the documentation exist."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest
from tests.support.paths import ROOT

from benchmarks import docs, markdown


def test_every_page_agrees_with_the_results() -> None:
    stale = [str(p) for p in docs.pages() if docs.rendered(p.read_text(encoding="utf-8")) != p.read_text("utf-8")]
    assert not stale, f"run python -m benchmarks.docs: {stale}"


def test_every_mark_has_a_section_and_every_section_a_mark() -> None:
    marks = {m[2] for p in docs.pages() for m in docs.MARK.finditer(p.read_text(encoding="utf-8"))}
    assert marks == set(docs.SECTIONS)


def typed_scores(text: str) -> list[str]:
    """Ratios, scores and percentages outside the rendered sections of a page."""
    return re.findall(r"(?<!Python )\b\d\.\d\d+\b|\b\d+ %", docs.MARK.sub("", text))


def test_the_front_page_types_no_score() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert typed_scores(text) == []
    assert typed_scores(f"{text}\n- its RMSE is 1.04 times bicubic's, and it gained 15 %\n") == ["1.04", "15 %"]


def test_changed_numbers_are_found() -> None:
    text = (ROOT / "docs" / "benchmarks" / "dem_accuracy.md").read_text(encoding="utf-8")
    changed = re.sub(r"\| ridgeline \| 0\.\d+", "| ridgeline | 0.001", text)
    assert changed != text
    assert docs.rendered(changed) == text


def test_prose_is_wrapped_and_tables_are_not() -> None:
    word, row = "word " * 40, "| " + "cell | " * 40
    lines = markdown.wrapped(f"{word}\n- {word}\n{row}\n").splitlines()
    assert lines[-1] == row
    assert max(map(len, lines[:-1])) <= markdown.WIDTH
    assert lines[3].startswith("  word")
    assert markdown.wrapped("short\n") == "short\n"


@pytest.mark.parametrize(("value", "interval", "text"), [
    (None, None, "undefined"),
    (0.5, None, "0.500"),
    (0.5, (0.4, 0.6), "0.500 (0.400–0.600)"),
    (1.0, (1.0, 1.0), "1.000"),
])  # fmt: skip
def test_a_number_has_its_interval(value: float | None, interval: tuple[float, float] | None, text: str) -> None:
    assert markdown.number(value, interval) == text


def test_commands_in_the_documentation_exist() -> None:
    files = [*docs.pages(), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.py")]
    named = {m for p in files for m in re.findall(r"python -m (benchmarks[.\w]*\w)", p.read_text(encoding="utf-8"))}
    assert "benchmarks.dem.accuracy" in named
    assert not [name for name in named if find_spec(name) is None]
    assert not [str(p) for p in files if re.search(r"python benchmarks/", p.read_text(encoding="utf-8"))]
