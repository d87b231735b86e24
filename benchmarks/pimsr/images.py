"""Real images in the benchmark of guided models: Landsat 8 over relief that no model has seen."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rasterio

from benchmarks.common import F64, back_projected, bicubic, coarse_of, crop, padded, read_dem, scored_cells
from benchmarks.pimsr.guides import Run
from benchmarks.pimsr.score import Bootstrap, block_sums, truth_of

AREAS = ("beavercreek", "ecklund", "gutzler", "riceridge")
BANDS = {"red": "#1", "nir": "#4"}
GIVEN = {"red": ("red",), "near infrared": ("nir",), "red and near infrared": ("red", "nir")}
BASES = ("bicubic", "back-projected bicubic", "ridgeline", "pimsr, no guide")


def images(data: Path, refs: Mapping[str, Any], areas: Sequence[str] = AREAS) -> dict[str, Any]:
    """120 -> 30 m over four areas, guided by bands in digital numbers, their sun found: {"files", "ratios", "tags"}.

    A band whose sun is not identifiable is refused by the program; the row then holds what a user is left with, the
    heights alone, and `refused` states where.
    """
    sums: dict[str, dict[str, F64]] = {}
    tags: dict[str, Any] = {}
    for area in areas:
        found, tags[area] = one_area(data / "image_height", area, refs)
        for method, part in found.items():
            sums.setdefault(method, {})[area] = part
    drawn = Bootstrap.of(sums)
    return {"files": drawn.table(), "ratios": drawn.ratios(BASES, list(areas)), "tags": tags}


def one_area(folder: Path, area: str, refs: Mapping[str, Any]) -> tuple[dict[str, F64], dict[str, Any]]:
    """Block sums of every method, and for each choice of bands what the run said of sun and shift."""
    from terrafine.errors import UsageError

    path, image = folder / f"{area}_dem.tif", folder / f"{area}_landsat8.tif"
    dem = crop(read_dem(path), 4)
    truth = truth_of(dem, scored_cells(dem.valid))
    z, size = coarse_of(dem, 4)
    methods = {
        "bicubic": padded(lambda c, _: (bicubic(c, 4), None), 4)(z, size)[0],
        "back-projected bicubic": padded(lambda c, _: (back_projected(c, 4), None), 4)(z, size)[0],
    }
    said: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        coarse = Path(name) / "coarse.tif"
        with rasterio.open(path) as src:
            profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "crs": src.crs}
            profile["transform"] = src.transform * rasterio.Affine.scale(4)
        with rasterio.open(coarse, "w", height=z.shape[0], width=z.shape[1], **profile) as f:
            f.write(z, 1)
        methods["ridgeline"] = Run(coarse, refs["ridgeline"])()[0]
        run = Run(coarse, refs["pimsr"])
        methods["pimsr, no guide"] = run()[0]
        for label, bands in GIVEN.items():
            try:
                surface, tags = run({b: (f"{image}{BANDS[b]}",) for b in bands})
                methods[f"pimsr, {label}"] = surface
                said[label] = {k: v for k, v in tags.items() if k.startswith("OPTICAL_")}
            except UsageError as e:
                methods[f"pimsr, {label}"] = methods["pimsr, no guide"]
                said[label] = {"refused": str(e).partition(": ")[2]}
    return {name: block_sums(surface, truth) for name, surface in methods.items()}, said
