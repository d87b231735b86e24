"""Every page of the site stands in its navigation, and every entry of the navigation is a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from tests.support.paths import ROOT

TEXT = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
GENERATED = {f"reference/{name}.md" for name in ("commands", "python", "recipes", "model_spec")}


def entries(node: Any) -> Iterator[str]:
    """The pages of the navigation."""
    if isinstance(node, str):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from entries(inner)


def navigation() -> list[str]:
    return list(entries(yaml.safe_load("nav:" + TEXT.split("\nnav:")[1].split("\nnot_in_nav:")[0])["nav"]))


def pages() -> set[str]:
    """Pages under docs/, those that tools/site/hooks.py brings in, and those that it makes."""
    docs = ROOT / "docs"
    own = {p.relative_to(docs).as_posix() for p in docs.rglob("*.md")}
    notebooks = {p.relative_to(docs).as_posix() for p in (docs / "notebooks").glob("*.py")}
    hooks = (ROOT / "tools" / "site" / "hooks.py").read_text(encoding="utf-8")
    brought = set(re.findall(r'": "([a-z_/]+\.md)",', hooks.split("BROUGHT_IN = {")[1].split("\n}")[0]))
    cards = {f"models/{p.parent.name}.md" for p in (ROOT / "src" / "terrafine" / "systems").glob("*/README.md")}
    return own | notebooks | brought | cards | GENERATED


def test_every_page_stands_in_the_navigation_once() -> None:
    assert sorted(navigation()) == sorted(pages())


def test_generated_pages_are_those_of_the_hooks() -> None:
    hooks = (ROOT / "tools" / "site" / "hooks.py").read_text(encoding="utf-8")
    assert set(re.findall(r'"(reference/\w+\.md)"', hooks)) == GENERATED
