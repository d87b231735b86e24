"""Advice that is followed helps: the run succeeds, or it ends for another reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.cases import FOOT, ground
from tests.support.cli import terrafine
from tests.support.rasters import write_raster

from terrafine.cli import main

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
# A fitting value for each option that messages advise.
VALUES: dict[str, tuple[str, ...]] = {
    "--elevation-unit": ("ft",),
    "--nodata": ("-32768",),
    "--assume-crs": ("EPSG:32633",),
    "--pixel-size": ("30",),
    "--band": ("elevation=2",),
    "--vertical-datum": ("EGM2008",),
    "--sensor": ("reflectance",),
    "--memory": ("64GB",),
    "--scale": ("2",),
    "--model": ("bicubic",),
    "--restart": (),
    "--orbit": ("ascending",),
    "--latitude": ("47",),
    "--incidence": ("39",),
    "--consistency": ("none",),
    "--tr": ("15", "15"),
    "--t-srs": ("EPSG:32633",),
    "--as": ("elevation",),
    "--engine": ("torch",),
    "--coarse": (),
}
Z = ground().astype(np.float32)
FEET: dict[str, Any] = {"crs": "EPSG:2263", "cell": 10, "origin": (980_000, 200_000)}
Make = Callable[[Path], Path]


def feet(path: Path) -> Path:
    return write_raster(path, (Z / FOOT).astype(np.float32), **FEET)


def no_crs(path: Path) -> Path:
    return write_raster(path, Z, crs=None)


def holes(path: Path) -> Path:
    values = np.round(Z).astype(np.int16)
    values[4:9, 4:9] = -32768
    return write_raster(path, values, nodata=None)


def infinite(path: Path) -> Path:
    values = Z.copy()
    values[3, 3] = -32768.0
    return write_raster(path, values, nodata=None)


def two_bands(path: Path) -> Path:
    return write_raster(path, np.stack([Z, Z + 1]))


def named_otherwise(path: Path) -> Path:
    return write_raster(path, np.stack([Z, Z]), names=("slope", "aspect"))


def fathoms(path: Path) -> Path:
    return write_raster(path, Z, unit="fathom")


def high(path: Path) -> Path:
    return write_raster(path, (Z / FOOT * 10).astype(np.float32))


def bare(path: Path) -> Path:
    from affine import Affine

    return write_raster(path, Z, crs=None, transform=Affine.identity())


SOURCES: list[Make] = [feet, no_crs, holes, infinite, two_bands, named_otherwise, fathoms, high, bare]


def commands(verb: str, source: Path, folder: Path) -> tuple[object, ...]:
    """One run of the verb on the source."""
    out = folder / "o.tif"
    good = folder / "good.tif"
    if not good.exists():
        write_raster(good, Z)
    return {
        "dem": ("dem", source, out, "--model", "nearest", "--quiet"),
        "radar": ("radar", source, "--out", out, "--quiet"),
        "candidate": ("evaluate", source, good, "--no-hydrology", "--quiet"),
        "reference": ("evaluate", good, source, "--no-hydrology", "--quiet"),
        "coarse": ("evaluate", good, good, "--coarse", source, "--no-hydrology", "--quiet"),
        "map": ("map", source, out, "--quiet"),
        "image": ("image", source, out, "--quiet"),
        "height": ("height", source, out, "--quiet"),
        "mosaic": ("dem", source, good, out, "--model", "nearest", "--quiet"),
    }[verb]


def reason(text: str) -> str:
    """The first sentence of a refusal, without numbers."""
    error = next((x for x in text.splitlines() if "error" in x.lower()), text)
    return re.sub(r"\d+", "#", error.split(";")[0])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "verb", ["dem", "radar", "candidate", "reference", "coarse", "map", "image", "height", "mosaic"]
)
@pytest.mark.parametrize("make", SOURCES, ids=lambda m: m.__name__)
def test_each_option_that_a_refusal_names_exists_and_helps(make: Make, verb: str, tmp_path: Path) -> None:
    arguments = commands(verb, make(tmp_path / "a.tif"), tmp_path)
    first = terrafine(*arguments)
    assert first.exit_code != 1, first.output
    if first.exit_code == 0:
        return
    named = set(FLAG.findall(first.output)) - {"--help", "--debug"}
    known = {name for p in main.commands[str(arguments[0])].params for name in (*p.opts, *p.secondary_opts)}
    assert named <= known, (named - known, first.output)
    outcomes = []
    for option in sorted(named):
        assert option in VALUES, (option, first.output)
        followed = terrafine(*arguments, option, *VALUES[option])
        assert followed.exit_code != 1, (option, followed.output)
        outcomes.append(followed.exit_code == 0 or reason(followed.output) != reason(first.output))
    assert not outcomes or any(outcomes), (sorted(named), first.output)
