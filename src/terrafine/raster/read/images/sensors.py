"""The table of sensors: how the numbers of optical products become reflectance.

Sentinel-2: reflectance × 10,000; since processing baseline 04.00 (25 January 2022) 1,000 is added to the number.
Landsat 8 and 9: level 1, 2e-5 · DN - 0.1 (top of the atmosphere, not corrected for the sun's elevation); level 2,
2.75e-5 · DN - 0.2 (surface). In all of them 0 means no data.

References
----------
https://sentiwiki.copernicus.eu/web/s2-processing
https://www.usgs.gov/landsat-missions/using-usgs-landsat-level-1-data-product
https://www.usgs.gov/faqs/how-do-i-use-a-scale-factor-landsat-level-2-science-products
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BAND_NAMES", "COLOURS", "SENSORS", "SENSORS_10M", "Sensor"]

COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class Sensor:
    """How the numbers of a product become reflectance: factor · number + offset.

    Attributes
    ----------
    name
        The value of `sensor=`.
    factor, offset
        As in the formula.
    what
        A short description.
    fill
        Number that means no data, or None.
    at_10m
        Whether models for 10 m images read it.
    detected
        Whether an image may be recognised by its numbers; False for a sensor whose numbers are like another's, which
        is read only where it is stated.
    """

    name: str
    factor: float
    offset: float
    what: str
    fill: float | None = 0.0
    at_10m: bool = False
    detected: bool = True


_SENTINEL2 = "Sentinel-2 L1C or L2A before baseline 04.00, or harmonised: reflectance × 10,000"
_SENTINEL2_OFFSET = "Sentinel-2 L1C or L2A from baseline 04.00: reflectance × 10,000 + 1,000"
_ALL = (
    Sensor("sentinel2", 1e-4, 0.0, _SENTINEL2, at_10m=True),
    Sensor("sentinel2-offset", 1e-4, -0.1, _SENTINEL2_OFFSET, at_10m=True),
    Sensor("landsat-l1", 2e-5, -0.1, "Landsat 8 or 9 level 1 digital numbers"),
    Sensor("landsat-l2", 2.75e-5, -0.2, "Landsat 8 or 9 level 2 surface reflectance, scaled"),
    Sensor("reflectance", 1.0, 0.0, "reflectance, 0 to 1", None, at_10m=True),
)
SENSORS: dict[str, Sensor] = {s.name: s for s in _ALL}
SENSORS_10M: tuple[str, ...] = tuple(s.name for s in _ALL if s.at_10m)

# Names that products and programs give to bands; spaces, hyphens, underscores and what follows a comma or a bracket do
# not count: "B4, central wavelength 665 nm" is b4.
BAND_NAMES: dict[str, tuple[str, ...]] = {
    "red": ("b4", "b04", "sr_b4"),
    "green": ("b3", "b03", "sr_b3"),
    "blue": ("b2", "b02", "sr_b2"),
    "nir": ("b8", "b08", "near_infrared", "near_ir"),  # numbers are Sentinel-2's
}
