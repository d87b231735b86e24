"""Region proposal of DRPAN: where the discriminator is least convinced, cut out of both surfaces differentiably.

The position of the region is an index and has no gradient; the masked or pooled content of the region has one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["compose", "propose", "roi_align"]

_SAMPLES = 2  # along each side of a bin


def propose(logits: Tensor, side: int, region: int, window: int = 5) -> Tensor:
    """Find the region of each tile that looks least real to the discriminator.

    Scores are sigmoids averaged over window × window; the lowest one wins, and its corner times side / a is that of the
    region, which is kept inside the tile.

    Parameters
    ----------
    logits
        (n, 1, a, a), of tiles of side × side cells.
    side
        Side of the tile in cells.
    region
        Side of the region in cells.
    window
        Side of the averaging window in logits.

    Returns
    -------
    Tensor
        Upper left corners as y, x, int64 (n, 2); no gradient.

    References
    ----------
    Wang et al. 2018, Discriminative Region Proposal Adversarial Networks, https://arxiv.org/abs/1711.07554.
    """
    scores = functional.avg_pool2d(torch.sigmoid(logits.detach()), min(window, logits.shape[-1]), stride=1)[:, 0]
    width = scores.shape[-1]
    lowest = scores.flatten(1).argmin(dim=1)
    corner = torch.stack((lowest // width, lowest % width), dim=1)
    cell: Tensor = corner * side // logits.shape[-1]
    return cell.clamp(0, side - region)


def compose(fake: Tensor, real: Tensor, corner: Tensor, region: int) -> Tensor:
    """Insert the region of the generated surface into the real one.

    Parameters
    ----------
    fake, real
        Surfaces, (n, c, y, x).
    corner
        Upper left corners as y, x, (n, 2).
    region
        Side of the region in cells.

    Returns
    -------
    Tensor
        (n, c, y, x); only the region passes gradients to `fake`.

    References
    ----------
    Wang et al. 2018, https://arxiv.org/abs/1711.07554.
    """
    cells = [torch.arange(n, device=fake.device) for n in fake.shape[-2:]]
    inside = [
        (at[None] >= c[:, None]) & (at[None] < c[:, None] + region) for at, c in zip(cells, corner.T, strict=True)
    ]
    mask = (inside[0][:, :, None] & inside[1][:, None, :])[:, None].to(fake.dtype)
    composed: Tensor = mask * fake + (1 - mask) * real
    return composed


def roi_align(values: Tensor, corner: Tensor, region: int, bins: int = 20) -> Tensor:
    """Compute the means over bins × bins parts of the region, each of 2×2 bilinear samples.

    He et al. 2017, Mask R-CNN, https://arxiv.org/abs/1703.06870, section 3 (no rounding of coordinates).

    Parameters
    ----------
    values
        (n, c, y, x).
    corner
        Upper left corners as y, x, (n, 2).
    region
        Side of the region in cells.
    bins
        Number of parts along a side.

    Returns
    -------
    Tensor
        (n, c, bins, bins).

    References
    ----------
    He et al. 2017, Mask R-CNN, https://arxiv.org/abs/1703.06870, section 3 (no rounding of coordinates).
    """
    height, width = values.shape[-2:]
    fine = bins * _SAMPLES
    step = (torch.arange(fine, device=values.device, dtype=values.dtype) + 0.5) * (region / fine)
    y, x = (corner[:, i].to(values.dtype)[:, None] + step[None] for i in (0, 1))
    shape = (values.shape[0], fine, fine)
    grid = torch.stack(
        ((2 * x / width - 1)[:, None, :].expand(shape), (2 * y / height - 1)[:, :, None].expand(shape)), -1
    )
    sampled = functional.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return functional.avg_pool2d(sampled, _SAMPLES)
