"""`terrafine height`: an image in, relief or anchored heights out; what cannot serve is refused with a clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_origin
from tests.support.rasters import write_raster
from tests.support.weights import write_weights

from terrafine.cli import main

LOCAL = {"width": 4, "depth": 3, "norm": "none", "up": "resize", "head": "linear", "sees": "log", "outputs": 2}
WHOLE = {"width": 4, "depth": 4, "tile": 32, "normalisation": "shift"}


def write(path: Path, values: np.ndarray, names: tuple[str, ...], cell: float = 30.0, **more: Any) -> Path:
    where = {"cell": cell, "crs": "EPSG:32612", "origin": (4e5, 4e6), "nodata": None}
    return write_raster(path, values, names=names, **(where | more))


def numbers(rows: int = 90, cols: int = 110) -> np.ndarray:
    """Landsat level 1, with a corner that was not observed."""
    rng = np.random.default_rng(0)
    soil = rng.uniform(6500, 14000, (1, rows, cols)) + np.array([0, 600, 1500])[:, None, None]
    soil[:, :7, :9] = 0
    return soil.astype(np.uint16)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("height")
    write(folder / "image.tif", numbers(), ("red", "green", "blue"))
    y, x = np.indices((32, 39))
    write(folder / "coarse.tif", (900 + 20.0 * y + 5 * x).astype(np.float32)[None], ("elevation",), 90.0)
    for name, network in (("local", LOCAL | {"normalisation": "relief"}), ("whole", WHOLE)):
        write_weights(folder / f"{name}.safetensors", "sat2dem", network, 1)
    return folder


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["height", *map(str, arguments)])
    return done.exit_code, done.output


def read(path: Path) -> tuple[np.ndarray, dict[str, str], tuple[str, ...]]:
    with rasterio.open(path) as f:
        return f.read(masked=True), f.tags(ns="TERRAFINE"), f.descriptions


def test_relief_lies_on_the_images_grid_with_its_voids_and_says_its_sensor(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "relief.tif"
    code, said = run(files / "image.tif", out, "--model", files / "local.safetensors", "--threads", 1)
    assert code == 0, said
    assert "90 × 110 cells" in said
    values, tags, names = read(out)
    assert (values.shape, names, tags["SENSOR"]) == ((1, 90, 110), ("relief",), "landsat-l1")
    assert values.mask[0, :7, :9].all()
    assert values.mask.sum() == 63
    assert values.std() > 0


def test_tiles_of_any_size_give_the_same_relief_where_the_network_is_local(files: Path, tmp_path: Path) -> None:
    surfaces = []
    for tile in (24, 64):
        out = tmp_path / f"{tile}.tif"
        code, said = run(files / "image.tif", out, "--model", files / "local.safetensors", "--tile", tile, "--quiet")
        assert code == 0, said
        surfaces.append(read(out)[0])
    assert np.abs(surfaces[0] - surfaces[1]).max() < 1e-3 * surfaces[0].std()


def test_a_network_that_sees_whole_tiles_is_blended(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "relief.tif"
    code, said = run(files / "image.tif", out, "--model", files / "whole.safetensors", "--quiet")
    assert code == 0, said
    assert read(out)[0].mask.sum() == 63


def test_uncertainty_is_a_second_band_above_nought(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "relief.tif"
    code, said = run(files / "image.tif", out, "--model", files / "local.safetensors", "--uncertainty", "--quiet")
    assert code == 0, said
    values, _, names = read(out)
    assert names == ("relief", "relief_sigma")
    assert values[1].min() > 0


def test_an_anchored_height_averages_to_its_anchor(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "dem.tif"
    arguments = (
        "--anchor",
        files / "coarse.tif",
        "--model",
        files / "local.safetensors",
        "--preview",
        tmp_path / "p.png",
    )
    code, said = run(files / "image.tif", out, *arguments, "--quiet")
    assert code == 0, said
    values, tags, names = read(out)
    assert names == ("elevation",)
    assert float(tags["CONSISTENCY_RESIDUAL_M"]) < 1e-2
    assert tags["ANCHOR_CELLS"] == "3"
    whole = values[0, 9:, 9:108].data.astype(np.float64).reshape(27, 3, 33, 3).mean(axis=(1, 3))
    y, x = np.indices((32, 39))
    np.testing.assert_allclose(whole, (900 + 20.0 * y + 5 * x)[3:30, 3:36], atol=1e-2)
    assert (tmp_path / "p.png").stat().st_size > 500


def test_heights_that_leave_the_anchor_are_not_published(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terrafine.raster.warp import fusion

    fuse = fusion.fuse
    monkeypatch.setattr(fusion, "fuse", lambda *arguments: fuse(*arguments) + 0.5)
    arguments = ("--anchor", files / "coarse.tif", "--model", files / "local.safetensors", "--quiet")
    code, said = run(files / "image.tif", tmp_path / "dem.tif", *arguments)
    assert code == 12
    assert "the block means differ from the anchor by up to 0.5 m; expected at most 0.01 m" in said
    assert not (tmp_path / "dem.tif").exists()


def test_the_file_that_a_preview_is_drawn_from_is_closed(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terrafine.raster.read.source import Source

    closed: list[str] = []
    close = Source.close
    monkeypatch.setattr(Source, "close", lambda self: (closed.extend(self.paths), close(self))[-1])
    out, picture = tmp_path / "r.tif", tmp_path / "p.png"
    model = ("--model", files / "local.safetensors", "--threads", 1, "--quiet")
    code, said = run(files / "image.tif", out, *model, "--preview", picture)
    assert code == 0, said
    assert picture.is_file() and closed[-1] == str(out)


def test_the_public_function_is_the_command(files: Path, tmp_path: Path) -> None:
    import terrafine

    model = files / "local.safetensors"
    out = terrafine.estimate_height(files / "image.tif", tmp_path / "a.tif", model=model, threads=1)
    run(files / "image.tif", tmp_path / "b.tif", "--model", model, "--threads", 1, "--quiet")
    assert out.read_bytes() == (tmp_path / "b.tif").read_bytes()


COLOURS = ("red", "green", "blue")
REFUSED = [
    (numbers()[:1], ("red",), {}, (), 4, "holds 1 band"),
    ((numbers() // 60).astype(np.uint8), COLOURS, {}, (), 4, "8-bit image"),
    (np.full((3, 40, 40), 32000, np.uint16), COLOURS, {}, ("--sensor", "landsat-l1"), 4, "does not read as landsat-l1"),
    (np.zeros((3, 40, 40), np.uint16), COLOURS, {}, (), 7, "no cell has red"),
    (numbers(), COLOURS, {}, ("--sensor", "sentinel2-offset"), 4, "does not read as"),
    (numbers(), COLOURS, {"cell": 1.0}, (), 5, "cells of 1 × 1 m"),
    (numbers(), COLOURS, {}, ("--anchor", "far.tif"), 5, "does not overlap"),
    (numbers(), COLOURS, {}, ("--anchor", "fine.tif"), 5, "at least twice as coarse"),
    (numbers(), COLOURS, {}, ("--anchor", "far.tif", "--uncertainty"), 2, "Give one"),
    (numbers(), COLOURS, {}, ("--model", "ridgeline"), 9, "ridgeline"),
]


@pytest.mark.parametrize(("values", "names", "more", "options", "code", "says"), REFUSED)
def test_what_cannot_serve_is_refused_and_nothing_is_written(
    values: np.ndarray,
    names: tuple[str, ...],
    more: dict[str, float],
    options: tuple[str, ...],
    code: int,
    says: str,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "image.tif", values, names, **more)  # type: ignore[arg-type]
    z = np.full((1, 20, 20), 500, np.float32)
    write(tmp_path / "far.tif", z, ("elevation",), 90.0, transform=from_origin(9e5, 4e6, 90, 90))
    write(tmp_path / "fine.tif", z, ("elevation",), 30.0)
    model = () if "--model" in options else ("--model", files / "local.safetensors")
    found, said = run("image.tif", "out.tif", *model, *options)
    assert found == code, said
    assert says in said
    assert not (tmp_path / "out.tif").exists()


def test_clouds_are_refused_unless_they_are_allowed(files: Path, tmp_path: Path) -> None:
    cloudy = numbers()
    cloudy[:, 40:] = 36000
    path = write(tmp_path / "cloudy.tif", cloudy, COLOURS)
    arguments = (
        path,
        tmp_path / "out.tif",
        "--model",
        files / "local.safetensors",
        "--sensor",
        "landsat-l1",
    )
    code, said = run(*arguments, "--quiet", "--max-bright", 0.3)
    assert code == 3
    assert "cloud or snow" in said
    assert run(*arguments, "--quiet", "--max-bright", 0.9)[0] == 0
    code, said = run(*arguments)  # a guess does not stop who states the sensor
    assert code == 0
    assert "cloud or snow; bright ground looks the same" in said


def test_an_anchor_of_unstated_unit_is_refused_under_a_crs_in_feet(files: Path, tmp_path: Path) -> None:
    y, x = np.indices((32, 39))
    where = {"crs": "EPSG:2263", "origin": (980_000, 200_000), "nodata": None}
    image = write_raster(tmp_path / "i.tif", numbers(), names=COLOURS, **{**where, "cell": 98.4})
    ground = (900 + 20.0 * y + 5 * x).astype(np.float32)
    for unit, code in (("", 5), ("ft", 0)):
        anchor = write_raster(tmp_path / "a.tif", ground, unit=unit, **{**where, "cell": 3 * 98.4})
        out = tmp_path / f"o{code}.tif"
        model = ("--model", files / "local.safetensors", "--quiet")
        status, said = run(image, out, "--anchor", anchor, *model)
        assert status == code, said
        assert out.exists() == (code == 0) and ("nothing states the unit" in said) == (code == 5)
