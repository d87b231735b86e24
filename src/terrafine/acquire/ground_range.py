"""Sentinel-1 ground range products (GRD) in SAFE format, brought onto a map grid with sarsen and xarray-sentinel."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import MissingExtraError, SourceError

__all__ = ["GroundRange", "open_ground_range", "require_sarsen"]

F64 = NDArray[np.float64]
_MARGIN = 3  # lines and pixels around those that are interpolated
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError, SyntaxError, RuntimeError)
"""What the readers raise for XML that is broken or lacks something; that of ElementTree is a SyntaxError."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Products have no georeference but their own geometry, which rasterio warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class GroundRange:
    """One product; made by `open_ground_range`.

    Attributes
    ----------
    path
        The SAFE folder.
    name
        Its name without `.SAFE`.
    orbit
        `ascending` or `descending`.
    relative_orbit
        Number of the track.
    day
        Date of acquisition, UTC.
    polarisations
        Lower case, such as `vv` and `vh`.
    """

    def __init__(self, path: Path, products: dict[str, Any]) -> None:
        self._products = products
        self._images = {name: product.measurement.data_vars["measurement"] for name, product in products.items()}
        attrs = next(iter(self._images.values())).attrs
        self.path, self.name = path, path.name.removesuffix(".SAFE")
        self.orbit = str(attrs["pass"]).lower()
        self.relative_orbit = int(attrs["relative_orbit_number"])
        self.day = dt.datetime.fromisoformat(str(attrs["start_time"])[:19]).date()
        self.polarisations = tuple(products)

    def _sigma0(self, name: str, times: Any, ranges: Any) -> Any:
        """The part of an image around points as sigma0, linear power, without the numbers 0 of its border; or None."""
        import xarray_sentinel

        image, window = self._images[name], {}
        for dim, points in (("azimuth_time", times.values), ("ground_range", ranges.values)):
            known, axis = points[~np.isnan(points)], image[dim].values
            if not known.size:
                return None
            first, last = np.searchsorted(axis, [known.min(), known.max()])
            window[dim] = slice(max(0, int(first) - _MARGIN), int(last) + _MARGIN)
            if window[dim].start >= axis.size or int(last) == 0:
                return None
        numbers = image.isel(window).load()
        sigma0 = xarray_sentinel.calibrate_intensity(numbers, self._products[name].calibration.sigmaNought)
        return sigma0.where(numbers > 0).drop_vars(["pixel", "line"])

    def observe(self, places: F64, polarisations: tuple[str, ...]) -> tuple[F64, F64]:
        """Backscatter and incidence of points on the ground.

        Parameters
        ----------
        places
            Earth-centred coordinates in metres, (3, y, x); NaN where there is no ground.
        polarisations
            Which; all of them are `polarisations` of the product.

        Returns
        -------
        power : ndarray of float64, (polarisation, y, x)
            sigma0 as linear power, interpolated bilinearly in the image; NaN outside it and where it holds no data.
        incidence : ndarray of float64, (y, x)
            Degrees on the ellipsoid, from the product's geolocation grid.

        References
        ----------
        Guide to Sentinel-1 Geocoding, UZH-S1-GC-AD 1.10 (2019), as implemented by sarsen.
        """
        import sarsen.apps
        import xarray as xr
        from sarsen.orbit import OrbitPolyfitInterpolator

        known = np.isfinite(places).all(axis=0)
        shape = (len(polarisations), *known.shape)
        if not known.any():
            return np.full(shape, np.nan), np.full(known.shape, np.nan)
        some = places[:, known][:, :1, None]
        ground = xr.DataArray(np.where(known, places, some), dims=("axis", "y", "x"), coords={"axis": [0, 1, 2]})
        power = np.full(shape, np.nan)
        with _quiet():
            first = self._products[polarisations[0]]
            orbit = OrbitPolyfitInterpolator.from_position(first.state_vectors())
            seen = sarsen.apps.simulate_acquisition(ground, orbit, ("slant_range_time", "azimuth_time"))
            at = {"azimuth_time": seen.azimuth_time, "slant_range_time": seen.slant_range_time}
            angle = first.gcp.incidenceAngle.interp(at).values
            for number, name in enumerate(polarisations):
                product = self._products[name]
                ground_range = product.slant_range_time_to_ground_range(*at.values())
                image = self._sigma0(name, seen.azimuth_time, ground_range)
                if image is not None:
                    values = image.interp(azimuth_time=seen.azimuth_time, ground_range=ground_range, method="linear")
                    power[number] = values.transpose("y", "x").values
        return np.where(known, power, np.nan), np.where(known, angle, np.nan)


def require_sarsen(what: str) -> None:
    """Raise unless the libraries that geocode Sentinel-1 are installed.

    Parameters
    ----------
    what
        What is to be geocoded, for the message.

    Raises
    ------
    MissingExtraError
        Without the extra `radar`.
    """
    try:
        import sarsen  # noqa: F401
        import xarray_sentinel  # noqa: F401 - the engine that sarsen opens products with
    except ImportError as error:
        raise MissingExtraError(
            f"{what}: geocoding Sentinel-1 needs sarsen ({error}); pip install 'terrafine[radar]'"
        ) from error


def open_ground_range(path: Path, only: tuple[str, ...] = ()) -> GroundRange:
    """Open a Sentinel-1 GRD product.

    Parameters
    ----------
    path
        The SAFE folder.
    only
        Polarisations to open; by default all.

    Returns
    -------
    GroundRange

    Raises
    ------
    SourceError
        If it is none, or of another type.
    MissingExtraError
        Where the extra `radar` is not installed.
    """
    require_sarsen(str(path))
    import sarsen

    if not (path / "manifest.safe").is_file():
        raise SourceError(
            f"{path}: has no manifest.safe; expected the SAFE folder of a Sentinel-1 GRD product. Unpack a .zip first"
        )
    try:
        with _quiet():
            groups = sarsen.Sentinel1SarProduct(str(path)).all_measurement_groups()
            products = {
                group.rpartition("/")[2].lower(): sarsen.Sentinel1SarProduct(str(path), group, measurement_chunks=None)
                for group in sorted(groups)
                if group.count("/") == 1 and (not only or group.rpartition("/")[2].lower() in only)
            }
            kinds = {str(product.product_type) for product in products.values()}
            if kinds == {"GRD"}:
                return GroundRange(path, products)
    except _UNREADABLE as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise SourceError(f"{path}: cannot be read as a Sentinel-1 product ({text}); expected a whole one") from error
    raise SourceError(
        f"{path}: holds {' and '.join(sorted(kinds)) or 'no image'}; expected a ground range product (GRD), in which "
        "the looks are averaged"
    )
