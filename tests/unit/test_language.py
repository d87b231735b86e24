"""The words of the glossary: no retired word and no overlong prose line in sources and docs; each rule can fail."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from tests.support.paths import ROOT

_spec = importlib.util.spec_from_file_location("check_words", ROOT / "tools" / "check_words.py")
assert _spec is not None
assert _spec.loader is not None
check_words = importlib.util.module_from_spec(_spec)
sys.modules["check_words"] = check_words
_spec.loader.exec_module(check_words)


def read(paths):
    return [(path, (ROOT / path).read_text(encoding="utf-8")) for path in paths]


def test_sources_and_docs_use_the_words_of_the_glossary():
    assert [str(f) for f in check_words.findings(read(check_words.tracked()))] == []


def test_every_part_of_the_project_is_checked():
    paths = check_words.tracked()
    for part in ("src/terrafine/cli/", "src/terrafine/systems/", "docs/guides/", "benchmarks/", "demo/", "README.md"):
        assert any(path.startswith(part) for path in paths), part


@pytest.mark.parametrize(
    "text",
    [
        "samples of sealed ground",
        "the command goes on where it stopped",
        "gone on with by default",
        "what it came to is told",
        "beside new company",
        "the old chief",
        "terms are weighed anew",
        "a network that listens to radar",
        "cells are no resolution",
        "what a recipe learnt",
        "a size that cannot be meant",
        "turning_error(out)",
    ],
)
def test_a_retired_word_is_found(text):
    assert len(list(check_words.retired_words("docs/x.md", f"fine\n{text}\n"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "there are no multiples",
        "the company's Landsat scenes",
        "it goes on the fine grid",
        "a mended_by_name",
        "learned shift",
        "a small house beside the road",
        "told_apart_by",
    ],
)
def test_plain_english_is_not_found(text):
    assert list(check_words.retired_words("docs/x.md", text)) == []


def test_long_prose_is_found_and_tables_links_and_code_are_not():
    prose = "word " * 30
    link = f"[text](https://example.org/{'a' * 120})"
    fine = f"| {prose} |\n```\n{prose}\n```\n{link}\n    {prose}\n"
    assert list(check_words.long_lines("x.md", fine)) == []
    assert [f.line for f in check_words.long_lines("x.md", f"{fine}{prose}\n")] == [7]
