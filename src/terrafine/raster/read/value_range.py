"""Check that values read from a file are inside the valid range of their band."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import BandError
from terrafine.raster.bands import band as band_of
from terrafine.raster.read.file import HEIGHTS, RasterFile

__all__ = ["check_range"]


def check_range(file: RasterFile, band: str, values: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Check that the values of a window are inside the valid range of their band.

    Parameters
    ----------
    file
        The file that they were read from.
    band
        Name of the band.
    values, valid
        The window (y, x) as `RasterFile.read` returns it.

    Raises
    ------
    BandError
        If a value is outside the range or infinite, or is -9999 m where no nodata value is declared.
    """
    low, high = band_of(band).valid
    found_low, found_high = float(values.min()), float(values.max())  # invalid cells hold 0, which every range admits
    fact = file.facts[band]
    if found_low < low or found_high > high:
        _out_of_range(file, band, values[valid])
    # The most common undeclared nodata value: inside the range of bathymetry, but no depth is exactly that.
    if found_low <= -9999.0 and fact.nodata is None and band == "elevation" and bool((values == -9999.0).any()):
        raise BandError(
            f"{file.path}: band {fact.index} (elevation) holds exactly -9999 and declares no nodata value; expected it "
            "declared: gdal_edit -a_nodata -9999, or nodata=-9999"
        )


def _out_of_range(file: RasterFile, band: str, values: NDArray[np.float32]) -> None:
    """Raise BandError for valid values of which some are outside the band's range."""
    low, high = band_of(band).valid
    fact = file.facts[band]
    scaled = fact.scale != 1.0 or fact.offset != 0.0
    how = f", its scale {fact.scale:g} and offset {fact.offset:g} applied" if scaled else ""
    height = band.startswith(HEIGHTS)
    if np.isinf(values).any():
        raise BandError(
            f"{file.path}: band {fact.index} ({band}) holds {int(np.isinf(values).sum())} infinite values in a window "
            f"of it{how}, for example from a division by zero or an overflow; expected finite ones. If they mean "
            "nodata, declare them with nodata=inf"
        )
    unit = file.unit if height and file.unit not in ("", "m") else band_of(band).unit
    factor = file.factor if height else 1.0
    raise BandError(
        f"{file.path}: band {fact.index} ({band}) holds values from {values.min() / factor:.9g} to "
        f"{values.max() / factor:.9g} {unit}{how}; expected {low / factor:.6g} to {high / factor:.6g}. If such values "
        "mean nodata, declare them with nodata=VALUE"
        + ("; if the unit is another, state it with elevation_unit=UNIT" if height else "")
    )
