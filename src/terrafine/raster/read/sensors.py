"""What the numbers of optical products mean: the one table of sensors.

Sentinel-2: reflectance × 10,000; since processing baseline 04.00 (25 January 2022) 1,000 is added to the number.
https://sentiwiki.copernicus.eu/web/s2-processing. Landsat 8 and 9: level 1, 2e-5 · DN - 0.1 (top of the atmosphere, the
sun's height left in), level 2, 2.75e-5 · DN - 0.2 (surface). https://www.usgs.gov/landsat-missions/using-usgs-landsat-level-1-data-product,
https://www.usgs.gov/faqs/how-do-i-use-a-scale-factor-landsat-level-2-science-products. In all of them 0 means no data.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BAND_NAMES", "COLOURS", "SENSORS", "Sensor"]

COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class Sensor:
    """How a product's numbers become reflectance: factor · number + offset; `fill` means no data."""

    name: str
    factor: float
    offset: float
    what: str
    fill: float | None = 0.0


_ALL = (
    Sensor("sentinel2", 1e-4, 0.0, "Sentinel-2 L1C or L2A before baseline 04.00, or harmonised: reflectance × 10,000"),
    Sensor("sentinel2-offset", 1e-4, -0.1, "Sentinel-2 L1C or L2A from baseline 04.00: reflectance × 10,000 + 1,000"),
    Sensor("landsat-l1", 2e-5, -0.1, "Landsat 8 or 9 level 1 digital numbers"),
    Sensor("landsat-l2", 2.75e-5, -0.2, "Landsat 8 or 9 level 2 surface reflectance, scaled"),
    Sensor("reflectance", 1.0, 0.0, "reflectance, 0 to 1", None),
)
SENSORS: dict[str, Sensor] = {s.name: s for s in _ALL}

BAND_NAMES: dict[str, tuple[str, ...]] = {
    "red": ("b4", "b04", "sr_b4"),
    "green": ("b3", "b03", "sr_b3"),
    "blue": ("b2", "b02", "sr_b2"),
    "nir": ("b8", "b08"),  # Sentinel-2's
}
