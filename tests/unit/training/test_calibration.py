"""σ is scaled so that it covers the shares of errors that it states."""

from __future__ import annotations

import pytest
import torch

from terrafine.training.calibration import calibration_of


def test_a_sigma_that_is_half_too_small_is_doubled() -> None:
    errors = torch.randn(200_000, generator=torch.Generator().manual_seed(0)).abs()
    found = calibration_of([2 * errors[:100_000].reshape(100, 1000), 2 * errors[100_000:]])
    assert set(found) == {"sigma", "0.68", "0.90", "0.95"}
    assert found["sigma"] == pytest.approx(2.0, rel=0.02)
    assert found["0.68"] == 1.0
    assert found["0.90"] == pytest.approx(1.65, rel=0.02)
    assert found["0.95"] == pytest.approx(1.97, rel=0.02)
