"""Class maps against a map and against points: ranking, cells in common, regions, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from click.testing import Result
from tests.support.rasters import write_raster

from terrafine.cli import main
from terrafine.errors import DataError, EmptyError, GridError, UsageError
from terrafine.evaluation.classes.compare import compare
from terrafine.evaluation.report import write_report
from terrafine.raster.read.content_type import class_names, kind_of, open_labels

METRE = Affine(1, 0, 500_000, 0, -1, 5_000_000)


def town(side: int = 96, seed: int = 0) -> np.ndarray:
    """Blocks of sealed ground, a fifth of the extent."""
    rng = np.random.default_rng(seed)
    return (rng.random((side // 8, side // 8)) < 0.2).repeat(8, 0).repeat(8, 1).astype(np.uint8)


def flipped(truth: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    wrong = np.random.default_rng(seed).random(truth.shape) < share
    return np.where(wrong, 1 - truth, truth).astype(np.uint8)


def put(path: Path, values: np.ndarray, cell: float = 1.0, **more: Any) -> Path:
    return write_raster(path, values, transform=METRE * Affine.scale(cell), nodata=255, **more)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return put(tmp_path / "truth.tif", town())


def test_the_better_map_comes_first_and_the_gap_is_told_with_its_interval(tmp_path: Path, truth: Path) -> None:
    good, bad = put(tmp_path / "good.tif", flipped(town(), 0.02)), put(tmp_path / "bad.tif", flipped(town(), 0.2))
    found = compare({"bad": bad, "good": good}, truth, class_names={1: "impervious"})
    first, second = found["candidates"]
    assert (first["name"], second["name"]) == ("good", "bad")
    wrong = int((flipped(town(), 0.02) != town()).sum())
    assert first["overall_accuracy"] == pytest.approx(1 - wrong / 96**2)
    assert first["score"] == first["classes"][1]["f1"]
    assert second["behind_best"]["score"] == pytest.approx(first["score"] - second["score"])
    assert 0 < second["behind_best"]["interval"][0] < second["behind_best"]["score"]
    assert "better than bad" in found["verdict"]["sentence"]
    assert "impervious" in found["verdict"]["sentence"]
    assert first["classes"][1]["boundary_iou"]["2"] > second["classes"][1]["boundary_iou"]["2"]


def test_only_cells_known_to_all_count_and_the_cut_shapes_nothing(tmp_path: Path, truth: Path) -> None:
    holed = flipped(town(), 0.05)
    holed[:10] = 255
    maps = {"a": put(tmp_path / "a.tif", holed), "b": put(tmp_path / "b.tif", flipped(town(), 0.1))}
    mask = np.zeros((96, 96), np.uint8)
    mask[:, :6] = 1
    found = compare(maps, truth, masks=[put(tmp_path / "water.tif", mask)])
    assert {c["n"] for c in found["candidates"]} == {86 * 90}
    assert compare(maps, truth, masks=[tmp_path / "water.tif"], block=64) == found


def test_a_coarse_map_is_read_at_the_reference_s_cells(tmp_path: Path, truth: Path) -> None:
    coarse = put(tmp_path / "coarse.tif", town()[::8, ::8], cell=8)
    found = compare({"coarse": coarse}, truth)
    assert found["candidates"][0]["overall_accuracy"] == 1.0
    assert "cells of 8 m" in found["notes"][0]
    assert found["candidates"][0]["classes"][1]["area_m2"] == pytest.approx(float(town().sum()))


def test_regions_break_the_agreement_down(tmp_path: Path, truth: Path) -> None:
    z = town()
    z[:, :48] = flipped(z, 0.2)[:, :48]
    regions = np.full((96, 96), 5, np.uint8)
    regions[:, 48:] = 9
    found = compare({"a": put(tmp_path / "a.tif", z)}, truth, regions=put(tmp_path / "r.tif", regions))["candidates"][
        0
    ]["by_region"]
    assert [(r["region"], r["n"]) for r in found] == [(5, 96 * 48), (9, 96 * 48)]
    assert found[0]["overall_accuracy"] < 0.9
    assert found[1]["overall_accuracy"] == 1.0


def test_what_cannot_be_compared_is_refused(tmp_path: Path, truth: Path) -> None:
    void = put(tmp_path / "void.tif", np.full((96, 96), 255, np.uint8))
    with pytest.raises(EmptyError, match="no cell is known"):
        compare({"void": void}, truth)
    away = write_raster(tmp_path / "away.tif", town(), nodata=255, transform=METRE * Affine.translation(500, 0))
    with pytest.raises(GridError, match="overlap"):
        compare({"away": away}, truth)
    with pytest.raises(GridError, match="EPSG:32634, that of the grid compared on is EPSG:32633"):
        compare({"c": put(tmp_path / "c.tif", town(), crs="EPSG:32634")}, truth)
    with pytest.raises(UsageError, match="100 draws"):
        compare({"void": void}, truth, draws=5)


def test_points_are_read_on_the_map_and_weighted_by_what_it_covers(tmp_path: Path) -> None:
    mapped = flipped(town(), 0.1)
    path = put(tmp_path / "map.tif", mapped)
    rng = np.random.default_rng(4)
    rows = ["x,y,class"]
    for c in (0, 1):
        at = np.argwhere(mapped == c)
        for y, x in at[rng.choice(len(at), 150, replace=False)]:
            rows.append(f"{500_000 + x + 0.5},{5_000_000 - y - 0.5},{town()[y, x]}")
    (tmp_path / "points.csv").write_text("\n".join([*rows, "0,0,1"]))
    found = compare({"map": path}, tmp_path / "points.csv")
    one = found["candidates"][0]["sample"]["classes"][1]
    assert one["area_m2"]["interval"][0] < town().sum() < one["area_m2"]["interval"][1]
    assert one["mapped_area_m2"] == pytest.approx(float(mapped.sum()))
    assert not one["area_m2"]["interval"][0] < mapped.sum() < one["area_m2"]["interval"][1]
    assert "1 of 301 points" in found["notes"][0]


def test_the_report_is_whole_and_loads_nothing(tmp_path: Path, truth: Path) -> None:
    drawn: list[dict[str, Any]] = []
    found = compare({"a<b": put(tmp_path / "a.tif", flipped(town(), 0.1))}, truth, figures=drawn.append)
    paths = write_report(found, drawn[0], tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8")) == found
    assert "a&lt;b" in page
    assert "a<b" not in page
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("http-equiv", "")
    assert {p.name for p in paths} >= {"summary.csv", "classes.csv", "confusion_1.csv"}
    with pytest.raises(DataError, match="terrafine-classes"):
        write_report(found | {"format": "x"}, None, tmp_path / "report")


def test_the_kind_is_told_from_the_header(tmp_path: Path) -> None:
    assert kind_of(put(tmp_path / "bytes.tif", town())) == "classes"
    assert kind_of(write_raster(tmp_path / "dem.tif", town().astype(np.int16))) == "elevation"
    assert kind_of(put(tmp_path / "z.tif", town(), names=("elevation",))) == "elevation"
    assert kind_of(put(tmp_path / "m.tif", town(), unit="m")) == "elevation"
    assert kind_of(write_raster(tmp_path / "named.tif", town().astype(np.int16), names=("class",))) == "classes"
    rgb = np.zeros((3, 16, 16), np.uint16)
    assert kind_of(write_raster(tmp_path / "rgb.tif", rgb, nodata=None, names=("red", "green", "blue"))) == "image"


def test_names_of_classes_are_those_of_the_tag(tmp_path: Path) -> None:
    import rasterio

    path = put(tmp_path / "c.tif", town())
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns="TERRAFINE", CLASS_NAMES="0=other;1=impervious; x")
        file.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
    source = open_labels(path)
    assert class_names(source) == {0: "other", 1: "impervious"}
    assert kind_of(path) == "classes"


@pytest.fixture
def run() -> Callable[..., Result]:
    from click.testing import CliRunner

    return lambda *a: CliRunner().invoke(main, ["evaluate", *map(str, a)])


def test_the_command_line_knows_class_maps_and_says_what_it_found(
    tmp_path: Path, truth: Path, run: Callable[..., Result]
) -> None:
    mine = put(tmp_path / "mine.tif", flipped(town(), 0.05))
    (tmp_path / "gates.toml").write_text("[min]\nclasses.1.f1 = 0.999\n")
    result = run(
        mine, truth, "--class-name", "1=impervious", "--out", tmp_path / "r", "--gate", tmp_path / "gates.toml"
    )
    assert result.exit_code == 17
    assert "FAILED  mine: classes.1.f1" in result.stdout
    assert "impervious" in result.stdout
    assert (tmp_path / "r" / "index.html").is_file()
    as_heights = run(mine, truth, "--as", "elevation", "--no-coregistration", "--no-hydrology")
    assert as_heights.exit_code == 0
    assert "RMSE" in as_heights.stdout


def test_options_that_mean_nothing_for_class_maps_are_refused(
    tmp_path: Path, truth: Path, run: Callable[..., Result]
) -> None:
    mine = put(tmp_path / "mine.tif", flipped(town(), 0.05))
    for options in (["--slope", "horn"], ["--coarse", truth], ["--class-name", "one"], ["--divide-by", "2"]):
        result = run(mine, truth, *options)
        assert result.exit_code == 2, options
    assert run(mine, mine, truth).exit_code == 2
