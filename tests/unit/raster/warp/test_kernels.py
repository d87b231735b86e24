"""Keys' kernel has one definition; its factored form and the taps of the networks agree with it."""

from __future__ import annotations

import numpy as np
import pytest

from terrafine.nn.subcell import cubic_taps, linear_taps
from terrafine.raster.warp.kernels import cubic, cubic_weights, fine_centres, lanczos, linear
from terrafine.raster.warp.resample import upsample


def test_the_factored_weights_are_those_of_the_kernel() -> None:
    t = np.linspace(0, 1, 101)
    wanted = [cubic(1 + t), cubic(t), cubic(1 - t), cubic(2 - t)]
    for found, kernel in zip(cubic_weights(t.astype(np.float32)), wanted, strict=True):
        np.testing.assert_allclose(found, kernel, atol=2e-7)
    assert np.abs(cubic_weights(t.astype(np.float32))[1] - cubic(t, -0.75)).max() > 0.01


def test_every_kernel_is_one_at_its_sample_and_nothing_at_the_others() -> None:
    whole = np.arange(-3.0, 4.0)
    for kernel in (cubic, linear, lanczos):
        np.testing.assert_allclose(kernel(whole), whole == 0, atol=1e-15)


@pytest.mark.parametrize("k", [2, 3, 4, 10])
def test_networks_and_rasters_interpolate_with_the_same_weights(k: int) -> None:
    impulse = np.zeros((1, 21))
    impulse[0, 10] = 1.0
    for method, taps in (("cubic", cubic_taps(k)), ("bilinear", linear_taps(k))):
        fine = upsample(impulse, k, method)[k // 2].reshape(21, k)  # type: ignore[arg-type]
        fine = fine / upsample(np.ones((1, 21)), k, method)[0, 0]  # type: ignore[arg-type]
        np.testing.assert_allclose(fine[8:13][::-1].T, taps, atol=1e-15)
    assert fine_centres(k).mean() == pytest.approx(0)
