"""Terrafine turns free, coarse satellite data into fine maps of the Earth.

Public names are imported on first use, so `import terrafine` loads neither torch nor rasterio.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrafine.errors import TerrafineError as TerrafineError
    from terrafine.workflows.dem import sharpen_dem as sharpen_dem
    from terrafine.workflows.height import estimate_height as estimate_height
    from terrafine.workflows.image import sharpen_image as sharpen_image
    from terrafine.workflows.impervious import map_impervious as map_impervious

__version__ = "0.1.0"

_HOME = {
    "estimate_height": "terrafine.workflows.height",
    "map_impervious": "terrafine.workflows.impervious",
    "sharpen_dem": "terrafine.workflows.dem",
    "sharpen_image": "terrafine.workflows.image",
    "TerrafineError": "terrafine.errors",
}

__all__ = ["TerrafineError", "__version__", "estimate_height", "map_impervious", "sharpen_dem", "sharpen_image"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'terrafine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
