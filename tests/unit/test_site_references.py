"""The generated references of the site are complete: every key of a recipe, every command, every public name."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from tests.support.paths import ROOT
from tools.site import commands, public, recipes

import terrafine
from terrafine.cli import main

RECIPES = sorted((ROOT / "src" / "terrafine" / "systems").glob("*/recipes/*.toml"))
OWN = {
    "network",
    "adversary",
    "loss",
    "choices",
    "phases",
    "held_out",
    "files",
    "pairs",
    "scenes",
}  # keys are names, or the system's own


@pytest.fixture(scope="module")
def page() -> str:
    return recipes.reference()


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_key_of_a_shipped_recipe_is_in_the_reference(page: str, path) -> None:
    record = tomllib.loads(path.read_text(encoding="utf-8"))
    missing = {k for k in record if k not in OWN and f"| `{k}` |" not in page and f"### `[{k}]`" not in page}
    for table, keys in record.items():
        if isinstance(keys, dict) and table not in OWN:
            section = "".join(page.split(f"### `[{table}]`")[1:])
            missing |= {f"{table}.{k}" for k in keys if f"| `{k}` |" not in section}
    assert missing == set()


def test_every_row_has_a_meaning(page: str) -> None:
    empty = [line for line in page.splitlines() if line.startswith("| `") and line.rstrip().endswith("|  |")]
    assert empty == []


def test_bounds_and_defaults_are_those_of_the_types(page: str) -> None:
    assert "| `batch` | whole number, 1 to 4096 | required | Patches in a batch. |" in page
    assert "| `mirror` | true or false | `true` |" in page


def test_commands_and_public_names_are_complete() -> None:
    page = commands.reference()
    assert all(f"## terrafine {verb}\n" in page for verb in main.commands)
    assert page.count("-h, --help") == page.count("## terrafine")
    names = public.reference()
    assert all(f"{name}\n" in names for name in terrafine.__all__ if name not in ("__version__", "TerrafineError"))


def test_references_and_checks_of_pages_leave_the_help_options_as_they_are() -> None:
    """click keeps the help option of the first context of a command for the rest of the process."""
    code = (
        "from click.testing import CliRunner\nfrom terrafine.cli import main\nfrom tests.support import pages\n"
        "from tools.site import commands\n"
        "pages.problem('terrafine info a.tif'), commands.reference()\n"
        "words = ['-h'], ['info', '-h'], ['dem', '-h'], ['dataset', 'impervious', '-h']\n"
        "print(*(CliRunner().invoke(main, w).exit_code for w in words))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0"] * 4
