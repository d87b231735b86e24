"""Elevation products: a registry with the sensor model of each, and which of them a raster is."""

from terrafine.raster.products.estimate import Estimate, default_sensor, estimate_sensor, sample_windows
from terrafine.raster.products.file import product_text, read_product
from terrafine.raster.products.model import Product, SensorModel, SensorUncertainty
from terrafine.raster.products.registry import BLOCK_MEAN, PRODUCTS, find_product, identify_product, product_datum
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
