"""The layout of the public PIMSR data: read as it is, refused where it cannot be meant, trained on by sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.recipes import write_recipe

from terrafine.errors import DataError, MissingExtraError, RecipeError, SourceError
from terrafine.nn.weights import read_spec
from terrafine.physics.radar import look_vector
from terrafine.training.dem.degrade import Family, sample
from terrafine.training.dem.hdf5 import KEYS, read_samples
from terrafine.training.dem.optical import OpticalFamily
from terrafine.training.dem.patches import Sampler
from terrafine.training.dem.radar import RadarFamily
from terrafine.training.dem.terrain import check_leak, load_terrains, split
from terrafine.training.start import train

h5py = pytest.importorskip("h5py")
N = 12


def arrays(n: int = N, seed: int = 0, *, linear: bool = True) -> dict[str, Any]:
    """Samples of rough ground with radar simulated over them."""
    rng = np.random.default_rng(seed)
    fine = (rng.normal(size=(n, 64, 64)).cumsum(1).cumsum(2) / 3 + 600).clip(-400, 8000).astype(np.float32)
    family = RadarFamily(looks=(50.0, 50.0), drop=0.0)
    radar = [family.simulate(z.astype(np.float64), (30.0, 30.0), rng) for z in fine]
    db = {name: np.stack([r[name][0] for r in radar]) for name in ("vv", "vh")}
    sar = {f"{name}_sar_raw": 10 ** (v / 10) if linear else v for name, v in db.items()}
    coarse = np.stack([sample(z.astype(np.float64), 4) for z in fine]).astype(np.float32)
    return {"hr_dem_raw": fine, "lr_dem_raw": coarse, **sar, "inc_angle_map": np.full(fine.shape, 38.0, np.float32)}


def write(path: Path, content: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as f:
        for key, value in content.items():
            f[key] = value
    return path


@pytest.mark.parametrize("channel", [False, True])
def test_both_shapes_read_alike(tmp_path: Path, channel: bool) -> None:
    content = arrays()
    shaped = {key: v[:, None] if channel else v for key, v in content.items()}
    found = read_samples(write(tmp_path / "a.h5", shaped), "descending")
    assert (len(found), found.scale, found.fine.shape, found.coarse.shape) == (N, 4, (N, 64, 64), (N, 16, 16))
    np.testing.assert_array_equal(found.fine, content["hr_dem_raw"])
    np.testing.assert_array_equal(found.coarse, content["lr_dem_raw"])


def test_linear_power_and_decibels_give_the_same_backscatter(tmp_path: Path) -> None:
    db = arrays(linear=False)
    power = read_samples(write(tmp_path / "power.h5", arrays()), "descending")
    decibels = read_samples(write(tmp_path / "db.h5", db), "descending")
    assert (power.unit, decibels.unit) == ("linear", "dB")
    np.testing.assert_allclose(power.vv, decibels.vv, atol=1e-4)
    np.testing.assert_array_equal(decibels.vh, db["vh_sar_raw"])
    assert np.abs(power.vv - decibels.vh).max() > 0.1


def test_guides_carry_the_look_and_what_was_not_observed(tmp_path: Path) -> None:
    content = arrays()
    content["vv_sar_raw"][3, 5, 6] = 0.0
    samples = read_samples(write(tmp_path / "a.h5", content), "ascending")
    guides = samples.guides(3)
    east, north, _ = look_vector(38.0, samples.azimuth)
    np.testing.assert_allclose(guides["look_east"][0], float(east), atol=1e-6)
    np.testing.assert_allclose(guides["look_north"][0], float(north), atol=1e-6)
    assert float(east) < 0 < read_samples(tmp_path / "a.h5", "descending").guides(3)["look_east"][0, 0, 0]
    assert guides["vv"][:, 5, 6].tolist() == [0.0, 0.0]
    assert guides["vv"][1].sum() == 64 * 64 - 1
    assert guides["vh"][1].all()


Change = Callable[[dict[str, Any]], None]


def _put(key: str, make: Callable[[Any], Any]) -> Change:
    return lambda content: content.update({key: make(content[key])})


def _nan(values: Any) -> Any:
    values[7, 3, 3] = np.nan
    return values


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.pop("vh_sar_raw"), r"keys \['vh_sar_raw'\] are missing"),
        (_put("hr_dem_raw", lambda v: v[0]), r"hr_dem_raw has shape \(64, 64\)"),
        (_put("lr_dem_raw", lambda v: v[:5]), "expected one of each sample"),
        (_put("vv_sar_raw", lambda v: v[:, ::2, ::2]), "expected one of each sample"),
        (_put("lr_dem_raw", lambda v: np.repeat(np.repeat(v, 4, 1), 4, 2)), "not interpolated"),
        (_put("hr_dem_raw", _nan), "hr_dem_raw is not finite in 1 of 12 samples, first in sample 7"),
        (_put("vv_sar_raw", _nan), "vv_sar_raw is not finite"),
        (_put("lr_dem_raw", lambda v: v - 32768), "expected metres"),
        (_put("vv_sar_raw", lambda v: (v - v.mean()) / v.std()), "neither standardised nor scaled"),
        (_put("vv_sar_raw", lambda v: v * 10000), "neither standardised nor scaled"),
        (_put("vh_sar_raw", lambda v: 10 * np.log10(v)), "vv_sar_raw is in linear and vh_sar_raw in dB"),
        (_put("inc_angle_map", np.radians), "neither radians nor local"),
        (_put("inc_angle_map", lambda v: v + 40), "neither radians nor local"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, change: Change, says: str) -> None:
    content = arrays()
    change(content)
    with pytest.raises(DataError, match=says):
        read_samples(write(tmp_path / "a.h5", content), "descending")


def test_other_files_orbits_and_a_missing_extra_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write(tmp_path / "a.h5", arrays(2))
    with pytest.raises(RecipeError, match="#ascending or #descending"):
        read_samples(good, "")
    (tmp_path / "b.h5").write_text("no HDF5")
    with pytest.raises(SourceError, match="cannot be read as HDF5"):
        read_samples(tmp_path / "b.h5", "ascending")

    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("terrafine.training.dem.hdf5.import_module", absent)
    with pytest.raises(MissingExtraError, match=r"terrafine\[hdf5\]"):
        read_samples(good, "ascending")


def sampler(root: Path, **given: Any) -> Sampler:
    terrains = load_terrains(root, {"*.h5#descending": 1.0})
    made = Sampler(terrains, 4, 12, 4, Family({"mean": 1.0}), 5, radar=RadarFamily(drop=0.0))
    return replace(made, **given)


def test_patches_are_parts_of_samples_as_they_came(tmp_path: Path) -> None:
    content = arrays()
    write(tmp_path / "a.h5", content)
    batch = sampler(tmp_path)(3)
    assert batch.coarse.shape == (4, 1, 12, 12)
    assert set(batch.guides) == {"vv", "vh", "look_east", "look_north"}
    for coarse, fine, vv in zip(batch.coarse[:, 0], batch.fine[:, 0], batch.guides["vv"][:, 0], strict=True):
        spots = [
            (i, y, x)
            for i in range(N)
            for y in range(5)
            for x in range(5)
            if np.array_equal(content["lr_dem_raw"][i, y : y + 12, x : x + 12], coarse)
        ]
        assert len(spots) == 1
        i, y, x = spots[0]
        part = np.s_[i, 4 * y : 4 * y + 48, 4 * x : 4 * x + 48]
        np.testing.assert_array_equal(content["hr_dem_raw"][part], fine)
        np.testing.assert_allclose(10 * np.log10(content["vv_sar_raw"][part]), vv, atol=1e-4)
    assert (batch.pixel_size_m == 120.0).all()


def test_radar_is_dropped_as_often_as_the_recipe_says(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", arrays())
    draw = sampler(tmp_path, radar=RadarFamily(drop=0.25))
    seen = np.concatenate(
        [np.stack([b.guides[n][:, 1].max((1, 2)) for n in ("vv", "vh", "look_east")]) for b in map(draw, range(50))], 1
    )
    silent = seen[:2].sum(0) == 0
    assert 0.15 < silent.mean() < 0.35
    assert 0.15 < (seen[:2].sum(0) == 1).mean() < 0.35
    np.testing.assert_array_equal(seen[2], ~silent)
    assert sampler(tmp_path, radar=None)(0).guides == {}
    image = sampler(tmp_path, radar=None, optical=OpticalFamily())(0).guides
    assert set(image) == {"optical", "sun_east", "sun_north"}
    assert not any(g.any() for g in image.values())


def test_samples_that_do_not_fit_the_recipe_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", arrays())
    for given in ({"scale": 2}, {"size": 24}):
        with pytest.raises(DataError, match="16 × 16 coarse cells at ×4"):
            sampler(tmp_path, **given)(0)


def test_samples_are_held_out_by_their_order_and_the_same_cells_are_found(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", arrays())
    terrains = load_terrains(tmp_path, {"*.h5#ascending": 1.0})
    training, validation = split(terrains, {"a": (0.72, 1.0)}, gap=10)
    assert validation[0].zones == ((9 * 64, 12 * 64, 0, 64),)
    assert training[0].zones == ((0, 8 * 64, 0, 64),)
    check_leak(training, validation)
    held = {validation[0].draw_sample(terrains[0].samples, np.random.default_rng(i)) for i in range(40)}  # type: ignore[arg-type]
    assert held == {9, 10, 11}
    twice = arrays()
    twice["hr_dem_raw"][0, 20:50, 10:60] = twice["hr_dem_raw"][10, 12:42, 5:55]
    write(tmp_path / "a.h5", twice)
    with pytest.raises(DataError, match="same terrain"):
        check_leak(*split(load_terrains(tmp_path, {"*.h5#ascending": 1.0}), {"a": (0.72, 1.0)}, gap=10))


@pytest.mark.parametrize(
    ("system", "network"),
    [
        ("pimsr_published", "channels = 4\nfused = [4, 4, 4]"),
        (
            "pimsr",
            "width = 4\nbody = [8, 1]\nrelief = { channels = 8, blocks = [1, 0], deep_channels = 0, deep_blocks = 0 }",
        ),
    ],
)
def test_a_recipe_trains_on_samples(tmp_path: Path, system: str, network: str) -> None:
    write(tmp_path / "a.h5", arrays())
    text = write_recipe(tmp_path / "r.toml", steps=3, system=system, network=network).read_text()
    for old, new in (
        ('"ground/*.tif" = 1.0', '"*.h5#descending" = 1.0'),
        ('"ground/b" = [0.0, 1.0]', '"a" = [0.6, 1.0]'),
        ("size = 24", "size = 16"),
        ("scale = 2", "scale = 4"),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "r.toml").write_text(text + "\n[radar]\ndrop = 0.0\n")
    result = train(tmp_path / "r.toml", data_root=tmp_path, out=tmp_path / "out", device="cpu", threads=1)
    spec = read_spec(result.weights)
    assert all(np.isfinite(v) and v > 0 for v in result.scores.values())
    assert spec.provenance["recipe"]["data"]["files"] == {"*.h5#descending": 1.0}
    assert set(KEYS) == set(arrays(1))
