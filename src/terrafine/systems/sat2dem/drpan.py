"""DRPAN's region: where the discriminator is least convinced, cut out of both surfaces so that gradients flow.

Wang et al. 2018, Discriminative Region Proposal Adversarial Networks, https://arxiv.org/abs/1711.07554. Where to look
is an index and has no gradient; what is found there, masked or pooled, has.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["compose", "propose", "roi_align"]

_SAMPLES = 2  # along each side of a bin


def propose(logits: Tensor, side: int, region: int, window: int = 5) -> Tensor:
    """Upper left corner (n, 2) as y, x of the region×region cells that look least real; int64, no gradient.

    logits (n, 1, a, a) of tiles of side×side; scores are sigmoids averaged over window×window, the lowest wins, and
    its corner times side / a is the region's, kept inside the tile.
    """
    scores = functional.avg_pool2d(torch.sigmoid(logits.detach()), min(window, logits.shape[-1]), stride=1)[:, 0]
    width = scores.shape[-1]
    lowest = scores.flatten(1).argmin(dim=1)
    corner = torch.stack((lowest // width, lowest % width), dim=1)
    cell: Tensor = corner * side // logits.shape[-1]
    return cell.clamp(0, side - region)


def compose(fake: Tensor, real: Tensor, corner: Tensor, region: int) -> Tensor:
    """The real surface with the fake one in the region; (n, c, y, x) each. Gradients reach `fake` there alone."""
    cells = [torch.arange(n, device=fake.device) for n in fake.shape[-2:]]
    inside = [
        (at[None] >= c[:, None]) & (at[None] < c[:, None] + region) for at, c in zip(cells, corner.T, strict=True)
    ]
    mask = (inside[0][:, :, None] & inside[1][:, None, :])[:, None].to(fake.dtype)
    composed: Tensor = mask * fake + (1 - mask) * real
    return composed


def roi_align(values: Tensor, corner: Tensor, region: int, bins: int = 20) -> Tensor:
    """Means over bins×bins parts of the region, each of 2×2 bilinear samples; (n, c, y, x) -> (n, c, bins, bins).

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
