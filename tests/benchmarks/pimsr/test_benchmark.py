"""The benchmark of guided models: sums are the usual metrics, guides lie where they should, pages hold the numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from benchmarks import common
from benchmarks.pimsr import accuracy, gates, guides, page, score, world
from terrafine.evaluation.hydrology import drainage
from terrafine.evaluation.hydrology.streams import direction_agreement, overlap, streams
from terrafine.nn.weights import save
from terrafine.systems import find_model, find_system, load_model

RELIEF = {"channels": 8, "blocks": (1, 0), "deep_channels": 0, "deep_blocks": 0}
SMALL: dict[str, dict[str, Any]] = {
    "pimsr": {"guides": ("vv", "vh", "optical"), "relief": RELIEF, "width": 4, "body": (8, 1)},
    "pimsr_published": {"channels": 4, "fused": (4, 4, 4)},
}


def heights(y: int = 96, x: int = 128, seed: int = 0) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(size=(y, x))
    return np.asarray(steps.cumsum(0).cumsum(1) / 2 + 800)


def dem(y: int = 96, x: int = 128) -> Any:
    return common.Dem("ground_30m", heights(y, x), np.ones((y, x), bool), np.full((2, y), 30.0))


@pytest.fixture
def weights(tmp_path: Path) -> dict[str, Path]:
    out = {}
    for name, arguments in SMALL.items():
        torch.manual_seed(1)
        system = find_system(name)
        assert system.build is not None
        net = system.build(arguments, 4)
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.05 * torch.randn_like(p))
        spec = system.describe(net, arguments, 4)
        out[spec.name] = tmp_path / f"{spec.name}-x4.safetensors"
        save(out[spec.name], net.state_dict(), spec)
    return out


def plain(fine: np.ndarray, truth: Any) -> dict[str, float]:
    """Every metric of a surface, all blocks once."""
    sums = score.block_sums(fine, truth)
    return {k: float(v[0]) for k, v in score.statistics(sums, np.ones((1, sums.shape[1]))).items()}


def test_sums_over_blocks_are_the_usual_metrics() -> None:
    ground = dem()
    fine = ground.z + np.random.default_rng(2).normal(size=ground.z.shape)
    cells = common.scored_cells(ground.valid)
    truth = score.truth_of(ground, cells)
    found = plain(fine, truth)
    usual = common.metrics(fine, ground, cells)
    for key in ("rmse", "mae", "slope_rmse"):
        assert found[key] == pytest.approx(usual[key])
    whole = score.truth_of(ground, ground.valid)
    found = plain(fine, whole)
    mine, theirs = (drainage(z, ground.valid, ground.pixel_size_m) for z in (fine, ground.z))
    assert found["d8"] == pytest.approx(direction_agreement(mine, theirs)["agreement"])
    f1 = overlap(*(streams(d, whole.area_km2) for d in (mine, theirs)), 1)["f1"]
    assert found["stream_f1"] == pytest.approx(f1)
    assert 0.05 < found["d8"] < 0.99
    assert plain(fine + 1, whole)["rmse"] > 1.2


def test_ratios_are_paired_and_pooled_draws_count_alike() -> None:
    ground = dem()
    truth = score.truth_of(ground, common.scored_cells(ground.valid))
    error = np.random.default_rng(3).normal(size=ground.z.shape) * np.linspace(0.5, 3, 128)
    sums = {n: {"a": score.block_sums(ground.z + f * error, truth)} for n, f in (("bicubic", 1.0), ("twice", 2.0))}
    sums["pooled"] = {"a": sums["bicubic"]["a"] + sums["twice"]["a"]}
    drawn = score.Bootstrap.of(sums)
    ratio = drawn.ratios(["bicubic"], ["a"])
    assert ratio["bicubic"]["bicubic"]["rmse"] == {"value": 1.0, "interval": [1.0, 1.0]}
    assert ratio["twice"]["bicubic"]["rmse"]["value"] == pytest.approx(2)
    np.testing.assert_allclose(ratio["twice"]["bicubic"]["rmse"]["interval"], 2)
    assert ratio["pooled"]["bicubic"]["rmse"]["value"] == pytest.approx(2.5**0.5)
    own = drawn.table()["bicubic"]["a"]["rmse"]
    assert own["interval"][0] < 0.95 * own["value"] < own["value"] < 0.95 * own["interval"][1] / 0.9


def test_rounding_hides_last_bits_and_no_more() -> None:
    rounded = score.rounded
    assert rounded({"a": [1.2345678, np.float64(0.1 + 0.2)], "b": "x", "c": None, "d": True}) == {
        "a": [1.2346, 0.3],
        "b": "x",
        "c": None,
        "d": True,
    }
    assert rounded(1.2344) != rounded(1.2345)


def test_simulated_radar_is_held_by_seed_and_speckled_by_looks() -> None:
    ground = dem()
    first, again, other, clear = (guides.simulated(ground, looks, s) for looks, s in ((2, 0), (2, 0), (2, 1), (4e4, 0)))
    np.testing.assert_array_equal(first["vv"], again["vv"])
    assert np.abs(first["vv"][0] - other["vv"][0]).mean() > 0.3
    rough, smooth = (np.abs(np.diff(g["vv"][0], axis=1)).mean() for g in (first, clear))
    assert rough > 1.2 * smooth
    assert set(guides.only(first, ("vh",))) == {"vh", "look_east", "look_north"}
    assert set(guides.only(first, ("optical",))) == {"optical", "sun_east", "sun_north"}
    assert guides.only(first, ()) == {}


def test_a_guide_lies_on_its_own_cells(weights: dict[str, Path]) -> None:
    ground = dem(64, 72)
    coarse, size = common.coarse_of(ground, 4)
    seen: list[Any] = []

    class Echo:
        spec = load_model(find_model(weights["pimsr-published"], 4)).spec

        def __call__(self, tiles: Any) -> dict[str, Any]:
            seen.append(tiles.guides["vv"][0])
            assert all(n % self.spec.multiple == 0 for n in tiles.shape[1:])
            return {"elevation": tiles.guides["vv"][:, 0]}

    radar = guides.only(guides.simulated(ground, 20, 0), ("vv", "vh"))
    fine, _ = guides.guided_predict(Echo(), radar)(coarse, size)
    np.testing.assert_array_equal(fine, radar["vv"][0])
    assert seen[0][1].sum() == ground.z.size < seen[0][1].size


def series_file(folder: Path, name: str, stack: np.ndarray, days: list[str]) -> None:
    profile = {"driver": "GTiff", "height": 96, "width": 128, "count": len(stack), "dtype": "int16", "nodata": -32768}
    path = folder / f"myanmar_s1_{name}_98dates_db_x100.tif"
    with rasterio.open(path, "w", crs="EPSG:32646", transform=from_origin(800_000, 2_100_000, 30, 30), **profile) as f:
        f.write(stack)
        for i, day in enumerate(days, start=1):
            f.set_band_description(i, f"S1A_IW_GRDH_1SDV_{day}T233201_x_y")


@pytest.fixture
def hillside(tmp_path: Path) -> Path:
    """A data folder like the Myanmar hillside: radar simulated over rough ground, a void band, one day twice."""
    from terrafine.physics.backscatter import simulate_db

    folder = tmp_path / "radar"
    folder.mkdir()
    z = heights(seed=5)
    lit = simulate_db(torch.from_numpy(z), 30.0, 38.5, 100.0).numpy()
    days = ["20150101", "20150113", "20150113", "20150125", "20150206", "20150218", "20150302", "20150314", "20150326"]
    rng = np.random.default_rng(6)
    for name in ("vv", "vh"):
        stack = np.round(100 * (lit + rng.normal(size=(len(days), 96, 128)))).astype(np.int16)
        stack[2] = stack[1]
        stack[4] = -32768
        stack[0, 3, 3] = 0
        series_file(folder, name, stack, days)
    profile = {"driver": "GTiff", "height": 96, "width": 128, "count": 1, "dtype": "float32", "crs": "EPSG:32646"}
    with rasterio.open(
        folder / "myanmar_dem.tif", "w", transform=from_origin(800_000, 2_100_000, 30, 30), **profile
    ) as f:
        f.write(z.astype(np.float32), 1)
    return tmp_path


def test_void_bands_repeated_days_and_zeros_are_left_out(hillside: Path) -> None:
    series = guides.myanmar(hillside)
    assert len(series.days) == 7
    assert len(set(series.days)) == 7
    assert "20150206" not in series.days
    assert np.isnan(series.db["vv"][0, 3, 3])
    assert np.isnan(series.db["vv"]).sum() == 1


def test_the_real_hillside_is_scored_registered_and_told(hillside: Path, weights: dict[str, Path]) -> None:
    refs = {"ridgeline": find_model("bicubic", 4), "pimsr": find_model(weights["pimsr"], 4)}
    record = score.rounded({"myanmar": world.hillside(hillside, refs, 3, ((0.0, 0.0), (3.0, -2.0)))})
    part = record["myanmar"]
    assert part["days"] == 7
    at_rest, planted = (p["found"] for p in part["planted"])
    assert planted["down"] - at_rest["down"] == pytest.approx(3, abs=0.25)
    assert planted["right"] - at_rest["right"] == pytest.approx(-2, abs=0.25)
    assert part["planted"][1]["rmse_registered"] != part["planted"][1]["rmse_as_it_lies"]
    fit = part["backscatter"]["vv"]
    assert fit["exponent"] == pytest.approx(1, abs=0.15)
    assert fit["level_db"] == pytest.approx(-12, abs=0.3)
    assert (
        sorted(part["single_dates"]["pimsr"]["rmse"].values())[1]
        == part["files"]["pimsr, one date"]["myanmar"]["rmse"]["value"]
    )
    for name in ("pimsr_hillside", "pimsr_registration", "pimsr_backscatter"):
        assert page.PARTS[name]({}) == ""
        assert page.PARTS[name](record).count("\n| ") >= 3
    assert f"{part['files']['pimsr, all dates']['myanmar']['rmse']['value']:.3f}" in page.hillside(record)


def test_terrain_corrected_patches_are_scored_with_either_orbit(tmp_path: Path, weights: dict[str, Path]) -> None:
    (tmp_path / "radar").mkdir()
    z = heights(64, 64)
    profile = {"driver": "GTiff", "height": 64, "width": 64, "dtype": "float32", "crs": "EPSG:32718"}
    profile["transform"] = from_origin(400_000, 8_000_000, 10, 10)
    with rasterio.open(tmp_path / "radar" / "a_dem.tif", "w", count=1, **profile) as f:
        f.write(z.astype(np.float32), 1)
    with rasterio.open(tmp_path / "radar" / "a_s1rtc.tif", "w", count=2, **profile) as f:
        f.write(np.random.default_rng(0).normal(-12, 1, (2, 64, 64)).astype(np.float32))
        f.descriptions = ("vv", "vh")
    found = world.corrected_patches(tmp_path, {"pimsr": load_model(find_model(weights["pimsr"], 4))})["a"]
    assert set(found["files"]) == {"bicubic", "pimsr, no guide", "pimsr, descending", "pimsr, ascending"}
    assert len({v["rmse"] for v in found["files"].values()}) == 4
    assert all(abs(c) < 0.2 for by in found["correlation"].values() for c in by.values())
    assert found["relief"]["range_m"] == pytest.approx(np.ptp(z), abs=1e-3)
    assert f"{found['files']['bicubic']['rmse']:.3f}" in page.patches({"rtc": {"a": found}})


def test_terrain_is_scored_by_every_method_and_told(tmp_path: Path, weights: dict[str, Path]) -> None:
    ground = dem()
    profile = {"driver": "GTiff", "height": 96, "width": 128, "count": 1, "dtype": "float32", "crs": "EPSG:32611"}
    path = tmp_path / "ground_30m.tif"
    with rasterio.open(path, "w", transform=from_origin(400_000, 4_000_000, 30, 30), **profile) as f:
        f.write(ground.z.astype(np.float32), 1)
    refs = {n: find_model(w, 4) for n, w in weights.items()} | {"ridgeline": find_model("bicubic", 4)}
    part = accuracy.terrain([path], refs, 1, 40.0)
    assert set(part["files"]) == {
        "bicubic",
        "back-projected bicubic",
        "ridgeline",
        *(f"pimsr, {g}" for g in ("no guide", "VV", "VH", "VV + VH")),
        *(f"pimsr-published, {g}" for g in ("no guide", "VV + VH")),
        *(f"pimsr, VV + VH, {looks} looks" for looks in ("4.4", "400")),
        "pimsr, image",
        "pimsr, VV + VH + image",
    }
    values = [by["ground_30m"]["rmse"]["value"] for by in part["files"].values()]
    assert len(set(values)) == len(values)
    assert part["ratios"] == part["ratios_30m"]
    text = page.terrain({"terrain": part})
    assert f"{part['ratios']['pimsr, VV']['bicubic']['rmse']['value']:.3f}" in text
    assert f"{values[0]:.3f}" in page.by_ground({"terrain": part})


def test_weights_of_no_known_name_are_refused(weights: dict[str, Path]) -> None:
    assert {"pimsr", "pimsr-published", "ridgeline"} <= set(accuracy.models([str(w) for w in weights.values()]))
    system = find_system("pimsr_published")
    assert system.build is not None
    net = system.build(SMALL["pimsr_published"], 4)
    strange = weights["pimsr"].with_name("strange.safetensors")
    save(strange, net.state_dict(), replace(system.describe(net, SMALL["pimsr_published"], 4), name="strange"))
    with pytest.raises(SystemExit, match="strange"):
        accuracy.models([str(strange)])


def test_samples_of_an_hdf5_file_are_scored(tmp_path: Path, weights: dict[str, Path]) -> None:
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    fine = np.stack([heights(64, 64, seed) for seed in range(3)]).astype(np.float32)
    coarse = fine.reshape(3, 16, 4, 16, 4).mean(axis=(2, 4))
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["hr_dem_raw"], f["lr_dem_raw"] = fine[:, None], coarse[:, None]
        f["vv_sar_raw"], f["vh_sar_raw"] = rng.gamma(4, 0.02, fine.shape), rng.gamma(4, 0.005, fine.shape)
        f["inc_angle_map"] = np.full(fine.shape, 39.0)
    refs = {n: find_model(w, 4) for n, w in weights.items()}
    found = accuracy.samples(f"{tmp_path / 'a.h5'}#descending", refs)
    assert (found["samples"], found["backscatter"]) == (3, "linear")
    errors = {n: v["rmse"] for n, v in found["files"].items()}
    assert errors["back-projected bicubic"] < errors["bicubic"]
    assert errors["pimsr, no guide"] != errors["pimsr, VV + VH"]


@pytest.mark.parametrize(
    "said", ["-0.52 down, 0.12 right, taken out", "not told: the guide follows the relief too little"]
)
def test_what_the_run_says_of_registration_is_read(said: str) -> None:
    found = guides.estimated({"RADAR_SHIFT_CELLS": said, "RADAR_RELIEF_CORRELATION": "0.7"})
    assert (found["down"], found["right"]) == ((-0.52, 0.12) if "0.52" in said else (None, None))
    assert (found["correlation"], found["said"]) == (0.7, said)


def test_gates_are_shares_by_cell(weights: dict[str, Path]) -> None:
    from terrafine.systems import load_network

    ground = dem()
    coarse, size = common.coarse_of(ground, 4)
    net = load_network(find_model(weights["pimsr"], 4))
    names, found = gates.shares(net, coarse, size, guides.only(guides.simulated(ground, 40, 0), ("vv", "vh")))
    assert names == ["dem", "vv", "vh"]
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    assert found.std() > 0
    lit = gates.shaded(ground, np.s_[:, :])
    assert 0 <= lit.min() < lit.max() <= 1


def test_one_models_rows_go_into_a_result_that_agrees_and_into_no_other() -> None:
    joined = accuracy.joined
    old = {"draws": 1, "files": {"a": {"rmse": 2.0, "interval": [1.0, 3.0]}}, "planted": [1, 2], "speed": {"a": 1.0}}
    new = {"draws": 1, "files": {"a": {"rmse": 2.0001, "interval": [1.0, 3.0]}, "b": {"rmse": 5.0}}, "planted": []}
    both = joined(old, new)
    assert set(both["files"]) == {"a", "b"}
    assert both["planted"] == [1, 2]
    assert both["speed"] == {"a": 1.0}
    with pytest.raises(SystemExit, match=r"/files/a/rmse: the result has 2\.0, this run 2\.1"):
        joined(old, {"files": {"a": {"rmse": 2.1}}})
    with pytest.raises(SystemExit, match="/draws"):
        joined(old, {"draws": 3})
