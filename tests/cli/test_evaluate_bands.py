"""`terrafine evaluate --band`: bands that files do not name; and what is no class map is refused as one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.cli import Run
from tests.support.rasters import write_dem, write_raster
from tests.support.surfaces import hills

PLAIN = ("--no-coregistration", "--no-hydrology")
Z = hills(96, 96)
CLASSES = np.random.default_rng(2).integers(0, 3, (64, 64)).astype(np.uint8)


def two(path: Path, *, names: tuple[str, ...] = ()) -> Path:
    """Heights in band 2, something else in band 1."""
    return write_raster(path, np.stack([Z * 0 + 5, Z + 1]), origin=(500_000, 5_200_000), nodata=-32768, names=names)


def test_a_band_that_no_file_names_is_asked_for_and_taken(tmp_path: Path, run: Run) -> None:
    near, truth = two(tmp_path / "near.tif"), write_dem(tmp_path / "truth.tif", Z)
    refused = run("evaluate", near, truth, *PLAIN)
    assert refused.exit_code == 4, refused.output
    assert "--band elevation=N" in refused.stderr
    done = run("evaluate", near, truth, *PLAIN, "--band", "elevation=2", "--out", tmp_path / "report")
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert results["candidates"][0]["elevation"]["rmse"] == pytest.approx(1, abs=1e-4)
    assert "near.tif: read as stated, elevation from band 2." in results["notes"]
    assert "near.tif: read as stated, elevation from band 2." in done.stdout


def test_a_band_that_a_file_names_itself_is_kept(tmp_path: Path, run: Run) -> None:
    near = two(tmp_path / "near.tif", names=("slope", "elevation"))
    truth = two(tmp_path / "truth.tif")
    done = run("evaluate", near, truth, *PLAIN, "--band", "elevation=2")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[2].split()[:2] == ["near", "0.000"]


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("elevation=2", "is for files of several bands that do not name them"),
        ("class=1", "elevation models are compared by elevation, elevation_sigma"),
    ],
)
def test_a_band_that_serves_nothing_is_refused(option: str, word: str, tmp_path: Path, run: Run) -> None:
    near, truth = write_dem(tmp_path / "near.tif", Z + 1), write_dem(tmp_path / "truth.tif", Z)
    result = run("evaluate", near, truth, *PLAIN, "--band", option)
    assert result.exit_code == 2, result.output
    assert word in result.stderr


def test_bands_of_class_maps_and_images_are_stated_too(tmp_path: Path, run: Run) -> None:
    maps = [tmp_path / "map.tif", tmp_path / "reference.tif"]
    for path in maps:
        write_raster(path, np.stack([CLASSES + 7, CLASSES]), nodata=None, cell=1)
    refused = run("evaluate", *maps, "--as", "classes")
    assert refused.exit_code == 4, refused.output
    assert "--band class=N" in refused.stderr
    done = run("evaluate", *maps, "--as", "classes", "--band", "class=2", "--quiet")
    assert done.exit_code == 0, done.output
    coarse, fine = (np.random.default_rng(1).uniform(0.1, 0.3, (2, n, n)).astype(np.float32) for n in (16, 64))
    images = [
        write_raster(tmp_path / name, values, nodata=None, cell=cell)
        for name, values, cell in (("c.tif", fine, 1), ("r.tif", fine + 0.01, 1), ("low.tif", coarse, 4))
    ]
    given = ("--as", "image", "--coarse", images[2])
    assert "--band red=1" in run("evaluate", *images[:2], *given).stderr
    done = run("evaluate", *images[:2], *given, "--band", "red=1", "--band", "green=2", "--quiet")
    assert done.exit_code == 0, done.output


def test_a_mask_of_several_bands_is_not_advised_an_option_that_is_not_for_masks(tmp_path: Path, run: Run) -> None:
    near, truth = write_dem(tmp_path / "near.tif", Z + 1), write_dem(tmp_path / "truth.tif", Z)
    mask = write_raster(tmp_path / "mask.tif", np.zeros((2, 96, 96), np.uint8), nodata=None)
    for option in ("--mask", "--classes"):
        result = run("evaluate", near, truth, *PLAIN, option, mask)
        assert result.exit_code == 4, result.output
        assert "--band" not in result.stderr
        assert "gdal_translate -b N" in result.stderr


@pytest.mark.parametrize("kind", ["fractions", "integers"])
@pytest.mark.parametrize("which", ["candidate", "reference"])
def test_heights_are_no_classes(kind: str, which: str, tmp_path: Path, run: Run) -> None:
    wide = 500 + 20 * (Z - Z.min())
    dem = write_dem(tmp_path / "dem.tif", wide if kind == "fractions" else np.round(wide).astype(np.int16))
    origin = (500_000, 5_200_000)
    classes = write_raster(tmp_path / "map.tif", np.ones(Z.shape, np.uint8), origin=origin, nodata=None)
    files = (dem, classes) if which == "candidate" else (classes, dem)
    result = run("evaluate", *files, "--as", "classes", "--out", tmp_path / "report")
    assert result.exit_code == 4, result.output
    assert "dem.tif: holds " + ("fractions such as" if kind == "fractions" else "more than 256") in result.stderr
    assert "--as" in result.stderr
    assert not (tmp_path / "report").exists()


def test_whole_numbers_in_a_floating_point_raster_are_classes(tmp_path: Path, run: Run) -> None:
    maps = [write_raster(tmp_path / f"{n}.tif", CLASSES.astype(np.float32), cell=1) for n in "ab"]
    assert run("evaluate", *maps, "--as", "classes", "--quiet").exit_code == 0


def test_fractions_are_no_classes_to_break_errors_down_by_and_no_mask(tmp_path: Path, run: Run) -> None:
    near, truth = write_dem(tmp_path / "near.tif", Z + 1), write_dem(tmp_path / "truth.tif", Z)
    for option in ("--mask", "--classes"):
        result = run("evaluate", near, truth, *PLAIN, option, write_dem(tmp_path / "f.tif", Z + 0.25))
        assert result.exit_code == 4, result.output
        assert "f.tif: holds fractions such as" in result.stderr


def test_a_sample_of_points_is_not_read_from_heights(tmp_path: Path, run: Run) -> None:
    (tmp_path / "points.csv").write_text("x,y,class\n500100,5199900,1\n500400,5199800,0\n", encoding="utf-8")
    dem = write_dem(tmp_path / "dem.tif", Z + 0.25)
    result = run("evaluate", dem, tmp_path / "points.csv", "--as", "classes")
    assert result.exit_code == 4, result.output
    assert "holds fractions" in result.stderr
