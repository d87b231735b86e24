"""Public functions and classes have NumPy-style docstrings that describe exactly the parameters of their signature."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import terrafine

# Packages and modules of terrafine whose public names are checked.
CHECKED = (
    "arguments",
    "atomic",
    "cli",
    "datasets",
    "errors",
    "evaluation.bootstrap",
    "evaluation.classes.compare",
    "evaluation.classes.options",
    "evaluation.classes.points",
    "evaluation.classes.record",
    "evaluation.classes.sample",
    "evaluation.classes.verdict",
    "evaluation.elevation.accumulators",
    "evaluation.elevation.blocks",
    "evaluation.elevation.compare",
    "evaluation.elevation.consistency",
    "evaluation.elevation.coregistration",
    "evaluation.elevation.drainage",
    "evaluation.elevation.errors",
    "evaluation.elevation.figures",
    "evaluation.elevation.lines",
    "evaluation.elevation.neighbours",
    "evaluation.elevation.options",
    "evaluation.elevation.record",
    "evaluation.elevation.sources",
    "evaluation.elevation.spectrum",
    "evaluation.elevation.strata",
    "evaluation.elevation.uncertainty",
    "evaluation.elevation.verdict",
    "evaluation.gate",
    "evaluation.hydrology.d8",
    "evaluation.hydrology.flood",
    "evaluation.hydrology.streams",
    "evaluation.images",
    "evaluation.inputs",
    "evaluation.metrics",
    "evaluation.nice",
    "evaluation.overview",
    "evaluation.quantiles",
    "evaluation.report.classes",
    "evaluation.report.document",
    "evaluation.report.elevation",
    "evaluation.report.images",
    "evaluation.report.maps",
    "evaluation.report.payload",
    "evaluation.report.pictures",
    "evaluation.report.plates",
    "evaluation.report.sheet",
    "evaluation.report.tables",
    "evaluation.results",
    "evaluation.sensor_fit",
    "host",
    "inference",
    "nn",
    "physics",
    "raster.read",
    "raster.warp",
    "raster.write",
    "systems",
    "training",
    "workflows",
)
EXEMPT: dict[str, str] = {}  # full name of a function or method -> why it needs no sections

SECTION = re.compile(r"^(\S[A-Za-z ]*)\n-{3,}\n", re.MULTILINE)
UNRETURNED = (None, "None", "NoReturn", "Never", inspect.Signature.empty)


def sections(doc: str) -> dict[str, str]:
    """Text of each section by its title; the text before the first one has the title `""`."""
    parts = SECTION.split(doc + "\n")
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section: str) -> list[str]:
    """Names at the head of the entries of a section: `name`, `a, b` or `name : type`."""
    heads = [line.split(" : ")[0] for line in section.splitlines() if line[:1].strip()]
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def summary_faults(doc: str) -> Iterator[str]:
    """Faults of the first paragraph."""
    summary = doc.split("\n\n", maxsplit=1)[0].strip()
    if not summary:
        yield "no docstring"
    elif "\n" in summary or not summary.endswith(".") or re.search(r"[a-z0-9)`]\. [A-Z`]", summary):
        yield f"the summary is not one sentence on one line: {summary!r}"


def raised_by(function: Callable[..., Any]) -> set[str]:
    """Names of the exceptions that the body of a function raises itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    names = {ast.unparse(call.func).split(".")[-1] for call in calls}
    return {name for name in names if name[0].isupper()} - {"NotImplementedError"}


def function_faults(function: Callable[..., Any], doc: str, *, bound: bool) -> Iterator[str]:
    """Faults of the docstring of a function, or of a method whose first parameter is bound."""
    yield from summary_faults(doc)
    signature = inspect.signature(function)
    parameters = [*signature.parameters][bound:]
    found = sections(doc)
    described = entries(found.get("Parameters", ""))
    if sorted(described) != sorted(parameters):
        yield f"the docstring describes parameters {described}; the signature has {parameters}"
    titles = found.keys() & {"Returns", "Yields"}
    if parameters and not titles and signature.return_annotation not in UNRETURNED:
        yield "no Returns section"
    if not all(re.match(r"\S.*\n    \S", found[title]) for title in titles):
        yield "Returns is not a type with an indented description"
    if missing := raised_by(function).difference(entries(found.get("Raises", ""))):
        yield f"Raises does not list {sorted(missing)}"


def class_faults(cls: type) -> Iterator[str]:
    """Faults of the docstring of a class: its summary, and the fields or constructor parameters it leaves out."""
    doc = inspect.cleandoc(cls.__doc__ or "")
    yield from summary_faults(doc)
    expected: set[str] = set()
    if dataclasses.is_dataclass(cls):
        own = vars(cls).get("__annotations__", {})
        expected = {field.name for field in dataclasses.fields(cls) if field.name in own}
    elif "__init__" in vars(cls) and not getattr(cls, "_is_protocol", False):
        expected = set(inspect.signature(cls).parameters)
    found = sections(doc)
    described = entries(found.get("Parameters", "")) + entries(found.get("Attributes", ""))
    if missing := sorted(name for name in expected.difference(described) if not name.startswith("_")):
        yield f"the docstring does not describe {missing}"


def method_faults(cls: type) -> Iterator[str]:
    """Faults of the public methods and properties that a class defines; inherited docstrings count."""
    fields = {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    for name, member in vars(cls).items():
        if name in fields:  # a default that is a function
            continue
        doc = inspect.getdoc(getattr(cls, name)) or ""
        found: Iterator[str] = iter(())
        if name.startswith("_") or f"{cls.__module__}.{cls.__qualname__}.{name}" in EXEMPT:
            continue
        if isinstance(member, property):
            found = summary_faults(doc)
        elif isinstance(member, staticmethod | classmethod):
            found = function_faults(member.__func__, doc, bound=isinstance(member, classmethod))
        elif inspect.isfunction(member):
            found = function_faults(member, doc, bound=True)
        yield from (f"{name}: {fault}" for fault in found)


def faults(module: ModuleType) -> Iterator[str]:
    """Faults of the public names that a module defines itself."""
    for name in module.__all__:
        member = inspect.unwrap(getattr(module, name)) if callable(getattr(module, name)) else None
        if getattr(member, "__module__", None) != module.__name__ or f"{module.__name__}.{name}" in EXEMPT:
            continue
        if inspect.isclass(member):
            yield from (f"{name}: {fault}" for fault in class_faults(member))
            yield from (f"{name}.{fault}" for fault in method_faults(member))
        elif inspect.isfunction(member):
            yield from (
                f"{name}: {fault}" for fault in function_faults(member, inspect.getdoc(member) or "", bound=False)
            )


def modules(packages: tuple[str, ...] = CHECKED) -> list[str]:
    """Names of the modules of the packages that list public names."""
    within = tuple(f"terrafine.{package}." for package in packages)
    every = (m.name for m in pkgutil.walk_packages(terrafine.__path__, "terrafine."))
    return sorted(name for name in every if f"{name}.".startswith(within) and not name.endswith("__main__"))


@pytest.mark.parametrize("name", modules())
def test_docstrings_match_signatures(name: str) -> None:
    module = importlib.import_module(name)
    assert not hasattr(module, "__all__") or list(faults(module)) == []


def test_every_exemption_names_something() -> None:
    for name in EXEMPT:
        module = max((m for m in modules() if name.startswith(f"{m}.")), key=len)
        assert inspect.isfunction(eval(name[len(module) + 1 :], vars(importlib.import_module(module)))), name


def scaled(values: float, factor: float = 2.0) -> float:
    """Scale values.

    Parameters
    ----------
    values, factor
        Values, and the factor.

    Returns
    -------
    float
        Scaled values.

    Raises
    ------
    ValueError
        For a factor of 0.
    """
    if not factor:
        raise ValueError("factor 0")
    return values * factor


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("", "", None),
        ("Scale values.", "Scale values", "summary"),
        ("Scale values.", "Scale values. Well.", "summary"),
        ("Scale values.", "Scale\nvalues.", "summary"),
        ("values, factor", "values", "parameters"),
        ("values, factor", "values, factor, other", "parameters"),
        ("Returns\n-------\nfloat\n    Scaled values.\n", "", "no Returns"),
        ("float\n    Scaled values.", "Scaled values.", "indented"),
        ("ValueError", "KeyError", "Raises"),
    ],
)
def test_a_wrong_docstring_is_found(old: str, new: str, fault: str | None) -> None:
    doc = (inspect.getdoc(scaled) or "").replace(old, new) if old else inspect.getdoc(scaled) or ""
    found = list(function_faults(scaled, doc, bound=False))
    assert found == [] if fault is None else len(found) == 1 and fault in found[0]


def test_a_field_without_a_description_is_found() -> None:
    @dataclasses.dataclass
    class Point:
        """A point.

        Attributes
        ----------
        x
            Metres.
        """

        x: float
        y: float

    assert list(class_faults(Point)) == ["the docstring does not describe ['y']"]
