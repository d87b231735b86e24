"""Units, datums and relief: each file as it states itself, else as the caller states, else refused by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from tests.support.rasters import write_surface
from tests.support.surfaces import block_means, terrain

from terrafine.errors import DatumError, GridError, UsageError
from terrafine.evaluation.elevation import group
from terrafine.evaluation.elevation.compare import compare

SIDE, FOOT, US_FOOT = 96, 0.3048, 1200 / 3937
# California zone 3, New York Long Island, Texas central, Arizona east: US survey feet, feet, and international feet.
FEET = ("EPSG:2227", "EPSG:2263", "EPSG:2277", "EPSG:2222")


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return ndimage.gaussian_filter(terrain(SIDE, rough=2.0), 1.0, mode="wrap") + 400


def plain(candidates: Any, reference: Path, **options: Any) -> dict[str, Any]:
    """Without co-registration and hydrology, with few draws."""
    return compare(candidates, reference, **({"coregister": False, "hydrology": False, "draws": 100} | options))


def files(folder: Path, truth: np.ndarray, unit: dict[str, str], crs: str, k: int = 4) -> dict[str, Path]:
    """Candidate, reference and coarse input in feet under one CRS, each with the unit that it is given."""
    z = truth / FOOT
    found = {
        "candidate": (z + 3.0, 10.0),
        "reference": (z, 10.0),
        "coarse": (block_means(z, k), 10.0 * k),
    }
    return {
        name: write_surface(folder / f"{name}.tif", values, cell, crs=crs, unit=unit.get(name, ""))
        for name, (values, cell) in found.items()
    }


@pytest.mark.parametrize("crs", FEET)
@pytest.mark.parametrize("unstated", ["candidate", "reference", "coarse"])
def test_heights_of_unstated_unit_under_a_crs_in_feet_are_refused_by_the_file_s_name(
    tmp_path: Path, truth: np.ndarray, crs: str, unstated: str
) -> None:
    units = {name: "ft" for name in ("candidate", "reference", "coarse") if name != unstated}
    found = files(tmp_path, truth, units, crs)
    with pytest.raises(GridError, match=rf"{unstated}\.tif.*elevation_unit="):
        plain(found["candidate"], found["reference"], coarse=found["coarse"])
    done = plain(found["candidate"], found["reference"], coarse=found["coarse"], elevation_unit="ft")
    assert done["candidates"][0]["elevation"]["bias"] == pytest.approx(3 * FOOT, abs=1e-3)
    assert done["candidates"][0]["consistency"]["bias"] == pytest.approx(3 * FOOT, abs=1e-3)


@pytest.mark.parametrize(("unit", "metres"), [("m", 1.0), ("ft", FOOT), ("us-ft", US_FOOT), ("dm", 0.1)])
def test_a_unit_that_a_file_states_is_not_overridden_by_the_one_for_the_others(
    tmp_path: Path, truth: np.ndarray, unit: str, metres: float
) -> None:
    stated = write_surface(tmp_path / "stated.tif", truth / metres, crs="EPSG:2227", unit=unit)
    bare = write_surface(tmp_path / "bare.tif", (truth + 2) / FOOT, crs="EPSG:2227")
    for candidate, reference, sign in ((bare, stated, 1), (stated, bare, -1)):
        done = plain(candidate, reference, elevation_unit="ft")
        assert done["candidates"][0]["elevation"]["bias"] == pytest.approx(sign * 2, abs=2e-3)
        assert any("stated.tif states units" in note for note in done["notes"]) == (unit != "ft")
    with pytest.raises(GridError, match=r"bare\.tif"):
        plain(stated, bare)


def test_the_unit_also_holds_for_files_in_metres_that_state_none(tmp_path: Path, truth: np.ndarray) -> None:
    reference = write_surface(tmp_path / "reference.tif", truth, unit="m")
    feet = write_surface(tmp_path / "feet.tif", truth / FOOT)
    assert abs(plain(feet, reference)["candidates"][0]["elevation"]["bias"]) > 500
    done = plain(feet, reference, elevation_unit="ft")
    assert done["candidates"][0]["elevation"]["rmse"] < 1e-3


def test_a_unit_of_the_vertical_axis_counts_as_stated(tmp_path: Path, truth: np.ndarray) -> None:
    # NAVD88 height in US survey feet beside a CRS in metres.
    own = write_surface(tmp_path / "own.tif", truth / US_FOOT, crs="EPSG:26910+6360")
    reference = write_surface(tmp_path / "reference.tif", truth, crs="EPSG:26910+5703")
    assert plain(own, reference)["candidates"][0]["elevation"]["rmse"] < 1e-3
    with pytest.raises(UsageError, match=r"own\.tif states units of 0\.304800"):
        plain(own, reference, elevation_unit="mm")


def test_masks_and_classes_have_no_unit(tmp_path: Path, truth: np.ndarray) -> None:
    found = files(tmp_path, truth, {"candidate": "ft", "reference": "ft"}, "EPSG:2227")
    left = np.zeros_like(truth)
    left[:, :48] = 1
    mask = write_surface(tmp_path / "mask.tif", left, crs="EPSG:2227", bands=("",))
    done = plain(found["candidate"], found["reference"], masks=[mask], classes=mask)
    assert done["candidates"][0]["elevation"]["n"] == SIDE * 48


def test_a_datum_given_for_silent_files_may_not_contradict_one_that_a_file_states(
    tmp_path: Path, truth: np.ndarray
) -> None:
    stated = write_surface(tmp_path / "stated.tif", truth, crs="EPSG:32633+5773")
    silent = write_surface(tmp_path / "silent.tif", truth)
    with pytest.raises(DatumError, match=r"stated\.tif"):
        plain(silent, stated, vertical_datum="EGM2008")
    assert plain(silent, stated, vertical_datum="EGM96")["notes"] == []


def test_relief_of_an_image_is_compared_and_its_level_is_explained(
    tmp_path: Path, truth: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    bands = ("relief", "relief_sigma")
    layers = np.stack((truth - 437.0, np.full_like(truth, 2.0)))
    relief = write_surface(tmp_path / "relief.tif", layers, bands=bands)
    reference = write_surface(tmp_path / "reference.tif", truth + np.random.default_rng(0).normal(0, 2, truth.shape))
    done = plain(relief, reference)
    assert done["candidates"][0]["elevation"]["bias"] == pytest.approx(-437, abs=0.1)
    assert any("a level that the file does not state; the bias contains it" in note for note in done["notes"])
    assert done["candidates"][0]["uncertainty"] is not None
    moved = plain(relief, reference, coregister=True)
    assert moved["candidates"][0]["elevation"]["bias"] == pytest.approx(0, abs=0.1)
    assert moved["candidates"][0]["uncertainty"]["coverage_68"] == pytest.approx(0.68, abs=0.03)
    assert any("the co-registration fitted it" in note for note in moved["notes"])
    monkeypatch.setattr(group, "estimate_shift", lambda *_, **__: None)
    kept = plain(relief, reference, coregister=True)
    assert any("not state; the bias contains it" in note for note in kept["notes"])


def test_every_source_is_closed_at_the_end_and_after_an_error(
    tmp_path: Path, truth: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terrafine.raster.read.source import Source

    closed: list[str] = []
    real = Source.close
    monkeypatch.setattr(Source, "close", lambda self: (closed.append(Path(self.paths[0]).name), real(self))[1])
    found = files(tmp_path, truth, dict.fromkeys(("candidate", "reference", "coarse"), "ft"), "EPSG:2227")
    plain(found["candidate"], found["reference"], coarse=found["coarse"])
    assert {"candidate.tif", "reference.tif", "coarse.tif"} <= set(closed)
    closed.clear()
    away = write_surface(tmp_path / "away.tif", truth, crs="EPSG:2227", unit="ft", origin=(9_000_000, 4_000_000))
    with pytest.raises(GridError, match="overlap"):
        plain(away, found["reference"])
    assert {"away.tif", "reference.tif"} <= set(closed)


@pytest.mark.parametrize("unit", ["furlong", "lot"])
def test_following_the_advice_on_a_unit_that_is_not_known_works(tmp_path: Path, truth: np.ndarray, unit: str) -> None:
    odd = write_surface(tmp_path / "odd.tif", truth / FOOT, unit=unit)
    reference = write_surface(tmp_path / "reference.tif", truth, unit="m")
    with pytest.raises(GridError, match=rf"'{unit}'.*elevation_unit="):
        plain(odd, reference)
    assert plain(odd, reference, elevation_unit="ft")["candidates"][0]["elevation"]["rmse"] < 1e-3


def test_following_the_advice_on_units_that_contradict_each_other_works(tmp_path: Path, truth: np.ndarray) -> None:
    odd = write_surface(tmp_path / "odd.tif", truth / FOOT, unit="ft", crs="EPSG:26910+5703")
    reference = write_surface(tmp_path / "reference.tif", truth, crs="EPSG:26910+5703")
    with pytest.raises(GridError, match=r"odd\.tif.*elevation_unit="):
        plain(odd, reference)
    assert plain(odd, reference, elevation_unit="ft")["candidates"][0]["elevation"]["rmse"] < 1e-3


def test_the_advice_on_datums_names_the_option_only_where_it_helps(tmp_path: Path, truth: np.ndarray) -> None:
    stated = write_surface(tmp_path / "stated.tif", truth, crs="EPSG:32633+5773")
    other = write_surface(tmp_path / "other.tif", truth, crs="EPSG:32633+3855")
    product = write_surface(tmp_path / "Copernicus_DSM_COG_10_N46_00_E007_00_DEM.tif", truth)
    with pytest.raises(DatumError, match="Convert one of") as both:
        plain(other, stated)
    assert "vertical_datum=" not in str(both.value)
    with pytest.raises(DatumError, match="vertical_datum="):
        plain(product, stated)
    assert plain(product, stated, vertical_datum="EGM96")["candidates"][0]["elevation"]["rmse"] == 0
