"""Elevation products: a registry with the sensor model of each, and which of them a raster is.

Names are imported on first use, so that networks that only take a `SensorModel` load no raster library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrafine.raster.products.estimate import Estimate, default_sensor, estimate_sensor, sample_windows
    from terrafine.raster.products.file import product_text, read_product
    from terrafine.raster.products.model import Product, SensorModel, SensorUncertainty
    from terrafine.raster.products.registry import (
        BLOCK_MEAN,
        PRODUCTS,
        find_product,
        identify_product,
        product_datum,
    )
    from terrafine.raster.products.resolve import Resolved, resolve_product

__all__ = [
    "BLOCK_MEAN",
    "PRODUCTS",
    "Estimate",
    "Product",
    "Resolved",
    "SensorModel",
    "SensorUncertainty",
    "default_sensor",
    "estimate_sensor",
    "find_product",
    "identify_product",
    "product_datum",
    "product_text",
    "read_product",
    "resolve_product",
    "sample_windows",
]

_HOMES = {
    "estimate": ("Estimate", "default_sensor", "estimate_sensor", "sample_windows"),
    "file": ("product_text", "read_product"),
    "model": ("Product", "SensorModel", "SensorUncertainty"),
    "registry": ("BLOCK_MEAN", "PRODUCTS", "find_product", "identify_product", "product_datum"),
    "resolve": ("Resolved", "resolve_product"),
}


def __getattr__(name: str) -> Any:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
