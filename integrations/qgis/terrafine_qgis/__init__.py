"""Terrafine in QGIS: Processing algorithms that call an installed `terrafine` as a program of its own."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:  # noqa: N802  (the name that QGIS calls)
    """The plugin; QGIS calls this."""
    from .plugin import TerrafinePlugin

    return TerrafinePlugin(iface)
