"""Saturated, defective and flagged cells of images, bright land, and numbers that no sensor gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from tests.support.attacks.model import Array, Attack, command
from tests.support.rasters import read_band, write_raster

KIND = "cells of images"
SPOT = np.s_[:, 10:12, 10:12]
NAMES = ("red", "green", "blue")


def colours(
    path: Path, side: int = 48, cell: float = 30.0, dtype: str = "uint16", change: Any = None, **more: Any
) -> Path:
    """An image of three bands, reflectance times 10,000; `change` alters its numbers (3, y, x) in place."""
    low, high = more.pop("low", 0.03), more.pop("high", 0.25)
    values = (np.random.default_rng(1).uniform(low, high, (3, side, side)) * 1e4).astype(dtype)
    if change is not None:
        change(values)
    return write_raster(path, values, cell=cell, names=NAMES, **({"nodata": None} | more))


def with_value(value: float, where: Any = SPOT) -> Callable[[Array], None]:
    """A change that puts a value somewhere."""

    def change(values: Array) -> None:
        values[where] = value

    return change


def seen(folder: Path, expected: Array | None, *options: object, **image: Any) -> str:
    """`terrafine height`: exactly the expected cells are nodata; None for any."""
    out = folder / "o.tif"
    command("height", colours(folder / "i.tif", **image), out, *(options or ("--sensor", "sentinel2")))
    missing = np.isnan(read_band(out))
    if expected is None or (missing == expected).all():
        return ""
    return f"{int(missing.sum())} cells of nodata, expected {int(expected.sum())}"


def cells(where: Any, side: int = 48) -> Array:
    """A mask (y, x) of a place of an image."""
    mask = np.zeros((side, side), bool)
    mask[where] = True
    return mask


def attacks() -> Iterator[Attack]:
    """All inputs of this kind."""
    spot = cells(np.s_[10:12, 10:12])
    for dtype, value in (
        ("uint16", 65535), ("int16", 32767), ("float32", 65535), ("uint32", 65535), ("int32", 65535),
        ("float64", 65535), ("float32", np.nan), ("float32", np.inf), ("float32", -np.inf), ("float32", 1e38),
        ("uint16", 0), ("uint32", 4294967295), ("int32", -2147483648),
    ):  # fmt: skip
        run = partial(seen, expected=spot, dtype=dtype, change=with_value(value))
        yield Attack(KIND, f"{dtype} {value} in four cells", run)
    for name, where, mask in (
        ("one band of four cells", np.s_[1, 10:12, 10:12], spot),
        ("half of the image", np.s_[:, :24], cells(np.s_[:24])),
        ("a row at the edge", np.s_[:, 0], cells(np.s_[0])),
        ("a column at the edge", np.s_[:, :, 47], cells(np.s_[:, 47])),
    ):
        yield Attack(KIND, f"65535 in {name}", partial(seen, expected=mask, change=with_value(65535, where)))
    yield Attack(KIND, "65535 stated as nodata", partial(seen, expected=spot, change=with_value(65535), nodata=65535))
    all_red = partial(seen, expected=None, change=with_value(65535, np.s_[0]))
    yield Attack(KIND, "65535 in all of one band", all_red, "refused")
    yield Attack(
        KIND, "reflectance times 10,000 as reflectance", lambda d: seen(d, None, "--sensor", "reflectance"), "refused"
    )
    yield Attack(KIND, "a sensor that is not known", lambda d: seen(d, None, "--sensor", "modis"), "refused")
    for sensor in ("landsat-l1", "landsat-l2"):
        yield Attack(
            KIND, f"numbers of Sentinel-2 as {sensor}", lambda d, s=sensor: seen(d, None, "--sensor", s), "refused"
        )
    for share in ("-1", "2", "nan", "inf"):
        run = partial(lambda d, s: seen(d, None, "--max-bright", s), s=share)
        yield Attack(KIND, f"--max-bright {share}", run, "refused")
    for verb in ("map", "image"):
        yield Attack(KIND, f"{verb}: one saturated cell", partial(_counted, verb=verb))
    for threshold in ("0", "1", "-1", "nan", "2"):
        yield Attack(KIND, f"map --threshold {threshold}", partial(_mapped, threshold=threshold), "refused")
    yield from _bright()


def _ten_metres(folder: Path, change: Any = None) -> Path:
    return colours(folder / "i.tif", side=20, cell=10, change=change)


def _counted(folder: Path, verb: str) -> str:
    image = _ten_metres(folder, with_value(65535, np.s_[:, 10, 10]))
    command(verb, image, folder / "o.tif", "--sensor", "sentinel2")
    with rasterio.open(folder / "o.tif") as file:
        counted = file.tags(ns="TERRAFINE").get("SATURATED_CELLS")
    return "" if counted == "1" else f"{counted} saturated cells, expected 1"


def _mapped(folder: Path, threshold: str) -> str:
    command("map", _ten_metres(folder), folder / "o.tif", "--threshold", threshold)
    return ""


def _bright() -> Iterator[Attack]:
    kind = "bright land"

    def run(folder: Path, verb: str, low: float, high: float, *options: object) -> str:
        side, cell = (48, 30) if verb == "height" else (20, 10)
        image = colours(folder / "i.tif", side=side, cell=cell, low=low, high=high, change=_grey)
        command(verb, image, folder / "o.tif", *options)
        return ""

    for verb in ("height", "map"):
        for low, high in ((0.32, 0.4), (0.42, 0.6), (0.55, 0.8)):
            named = partial(lambda d, v, a, b: run(d, v, a, b, "--sensor", "sentinel2"), v=verb, a=low, b=high)
            yield Attack(kind, f"{verb} of reflectance {low} to {high}, sensor stated", named)
        unstated = partial(lambda d, v: run(d, v, 0.55, 0.8), v=verb)
        yield Attack(kind, f"{verb} of reflectance 0.55 to 0.8, sensor not stated", unstated, "either")
        beyond = partial(lambda d, v: run(d, v, 4.0, 6.0, "--sensor", "sentinel2"), v=verb)
        yield Attack(kind, f"{verb} of reflectance 4 to 6, sensor stated", beyond, "refused")


def _grey(values: Array) -> None:
    values[1:] = values[0]
