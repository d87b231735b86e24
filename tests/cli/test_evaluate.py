"""`terrafine evaluate`: the table, the verdict, the report, the refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from scipy import ndimage
from tests.support.cli import Run
from tests.support.rasters import write_dem
from tests.support.surfaces import hills

OPTIONS = ("--no-coregistration", "--no-hydrology")


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_dem(tmp_path / "truth.tif", hills(96, 96))


def shifted(path: Path, by_m: float) -> Path:
    return write_dem(path, hills(96, 96) + np.float32(by_m))


def test_the_table_shows_each_surface_with_its_errors(truth: Path, tmp_path: Path, run: Run) -> None:
    near, far = shifted(tmp_path / "near.tif", 1), shifted(tmp_path / "far.tif", 3)
    result = run("evaluate", far, near, truth, *OPTIONS)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()[2:4]]
    assert [row[:3] for row in rows] == [["near", "1.000", "1.000"], ["far", "3.000", "3.000"]]


def test_the_report_is_written_where_it_was_asked_for(truth: Path, tmp_path: Path, run: Run) -> None:
    result = run("evaluate", shifted(tmp_path / "near.tif", 1), truth, *OPTIONS, "--out", tmp_path / "report")
    assert result.exit_code == 0, result.output
    results = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert results["candidates"][0]["elevation"]["rmse"] == pytest.approx(1, abs=1e-4)
    assert str(tmp_path / "report" / "index.html") in result.stdout


def test_multiples_of_sigma_are_the_file_s_own_and_an_option_overrides_them(
    truth: Path, tmp_path: Path, run: Run
) -> None:
    off = tmp_path / "off.tif"
    with rasterio.open(truth) as source:
        profile = source.profile | {"count": 2}
        z = source.read(1)
    with rasterio.open(off, "w", **profile) as file:
        file.write(np.stack((z + np.float32(1), np.ones_like(z))))  # an error of exactly one σ
        file.update_tags(ns="TERRAFINE", SIGMA_COVERS="0.68:1.1 0.90:1.9")
        for i, name in enumerate(("elevation", "elevation_sigma"), start=1):
            file.set_band_description(i, name)

    def covered(*options: str) -> float:
        result = run("evaluate", off, truth, *OPTIONS, *options, "--out", tmp_path / "report")
        assert result.exit_code == 0, result.output
        results = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
        return float(results["candidates"][0]["uncertainty"]["coverage_68"])

    assert covered() == 1.0  # the Gaussian multiple, 0.994, would hold none
    assert covered("--sigma-multiple", "0.68=0.9") == 0.0


def test_quiet_says_nothing(truth: Path, tmp_path: Path, run: Run) -> None:
    result = run("evaluate", shifted(tmp_path / "near.tif", 1), truth, *OPTIONS, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_surfaces_that_do_not_overlap_are_5(truth: Path, tmp_path: Path, run: Run) -> None:
    away = write_dem(tmp_path / "away.tif", hills(96, 96), crs="EPSG:32733")
    result = run("evaluate", away, truth, *OPTIONS, "--out", tmp_path / "report")
    assert result.exit_code == 5, result.output
    assert not (tmp_path / "report").exists()


def test_surfaces_on_two_datums_are_6(tmp_path: Path, run: Run) -> None:
    a = write_dem(tmp_path / "a.tif", hills(96, 96), crs="EPSG:32633+5773")
    b = write_dem(tmp_path / "b.tif", hills(96, 96), crs="EPSG:32633+3855")
    assert run("evaluate", a, b, *OPTIONS).exit_code == 6


def test_a_missing_file_is_3(truth: Path, tmp_path: Path, run: Run) -> None:
    assert run("evaluate", tmp_path / "absent.tif", truth, *OPTIONS).exit_code == 3


def test_a_reference_named_by_its_option_makes_all_files_candidates(truth: Path, tmp_path: Path, run: Run) -> None:
    near, far = shifted(tmp_path / "near.tif", 1), shifted(tmp_path / "far.tif", 3)
    given = run("evaluate", far, near, "--reference", truth, *OPTIONS)
    assert given.exit_code == 0, given.output
    assert given.stdout == run("evaluate", far, near, truth, *OPTIONS).stdout


def test_one_file_without_a_reference_is_2(truth: Path, run: Run) -> None:
    result = run("evaluate", truth, *OPTIONS)
    assert result.exit_code == 2
    assert "--reference" in result.stderr


def test_a_gate_that_is_kept_is_0_and_one_that_is_not_is_17_with_the_report_written(
    truth: Path, tmp_path: Path, run: Run
) -> None:
    near, gates = shifted(tmp_path / "near.tif", 1), tmp_path / "gates.toml"
    gates.write_text("[max]\nelevation.rmse = 1.01\n", encoding="utf-8")
    kept = run("evaluate", near, truth, *OPTIONS, "--gate", gates)
    assert kept.exit_code == 0, kept.output
    gates.write_text("[max]\nelevation.rmse = 0.99\n", encoding="utf-8")
    broken = run("evaluate", near, truth, *OPTIONS, "--gate", gates, "-o", tmp_path / "report")
    assert broken.exit_code == 17, broken.output
    assert "near: elevation.rmse is 1" in broken.stderr
    results = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert [gate["passed"] for gate in results["gates"]] == [False]
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "at most 0.99" in page
    assert (tmp_path / "report" / "gates.csv").read_text(encoding="utf-8").endswith("at most 0.99,NO\n")


def test_gates_that_are_none_are_refused_before_anything_is_read(tmp_path: Path, run: Run) -> None:
    gates = tmp_path / "gates.toml"
    gates.write_text("[best]\nelevation.rmse = 1\n", encoding="utf-8")
    result = run("evaluate", tmp_path / "absent.tif", tmp_path / "absent.tif", "--gate", gates)
    assert result.exit_code == 2
    assert "[max], [min] and [is]" in result.stderr


def test_nothing_but_nodata_is_7(truth: Path, tmp_path: Path, run: Run) -> None:
    void = write_dem(tmp_path / "void.tif", np.full((96, 96), -32768, np.float32))
    for pair in ((void, truth), (truth, void)):
        result = run("evaluate", *pair, "-o", tmp_path / "report")
        assert result.exit_code == 7, result.output
        assert not (tmp_path / "report").exists()


def test_a_report_that_would_fall_on_a_file_is_12_at_once(truth: Path, tmp_path: Path, run: Run) -> None:
    result = run("evaluate", tmp_path / "absent.tif", truth, "-o", truth)
    assert result.exit_code == 12
    assert truth.name in result.stderr


def test_candidates_of_other_grids_are_judged_each_on_its_own_and_that_is_said(
    truth: Path, tmp_path: Path, run: Run
) -> None:
    z = hills(96, 96) + np.float32(1)
    coarse = z.reshape(48, 2, 48, 2).mean(axis=(1, 3))
    other = write_dem(tmp_path / "other.tif", coarse, transform=from_origin(500_000, 5_200_000, 60, 60))
    result = run("evaluate", shifted(tmp_path / "near.tif", 2), other, truth, *OPTIONS)
    assert result.exit_code == 0, result.output
    rows = [line.split()[:2] for line in result.stdout.splitlines()[2:4]]
    assert rows == [["other", "1.000"], ["near", "2.000"]]
    assert "different grids" in result.stdout


def test_hydrology_above_its_memory_is_left_out_and_that_is_said(truth: Path, tmp_path: Path, run: Run) -> None:
    near = shifted(tmp_path / "near.tif", 1)
    result = run("evaluate", near, truth, "--no-coregistration", "--hydrology-memory", "100kB", "-o", tmp_path / "r")
    assert result.exit_code == 0, result.output
    assert "Hydrology was left out" in result.stdout
    results = json.loads((tmp_path / "r" / "results.json").read_text(encoding="utf-8"))
    assert results["candidates"][0]["hydrology"] is None


def test_from_a_coarse_file_to_a_page_twice_the_same(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("numba")
    pytest.importorskip("pyflwdir")
    pytest.importorskip("xdem")
    y, x = np.mgrid[0:128, 0:128]
    rough = ndimage.gaussian_filter(np.random.default_rng(2).normal(0, 60, (128, 128)), 2.5)
    z = (500 + 80 * np.sin(x / 17) * np.cos(y / 13) - 2 * y + rough).astype(np.float32)
    reference = write_dem(tmp_path / "reference.tif", z)
    mean = z.reshape(32, 4, 32, 4).mean(axis=(1, 3))
    coarse = write_dem(tmp_path / "coarse.tif", mean, transform=from_origin(500_000, 5_200_000, 120, 120))
    for name, how in (("backprojected", "hard"), ("bicubic", "none")):
        made = run("dem", coarse, tmp_path / f"{name}.tif", "--model", name, "--consistency", how, "--quiet")
        assert made.exit_code == 0, made.output
    pages = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        candidates = (tmp_path / "bicubic.tif", tmp_path / "backprojected.tif")
        result = run("evaluate", *candidates, reference, "--coarse", coarse, "--stream-area", 0.2, "-o", folder)
        assert result.exit_code == 0, result.output
        pages.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert pages[0] == pages[1]
    assert {"results.json", "index.html", "summary.csv", "streams.csv", "flood.csv"} <= pages[0].keys()
    results = json.loads(pages[0]["results.json"])
    assert [c["name"] for c in results["candidates"]] == ["backprojected", "bicubic.tif"]
    assert results["verdict"]["sentence"].startswith("backprojected is as good as back-projected bicubic")
    kept, lost = (c["consistency"]["max_abs"] for c in results["candidates"])
    assert kept < 0.01 < lost
    assert [row["area_km2"] for row in results["candidates"][0]["hydrology"]["streams"]] == [0.2]
    html = pages[0]["index.html"].decode()
    assert html.count("data:image/png;base64,") >= 12  # reference, 4 hillshades, 4 error maps, 4 stream maps
    assert "Where the water goes" in html
