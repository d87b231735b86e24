"""Samples in the HDF5 layout of the public PIMSR data: fine and coarse heights, backscatter and incidence by patch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.errors import DataError, MissingExtraError, RecipeError, SourceError
from terrafine.physics.radar import ORBITS, look_azimuth
from terrafine.raster.bands import band

__all__ = ["KEYS", "SUFFIXES", "Samples", "read_samples"]

F32 = NDArray[np.float32]
SUFFIXES = (".h5", ".hdf5")
KEYS = ("hr_dem_raw", "lr_dem_raw", "vv_sar_raw", "vh_sar_raw", "inc_angle_map")
_FINE_M = 30.0  # of the public data, 120 -> 30 m; not stated in the layout
_LATITUDE = 45.0  # of the look direction; not stated in the layout, and the look varies by 9° between 0° and 60°
_LOWEST_DB, _TYPICAL_DB, _HIGHEST_DB = -50.0, -3.0, 25.0
_STEEPEST, _SHALLOWEST = 10.0, 60.0


@dataclass(frozen=True, slots=True)
class Samples:
    """Patches without coordinates, so that neighbours on the ground are not known.

    Attributes
    ----------
    name
        Name of the file, without its suffix.
    fine, coarse
        Heights in metres, (n, k·y, k·x) and (n, y, x).
    vv, vh
        Backscatter in dB, (n, k·y, k·x), NaN where not observed.
    incidence
        Degrees on the ellipsoid, (n, k·y, k·x).
    azimuth
        Direction from the ground to the sensor, degrees from north.
    unit
        Unit in which backscatter was stored, `dB` or `linear`.
    pixel_size_m
        Size of a fine cell.
    """

    name: str
    fine: F32
    coarse: F32
    vv: F32
    vh: F32
    incidence: F32
    azimuth: float
    unit: str
    pixel_size_m: float = _FINE_M

    def __len__(self) -> int:
        return len(self.fine)

    @property
    def scale(self) -> int:
        """Fine cells along a coarse one."""
        return int(self.fine.shape[-1] // self.coarse.shape[-1])

    def guides(self, i: int) -> dict[str, F32]:
        """Return the guides of a sample.

        Parameters
        ----------
        i
            Number of the sample.

        Returns
        -------
        dict[str, ndarray]
            vv, vh, look_east and look_north -> (2, y, x): value, and 1 where observed, else both 0.
        """
        theta, alpha = np.radians(self.incidence[i]), np.radians(self.azimuth)
        values = {"vv": self.vv[i], "vh": self.vh[i]}
        values |= {"look_east": np.sin(theta) * np.sin(alpha), "look_north": np.sin(theta) * np.cos(alpha)}
        seen = {name: np.isfinite(v) for name, v in values.items()}
        return {
            name: np.stack([np.where(seen[name], v, 0.0), seen[name]]).astype(np.float32) for name, v in values.items()
        }


def read_samples(path: Path, orbit: str, *, pixel_size_m: float = _FINE_M) -> Samples:
    """Read every sample of a file, whose arrays are (n, y, x) or (n, 1, y, x).

    Backscatter that is never below 0 and mostly below 2 is read as linear power, backscatter mostly below −3 as dB.
    Power of 0 or less counts as not observed.

    Parameters
    ----------
    path
        The HDF5 file.
    orbit
        `ascending` or `descending`, which the layout does not state; the look direction is Sentinel-1's at 45°
        latitude.
    pixel_size_m
        Size of a fine cell in metres, which the layout does not state either.

    Returns
    -------
    Samples
        The samples.

    Raises
    ------
    RecipeError
        For another orbit.
    SourceError
        For a file that is not HDF5.
    DataError
        For missing keys, shapes that do not fit, and values that are not finite or out of range.
    MissingExtraError
        Without h5py.
    """
    if orbit not in ORBITS:
        raise RecipeError(f"{path}: orbit {orbit!r}; name it behind the file, {path.name}#ascending or #descending")
    arrays = dict(_arrays(path))
    hr, lr = (_heights(path, key, arrays[key]) for key in KEYS[:2])
    for key in KEYS[1:]:
        if len(arrays[key]) != len(hr) or (key != "lr_dem_raw" and arrays[key].shape != hr.shape):
            raise DataError(f"{path}: {key} is {arrays[key].shape}, hr_dem_raw {hr.shape}; expected one of each sample")
    k = hr.shape[-1] // lr.shape[-1]
    if k < 2 or hr.shape[1:] != (k * lr.shape[1], k * lr.shape[2]):
        raise DataError(
            f"{path}: hr_dem_raw is {hr.shape} and lr_dem_raw {lr.shape}; expected (n, k·y, k·x) and (n, y, x), not "
            "interpolated"
        )
    units = {name: _unit(path, f"{name}_sar_raw", arrays[f"{name}_sar_raw"]) for name in ("vv", "vh")}
    if len(set(units.values())) > 1:
        raise DataError(f"{path}: vv_sar_raw is in {units['vv']} and vh_sar_raw in {units['vh']}; store both alike")
    db = {name: _decibels(arrays[f"{name}_sar_raw"], unit) for name, unit in units.items()}
    theta = _incidence(path, arrays["inc_angle_map"])
    azimuth = look_azimuth(orbit, _LATITUDE)
    return Samples(path.stem, hr, lr, db["vv"], db["vh"], theta, azimuth, units["vv"], pixel_size_m)


def _arrays(path: Path) -> Iterator[tuple[str, F32]]:
    try:
        h5py: Any = import_module("h5py")
    except ImportError as e:
        raise MissingExtraError(f"{path}: HDF5 needs an extra: pip install 'terrafine[hdf5]'") from e
    try:
        file = h5py.File(path, "r")
    except OSError as e:
        raise SourceError(f"{path}: cannot be read as HDF5 ({e})") from e
    with file:
        if missing := [key for key in KEYS if key not in file]:
            raise DataError(f"{path}: keys {missing} are missing; found {sorted(file)}, expected {list(KEYS)}")
        for key in KEYS:
            yield key, _stack(path, key, file[key])


def _stack(path: Path, key: str, data: Any) -> F32:
    shape: tuple[int, ...] = getattr(data, "shape", ())
    squeezed = (shape[0], *shape[2:]) if len(shape) == 4 and shape[1] == 1 else shape
    if len(squeezed) != 3 or 0 in squeezed:
        raise DataError(f"{path}: {key} has shape {shape}; expected (n, y, x) or (n, 1, y, x), not empty")
    return np.asarray(data[()], np.float32).reshape(squeezed)


def _heights(path: Path, key: str, values: F32) -> F32:
    _finite(path, key, values)
    low, high = band("elevation").valid
    if values.min() < low or values.max() > high:
        raise DataError(
            f"{path}: {key} holds {values.min():g} to {values.max():g}; expected metres, {low:g} to {high:g}; leave "
            "out samples with fill"
        )
    return values


def _unit(path: Path, key: str, values: F32) -> str:
    _finite(path, key, values)
    low, middle, high = np.quantile(values, (0.01, 0.5, 0.99)).tolist()
    if low >= 0 and middle < 2:
        return "linear"
    if low >= _LOWEST_DB and middle < _TYPICAL_DB and high <= _HIGHEST_DB:
        return "dB"
    raise DataError(
        f"{path}: {key} holds values from {low:.4g} to {high:.4g} (1st to 99th percentile), median {middle:.4g}; "
        "expected linear power (0 and above, mostly below 2) or dB (mostly below −3), neither standardised nor scaled"
    )


def _decibels(values: F32, unit: str) -> F32:
    if unit == "dB":
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        db = 10 * np.log10(values)
    return np.where(values > 0, db, np.nan).astype(np.float32)


def _incidence(path: Path, values: F32) -> F32:
    _finite(path, "inc_angle_map", values)
    low, high = np.quantile(values, (0.01, 0.99)).tolist()
    if not (low >= _STEEPEST and high <= _SHALLOWEST):
        raise DataError(
            f"{path}: inc_angle_map holds {low:.4g} to {high:.4g} (1st to 99th percentile); expected the angle on the "
            f"ellipsoid, degrees from {_STEEPEST:g} to {_SHALLOWEST:g}, neither radians nor local"
        )
    return values


def _finite(path: Path, key: str, values: F32) -> None:
    bad = np.logical_not(np.isfinite(values).reshape(len(values), -1).min(axis=1))
    if bad.any():
        raise DataError(
            f"{path}: {key} is not finite in {int(bad.sum())} of {len(bad)} samples, first in sample "
            f"{int(np.argmax(bad))}; leave those samples out"
        )
