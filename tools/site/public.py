"""The reference of the Python interface: every public name, and the parts of the package that users build on."""

from __future__ import annotations

import terrafine

MODULES = {
    "Physics": (
        "terrafine.physics.terrain",
        "terrafine.physics.gradient",
        "terrafine.physics.flow",
        "terrafine.physics.sensor_model",
        "terrafine.physics.consistency",
        "terrafine.physics.radar",
        "terrafine.physics.backscatter",
    ),
    "Errors": ("terrafine.errors",),
}
HEAD = """# Python

Every command is a function of `terrafine`, with the same words for its options; [the guide](../guides/python.md) shows
their use. The sections below are the docstrings of the code.
"""


def reference() -> str:
    """The page, in Markdown, with a directive of mkdocstrings for each name."""
    names = [n for n in terrafine.__all__ if n != "__version__"]
    functions = [n for n in names if n[0].islower()]
    types = [n for n in names if n[0].isupper() and n != "TerrafineError"]
    parts = [HEAD, "## Functions\n", *map(_public, functions), "## Options and results\n", *map(_public, types)]
    for title, modules in MODULES.items():
        parts += [f"## {title}\n", *(f"::: {m}\n    options:\n      heading_level: 3\n" for m in modules)]
    return "\n".join(parts)


def _public(name: str) -> str:
    home = terrafine._HOME[name]
    return f"::: {home}.{name}\n    options:\n      heading_level: 3\n      show_root_full_path: false\n"
