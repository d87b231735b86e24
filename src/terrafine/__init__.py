"""Terrafine turns free, coarse satellite data into fine maps of the Earth.

Public names are imported on first use, so `import terrafine` loads neither torch nor rasterio.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrafine.dem import sharpen_dem as sharpen_dem
    from terrafine.errors import TerrafineError as TerrafineError
    from terrafine.height import estimate_height as estimate_height
    from terrafine.image import sharpen_image as sharpen_image
    from terrafine.impervious_map import map_impervious as map_impervious

__version__ = "0.1.0"

_HOME = {
    "estimate_height": "terrafine.height",
    "map_impervious": "terrafine.impervious_map",
    "sharpen_dem": "terrafine.dem",
    "sharpen_image": "terrafine.image",
    "TerrafineError": "terrafine.errors",
}

__all__ = ["TerrafineError", "__version__", "estimate_height", "map_impervious", "sharpen_dem", "sharpen_image"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'terrafine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
