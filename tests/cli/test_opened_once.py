"""Every verb opens each raster that it is given once, for header and data together, and leaves none open."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from tests.support.paths import open_files
from tests.support.rasters import heights, write_raster
from tests.support.weights import write_weights

from terrafine import (
    Guidance,
    build_dataset,
    estimate_height,
    evaluate,
    map_impervious,
    map_radar,
    sharpen_dem,
    sharpen_image,
)
from terrafine.cli import main
from terrafine.raster.read.checks import vet
from terrafine.raster.read.opened import open_raster

Z = heights((40, 40))
RGB = ("red", "green", "blue")
SIZE = {"blocks": 1, "features": 4, "growth": 2}
JOINT = {"first": SIZE, "second": SIZE, "width": 4, "depth": 2, "bands": 3}
HEIGHT = {"width": 4, "depth": 3, "norm": "none", "up": "resize", "head": "linear", "sees": "log", "outputs": 2}
GUIDED = {
    "relief": {"channels": 8, "blocks": [1, 0], "deep_channels": 0, "deep_blocks": 0},
    "guides": ["vv", "vh", "optical"],
    "width": 8,
    "body": [8, 1],
}


def colours(shape: tuple[int, int]) -> np.ndarray:
    """Sentinel-2 numbers of three bands."""
    rng = np.random.default_rng(0)
    return rng.uniform(300, 3000, (3, *shape)).astype(np.uint16)


def square(path: Path, values: np.ndarray, cell: float = 10.0, **more: Any) -> Path:
    return write_raster(path, values, cell=cell, **{"nodata": None, **more})


def dem(f: Path) -> None:
    sharpen_dem(write_raster(f / "dem.tif", Z), f / "o.tif", model="bicubic", scale=2, preview=f / "o.png")


def mosaic(f: Path) -> None:
    one = write_raster(f / "a.tif", Z)
    two = write_raster(f / "b.tif", Z + 1, origin=(500_000 + 40 * 30, 5_000_000))
    sharpen_dem([one, two], f / "o.tif", model="bicubic", scale=2)


def guided(f: Path) -> None:
    write_raster(f / "dem.tif", Z)
    radar = np.random.default_rng(0).normal(-10, 2, (2, 160, 160)).astype(np.float32)
    square(f / "vv.tif", radar, 7.5)
    image = np.random.default_rng(1).uniform(500, 3000, (3, 160, 160)).astype(np.float32)
    square(f / "image.tif", image, 7.5)
    square(f / "incidence.tif", np.full((160, 160), 38.0, np.float32), 7.5, names=("incidence",))
    numbered = {name: (f"{f}/image.tif#{i + 1}",) for i, name in enumerate(RGB)}
    files = {"vv": (f"{f}/vv.tif",), **numbered}
    sharpen_dem(
        f / "dem.tif",
        f / "o.tif",
        model=write_weights(f / "w.safetensors", "pimsr", GUIDED, 4),
        scale=4,
        guidance=Guidance(files, orbit="descending", incidence=f"{f}/incidence.tif", sun=150.0),
    )


def height(f: Path) -> None:
    square(f / "image.tif", colours((60, 60)), 30.0, names=RGB)
    write_raster(f / "anchor.tif", Z[:20, :20], cell=90.0)
    weights = write_weights(f / "w.safetensors", "sat2dem", HEIGHT | {"normalisation": "relief"}, 1)
    estimate_height(f / "image.tif", f / "o.tif", anchor=f / "anchor.tif", model=weights, sensor="sentinel2")


def impervious(f: Path) -> None:
    bands = np.concatenate([colours((20, 28)), np.full((1, 20, 28), 4, np.uint16)])
    square(f / "image.tif", bands, names=(*RGB, "SCL"))
    weights = write_weights(f / "w.safetensors", "jointseg", JOINT, 10)
    map_impervious(f / "image.tif", f / "o.tif", model=weights, sensor="sentinel2", max_bright=1.0, preview=f / "o.png")


def image(f: Path) -> None:
    square(f / "image.tif", colours((20, 28)), names=RGB)
    weights = write_weights(f / "w.safetensors", "jointseg", JOINT, 10)
    sharpen_image(f / "image.tif", f / "o.tif", model=weights, sensor="sentinel2", max_bright=1.0)


def radar(f: Path) -> None:
    map_radar(write_raster(f / "dem.tif", Z), f / "o.tif", orbit="descending")


def elevation(f: Path) -> None:
    write_raster(f / "truth.tif", Z)
    for name in ("a", "b"):
        write_raster(f / f"{name}.tif", Z + 1)
    square(f / "coarse.tif", Z.reshape(20, 2, 20, 2).mean(axis=(1, 3)), 60.0)
    covered = np.zeros((40, 40), np.uint8)
    covered[:5] = 1
    for name in ("mask", "classes"):
        square(f / f"{name}.tif", covered, 30.0)
    evaluate(
        [f / "a.tif", f / "b.tif"],
        f / "truth.tif",
        coarse=f / "coarse.tif",
        masks=[f / "mask.tif"],
        classes=f / "classes.tif",
        hydrology=False,
        coregister=False,
    )


def classes(f: Path) -> None:
    for name in ("a", "b", "truth", "regions"):
        square(f / f"{name}.tif", (Z > 500).astype(np.uint8))
    evaluate([f / "a.tif", f / "b.tif"], f / "truth.tif", classes=f / "regions.tif", out=f / "report")


def points(f: Path) -> None:
    square(f / "a.tif", (Z > 500).astype(np.uint8))
    x, y = 500_000 + 10 * np.arange(1, 40) - 5, 5_000_000 - 10 * np.arange(1, 40) + 5
    rows = "\n".join(f"{a},{b},{i % 2}" for i, (a, b) in enumerate(zip(x, y, strict=True)))
    (f / "points.csv").write_text(f"x,y,class\n{rows}\n", encoding="utf-8")
    evaluate([f / "a.tif"], f / "points.csv")


def images(f: Path) -> None:
    fine = colours((64, 64))
    for name in ("a", "b", "truth"):
        square(f / f"{name}.tif", fine, names=RGB)
    square(f / "coarse.tif", fine.reshape(3, 16, 4, 16, 4).mean(axis=(2, 4)).astype(np.uint16), 40.0, names=RGB)
    evaluate([f / "a.tif", f / "b.tif"], f / "truth.tif", coarse=f / "coarse.tif")


def dataset(f: Path) -> None:
    rng = np.random.default_rng(0)
    (f / "labels").mkdir()
    for i, name in enumerate(("one", "two")):
        where = (500_000.0 + 20_000 * i, 5_000_000.0)
        square(f / f"{name}.tif", rng.integers(1, 255, (3, 400, 400)).astype(np.uint8), 1.0, names=RGB, origin=where)
        label = f / "labels" / f"{name}.tif"
        square(label, rng.integers(0, 2, (400, 400)).astype(np.uint8), 1.0, origin=where)
    build_dataset([f / "one.tif", f / "two.tif"], [f / "labels"], f / "out", side=160, count=2, spacing_m=160.0)


def info(f: Path) -> None:
    square(f / "a.tif", (Z > 500).astype(np.uint8))
    assert CliRunner().invoke(main, ["info", str(f / "a.tif")]).exit_code == 0


VERBS = [dem, mosaic, guided, height, impervious, image, radar, elevation, classes, points, images, dataset, info]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file is opened to be read."""
    counts: Counter[str] = Counter()

    def counted(genuine: Callable[..., Any]) -> Callable[..., Any]:
        def spy(path: Any, *args: Any, **more: Any) -> Any:
            counts[os.path.realpath(path)] += "w" not in args
            return genuine(path, *args, **more)

        return spy

    monkeypatch.setattr(vet, "_reader", counted(vet._reader))
    monkeypatch.setattr(rasterio, "open", counted(rasterio.open))
    return counts


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_opens_each_input_once_and_closes_it(
    verb: Callable[[Path], None], tmp_path: Path, opened: Counter[str]
) -> None:
    verb(tmp_path)
    outputs = {str(p) for p in (tmp_path / "o.tif", tmp_path / "out")}
    given = {str(p) for p in tmp_path.rglob("*.tif") if not any(str(p).startswith(out) for out in outputs)}
    assert {path: opened[path] for path in given} == dict.fromkeys(given, 1)
    assert open_files(tmp_path) == []


def test_a_second_opening_and_an_open_handle_are_seen(tmp_path: Path, opened: Counter[str]) -> None:
    path = write_raster(tmp_path / "a.tif", Z)
    opened.clear()
    with rasterio.open(path), open_raster(path):
        assert opened[os.path.realpath(path)] == 2
        assert len(open_files(tmp_path)) == 2
