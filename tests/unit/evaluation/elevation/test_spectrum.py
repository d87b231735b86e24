from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from tests.support.surfaces import terrain

from terrafine.evaluation.elevation.spectrum import SpectrumStats, window_starts

SIDE, CELL = 64, 10.0


def spectrum(c: np.ndarray, r: np.ndarray) -> SpectrumStats:
    s = SpectrumStats(SIDE, (CELL, CELL))
    for y in range(0, len(c) - SIDE + 1, SIDE):
        for x in range(0, len(c) - SIDE + 1, SIDE):
            s = s.add(c[y : y + SIDE, x : x + SIDE], r[y : y + SIDE, x : x + SIDE])
    return s


def test_a_copy_is_coherent_and_invents_nothing() -> None:
    z = terrain(256)
    s = spectrum(z, z)
    np.testing.assert_allclose(s.coherence(), 1.0)
    assert s.effective_resolution() is None
    assert s.invented_fraction() == 0.0
    np.testing.assert_allclose(s.summary()["ratio"], 1.0)


def test_a_scaled_copy_has_the_square_of_the_scale_as_ratio_and_stays_coherent() -> None:
    z = terrain(256)
    s = spectrum(2 * z, z)
    np.testing.assert_allclose(s.summary()["ratio"], 4.0)
    np.testing.assert_allclose(s.coherence(), 1.0)


def test_a_wave_has_its_power_at_its_wavelength() -> None:
    x = np.arange(256)
    wave = np.broadcast_to(3 * np.sin(2 * np.pi * x / 8), (256, 256))
    record = spectrum(wave, wave).summary()
    peak = int(np.argmax(record["power_candidate"]))
    assert record["wavelength_m"][peak] == pytest.approx(80.0)
    assert sum(record["power_candidate"]) == pytest.approx(3**2 / 2, rel=0.02)


def test_detail_replaced_by_noise_is_invented_below_the_cut() -> None:
    z = terrain(512, rough=1.0)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512)))
    cut = f > 1 / 6.0
    other = np.fft.fft2(terrain(512, seed=9, rough=1.0))
    fake = np.fft.ifft2(np.where(cut, other, np.fft.fft2(z))).real
    s = spectrum(fake, z)
    assert s.effective_resolution() == pytest.approx(6.0 * CELL, rel=0.1)
    assert s.invented_fraction() > 0.9


def test_blur_removes_power_but_keeps_coherence_where_nothing_is_added() -> None:
    z = terrain(256)
    s = spectrum(ndimage.gaussian_filter(z, 1.0, mode="wrap"), z)
    ratio = np.array(s.summary()["ratio"])
    assert ratio[0] > 0.9
    assert ratio[-1] < 0.1
    assert np.median(s.coherence()) > 0.9


def test_white_noise_is_not_coherent_with_other_white_noise() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 512, 512))
    assert spectrum(a, b).coherence()[5:].max() < 0.1


def test_a_plane_has_no_power() -> None:
    y, x = np.mgrid[0:64, 0:64].astype(float)
    s = spectrum(3 * x - 2 * y + 500, 3 * x - 2 * y + 500)
    assert s.candidate.max() < 1e-15


def test_cells_that_are_not_square_keep_waves_at_their_length_on_the_ground() -> None:
    wave = np.broadcast_to(np.sin(2 * np.pi * np.arange(64) * 20.0 / 160.0)[:, None], (64, 64))
    record = SpectrumStats(64, (20.0, 10.0)).add(wave, wave).summary()
    assert record["wavelength_m"][int(np.argmax(record["power_candidate"]))] == pytest.approx(160.0)
    assert min(record["wavelength_m"]) >= 40.0


def test_windows_merge_in_any_order() -> None:
    z, c = terrain(192), terrain(192, seed=1)
    parts = [SpectrumStats(SIDE, (CELL, CELL)).add(c[i : i + 64, :64], z[i : i + 64, :64]) for i in (0, 64, 128)]
    left, right = parts[0].merge(parts[1]).merge(parts[2]), parts[0].merge(parts[1].merge(parts[2]))
    assert left.windows == right.windows == 3
    np.testing.assert_allclose(left.coherence(), right.coherence(), rtol=1e-12)
    assert SpectrumStats(SIDE, (CELL, CELL)).summary() is None


@pytest.mark.parametrize(
    ("length", "starts"), [(63, []), (64, [0]), (100, [18]), (128, [0, 64]), (1000, [0, 312, 624, 936])]
)
def test_windows_lie_inside_and_apart(length: int, starts: list[int]) -> None:
    assert window_starts(length, 64, 4) == starts
