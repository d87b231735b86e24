"""Nodata values at the limits of types, undeclared ones, scales and offsets, and cells that no ground has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from tests.support.attacks.model import Array, Attack, Z, put, sharpened

KIND = "nodata"
HOLE = np.s_[3:6, 4:9]
BIG = 1.7976931348623157e308
DECLARED: tuple[tuple[str, float], ...] = (
    ("int16", 32767), ("int16", -32767), ("int16", -32768), ("int16", 0), ("int16", -1), ("int32", -2147483648),
    ("int32", 2147483647), ("int32", -9999), ("uint16", 0), ("uint16", 65535), ("uint16", 9999), ("uint32", 4294967295),
    ("uint32", 0), ("int64", -9223372036854775808), ("int64", -9999), ("uint64", 0), ("uint8", 0), ("uint8", 255),
    ("float32", -3.4028234663852886e38), ("float32", 3.4028234663852886e38), ("float32", -3.4e38), ("float32", 1e20),
    ("float32", -99999), ("float64", -BIG), ("float64", BIG), ("float64", -9999.9), ("float64", 1e-300), ("float32", 0),
    ("float32", math.inf), ("float32", -math.inf), ("float64", math.nan),
)  # fmt: skip
UNDECLARED: tuple[tuple[str, float], ...] = (
    ("int16", -9999), ("int16", -32767), ("float32", -3.4e38), ("float32", 1e20), ("float32", -99999),
    ("float32", math.inf), ("float32", -math.inf), ("int32", -2147483648), ("uint16", 65535), ("float32", -9999),
    ("float64", -BIG), ("float64", 1e6), ("int32", 9999999),
)  # fmt: skip
SCALES = ((0.1, 0.0), (0.01, -100.0), (-1.0, 0.0), (2.0, 500.0), (1.0, 1e6), (1e-3, 0.0))
WRONG_SCALES = (
    (1e300, 0.0), (1e-300, 0.0), (1.0, 1e300), (1e-13, 0.0), (0.0, 0.0), (math.nan, 0.0), (math.inf, 0.0),
    (1.0, math.nan), (1.0, -math.inf),
)  # fmt: skip


def holed(value: float, dtype: str) -> tuple[Array, Array]:
    """Whole heights with a hole of that value, and the truth."""
    truth = np.round(Z / 5 if dtype == "uint8" else Z)
    stored = truth.astype(dtype)
    stored[HOLE] = np.array(value).astype(dtype)
    truth[HOLE] = np.nan
    return stored, truth


def _declared(folder: Path, dtype: str, value: float) -> str:
    stored, truth = holed(value, dtype)
    return sharpened(put(folder / "a.tif", stored, dtype=dtype, nodata=value), truth=truth)


def _undeclared(folder: Path, dtype: str, value: float, *options: object) -> str:
    stored, truth = holed(value, dtype)
    return sharpened(put(folder / "a.tif", stored, dtype=dtype), *options, truth=truth)


def _scaled(folder: Path, scale: float, offset: float, usable: bool) -> str:
    """Numbers that are the heights once scale and offset are applied; heights as they are where those cannot be."""
    stored = (Z - offset) / scale if usable else Z
    path = put(folder / "a.tif", stored, dtype="float64")
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (scale,), (offset,)
    return sharpened(path)


def attacks() -> Iterator[Attack]:
    """All inputs of this kind."""
    for dtype, value in DECLARED:
        yield Attack(KIND, f"{dtype} {value}, declared", partial(_declared, dtype=dtype, value=value))
    for dtype, value in UNDECLARED:
        run = partial(_undeclared, dtype=dtype, value=value)
        yield Attack(KIND, f"{dtype} {value}, not declared", run, "refused")
        told = partial(lambda d, t, v: _undeclared(d, t, v, "--nodata", repr(v)), t=dtype, v=value)
        yield Attack(KIND, f"{dtype} {value}, stated with --nodata", told)
    empty = partial(lambda d: sharpened(put(d / "a.tif", np.full(Z.shape, -9999.0), nodata=-9999)))
    yield Attack(KIND, "nothing but nodata", empty, "refused")
    for scale, offset in SCALES:
        yield Attack(
            "scale and offset", f"{scale:g}, {offset:g}", partial(_scaled, scale=scale, offset=offset, usable=True)
        )
    for scale, offset in WRONG_SCALES:
        run = partial(_scaled, scale=scale, offset=offset, usable=False)
        ignored = (offset == 0 and scale in (0.0,)) or math.isnan(scale) or math.isnan(offset)
        yield Attack("scale and offset", f"{scale:g}, {offset:g}", run, "either" if ignored else "refused")
    yield from _cells()


def _cells() -> Iterator[Attack]:
    kind = "cell size and transform"
    for cell in (1e-300, 1e-12, 1e-7, 1e7, 1e300):
        run = partial(lambda d, c: sharpened(put(d / "a.tif", cell=c)), c=cell)
        yield Attack(kind, f"cells of {cell:g} m", run, "either")
    for cell in (0.5, 90.0, 5e4):
        yield Attack(kind, f"cells of {cell:g} m", partial(lambda d, c: sharpened(put(d / "a.tif", cell=c)), c=cell))
    transforms: dict[str, tuple[float, ...]] = {
        "south up": (30, 0, 500_000, 0, 30, 5_000_000),
        "mirrored": (-30, 0, 500_000, 0, -30, 5_000_000),
        "rotated": (26, 15, 500_000, 15, -26, 5_000_000),
        "sheared": (30, 10, 500_000, 0, -30, 5_000_000),
        "singular": (30, 30, 500_000, 30, 30, 5_000_000),
        "far away": (30, 0, 5e20, 0, -30, 5e20),
    }
    for name, terms in transforms.items():
        yield Attack(kind, name, partial(_placed, terms=terms), "either")


def _placed(folder: Path, terms: tuple[float, ...]) -> str:
    """Heights under a transform; the output's is that transform, halved, and with its rows from the north."""
    from affine import Affine

    own = Affine(*terms)
    south_up = terms[4] > 0 and terms[1] == terms[3] == 0
    fault = sharpened(put(folder / "a.tif", transform=own), truth=Z[::-1] if south_up else Z)
    own = own * Affine.translation(0, Z.shape[0]) * Affine.scale(1, -1) if south_up else own
    with rasterio.open(folder / "o.tif") as file:
        same: Any = file.transform.almost_equals(own * Affine.scale(0.5), 1e-6)
    return fault or ("" if same else f"the output has the transform {file.transform}")
