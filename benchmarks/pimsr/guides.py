"""Guides for the benchmark of guided models: simulated over fine DEMs, and real radar as the program reads it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from benchmarks.common import F32, F64, PAD, ROOT, Dem, Predict, padded

POLARISATIONS = ("vv", "vh")
LOOKS = ("look_east", "look_north")
SUN = ("sun_east", "sun_north")
RECIPE = ROOT / "src/terrafine/systems/pimsr/recipes/pimsr-x4.toml"
Guides = Mapping[str, F32]  # band -> (2, y, x) on the fine grid: value and 1 where observed


def simulated(dem: Dem, looks: float, seed: int) -> dict[str, F32]:
    """VV and VH in dB and the look, an image and its sun over a whole DEM, as pimsr's recipe simulates them.

    All but the looks is drawn by file and seed from the recipe's ranges: orbit, incidence, exponents, ground covers.
    """
    from terrafine.training.dem.optical import OpticalFamily
    from terrafine.training.dem.radar import RadarFamily
    from terrafine.training.dem.recipe import DemRecipe
    from terrafine.training.recipe import read_recipe

    recipe = read_recipe(RECIPE, DemRecipe)
    radar, image = recipe.radar or RadarFamily(), recipe.optical or OpticalFamily()
    rng = np.random.default_rng([seed, zlib.crc32(dem.name.encode())])
    size = (float(dem.pixel_size_m[0].mean()), float(dem.pixel_size_m[1].mean()))
    guides = replace(radar, looks=(looks, looks), drop=0.0).simulate(dem.z, size, rng)
    guides |= replace(image, drop=0.0).simulate(dem.z, size, rng)
    return {name: g * dem.valid for name, g in guides.items()}


def only(guides: Guides, names: Sequence[str]) -> dict[str, F32]:
    """Those bands, and the ways to the sensor and to the sun that go with them."""
    ways = (LOOKS if set(names) & set(POLARISATIONS) else ()) + (SUN if "optical" in names else ())
    return {name: g for name, g in guides.items() if name in (*names, *ways)}


def guided_predict(model: Any, guides: Guides) -> Predict:
    """A model with guides as a `Predict`: beyond the file there is reflected terrain and no radar."""
    from terrafine.nn.model import Tiles

    k, multiple = model.spec.scale, model.spec.multiple
    pad = -(-max(PAD, model.spec.halo) // multiple) * multiple

    def call(z: F32, size: F64) -> tuple[NDArray[Any], NDArray[Any] | None]:
        shape = (z.shape[0] * k, z.shape[1] * k)
        laid = {}
        for name, g in guides.items():
            laid[name] = np.zeros((1, 2, *shape), np.float32)
            laid[name][0, :, pad * k : pad * k + g.shape[1], pad * k : pad * k + g.shape[2]] = g
        bands = {"elevation": np.ascontiguousarray(z[None], dtype=np.float32)}
        tiles = Tiles(bands, np.ones((1, *z.shape), bool), np.ascontiguousarray(size[None]), laid)
        return model(tiles)["elevation"][0], None

    return padded(call, k, pad, multiple)


@dataclass(frozen=True)
class Series:
    """Dated radar of one place on one grid: dB, NaN where missing; (date, y, x) for each polarisation."""

    days: tuple[str, ...]
    db: Mapping[str, F32]
    profile: Mapping[str, Any]

    def write(self, folder: Path, dates: Sequence[int], shift: tuple[float, float] = (0.0, 0.0)) -> dict[str, Any]:
        """One file a date and polarisation, its georeference displaced by (down, right) cells; {band: files}."""
        transform = self.profile["transform"] * rasterio.Affine.translation(shift[1], shift[0])
        files: dict[str, Any] = {}
        for name, stack in self.db.items():
            for i in dates:
                path = folder / f"{name}_{self.days[i]}_{shift[0]:g}_{shift[1]:g}.tif"
                with rasterio.open(path, "w", **{**self.profile, "transform": transform}) as f:
                    f.write(stack[i], 1)
                    f.set_band_description(1, name)
                files.setdefault(name, []).append(str(path))
        return {name: tuple(paths) for name, paths in files.items()}


def myanmar(data: Path) -> Series:
    """The dated Sentinel-1 GRD products of the Myanmar hillside, each day once, without those that are all nodata.

    A value of exactly 0 dB stands in single cells where the others are near −10 dB: taken as missing.
    """
    stacks, days = {}, []
    for name in POLARISATIONS:
        with rasterio.open(data / "radar" / f"myanmar_s1_{name}_98dates_db_x100.tif") as src:
            raw = src.read()
            stacks[name] = np.where((raw == src.nodata) | (raw == 0), np.nan, raw / 100.0).astype(np.float32)
            days = [text.split("_")[4][:8] for text in src.descriptions]
            profile = {"driver": "GTiff", "height": src.height, "width": src.width, "count": 1, "dtype": "float32"}
            profile |= {"crs": src.crs, "transform": src.transform, "nodata": np.nan}
    covered = [i for i in range(len(days)) if all(np.isfinite(s[i]).mean() > 0.5 for s in stacks.values())]
    kept = [i for i in covered if days.index(days[i]) == i]
    return Series(tuple(days[i] for i in kept), {n: s[kept] for n, s in stacks.items()}, profile)


def spread_over(count: int, total: int) -> list[int]:
    """`count` of `total` dates, evenly spread."""
    return [round(i) for i in np.linspace(0, total - 1, count)]


class Run:
    """A model run by the engine on one coarse file, with guides from files as a user gives them."""

    def __init__(self, coarse: Path, ref: Any) -> None:
        from terrafine.systems import load_model

        self.coarse, self.ref, self.model = coarse, ref, load_model(ref)

    def __call__(
        self, files: Mapping[str, Any] | None = None, *, register: bool = True, orbit: str = "descending"
    ) -> tuple[F64, dict[str, str]]:
        """The fine surface and the tags about guides; without `register` the guides are left where they lie."""
        from terrafine.inference.engine import run_in_memory
        from terrafine.inference.planner import make_plan
        from terrafine.physics.radar import MID_SWATH
        from terrafine.raster.read.guides import open_guides
        from terrafine.raster.read.source import open_source
        from terrafine.workflows.inputs.guidance import Guidance, open_guided
        from terrafine.workflows.inputs.look_direction import sensor_azimuth

        source: Any = open_source([str(self.coarse)])
        if files and register:
            source = open_guided(source, self.ref, Guidance(files, orbit=orbit))
        elif files:
            azimuth = sum(sensor_azimuth(source, orbit, None, None, MID_SWATH)) % 360
            source = open_guides(source, self.ref.spec.scale, files, azimuth=azimuth, incidence=MID_SWATH)
        plan = make_plan(source.shape, self.ref.spec)
        out, _ = run_in_memory(plan, self.ref.spec, source, self.model, outputs=("elevation",))
        return out[0].astype(np.float64), dict(source.lineage)


def estimated(tags: Mapping[str, str]) -> dict[str, Any]:
    """What the run says of registration: {"down", "right" in fine cells or None, "correlation", "said"}."""
    said = tags.get("RADAR_SHIFT_CELLS", "")
    found = re.search(r"(-?[\d.]+) down, (-?[\d.]+) right", said)
    down, right = (float(v) for v in found.groups()) if found else (None, None)
    correlation = tags.get("RADAR_RELIEF_CORRELATION")
    return {
        "down": down,
        "right": right,
        "correlation": None if correlation is None else float(correlation),
        "said": said,
    }
