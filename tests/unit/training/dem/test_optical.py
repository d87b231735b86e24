"""Images simulated for training: lit from where they say, alike for the same draw, absent as often as told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from terrafine.errors import RecipeError
from terrafine.physics.shading import find_sun
from terrafine.training.dem.optical import OpticalFamily
from terrafine.training.dem.simulation import field

SIZE = (30.0, 30.0)


def hills() -> np.ndarray:
    return 60 * field((96, 96), 8.0, np.random.default_rng(3))


def test_an_image_is_lit_from_where_it_says() -> None:
    family = OpticalFamily(cover_db=0, drift_db=0, texture_db=(0.2, 0.2), haze=(0.1, 0.1), drop=0)
    for seed in range(3):
        out = family.simulate(hills(), SIZE, np.random.default_rng(seed))
        east, north = out["sun_east"][0, 0, 0], out["sun_north"][0, 0, 0]
        assert np.hypot(east, north) == pytest.approx(1, abs=1e-6)
        everywhere = torch.ones(96, 96, dtype=torch.bool)
        sun = find_sun(torch.from_numpy(out["optical"][0]), torch.from_numpy(hills()), SIZE, everywhere)
        told = np.degrees(np.arctan2(east, north))
        assert abs((sun.azimuth - told + 180) % 360 - 180) < 8


def test_the_same_draw_gives_the_same_image_and_another_another() -> None:
    one, same, other = (OpticalFamily().simulate(hills(), SIZE, np.random.default_rng(s)) for s in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["optical"], other["optical"])


def test_an_image_is_absent_as_often_as_told_and_then_all_of_it() -> None:
    rng = np.random.default_rng(0)
    seen = [OpticalFamily(drop=0.5).simulate(hills()[:16, :16], SIZE, rng) for _ in range(60)]
    present = [bool(s["optical"][1].all()) for s in seen]
    assert 15 < sum(present) < 45
    assert all(there or not any(band.any() for band in s.values()) for s, there in zip(seen, present, strict=True))


@pytest.mark.parametrize(
    "bad",
    [
        {"elevation": (0.0, 50.0)},
        {"azimuth": (10.0, 400.0)},
        {"diffuse": (0.5, 0.2)},
        {"drop": 1.0},
        {"haze": (0.0, 1.0)},
    ],
)
def test_ranges_that_cannot_be_meant_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="expected"):
        OpticalFamily(**bad)  # type: ignore[arg-type]
