"""`terrafine dem` on good input: a whole file, its summary, its options."""

from pathlib import Path

import numpy as np
import rasterio
from tests.support.cli import Run
from tests.support.rasters import read_band, write_dem
from tests.support.surfaces import block_means, hills

BICUBIC = ("--model", "backprojected", "--threads", "1")


def test_the_output_is_a_finer_cog_whose_block_means_are_the_input(dem: Path, tmp_path: Path, run: Run) -> None:
    result = run("dem", dem, tmp_path / "fine.tif", *BICUBIC)
    assert result.exit_code == 0, result.stderr
    with rasterio.open(tmp_path / "fine.tif") as fine, rasterio.open(dem) as coarse:
        assert fine.shape == (96, 128)
        assert fine.bounds == coarse.bounds
        assert fine.crs == coarse.crs
        assert fine.dtypes == ("float32",)
        assert fine.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert fine.tags(ns="TERRAFINE")["SCALE"] == "4"
    np.testing.assert_allclose(block_means(read_band(tmp_path / "fine.tif"), 4), hills(), atol=0.01)


def test_the_summary_says_size_time_rate_and_residual(dem: Path, tmp_path: Path, run: Run) -> None:
    out = run("dem", dem, tmp_path / "fine.tif", *BICUBIC).stdout
    for said in (
        str(tmp_path / "fine.tif"),
        "96 × 128 cells",
        " s, ",
        "Mpx/s",
        "block means differ from the input by less than 0.1 mm",
        "kB",
    ):
        assert said in out


def test_quiet_says_nothing(dem: Path, tmp_path: Path, run: Run) -> None:
    result = run("dem", dem, tmp_path / "fine.tif", *BICUBIC, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_nothing_but_the_output_and_the_preview_is_left(dem: Path, tmp_path: Path, run: Run) -> None:
    result = run("dem", dem, tmp_path / "fine.tif", *BICUBIC, "--scale", 2, "--preview", tmp_path / "fine.png")
    assert result.exit_code == 0, result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["coarse.tif", "fine.png", "fine.tif"]
    assert (tmp_path / "fine.png").read_bytes().startswith(b"\x89PNG")


def test_several_files_are_one_mosaic(tmp_path: Path, run: Run) -> None:
    whole = hills()
    left = write_dem(tmp_path / "left.tif", whole[:, :16])
    right = write_dem(
        tmp_path / "right.tif", whole[:, 16:], transform=rasterio.transform.from_origin(500_480, 5_200_000, 30, 30)
    )
    both = write_dem(tmp_path / "both.tif", whole)
    assert run("dem", left, right, tmp_path / "a.tif", *BICUBIC).exit_code == 0
    assert run("dem", both, tmp_path / "b.tif", *BICUBIC).exit_code == 0
    np.testing.assert_array_equal(read_band(tmp_path / "a.tif"), read_band(tmp_path / "b.tif"))
    assert np.ptp(read_band(tmp_path / "a.tif")) > 100


def test_another_grid_is_written_as_asked(dem: Path, tmp_path: Path, run: Run) -> None:
    result = run("dem", dem, tmp_path / "fine.tif", *BICUBIC, "--tr", 10, 10, "--t-srs", "EPSG:32634")
    assert result.exit_code == 0, result.stderr
    with rasterio.open(tmp_path / "fine.tif") as fine:
        assert fine.res == (10, 10)
        assert fine.crs.to_epsg() == 32634
        heights = fine.read(1, masked=True)
    assert hills().min() - 20 < heights.min() < heights.max() < hills().max() + 20


def test_what_the_file_does_not_say_is_taken_from_the_options(tmp_path: Path, run: Run) -> None:
    dull = write_dem(tmp_path / "dull.tif", crs=None)
    assert run("dem", dull, tmp_path / "no.tif", *BICUBIC).exit_code == 5
    result = run("dem", dull, tmp_path / "fine.tif", *BICUBIC, "--assume-crs", "EPSG:32633")
    assert result.exit_code == 0, result.stderr
    with rasterio.open(tmp_path / "fine.tif") as fine:
        assert fine.crs.to_epsg() == 32633


def test_an_assumed_crs_goes_before_the_one_in_the_file(dem: Path, tmp_path: Path, run: Run) -> None:
    assert run("dem", dem, tmp_path / "fine.tif", *BICUBIC, "--assume-crs", "EPSG:32632").exit_code == 0
    with rasterio.open(tmp_path / "fine.tif") as fine:
        assert fine.crs.to_epsg() == 32632


def test_an_undeclared_nodata_value_is_declared_by_option(tmp_path: Path, run: Run) -> None:
    heights = hills()
    heights[3, 4] = -9999
    path = write_dem(tmp_path / "undeclared.tif", heights, nodata=None)
    assert run("dem", path, tmp_path / "no.tif", *BICUBIC).exit_code == 4
    result = run("dem", path, tmp_path / "fine.tif", *BICUBIC, "--nodata", "-9999")
    assert result.exit_code == 0, result.stderr
    with rasterio.open(tmp_path / "fine.tif") as fine:
        valid = fine.read_masks(1) > 0
    expected = np.ones((24, 32), bool)
    expected[3, 4] = False
    np.testing.assert_array_equal(valid, np.kron(expected, np.ones((4, 4), bool)))


def test_feet_are_converted_where_the_option_says_so(dem: Path, tmp_path: Path, run: Run) -> None:
    assert run("dem", dem, tmp_path / "m.tif", *BICUBIC).exit_code == 0
    result = run("dem", dem, tmp_path / "ft.tif", *BICUBIC, "--elevation-unit", "ft")
    assert result.exit_code == 0, result.stderr
    np.testing.assert_allclose(read_band(tmp_path / "ft.tif"), read_band(tmp_path / "m.tif") * 0.3048, atol=0.01)


def test_a_file_without_crs_is_read_with_the_size_of_its_cells(tmp_path: Path, run: Run) -> None:
    path = write_dem(tmp_path / "dull.tif", crs=None)
    result = run("dem", path, tmp_path / "fine.tif", *BICUBIC, "--pixel-size", 30)
    assert result.exit_code == 0, result.stderr
    with rasterio.open(tmp_path / "fine.tif") as fine:
        assert fine.crs is None
        assert fine.res == (7.5, 7.5)


def test_the_band_is_chosen_by_name(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "two.tif"
    write_dem(path)
    with rasterio.open(path) as dataset:
        profile = dataset.profile
    profile.update(count=2)
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(np.stack([hills(), hills() + 1000]))
    means = []
    for n in (1, 2):
        result = run("dem", path, tmp_path / f"{n}.tif", *BICUBIC, "--band", f"elevation={n}")
        assert result.exit_code == 0, result.stderr
        means.append(read_band(tmp_path / f"{n}.tif").mean(dtype=np.float64))
    np.testing.assert_allclose(means[1] - means[0], 1000, atol=0.01)
