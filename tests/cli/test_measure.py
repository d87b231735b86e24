"""`measure` writes a product file that `dem` uses; what cannot serve is refused and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio
from rasterio.windows import Window
from tests.support.cli import Run
from tests.support.paths import DATA
from tests.support.rasters import read_bands, write_surface
from tests.support.sensors import fractal, means, observed

from terrafine.raster.products import PRODUCTS, read_product

K = 4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    ground = fractal(100 * K, relief=100.0)
    made = observed(ground, K, cell=40.0, psf=0.5, flat=2.0, correlation=0.5, rounding=1.0)
    return (
        write_surface(folder / "coarse.tif", made, cell=40.0),
        write_surface(folder / "fine.tif", means(ground, 1), cell=10.0),
    )


def test_a_product_is_measured_and_used(files: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    result = run("measure", *files, "-o", tmp_path / "my survey.toml", "--draws", 20)
    assert result.exit_code == 0, result.output
    assert "product my_survey" in result.output and "psf_cells          0.5" in result.output
    assert "such as canopy" in result.stderr
    product = read_product(tmp_path / "my survey.toml")
    assert (product.key, product.posting, product.sensor.rounding_m) == ("my_survey", 40.0, 1.0)
    assert product.origin == "fitted on coarse.tif against fine.tif" and product.uncertainty is not None
    made = run("dem", files[0], tmp_path / "f.tif", "--model", "bicubic", "--product", tmp_path / "my survey.toml")
    assert made.exit_code == 0, made.output
    assert "product my survey 40 m (stated)" in made.output
    assert read_bands(tmp_path / "f.tif")[1]["PRODUCT"] == "my_survey"


def test_quiet_prints_nothing_and_the_result_repeats(files: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    results = [run("measure", *files, "-o", tmp_path / f"{n}.toml", "--name", "x", "--quiet") for n in "ab"]
    assert [(r.exit_code, r.output) for r in results] == [(0, "")] * 2
    assert (tmp_path / "a.toml").read_bytes() == (tmp_path / "b.toml").read_bytes()


@pytest.mark.parametrize(
    ("more", "code", "shown"),
    [
        (["-o", "no/such/p.toml"], 12, "no folder"),
        (["-o", "p.tif"], 2, "ends in .toml"),
        (["--reference-product", "srtm9"], 2, "'srtm9' is not known"),
        (["--draws", "1"], 2, "expected 20 to 10,000"),
        (["--vertical-datum", "EGM69"], 6, "is not a known vertical datum"),
    ],
)
def test_what_cannot_serve_is_refused(
    more: list[str], code: int, shown: str, files: tuple[Path, Path], tmp_path: Path, run: Run
) -> None:
    result = run("measure", *files, *more)
    assert (result.exit_code, shown in result.stderr) == (code, True), result.stderr
    assert not list(tmp_path.glob("*.toml"))


def test_other_datums_are_refused(tmp_path: Path, run: Run) -> None:
    for name, datum in (("a", "EGM96"), ("b", "EGM2008")):
        write_surface(tmp_path / f"{name}.tif", fractal(100), tags={"VERTICAL_DATUM": datum})
    assert run("measure", tmp_path / "a.tif", tmp_path / "b.tif").exit_code == 6


@pytest.mark.long
def test_aster_against_srtm_gives_a_product_file_that_dem_uses(tmp_path: Path, run: Run) -> None:
    pair = [DATA / "real_pairs" / f"nw_argentina_{name}_30m.tif" for name in ("aster", "srtm")]
    if not all(path.is_file() for path in pair):
        pytest.skip("the pair of ASTER and SRTM is not there: set TERRAFINE_DATA")
    made = tmp_path / "region.toml"
    result = run("measure", *pair, "--reference-product", "srtm1", "-o", made, "--draws", 20)
    assert result.exit_code == 0, result.output
    own, table = read_product(made).sensor, next(p for p in PRODUCTS if p.key == "aster")
    error = table.uncertainty
    assert error is not None
    for name in ("psf_cells", "noise_flat_m", "noise_slope_m", "correlation_cells"):
        assert getattr(own, name) == pytest.approx(getattr(table.sensor, name), abs=1.1 * getattr(error, name)), name
    with rasterio.open(pair[0]) as source:
        part = source.read(1, window=Window(400, 400, 120, 120))
    small = write_surface(tmp_path / "part.tif", part.astype(float), cell=30.0)
    fine = run("dem", small, tmp_path / "fine.tif", "--scale", 2, "--product", made)
    assert fine.exit_code == 0, fine.output
    assert read_bands(tmp_path / "fine.tif")[1]["PRODUCT"] == "region"
