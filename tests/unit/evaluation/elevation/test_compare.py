from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scipy import ndimage
from tests.support.rasters import write_surface
from tests.support.surfaces import block_means, terrain

from terrafine.errors import DatumError, EmptyError, GridError, UsageError
from terrafine.evaluation.elevation.compare import compare
from terrafine.evaluation.report import results_text

CELL, SIDE = 10.0, 192


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return ndimage.gaussian_filter(terrain(SIDE, rough=2.0), 1.0, mode="wrap")


def noisy(truth: np.ndarray, sd: float, seed: int = 1) -> np.ndarray:
    return truth + np.random.default_rng(seed).normal(0, sd, truth.shape)


def plain(*paths: Path, **options: Any) -> dict[str, Any]:
    """Without co-registration and hydrology, with few draws."""
    *candidates, reference = paths
    return compare(candidates, reference, **({"coregister": False, "hydrology": False, "draws": 200} | options))


def test_a_raised_copy_has_its_rise_as_bias(tmp_path: Path, truth: np.ndarray) -> None:
    r = plain(write_surface(tmp_path / "up.tif", truth + 3), write_surface(tmp_path / "ref.tif", truth))
    e = r["candidates"][0]["elevation"]
    assert e["n"] == SIDE**2
    assert e["bias"] == pytest.approx(3, abs=1e-4)
    assert e["sd"] == pytest.approx(0, abs=1e-4)
    assert r["candidates"][0]["terrain"]["measures"]["slope"]["rmse"] < 1e-3
    assert r["candidates"][0]["shift_m"] is None


def test_a_noisy_copy_has_the_noise_in_every_stratum(tmp_path: Path, truth: np.ndarray) -> None:
    r = plain(write_surface(tmp_path / "c.tif", noisy(truth, 2)), write_surface(tmp_path / "ref.tif", truth))[
        "candidates"
    ][0]
    assert r["elevation"]["rmse"] == pytest.approx(2, rel=0.02)
    low, high = r["elevation"]["intervals"]["rmse"]
    assert low < r["elevation"]["rmse"] < high
    # Independent Gaussian errors: the standard error of an RMSE is sigma / sqrt(2 n).
    assert high - low == pytest.approx(2 * 1.96 * 2 / np.sqrt(2 * SIDE**2), rel=0.3)
    for part in ("by_slope", "by_elevation"):
        strata = r[part]
        assert sum(s["n"] for s in strata) == pytest.approx(SIDE**2, rel=0.03)
        assert all(s["rmse"] == pytest.approx(2, rel=0.1) for s in strata if s["n"] > 2000)
    assert r["spectrum"]["windows"] >= 1
    assert r["spectrum"]["invented_fraction"] > 0.5


def test_the_result_does_not_depend_on_the_blocks(tmp_path: Path, truth: np.ndarray) -> None:
    z = noisy(truth, 2)
    z[50:60, 70:95] = np.nan
    c, ref = write_surface(tmp_path / "c.tif", z), write_surface(tmp_path / "ref.tif", truth)
    coarse = write_surface(tmp_path / "lr.tif", block_means(truth, 4), 4 * CELL)
    one, many = (plain(c, ref, coarse=coarse, block=b) for b in (512, 70))
    assert one["candidates"][0]["elevation"]["n"] == SIDE**2 - 250

    def equal(a: Any, b: Any, where: str = "") -> None:
        if isinstance(a, dict):
            assert a.keys() == b.keys(), where
            for key in a:
                equal(a[key], b[key], f"{where}.{key}")
        elif isinstance(a, list):
            assert len(a) == len(b), where
            for i, (x, y) in enumerate(zip(a, b, strict=True)):
                equal(x, y, f"{where}[{i}]")
        elif isinstance(a, float):
            assert b == pytest.approx(a, rel=1e-6, abs=1e-6), where
        else:
            assert a == b, where

    equal(one, many)


def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(tmp_path: Path, truth: np.ndarray) -> None:
    texts = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        c, ref = write_surface(folder / "c.tif", noisy(truth, 2)), write_surface(folder / "ref.tif", truth)
        coarse = write_surface(folder / "lr.tif", block_means(truth, 4), 4 * CELL)
        texts.append(results_text(compare(c, ref, coarse=coarse, draws=200)))
    assert texts[0] == texts[1]
    assert str(tmp_path) not in texts[0]
    assert json.loads(texts[0])["format"] == "terrafine-evaluation/1"
    other = results_text(compare(c, ref, coarse=coarse, draws=200, seed=1))
    assert other != texts[0]


def test_a_shift_is_found_reported_and_taken_out(tmp_path: Path) -> None:
    fine = ndimage.gaussian_filter(terrain(512, rough=2.2), 1.5, mode="wrap")
    reference = write_surface(tmp_path / "ref.tif", fine, CELL / 2)
    # The same ground, laid 4 m too far east and 3 m too far south, and 7 m too high.
    moved = write_surface(tmp_path / "c.tif", block_means(fine, 2) + 7, origin=(500_004, 3_999_997))
    free = compare(moved, reference, draws=200)["candidates"][0]
    fixed = compare(moved, reference, draws=200, coregister=False)["candidates"][0]
    assert free["shift_m"]["x"] == pytest.approx(-4, abs=0.3)
    assert free["shift_m"]["y"] == pytest.approx(3, abs=0.3)
    assert free["shift_m"]["z"] == pytest.approx(-7, abs=0.1)
    assert abs(free["elevation"]["bias"]) < 0.05
    assert fixed["elevation"]["bias"] == pytest.approx(7, abs=0.1)
    assert free["elevation"]["sd"] < 0.5 * fixed["elevation"]["sd"]


def test_the_reference_is_averaged_and_never_sampled(tmp_path: Path, truth: np.ndarray) -> None:
    checker = np.indices(truth.shape).sum(axis=0) % 2 * 20.0 - 10.0
    c = write_surface(tmp_path / "c.tif", block_means(truth, 2), 2 * CELL)
    e = plain(c, write_surface(tmp_path / "ref.tif", truth + checker))["candidates"][0]["elevation"]
    assert e["rmse"] < 1e-3
    sampled = write_surface(tmp_path / "s.tif", (truth + checker)[::2, ::2], 2 * CELL)
    assert plain(sampled, tmp_path / "ref.tif")["candidates"][0]["elevation"]["rmse"] > 5


def test_baselines_are_scored_on_the_same_cells_and_the_verdict_tells(tmp_path: Path, truth: np.ndarray) -> None:
    coarse = write_surface(tmp_path / "lr.tif", block_means(truth, 4), 4 * CELL)
    holed = noisy(truth, 0.2)
    holed[20:40, 20:40] = np.nan
    good, bad = write_surface(tmp_path / "good.tif", holed), write_surface(tmp_path / "bad.tif", noisy(truth, 30))
    r = plain(bad, good, write_surface(tmp_path / "ref.tif", truth), coarse=coarse)
    assert [c["name"] for c in r["candidates"]] == ["good", "bad"]
    assert [c["rank"] for c in r["candidates"]] == [1, 2]
    counts = {s["elevation"]["n"] for s in (*r["candidates"], *r["baselines"].values())}
    assert counts == {SIDE**2 - 400}
    base = {name: s["elevation"]["rmse"] for name, s in r["baselines"].items()}
    assert base["back_projected"] < base["bicubic"]
    verdict = r["candidates"][0]["verdict"]
    assert verdict["better"] is True
    assert verdict["baseline"] == "back_projected"
    assert verdict["rmse_ratio"] == pytest.approx(r["candidates"][0]["elevation"]["rmse"] / base["back_projected"])
    low, high = verdict["rmse_ratio_interval"]
    assert low < verdict["rmse_ratio"] < high < 1
    assert verdict["sentence"].startswith("good is better than back-projected bicubic interpolation: RMSE 0.20 m")
    assert r["verdict"] == verdict
    assert r["candidates"][1]["verdict"]["better"] is False
    assert "worse than" in r["candidates"][1]["verdict"]["sentence"]


def test_interpolation_itself_cannot_be_told_from_interpolation(tmp_path: Path, truth: np.ndarray) -> None:
    coarse = write_surface(tmp_path / "lr.tif", block_means(truth, 4), 4 * CELL)
    first = plain(write_surface(tmp_path / "c.tif", truth), write_surface(tmp_path / "ref.tif", truth), coarse=coarse)
    rmse = first["baselines"]["back_projected"]["elevation"]["rmse"]
    rng = np.random.default_rng(3)
    error = np.kron(rng.choice([-1.0, 1.0], (16, 16)) * rng.uniform(0.2, 1.7, (16, 16)), np.ones((12, 12)))
    error *= rmse / np.sqrt(np.mean(error**2))
    for factor, told in ((1.01, "is not distinguishable from"), (1.0, "is as good as")):
        r = plain(write_surface(tmp_path / "d.tif", truth + factor * error), tmp_path / "ref.tif", coarse=coarse)
        assert r["verdict"]["better"] is None
        assert told in r["verdict"]["sentence"]


def test_without_a_coarse_input_the_verdict_does_not_guess(tmp_path: Path, truth: np.ndarray) -> None:
    r = plain(write_surface(tmp_path / "c.tif", noisy(truth, 2)), write_surface(tmp_path / "ref.tif", truth))
    assert r["verdict"]["better"] is None
    assert "no coarse input was given" in r["verdict"]["sentence"]
    assert r["baselines"] == {}


def test_consistency_tells_a_kept_observation_from_a_lost_one(tmp_path: Path, truth: np.ndarray) -> None:
    coarse = write_surface(tmp_path / "lr.tif", block_means(truth, 4), 4 * CELL)
    off = truth.copy()
    off[8:12, 8:12] += 0.5
    kept, lost = write_surface(tmp_path / "kept.tif", truth), write_surface(tmp_path / "lost.tif", off)
    r = plain(kept, lost, write_surface(tmp_path / "ref.tif", truth), coarse=coarse, block=70)
    found = {c["name"]: c["consistency"] for c in r["candidates"]}
    assert found["kept"]["n"] == found["lost"]["n"] == (SIDE // 4) ** 2
    assert found["kept"]["max_abs"] < 1e-3
    assert found["kept"]["within"] == 1.0
    assert found["lost"]["max_abs"] == pytest.approx(0.5, abs=1e-3)
    assert found["lost"]["within"] == pytest.approx(1 - 1 / 48**2)


def test_a_sigma_band_is_judged(tmp_path: Path, truth: np.ndarray) -> None:
    bands = ("elevation", "elevation_sigma")
    z = noisy(truth, 2)
    honest = write_surface(tmp_path / "honest.tif", np.stack((z, np.full_like(z, 2.0))), bands=bands)
    bold = write_surface(tmp_path / "bold.tif", np.stack((z, np.full_like(z, 0.5))), bands=bands)
    none = write_surface(tmp_path / "none.tif", z)
    r = plain(honest, bold, none, write_surface(tmp_path / "ref.tif", truth))
    found = {c["name"]: c["uncertainty"] for c in r["candidates"]}
    assert found["honest"]["coverage_68"] == pytest.approx(0.68, abs=0.01)
    assert found["honest"]["coverage_90"] == pytest.approx(0.90, abs=0.01)
    assert found["bold"]["coverage_68"] < 0.25
    assert found["none"] is None


def test_the_multiples_of_sigma_are_the_file_s_own_unless_others_are_asked_for(
    tmp_path: Path, truth: np.ndarray
) -> None:
    z = noisy(truth, 2)
    layers, bands = np.stack((z, np.full_like(z, 1.0))), ("elevation", "elevation_sigma")
    told = write_surface(tmp_path / "told.tif", layers, bands=bands)
    with rasterio.open(told, "r+") as file:
        file.update_tags(ns="TERRAFINE", SIGMA_COVERS="0.68:1.989 0.90:3.29")
    silent = write_surface(tmp_path / "silent.tif", layers, bands=bands)
    ref = write_surface(tmp_path / "ref.tif", truth)
    found = {c["name"]: c["uncertainty"] for c in plain(told, silent, ref)["candidates"]}
    assert found["told"]["coverage_68"] == pytest.approx(0.68, abs=0.01)
    assert found["told"]["coverage_90"] == pytest.approx(0.90, abs=0.01)
    assert found["silent"]["coverage_90"] == pytest.approx(0.589, abs=0.01)  # 1.645 where 3.29 is needed
    asked = plain(told, ref, multipliers={0.9: 1.645})["candidates"][0]["uncertainty"]
    assert asked["coverage_90"] == pytest.approx(0.589, abs=0.01)
    assert asked["multiples"] == {"0.68": 1.989, "0.9": 1.645}


def test_masks_leave_cells_out_and_classes_break_errors_down(tmp_path: Path, truth: np.ndarray) -> None:
    left = np.zeros_like(truth)
    left[:, :96] = 1
    z = np.where(left == 1, truth + 10, noisy(truth, 1))
    c, ref = write_surface(tmp_path / "c.tif", z), write_surface(tmp_path / "ref.tif", truth)
    mask = write_surface(tmp_path / "water.tif", left)
    cover = write_surface(tmp_path / "cover.tif", np.kron(np.array([[10.0, 20.0]]), np.ones((12, 6))), 16 * CELL)
    r = plain(c, ref, classes=cover, class_names={10: "lake"})["candidates"][0]
    assert [(s["label"], s["n"]) for s in r["by_class"]] == [("lake", 96 * SIDE), ("20", 96 * SIDE)]
    assert r["by_class"][0]["bias"] == pytest.approx(10, abs=1e-3)
    masked = plain(c, ref, masks=[mask])
    assert masked["candidates"][0]["elevation"]["n"] == 96 * SIDE
    assert masked["candidates"][0]["elevation"]["rmse"] == pytest.approx(1, rel=0.05)
    assert masked["settings"]["masks"] == ["water.tif"]


def test_candidates_on_two_grids_are_each_judged_on_their_own(tmp_path: Path, truth: np.ndarray) -> None:
    a = write_surface(tmp_path / "a.tif", noisy(truth, 1))
    b = write_surface(tmp_path / "b.tif", block_means(truth, 2) + 5, 2 * CELL)
    r = plain(a, b, write_surface(tmp_path / "ref.tif", truth))
    assert [(c["name"], c["elevation"]["n"]) for c in r["candidates"]] == [("a", SIDE**2), ("b", SIDE**2 // 4)]
    assert any("different grids" in note for note in r["notes"])


def test_progress_reaches_its_total(tmp_path: Path, truth: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    plain(
        write_surface(tmp_path / "c.tif", truth),
        write_surface(tmp_path / "r.tif", truth),
        block=100,
        progress=lambda *p: seen.append(p),
    )
    assert seen == [(i, 5) for i in range(1, 6)]


def test_surfaces_that_do_not_overlap_are_refused(tmp_path: Path, truth: np.ndarray) -> None:
    c = write_surface(tmp_path / "c.tif", truth)
    far = write_surface(tmp_path / "far.tif", truth, origin=(600_000, 4_000_000))
    with pytest.raises(GridError, match="overlap"):
        plain(c, far)


def test_nothing_in_common_is_refused(tmp_path: Path, truth: np.ndarray) -> None:
    top, bottom = truth.copy(), truth.copy()
    top[96:], bottom[:96] = np.nan, np.nan
    with pytest.raises(EmptyError, match="no cell is valid"):
        plain(write_surface(tmp_path / "top.tif", top), write_surface(tmp_path / "bottom.tif", bottom))


def test_a_reference_of_another_datum_is_refused_and_an_unknown_one_is_told(tmp_path: Path, truth: np.ndarray) -> None:
    a = write_surface(tmp_path / "a.tif", truth, tags={"VERTICAL_DATUM": "EGM96"})
    with pytest.raises(DatumError):
        plain(a, write_surface(tmp_path / "b.tif", truth, tags={"VERTICAL_DATUM": "EGM2008"}))
    r = plain(a, write_surface(tmp_path / "c.tif", truth))
    assert any("c.tif does not state the vertical datum" in note for note in r["notes"])


def test_a_coarse_input_of_another_datum_is_refused(tmp_path: Path, truth: np.ndarray) -> None:
    a, b = (write_surface(tmp_path / f"{n}.tif", truth, tags={"VERTICAL_DATUM": "EGM96"}) for n in "ab")
    low, tags = block_means(truth, 4), {"VERTICAL_DATUM": "EGM2008"}
    coarse = write_surface(tmp_path / "coarse.tif", low, cell=120, tags=tags)
    with pytest.raises(DatumError, match=r"coarse\.tif are above EGM2008"):
        plain(a, b, coarse=coarse)
    plain(a, b, coarse=write_surface(tmp_path / "same.tif", low, cell=120, tags={"VERTICAL_DATUM": "EGM96"}))


def test_options_that_cannot_be_meant_are_refused(tmp_path: Path, truth: np.ndarray) -> None:
    c = write_surface(tmp_path / "c.tif", truth)
    with pytest.raises(UsageError, match="slope method"):
        plain(c, c, slope_method="sobel")
    with pytest.raises(UsageError, match="block"):
        plain(c, c, block=8)
    with pytest.raises(UsageError, match="no candidate"):
        compare([], c)
