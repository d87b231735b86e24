"""One formula of slope and of hillshade for arrays and tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from terrafine.evaluation.elevation import terrain as numpy_terrain
from terrafine.physics import terrain
from terrafine.physics.gradient import Method, central_difference, gradient_to_the_edge
from terrafine.physics.hillshade import hillshade


def rough() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(20, 24)).cumsum(0).cumsum(1) + 800


@pytest.mark.parametrize("method", ["horn", "zevenbergen-thorne"])
def test_evaluation_and_training_state_the_same_gradient(method: Method) -> None:
    z = rough()
    across, down = numpy_terrain.gradient(z, np.full((2, 20), 30.0) * [[1.0], [0.8]], method)
    east, north = terrain.gradient(torch.from_numpy(z), (30.0, 24.0), method)
    np.testing.assert_array_equal(across[1:-1, 1:-1], east[1:-1, 1:-1].numpy())
    np.testing.assert_array_equal(down[1:-1, 1:-1], -north[1:-1, 1:-1].numpy())


def test_arrays_and_tensors_have_the_same_shade() -> None:
    east, north = np.gradient(rough(), 30.0)
    lit = hillshade(east, north, 250.0, 30.0)
    np.testing.assert_allclose(hillshade(torch.from_numpy(east), torch.from_numpy(north), 250.0, 30.0).numpy(), lit)
    assert np.abs(hillshade(east, north, 255.0, 30.0) - lit).max() > 1e-3


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="no gradient is called 'sobel'"):
        central_difference(lambda across, along: np.zeros(3), "sobel")  # type: ignore[arg-type]


def test_to_the_edge_equals_numpy_also_beside_nodata() -> None:
    z = np.random.default_rng(3).normal(500, 30, (7, 9))
    z[3, 4] = np.nan
    down, right = np.gradient(z, 20.0, 30.0)
    found = gradient_to_the_edge(z, (20.0, 30.0))
    np.testing.assert_allclose(found[0], down, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found[1], right, rtol=1e-12, atol=1e-12)
    rows = np.linspace(10.0, 40.0, 7)[:, None]
    np.testing.assert_allclose(gradient_to_the_edge(z, (rows, rows))[0], down * 20.0 / rows, rtol=1e-12, atol=1e-12)
