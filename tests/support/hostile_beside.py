"""Rasters beside which lies what GDAL would read with them: pipes, links to elsewhere, descriptions of services."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from tests.support.hostile_sources import REDIRECT, WMS, Maker, Scene, plain_vrt

__all__ = ["BESIDE"]

BESIDE: dict[str, Maker] = {}


def _tiff(folder: Path) -> Path:
    """A TIFF without a place on Earth, for which GDAL looks in the files beside it."""
    profile = {"driver": "GTiff", "width": 16, "height": 16, "count": 1, "dtype": "float32"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(folder / "plain.tif", "w", **profile) as file:
            file.write(np.ones((16, 16), np.float32), 1)
    return folder / "plain.tif"


def _grid(folder: Path) -> Path:
    path = folder / "plain.asc"
    path.write_text("ncols 2\nnrows 2\nxllcorner 0\nyllcorner 0\ncellsize 1\n1 2\n3 4\n")
    return path


def _vrt(folder: Path) -> Path:
    return plain_vrt(folder / "plain.vrt", "tile.tif")


RASTERS = {"TIFF": _tiff, "grid": _grid, "VRT": _vrt}


def _with_pipe(of: str, name: str) -> Maker:
    def make(scene: Scene) -> str:
        path = RASTERS[of](scene.folder)
        os.mkfifo(scene.folder / name.format(path.name))
        return str(path)

    return make


def _with_link(of: str, ending: str) -> Maker:
    def make(scene: Scene) -> str:
        path = RASTERS[of](scene.folder)
        path.with_name(path.name + ending).symlink_to(scene.secret)
        return str(path)

    return make


def _with_text(of: str, ending: str, text: str) -> Maker:
    def make(scene: Scene) -> str:
        path = RASTERS[of](scene.folder)
        path.with_name(path.name + ending).write_text(text.replace("{url}", scene.url), encoding="utf-8")
        return str(path)

    return make


if hasattr(os, "mkfifo"):
    for _of in RASTERS:
        for _name in ("plain.tfw", "plain.prj", "plain_RPC.TXT", "{}.aux.xml", "{}.ovr", "{}.msk", "METADATA.DIM"):
            BESIDE[f"{_of} beside a pipe called {_name}"] = _with_pipe(_of, _name)

for _of in RASTERS:
    for _ending in (".ovr", ".msk"):
        BESIDE[f"{_of} with a link to a secret as {_ending}"] = _with_link(_of, _ending)
    BESIDE[f"{_of} with a service as its overviews"] = _with_text(_of, ".ovr", WMS)
    BESIDE[f"{_of} with metadata of another place"] = _with_text(_of, ".aux.xml", REDIRECT)
