"""Real radar in the benchmark of guided models: the Myanmar hillside, planted shifts, and terrain-corrected patches."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.common import (
    F64,
    Dem,
    back_projected,
    bicubic,
    coarse_of,
    crop,
    horn_slope,
    metrics,
    padded,
    read_dem,
    scored_cells,
)
from benchmarks.pimsr.guides import (
    LOOKS,
    POLARISATIONS,
    Run,
    Series,
    estimated,
    guided_predict,
    myanmar,
    only,
    spread_over,
)
from benchmarks.pimsr.score import METRICS, Bootstrap, block_sums, truth_of

EDGE = 4  # fine cells left out along the border: the hillside has 60 × 120
SIDE = 16  # fine cells along a block of the bootstrap
SINGLE = 7
SHIFTS = ((0.0, 0.0), (3.0, 0.0), (0.0, -3.0), (3.0, 3.0), (-3.0, 3.0), (2.5, -1.25), (-1.5, -2.0))
BASES = ("bicubic", "back-projected bicubic", "ridgeline", "pimsr, no guide")


def hillside(
    data: Path,
    refs: Mapping[str, Any],
    single: int = SINGLE,
    shifts: Sequence[tuple[float, float]] = SHIFTS,
) -> dict[str, Any]:
    """One date, ten and all, guided against unguided; backscatter fitted; registration found; shifts planted."""
    series = myanmar(data)
    dem = crop(read_dem(data / "radar" / "myanmar_dem.tif"), 4)
    truth = truth_of(dem, scored_cells(dem.valid, EDGE), SIDE)
    every = range(len(series.days))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        coarse = write_coarse(dem, series, folder / "coarse.tif")
        z = coarse_of(dem, 4)[0]
        surfaces: dict[str, F64] = {"bicubic": bicubic(z, 4), "back-projected bicubic": back_projected(z, 4)}
        runs = {name: Run(coarse, ref) for name, ref in refs.items()}
        surfaces |= {n: run()[0] for n, run in runs.items() if not run.ref.spec.guides}
        found: dict[str, Any] = {}
        medians: dict[str, Any] = {}
        for label, run in ((n, r) for n, r in runs.items() if r.ref.spec.guides):
            surfaces[f"{label}, no guide"] = run()[0]
            ones = {i: run(series.write(folder, [i])) for i in spread_over(single, len(series.days))}
            errors = {i: metrics(s, dem, truth.cells)["rmse"] for i, (s, _) in ones.items()}
            middle = sorted(errors, key=lambda i: errors[i])[len(errors) // 2]
            medians[label] = {"day": series.days[middle], "rmse": {series.days[i]: e for i, e in errors.items()}}
            surfaces[f"{label}, one date"], tags = ones[middle]
            registered = {"one date": estimated(tags)}
            for dates, kept in (("ten dates", spread_over(10, len(series.days))), ("all dates", every)):
                surfaces[f"{label}, {dates}"], tags = run(series.write(folder, list(kept)))
                registered[dates] = estimated(tags)
            found[label] = registered
        planted = [plant(runs["pimsr"], series, folder, s, truth.dem, truth.cells) for s in shifts if "pimsr" in runs]
    drawn = Bootstrap.of({method: {"myanmar": block_sums(s, truth)} for method, s in surfaces.items()})
    return {
        "days": len(series.days),
        "relief": relief(dem),
        "files": drawn.table(),
        "ratios": drawn.ratios(BASES, ["myanmar"]),
        "single_dates": medians,
        "registration": found,
        "planted": planted,
        "backscatter": fitted(series, dem, data / "radar" / "myanmar_dem.tif"),
    }


def plant(run: Run, series: Series, folder: Path, shift: tuple[float, float], dem: Dem, cells: Any) -> dict[str, Any]:
    """All dates displaced by (down, right) fine cells: what is found of it, and the error with and without that."""
    files = series.write(folder, range(len(series.days)), shift)
    with_it, tags = run(files)
    without, _ = run(files, register=False)
    return {
        "down": shift[0],
        "right": shift[1],
        "found": estimated(tags),
        "rmse_registered": metrics(with_it, dem, cells)["rmse"],
        "rmse_as_it_lies": metrics(without, dem, cells)["rmse"],
    }


def write_coarse(dem: Dem, series: Series, path: Path) -> Path:
    """The block means as a GeoTIFF of four times the cell."""
    coarse = coarse_of(dem, 4)[0]
    profile = {**series.profile, "height": coarse.shape[0], "width": coarse.shape[1]}
    profile["transform"] = series.profile["transform"] * rasterio.Affine.scale(4)
    with rasterio.open(path, "w", **profile) as f:
        f.write(coarse, 1)
    return path


def fitted(series: Series, dem: Dem, path: Path) -> dict[str, Any]:
    """Backscatter parameters of the mean power of all dates over the fine DEM, area held at 1; mid-swath incidence."""
    import torch

    from terrafine.physics.backscatter import fit_backscatter
    from terrafine.physics.radar import MID_SWATH, cos_local_incidence

    azimuth = look_at(path)
    z = torch.from_numpy(dem.z)
    cos_lia = cos_local_incidence(z, torch.from_numpy(dem.pixel_size_m), MID_SWATH, azimuth)
    valid = torch.from_numpy(scored_cells(dem.valid, 1))
    out: dict[str, Any] = {"azimuth": azimuth, "incidence": MID_SWATH}
    for name, stack in series.db.items():
        mean = 10 * np.log10(np.nanmean(10 ** (stack.astype(np.float64) / 10), axis=0))
        mean = mean[: dem.z.shape[0], : dem.z.shape[1]]
        fit = fit_backscatter(torch.from_numpy(mean), cos_lia, MID_SWATH, valid)
        out[name] = {
            "level_db": fit.parameters.level_db,
            "level_error": fit.errors.level_db,
            "exponent": fit.parameters.exponent,
            "exponent_error": fit.errors.exponent,
            "correlation": fit.correlation,
            "residual_db": fit.residual_db,
            "n": fit.n,
        }
    return out


def look_at(path: Path, orbit: str = "descending") -> float:
    """Azimuth of the sensor from the north of a file's grid, at mid-swath."""
    from terrafine.physics.radar import MID_SWATH
    from terrafine.raster.read.source import open_source
    from terrafine.workflows.inputs.look_direction import sensor_azimuth

    return float(sum(sensor_azimuth(open_source([str(path)]), orbit, None, None, MID_SWATH)) % 360)


def relief(dem: Dem) -> dict[str, Any]:
    """How much there is for a radar to see."""
    inner = dem.valid & scored_cells(dem.valid, 1)
    slope = horn_slope(dem.z, dem.pixel_size_m)[inner]
    z = dem.z[dem.valid]
    return {"range_m": float(z.max() - z.min()), "sd_m": float(z.std()), "mean_slope_deg": float(slope.mean())}


def corrected_patches(data: Path, models: Mapping[str, Any]) -> dict[str, Any]:
    """Terrain-corrected patches: their relief, how far they follow simulated light, and the error with either orbit."""
    found: dict[str, Any] = {}
    for path in sorted((data / "radar").glob("*_s1rtc.tif")):
        heights = path.with_name(path.name.replace("s1rtc", "dem"))
        dem = crop(read_dem(heights), 4)
        with rasterio.open(path) as src:
            db = dict(zip(POLARISATIONS, src.read().astype(np.float32), strict=True))
        coarse, size = coarse_of(dem, 4)
        cells = scored_cells(dem.valid)
        rows = {"bicubic": metrics(padded(lambda z, _: (bicubic(z, 4), None), 4)(coarse, size)[0], dem, cells)}
        follows = {}
        for orbit in ("descending", "ascending"):
            azimuth = look_at(heights, orbit)
            follows[orbit] = {n: light(dem, v, azimuth) for n, v in db.items()}
            guides = as_guides(db, azimuth, dem)
            for label, model in models.items():
                rows[f"{label}, no guide"] = metrics(guided_predict(model, {})(coarse, size)[0], dem, cells)
                rows[f"{label}, {orbit}"] = metrics(guided_predict(model, guides)(coarse, size)[0], dem, cells)
        found[path.name.removesuffix("_s1rtc.tif")] = {
            "relief": relief(dem),
            "n": int(cells.sum()),
            "correlation": follows,
            "files": {m: {k: v for k, v in r.items() if k in METRICS} for m, r in rows.items()},
        }
    return found


def as_guides(db: Mapping[str, Any], azimuth: float, dem: Dem) -> dict[str, Any]:
    """Backscatter and a look at mid-swath, as a model takes them."""
    from terrafine.physics.radar import MID_SWATH, look_vector

    east, north, _ = (float(v) for v in look_vector(MID_SWATH, azimuth))
    shape = dem.z.shape
    values = {n: v[: shape[0], : shape[1]] for n, v in db.items()}
    values |= {n: np.full(shape, part, np.float32) for n, part in zip(LOOKS, (east, north), strict=True)}
    return only({n: np.stack([v, np.ones(shape)]).astype(np.float32) for n, v in values.items()}, POLARISATIONS)


def light(dem: Dem, db: Any, azimuth: float) -> float:
    """Correlation of backscatter with its simulation over the DEM, both without what varies over 31 cells."""
    import torch

    from terrafine.physics.backscatter import simulate_db
    from terrafine.physics.highpass import highpass
    from terrafine.physics.radar import MID_SWATH

    z = torch.from_numpy(dem.z)
    lit = simulate_db(z, torch.from_numpy(dem.pixel_size_m), MID_SWATH, azimuth)
    seen = torch.ones_like(z, dtype=torch.bool)
    cut = torch.from_numpy(np.asarray(db[: z.shape[0], : z.shape[1]], np.float64))
    model, radar = (highpass(v, seen, 31).numpy()[4:-4, 4:-4].ravel() for v in (lit, cut))
    return float(np.corrcoef(model, radar)[0, 1]) if model.std() > 0 else 0.0
