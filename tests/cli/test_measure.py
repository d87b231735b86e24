"""`measure` writes a product file that `dem` uses; what cannot serve is refused and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.cli import Run
from tests.support.rasters import read_bands, write_surface
from tests.support.sensors import fractal, means, observed

from terrafine.raster.products import read_product

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
