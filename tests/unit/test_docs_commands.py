"""Every command in the documentation exists: each is parsed by the real command line, so a renamed option fails."""

from __future__ import annotations

import re

import pytest
from tests.support import pages
from tests.support.paths import ROOT

from terrafine.cli import main

HISTORY = {"docs/decisions.md", "docs/experiments.md", "CHANGELOG.md"}  # they may name what no longer exists
OTHERS = {  # options of other programs that pages name
    "--resource",
    "--all-touched",
}


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


FOUND = [c for page in pages.pages() if page not in HISTORY for c in pages.commands(page, text_of(page))]


@pytest.mark.parametrize("command", FOUND, ids=str)
def test_every_command_in_a_block_parses(command: pages.Command) -> None:
    assert pages.problem(command.text) == "", command.text


def test_many_commands_are_found() -> None:
    assert len(FOUND) > 40
    assert {c.page for c in FOUND} > {"README.md", "docs/guides/dem.md", "docs/guides/map.md"}


@pytest.mark.parametrize("page", [p for p in pages.pages() if p not in HISTORY])
def test_every_command_in_running_text_exists(page: str) -> None:
    wrong = {c: pages.inline_problem(c) for c in pages.INLINE.findall(text_of(page))}
    assert {c: p for c, p in wrong.items() if p} == {}


def test_every_option_in_running_text_exists() -> None:
    """An option that is named alone belongs to some verb; benchmarks and other programs have their own."""
    known = pages.flags(main) | OTHERS | options_of_benchmarks()
    unknown = {
        f"{page}: {flag}"
        for page in pages.pages()
        if page not in HISTORY
        for flag in pages.LOOSE_FLAG.findall(text_of(page))
        if flag not in known
    }
    assert unknown == set()


def options_of_benchmarks() -> set[str]:
    """Options that programs of the repository declare to argparse or click."""
    sources = [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    return {flag for p in sources for flag in re.findall(r'"(--[a-z][a-z0-9-]*)"', p.read_text(encoding="utf-8"))}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("terrafine dem a.tif b.tif --scale 3", ""),
        ("terrafine dem a.tif b.tif --scal 3", "No such option"),
        ("terrafine dem a.tif b.tif --consistency firm", "'firm' is not one of"),
        ("terrafine dem a.tif b.tif --tile many", "Invalid value"),
        ("terrafine radar a.tif -o b.tif", "Missing option"),
        ("terrafine demm a.tif b.tif", "no such verb"),
        ("terrafine dataset impervios x", "no such verb"),
        ("terrafine dem --help", ""),
        ("terrafine --version", ""),
    ],
)
def test_a_wrong_command_is_found(text: str, found: str) -> None:
    problem = pages.problem(text)
    assert (problem == "") == (found == "")
    assert found in problem


def test_commands_are_found_in_all_their_forms() -> None:
    block = (
        "```\n$ terrafine info a.tif\nterrafine dem a.tif \\\n  b.tif --scale 2   # comment\n"
        'for y in 1 2; do terrafine map s_$y.tif m.tif; done\nterrafine info --band "a  #1" m.tif | grep x\n```\n'
        "```python\nterrafine.info('x')\n```\n    ```\n    time terrafine models\n    ```\n"
    )
    found = [(c.line, c.text) for c in pages.commands("x.md", block)]
    assert found == [
        (2, "terrafine info a.tif"),
        (3, "terrafine dem a.tif b.tif --scale 2"),
        (5, "terrafine map s_$y.tif m.tif"),
        (6, 'terrafine info --band "a  #1" m.tif'),
        (12, "terrafine models"),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("terrafine dem --guide", ""),
        ("terrafine train my.toml --data X", ""),
        ("terrafine --debug", ""),
        ("terrafine", ""),
        ("terrafine dem --guid", "no such option: --guid"),
        ("terrafine polish", "no such verb: polish"),
    ],
)
def test_a_wrong_command_in_running_text_is_found(text: str, found: str) -> None:
    assert pages.inline_problem(text) == found
