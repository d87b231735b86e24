"""Arrays of xarray and numpy: units, packing, coordinates, CRSs, shapes and types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS

import terrafine
from tests.support.attacks.model import Array, Attack, Expected, Z, compared
from tests.support.cases import FOOT, SURVEY_FOOT

KIND = "DataArray"
SIDE = Z.shape[0]
TOP = Z.max() == Z
HOLED = np.where(TOP, np.nan, Z)
STEPS = np.arange(SIDE)
Y, X = 5e6 - 15 - 30 * STEPS, 5e5 + 15 + 30 * STEPS
FEET: dict[str, Any] = {"crs": "EPSG:2272", "y": 25e4 - 50 * STEPS, "x": 27e5 + 50 * STEPS}
DEGREES: dict[str, Any] = {"crs": "EPSG:4326", "y": 50 - 3e-4 * STEPS, "x": 10 + 3e-4 * STEPS}
BOUND: dict[str, Any] = {
    "crs": "+proj=tmerc +lon_0=12 +x_0=4500000 +ellps=bessel +towgs84=582,105,414 +units=m",
    "y": 53e5 - 30 * STEPS,
    "x": 45e5 + 30 * STEPS,
}


def array(
    values: Array = Z,
    crs: str | None = "EPSG:32633",
    y: Any = Y,
    x: Any = X,
    dims: tuple[str, str] = ("y", "x"),
    **attrs: Any,
) -> Any:
    """A DataArray with a CRS through rioxarray."""
    import rioxarray  # noqa: F401

    kept = values.astype(np.float32) if values.dtype == np.float64 else values
    made = xr.DataArray(kept, dims=dims, coords={dims[0]: y, dims[1]: x}, attrs=attrs)
    return made if crs is None else made.rio.write_crs(crs)


def _run(folder: Path, make: Callable[[], Any], truth: Array | None, options: dict[str, Any]) -> str:
    del folder
    out = terrafine.sharpen_dem(make(), scale=2, model="nearest", **options)
    attrs = dict(getattr(out, "attrs", {}))
    if packed := {"scale_factor", "add_offset", "_FillValue"} & set(attrs):
        return f"the result has the attributes {sorted(packed)}"
    if hasattr(out, "attrs") and attrs.get("units") != "m":
        return f"the result has units {attrs.get('units')!r}"
    found = np.asarray(out, dtype=np.float64)
    return "" if truth is None else compared(found[0] if found.ndim == 3 else found, truth)


def attack(
    name: str,
    make: Callable[[], Any],
    truth: Array | None = Z,
    expected: Expected = "right",
    kind: str = KIND,
    **options: Any,
) -> Attack:
    """An array, and its truth."""
    return Attack(kind, name, partial(_run, make=make, truth=truth, options=options), expected)


def _encoded() -> Any:
    made = array()
    made.encoding.update(scale_factor=0.1)
    return made


def attacks() -> Iterator[Attack]:
    """All inputs of this kind."""
    yield attack("plain", array)
    units = {
        "ft": FOOT, "feet": FOOT, "US survey foot": SURVEY_FOOT, "m": 1.0, "metres": 1.0, "cm": 0.01, "km": 1000.0,
    }  # fmt: skip
    for unit, factor in units.items():
        yield attack(f"units {unit}", lambda u=unit, f=factor: array(Z / f, units=u))
    for strange in ("furlong", "K", "degC", 5):
        yield attack(f"units {strange!r}", lambda u=strange: array(units=u), expected="refused")
    for empty in ("unknown", "", None):
        yield attack(f"units {empty!r}", lambda u=empty: array(units=u), expected="either")
    yield from _coordinates()
    yield from _shapes()
    yield from _values()
    yield from _numpy()


def _coordinates() -> Iterator[Attack]:
    refused: dict[str, Callable[[], Any]] = {
        "x uneven": lambda: array(x=np.r_[X[:-1], X[-1] + 60]),
        "y uneven": lambda: array(y=np.r_[Y[:-1], Y[-1] - 60]),
        "y slightly uneven": lambda: array(y=Y + 4 * np.sin(STEPS)),
        "y of NaN": lambda: array(y=np.r_[Y[:-1], np.nan]),
        "y repeated": lambda: array(y=np.full(SIDE, 5e6)),
        "x of text": lambda: array(x=[str(i) for i in range(SIDE)]),
        "y of dates": lambda: array(y=STEPS.astype("datetime64[D]")),
        "without coordinates": lambda: xr.DataArray(Z.astype(np.float32), dims=("y", "x")),
        "without CRS": lambda: array(crs=None),
        "dimensions a and b": lambda: array(dims=("a", "b")),
        "geocentric CRS": lambda: array(crs="EPSG:4978"),
        "vertical CRS": lambda: array(crs="EPSG:5773"),
        "CRS in feet, unit not stated": lambda: array(Z / FOOT, **FEET),
    }
    for name, make in refused.items():
        yield attack(name, make, expected="either" if name == "dimensions a and b" else "refused")
    yield attack("y ascending", lambda: array(Z[::-1], y=Y[::-1]), expected="either", truth=None)
    yield attack("x descending", lambda: array(Z[:, ::-1], x=X[::-1]), expected="either", truth=None)
    for dims in (("lat", "lon"), ("latitude", "longitude")):
        yield attack(f"dimensions {dims[0]} and {dims[1]}", lambda d=dims: array(dims=d, **DEGREES))
    yield attack("compound CRS", lambda: array(crs="EPSG:32633+5773"))
    yield attack("3D CRS", lambda: array(crs=CRS("EPSG:32633").to_3d().to_wkt()))
    yield attack("bound CRS", lambda: array(**BOUND))
    yield attack("CRS in feet, elevation_unit", lambda: array(Z / FOOT, **FEET), elevation_unit="ft")
    yield attack("CRS in feet, units m", lambda: array(units="m", **FEET))
    yield attack("without CRS, assume_crs", lambda: array(crs=None), assume_crs="EPSG:32633")


def _shapes() -> Iterator[Attack]:
    made: dict[str, tuple[Callable[[], Any], Expected]] = {
        "band of one": (lambda: array().expand_dims("band"), "either"),
        "two bands": (lambda: xr.concat([array(), array()], "band"), "refused"),
        "three times": (lambda: xr.concat([array()] * 3, "time"), "refused"),
        "one dimension": (lambda: array().isel(y=0), "refused"),
        "no rows": (lambda: array().isel(y=slice(0, 0)), "refused"),
        "Dataset of one": (lambda: array().to_dataset(name="z"), "either"),
        "empty Dataset": (xr.Dataset, "refused"),
        "Dataset of two": (lambda: xr.Dataset({"a": array(), "b": array()}), "refused"),
        "one of the cells": (lambda: array().isel(y=slice(0, 1), x=slice(0, 1)), "refused"),
        "backed by Dask": (lambda: array().chunk({"y": 8}), "right"),
        "a list": (lambda: [1, 2, 3], "refused"),
        "a dict": (dict, "refused"),
        "None": (lambda: None, "refused"),
    }
    for name, (make, expected) in made.items():
        yield attack(name, make, expected=expected)
    yield attack("transposed", lambda: array().T, expected="either", truth=None)


def _values() -> Iterator[Attack]:
    single = Z.astype(np.float32)
    yield attack("_FillValue", lambda: array(np.where(TOP, -9999, Z), _FillValue=-9999.0), HOLED)
    yield attack("missing_value", lambda: array(np.where(TOP, -9999, Z), missing_value=-9999.0), HOLED, "either")
    yield attack("nodata of rioxarray", lambda: array(np.where(TOP, -9999, Z)).rio.write_nodata(-9999), HOLED)
    yield attack("nodata not stated", lambda: array(np.where(TOP, -32768, Z)), HOLED, "refused")
    yield attack("scale_factor", lambda: array(Z * 10, scale_factor=0.1, add_offset=0.0), expected="either")
    yield attack("add_offset", lambda: array(Z - 400, scale_factor=1.0, add_offset=400.0), expected="either")
    yield attack("scale_factor in the encoding", _encoded)
    yield attack("scale_factor of text", lambda: array(Z * 10, scale_factor="0.1"), expected="either")
    yield attack("scale_factor of NaN", lambda: array(scale_factor=np.nan), expected="either")
    yield attack("int16", lambda: array(single.astype("int16")), np.trunc(single))
    yield attack("uint8", lambda: array((single / 5).astype("uint8")), np.trunc(single / 5))
    yield attack("float64", lambda: array().astype("float64"))
    yield attack("float16", lambda: array().astype("float16"), Z.astype(np.float16).astype(float), "either")
    for name, make in (
        ("text", lambda: array().astype(str)),
        ("truth values", lambda: array() > 0),
        ("complex", lambda: array().astype(complex)),
        ("dates", lambda: array().astype("int64").astype("datetime64[s]")),
        ("only NaN", lambda: array() * np.nan),
        ("infinite", lambda: array().where(~TOP, np.inf)),
        ("feet times ten", lambda: array(Z * 40)),
    ):
        yield attack(name, make, expected="refused")


def _numpy() -> Iterator[Attack]:
    kind = "numpy array"
    masked = partial(attack, kind=kind, pixel_size_m=30.0)
    yield masked("plain", lambda: Z)
    yield masked("masked", lambda: np.ma.masked_greater(Z, Z.max() - 1e-9), HOLED)
    yield masked("NaN", lambda: HOLED, HOLED)
    yield masked("integers", lambda: np.round(Z).astype("int16"), np.round(Z))
    bad: dict[str, Array] = {
        "objects": np.zeros((3, 3), object), "three dimensions": np.zeros((2, 2, 2)), "no rows": np.zeros((0, 4)),
        "a scalar": np.array(5.0), "truth values": np.zeros((4, 4), bool), "dates": np.zeros((4, 4), "M8[D]"),
        "1e9 m": np.full((4, 4), 1e9), "complex": np.zeros((4, 4), complex), "infinite": np.full((4, 4), np.inf),
        "text": np.full((4, 4), "x"), "only NaN": np.full((4, 4), np.nan), "-20,000 m": np.full((4, 4), -2e4),
        "-9999 m beside heights": np.where(TOP, -32768.0, Z), "empty": np.zeros((0, 0)),
    }  # fmt: skip
    for name, values in bad.items():
        yield masked(name, lambda v=values: v, expected="refused")
    sizes: tuple[Any, ...] = (0, -30, np.nan, np.inf, 1e-300, "30", (30, 30, 30), (30, -30), None, True, [])
    for size in sizes:
        yield attack(f"pixel_size_m {size!r}", lambda: Z, expected="refused", kind=kind, pixel_size_m=size)
    for size in (30, 30.0, (30, 20), np.float32(30), np.full((2, SIDE), 30.0)):
        name = f"pixel_size_m {size!r}" if np.size(size) < 3 else "pixel_size_m by row"
        yield attack(name, lambda: Z, kind=kind, pixel_size_m=size)
