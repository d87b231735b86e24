"""What tests share stands in tests/support: no test module is imported, and no helper has two copies there."""

from __future__ import annotations

import ast
from collections import Counter

from tests.support.paths import ROOT

TESTS = ROOT / "tests"


def imported(tree: ast.Module) -> set[str]:
    """The modules that a file imports, by their dotted names."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_tests_import_from_the_support_package_and_from_no_other_test() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in TESTS.rglob("*.py")
        for name in imported(ast.parse(path.read_text(encoding="utf-8")))
        if name.startswith((".", "tests", "conftest")) and not name.startswith("tests.support")
    ]
    assert found == []


def test_every_public_helper_has_one_name_and_a_docstring() -> None:
    names: Counter[str] = Counter()
    bare = []
    for path in (TESTS / "support").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), path
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                names[node.name] += 1
                if ast.get_docstring(node) is None:
                    bare.append(f"{path.name}: {node.name}")
    assert [n for n, count in names.items() if count > 1] == []
    assert bare == []
