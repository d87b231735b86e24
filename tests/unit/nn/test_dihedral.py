"""The eight mirrors and rotations: all different, each undone by its inverse, the same for arrays and tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from terrafine.nn.dihedral import COUNT, inverse, transform, transform_sizes


@pytest.mark.parametrize("code", range(COUNT))
def test_the_inverse_restores_a_grid_that_is_not_square(code: int) -> None:
    x = torch.arange(2 * 3 * 5.0).reshape(2, 3, 5)
    assert torch.equal(transform(transform(x, code), inverse(code)), x)
    assert code == 0 or transform(x, code).shape != x.shape or not torch.equal(transform(x, code), x)


@pytest.mark.parametrize("code", range(COUNT))
def test_arrays_and_tensors_are_transformed_alike(code: int) -> None:
    x = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
    np.testing.assert_array_equal(transform(x, code), transform(torch.from_numpy(x), code).numpy())


def test_pixel_sizes_change_places_with_the_axes() -> None:
    sizes = torch.stack((torch.full((3, 5), 30.0), torch.arange(20.0, 23.0)[:, None].expand(3, 5)))[None]
    turned = transform_sizes(sizes, 1)
    assert turned.shape == (1, 2, 5, 3)
    assert torch.equal(turned[0, 0], sizes[0, 1].T)
    assert torch.equal(turned[0, 1], sizes[0, 0].T)
    assert torch.equal(transform_sizes(sizes, 2), sizes.flip(-2))
