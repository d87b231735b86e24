"""Who may import whom: DESIGN's rules, walked with `ast` over the whole package, each with a planted violation."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import terrafine

ROOT = Path(terrafine.__file__).parent

LEAVES = {
    "errors",
    "arguments",
    "atomic",
    "host",
    "notebook",
    "private",
    "version",
    "schema",
}  # everyone may import them; they import leaves alone

# part -> what of ours it may import besides itself and the leaves. A dotted name admits that module alone.
ALLOWED: dict[str, set[str]] = {
    **{leaf: set() for leaf in LEAVES},
    "raster": set(),
    "physics": set(),
    "nn": {"physics", "raster.bands", "raster.products.model", "raster.warp.kernels"},
    "systems": {"nn", "physics", "raster.bands", "raster.products.model"},
    "inference": {"raster", "nn"},
    "training": {"systems", "nn", "physics", "raster"},
    "evaluation": {"raster", "physics"},
    "datasets": {"raster", "physics"},
    "viewer": {"raster", "physics", "evaluation.nice"},
    "acquire": {"raster"},
    "workflows": {
        "viewer",
        "acquire",
        "raster",
        "physics",
        "nn",
        "systems",
        "inference",
        "training",
        "evaluation",
        "datasets",
    },
    "campaign": {"raster", "systems", "inference", "evaluation", "acquire", "workflows"},
    "cli": {  # besides the verbs, the names of models and sensors, and the types of what a verb returns
        "campaign",
        "workflows",
        "systems",
        "evaluation.gate",
        "inference.engine",
        "inference.progress",
        "nn.spec",
        "raster.read.images.sensors",
        "raster.write.creation",
    },
    "xarray": {"workflows"},
    "": {"campaign", "workflows"},  # terrafine/__init__.py
}
ONLY_IN_RASTER = {"rasterio", "odc", "osgeo"}
ONLY_IN_ACQUIRE = {"requests", "urllib3", "urllib.request", "http.client", "pystac", "pystac_client", "odc.stac"}
TEMPORARY = {"os.fsync", "os.replace", "os.rename", "os.link"}  # and tempfile: calls of atomic.py alone
NO_TORCH = {"raster", *LEAVES, ""}


@dataclass(frozen=True)
class Import:
    """One import statement: where it stands, what it names, and whether it runs when the module is loaded."""

    module: str
    target: str
    line: int
    at_load: bool


def module_name(path: Path, root: Path) -> str:
    """Dotted name inside the package; the package itself is the empty string."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def imports_of(source: str, module: str, modules: set[str]) -> Iterator[Import]:
    """Every import in the source, as absolute names; `from package import module` is an import of the module."""
    tree = ast.parse(source)
    at_load = set(_runs_at_load(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, node in at_load)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, modules)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                is_module = full.removeprefix("terrafine.") in modules
                yield Import(module, full if is_module else base, node.lineno, node in at_load)


def _absolute(node: ast.ImportFrom, module: str, modules: set[str]) -> str:
    if not node.level:
        return node.module or ""
    parts = ["terrafine", *module.split(".")] if module else ["terrafine"]
    is_package = not module or any(m.startswith(module + ".") for m in modules)
    up = node.level - 1 if is_package else node.level
    return ".".join([*parts[: len(parts) - up], *([node.module] if node.module else [])])


def _runs_at_load(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _runs_at_load(node)


def part_of(module: str) -> str:
    return module.partition(".")[0]


def read_package(root: Path) -> dict[str, str]:
    """module -> source."""
    return {module_name(p, root): p.read_text(encoding="utf-8") for p in sorted(root.rglob("*.py"))}


def all_imports(sources: dict[str, str]) -> list[Import]:
    modules = set(sources)
    return [i for module, source in sources.items() for i in imports_of(source, module, modules)]


def layer_violations(sources: dict[str, str]) -> list[str]:
    """Imports of ours that the table does not allow, type-checking and lazy ones included."""
    found = []
    for i in all_imports(sources):
        if i.target.split(".")[0] != "terrafine":
            continue
        target = i.target.removeprefix("terrafine").removeprefix(".")
        part, wanted = part_of(i.module), part_of(target)
        allowed = ALLOWED.get(part, set())
        dotted = any(target == a or target.startswith(a + ".") for a in allowed)
        own = wanted == part and not _sibling_system(i.module, target)
        if not (own or wanted in LEAVES or dotted):
            found.append(f"{i.module}:{i.line} imports {target}")
    return found


# children of evaluation -> what they may import of other children. All may import the modules beside the folders.
EVALUATION: dict[str, set[str]] = {
    "elevation": {"hydrology"},
    "classes": set(),
    "images": set(),
    "hydrology": set(),
    "report": set(),
    "sensor_fit": set(),
}


def evaluation_violations(sources: dict[str, str]) -> list[str]:
    """Elevation, classes and images are parallel: none imports another, and none imports the report."""
    found = []
    for i in all_imports(sources):
        a, b = i.module.split("."), i.target.removeprefix("terrafine.").split(".")
        if a[0] != "evaluation" or b[0] != "evaluation" or len(b) < 2 or b[1] not in EVALUATION:
            continue
        own = a[1] if len(a) > 1 and a[1] in EVALUATION else ""
        if b[1] != own and b[1] not in EVALUATION.get(own, set()):
            found.append(f"{i.module}:{i.line} imports {i.target}")
    return found


def _sibling_system(module: str, target: str) -> bool:
    """Two folders of `systems`: the second may not be imported by the first."""
    a, b = module.split("."), target.split(".")
    return (
        a[0] == b[0] == "systems" and len(a) > 1 and len(b) > 1 and is_folder(a[1]) and is_folder(b[1]) and a[1] != b[1]
    )


def is_folder(name: str) -> bool:
    return (ROOT / "systems" / name).is_dir()


def third_party_violations(sources: dict[str, str]) -> list[str]:
    """rasterio and odc-geo live in raster/, what fetches in acquire/; raster and the leaves load no torch."""
    found = []
    for i in all_imports(sources):
        part, top = part_of(i.module), i.target.split(".")[0]
        fetches = any(i.target == name or i.target.startswith(f"{name}.") for name in ONLY_IN_ACQUIRE)
        if fetches and part != "acquire":
            found.append(f"{i.module}:{i.line} imports {i.target}, which opens network connections")
        if top in ONLY_IN_RASTER and part != "raster" and not (fetches and part == "acquire"):
            found.append(f"{i.module}:{i.line} imports {top}")
        if top == "torch" and part in NO_TORCH:
            found.append(f"{i.module}:{i.line} imports torch")
        if part == "cli" and top not in {"click", "terrafine", *sys.stdlib_module_names}:
            found.append(f"{i.module}:{i.line} imports {top}: a command parses, calls one workflow and prints")
    return found


def temporary_file_violations(sources: dict[str, str]) -> list[str]:
    """Temporary files are written, flushed and renamed by `atomic` alone; `doctor` tries the disk with one."""
    others = {module: source for module, source in sources.items() if module not in {"atomic", "workflows.doctor"}}
    calls = [
        f"{module}:{node.lineno} calls {ast.unparse(node)}"
        for module, source in others.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in TEMPORARY
    ]
    return calls + [f"{i.module}:{i.line} imports tempfile" for i in all_imports(others) if i.target == "tempfile"]


def named_networks(sources: dict[str, str]) -> list[str]:
    """The engine knows no network by name."""
    names = {p.name for p in (ROOT / "systems").iterdir() if p.is_dir() and not p.name.startswith("_")}
    return [
        f"{module}:{node.lineno} names {node.value}"
        for module, source in sources.items()
        if part_of(module) == "inference"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and node.value in names
    ]


def load_cycle(sources: dict[str, str]) -> list[str]:
    """The first cycle among imports that run at load, or an empty list."""
    graph: dict[str, set[str]] = {module: set() for module in sources}
    for i in all_imports(sources):
        target = i.target.removeprefix("terrafine").removeprefix(".")
        if i.at_load and i.target.startswith("terrafine.") and target in graph and target != i.module:
            graph[i.module].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as e:
        return list(e.args[1])
    return []


def style_violations(sources: dict[str, str]) -> list[str]:
    """No print and no broad except outside cli/, no assert anywhere, no file of more than 350 lines."""
    found = []
    for module, source in sources.items():
        outside = part_of(module) != "cli"
        if (length := source.count("\n")) > 350:
            found.append(f"{module} has {length} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Assert):
                found.append(f"{module}:{node.lineno} assert")
            if outside and isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                found.append(f"{module}:{node.lineno} print")
            if outside and isinstance(node, ast.ExceptHandler) and _is_broad(node):
                found.append(f"{module}:{node.lineno} broad except")
    return found


def _is_broad(node: ast.ExceptHandler) -> bool:
    """Swallows what nobody foresaw; a handler that cleans up and raises again does not."""
    last = node.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    if node.type is None:
        return True
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(isinstance(k, ast.Name) and k.id in {"Exception", "BaseException"} for k in kinds)


SOURCES = read_package(ROOT)


def test_every_part_has_a_rule() -> None:
    assert {part_of(m) for m in SOURCES} <= set(ALLOWED)


@pytest.mark.parametrize(
    "rule",
    [
        layer_violations,
        evaluation_violations,
        third_party_violations,
        temporary_file_violations,
        named_networks,
        load_cycle,
        style_violations,
    ],
)
def test_the_package_holds(rule) -> None:  # type: ignore[no-untyped-def]
    assert rule(SOURCES) == []


PLANTED = [
    (layer_violations, "raster.bad", "from terrafine.nn.spec import ModelSpec"),
    (layer_violations, "raster.bad", "def f():\n    import terrafine.physics"),
    (layer_violations, "nn.bad", "from terrafine.raster.read import source"),
    (layer_violations, "nn.bad", "from terrafine.raster.read.source import Source"),
    (layer_violations, "systems.srcnn.bad", "from terrafine.systems.drn import net"),
    (layer_violations, "systems.srcnn.bad", "from ..drn.net import Drn"),
    (layer_violations, "inference.bad", "from terrafine.systems import find_model"),
    (layer_violations, "evaluation.bad", "from terrafine import nn"),
    (layer_violations, "nn.bad", "from terrafine import __version__"),
    (layer_violations, "cli.bad", "def f():\n    import terrafine"),
    (evaluation_violations, "evaluation.classes.bad", "from terrafine.evaluation.elevation.strata import Strata"),
    (
        evaluation_violations,
        "evaluation.elevation.bad",
        "def f():\n    import terrafine.evaluation.report.svg",
    ),
    (evaluation_violations, "evaluation.report.bad", "from terrafine.evaluation.images.measures import psnr"),
    (evaluation_violations, "evaluation.bootstrap", "from terrafine.evaluation.classes import agreement"),
    (layer_violations, "training.bad", "from terrafine.cli import main"),
    (
        layer_violations,
        "physics.bad",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import terrafine.raster.read.source",
    ),
    (third_party_violations, "inference.bad", "import rasterio.windows"),
    (third_party_violations, "workflows", "def f():\n    from odc.geo.geobox import GeoBox"),
    (third_party_violations, "raster.bad", "import torch"),
    (third_party_violations, "raster.bad", "import requests"),
    (third_party_violations, "workflows", "def f():\n    from pystac_client import Client"),
    (third_party_violations, "datasets.bad", "from urllib.request import urlopen"),
    (third_party_violations, "acquire.bad", "from odc.geo.geobox import GeoBox"),
    (third_party_violations, "cli.bad", "import numpy as np"),
    (third_party_violations, "cli.bad", "def f():\n    import pyproj"),
    (temporary_file_violations, "nn.bad", "import os\nos.replace('a', 'b')"),
    (temporary_file_violations, "inference.bad", "import os\nos.fsync(3)"),
    (temporary_file_violations, "workflows.bad", "def f():\n    import tempfile"),
    (named_networks, "inference.bad", "x = 'ridgeline'"),
    (style_violations, "nn.bad", "print(1)"),
    (style_violations, "nn.bad", "try:\n    pass\nexcept Exception:\n    pass"),
    (style_violations, "nn.bad", "try:\n    pass\nexcept (ValueError, BaseException):\n    pass"),
    (style_violations, "nn.bad", "try:\n    pass\nexcept:\n    pass"),
    (style_violations, "cli.bad", "assert True"),
    (style_violations, "nn.bad", "x = 1\n" * 351),
]


def test_cleaning_up_and_raising_again_is_no_broad_except() -> None:
    source = "try:\n    pass\nexcept BaseException:\n    x = 1\n    raise"
    assert style_violations({"nn.good": source}) == []


@pytest.mark.parametrize(("rule", "module", "source"), PLANTED)
def test_a_planted_violation_is_seen(rule, module: str, source: str) -> None:  # type: ignore[no-untyped-def]
    others = (
        "",
        "raster",
        "raster.read.source",
        "nn",
        "nn.spec",
        "physics",
        "systems",
        "systems.drn.net",
        "cli",
        "workflows",
    )
    clean = dict.fromkeys(others, "")
    assert rule(clean) == []
    seen = rule({**clean, module: source})
    assert len(seen) == 1
    assert module in seen[0]


def test_a_planted_cycle_is_seen() -> None:
    a, b = "from terrafine.nn.b import x", "import terrafine.nn.a"
    assert set(load_cycle({"nn": "", "nn.a": a, "nn.b": b})) == {"nn.a", "nn.b"}


def test_a_lazy_import_makes_no_cycle() -> None:
    a, b = "from terrafine.nn.b import x", "def f():\n    import terrafine.nn.a"
    assert load_cycle({"nn": "", "nn.a": a, "nn.b": b}) == []


CONTRIBUTING = ROOT.parents[1] / "CONTRIBUTING.md"


def documented(text: str) -> dict[str, set[str]]:
    """The table of folders in CONTRIBUTING: part -> parts that it may import."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    named = [[set(re.findall(r"`([\w.]+)`", cell)) for cell in (row[0], row[-1])] for row in rows if len(row) == 3]
    return {"" if part == {"__init__"} else next(iter(part)): allowed for part, allowed in named}


def test_contributing_states_who_may_import_whom() -> None:
    assert documented(CONTRIBUTING.read_text(encoding="utf-8")) == ALLOWED


def test_a_changed_row_of_contributing_is_seen() -> None:
    text = CONTRIBUTING.read_text(encoding="utf-8")
    assert documented(text.replace("| `raster`, `nn` |", "| `raster` |")) != ALLOWED
    assert documented(text.replace("| `datasets` | training", "| `data` | training")) != ALLOWED


def test_the_front_page_names_every_folder() -> None:
    text = (ROOT.parents[1] / "README.md").read_text(encoding="utf-8")
    folders = {p.name for p in ROOT.iterdir() if (p / "__init__.py").is_file()}
    assert {name for name in folders if f"`src/terrafine/{name}/`" not in text} == set()
