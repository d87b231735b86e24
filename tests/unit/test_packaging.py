"""pyproject.toml declares what the package imports: in `dependencies`, or in an extra where the import is lazy."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTION = {
    "PIL": "pillow",
    "odc": "odc-geo",
    "odc.stac": "odc-stac",
    "pystac_client": "pystac-client",
    "xarray_sentinel": "xarray-sentinel",
}
NOT_IMPORTED = {
    "xarray": "the type of what rioxarray returns",
    "pyflwdir": "imported by name through a helper of evaluation/hydrology/d8.py",
    "onnxruntime": "imported by name with its telemetry off",
    "openvino": "imported by name with its telemetry off",
}
LOADED_WITH_AN_EXTRA = {  # themselves imported only where these are there
    "kernels.py imports numba when it is loaded",
    "xarray.py imports xarray when it is loaded",
}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", r, maxsplit=1)[0].lower() for r in requirements}


BASE = names(PROJECT["dependencies"])
EXTRAS = {
    n for key, listed in PROJECT["optional-dependencies"].items() if key not in {"dev", "docs"} for n in names(listed)
}


def imports(source: str) -> Iterator[tuple[str, bool]]:
    """(top-level name, whether it is imported when the module is loaded) of everything that is not ours or Python's."""
    tree = ast.parse(source)
    lazy = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found = [node.module]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found = [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        for name in found:
            top = name.partition(".")[0]
            if top != "terrafine" and top not in sys.stdlib_module_names:
                within = ".".join(name.split(".")[:2])
                yield DISTRIBUTION.get(within, DISTRIBUTION.get(top, top)).lower(), node not in lazy


def undeclared(source: str, where: str) -> list[str]:
    return [
        f"{where} imports {name}{' when it is loaded' if at_load else ''}"
        for name, at_load in imports(source)
        if name not in (BASE if at_load else BASE | EXTRAS)
    ]


MODULES = sorted((ROOT / "src" / "terrafine").rglob("*.py"))


def test_every_import_is_declared() -> None:
    found = {line for p in MODULES for line in undeclared(p.read_text(encoding="utf-8"), Path(p).name)}
    assert found == LOADED_WITH_AN_EXTRA


def test_every_dependency_is_imported() -> None:
    used = {name for p in MODULES for name, _ in imports(p.read_text(encoding="utf-8"))}
    assert (BASE | EXTRAS) - used - set(NOT_IMPORTED) - {"terrafine"} == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import flask", 1),
        ("from pyogrio.raw import read", 1),
        ("def f():\n    from pyogrio.raw import read", 0),
        ("def f():\n    import flask", 1),
        ("from PIL import Image\nimport odc.geo\nimport json\nimport terrafine.errors", 0),
    ],
)
def test_a_planted_import_is_seen(source: str, found: int) -> None:
    assert len(undeclared(source, "planted")) == found


def test_every_minimum_version_is_stated() -> None:
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    without = [r for listed in lists for r in listed if ">=" not in r and not r.startswith(("terrafine[", "types-"))]
    assert without == ["scipy-stubs"]


def test_every_pin_and_every_lower_bound_has_a_reason_beside_it() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line]
    assert pins and not [line for line in pins if not re.search(r"\s#\s\S", line)], "run python tools/explain_pins.py"
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    assert not [line for line in listed.splitlines() if '"' in line and "#" not in line]
