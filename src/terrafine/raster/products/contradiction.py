"""What speaks against a raster being a product as it is distributed, although its name or its tags state it."""

from __future__ import annotations

import numpy as np

from terrafine.raster.products.estimate import sample_windows
from terrafine.raster.products.model import Product
from terrafine.raster.products.noise import rounding_step
from terrafine.raster.protocol import RasterSource

__all__ = ["contradiction"]


def contradiction(source: RasterSource, product: Product) -> str:
    """A note where the grid is projected and the product's is not, or where heights are not in its steps; or empty.

    Parameters
    ----------
    source
        An open DEM, of which at most 30 windows are read.
    product
        The product that was recognised.
    """
    found = []
    crs = source.geobox.crs
    if crs is not None and crs.projected and product.posting_unit == "arcsec" and product.posting is not None:
        found.append(f"its grid is projected, and that of {product.label} is geographic")
    if product.sensor.rounding_m >= 1.0 and not _in_steps(source, product.sensor.rounding_m):
        found.append(f"its heights are not in whole metres, and those of {product.label} are")
    if not found:
        return ""
    return (
        f"{'; '.join(found)}: it was resampled, filtered or converted, which the sensor model of the product does not "
        'describe. Use the original file, or a product file made for this one: product="FILE"'
    )


def _in_steps(source: RasterSource, step: float) -> bool:
    windows = [window for window in sample_windows(source) if float(np.ptp(window)) > 0.0]
    return not windows or any(rounding_step(window) >= step for window in windows[:3])
