"""U-Net segmenter, and losses of segmentation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["UNKNOWN", "UNetSegmenter", "cross_entropy", "soft_dice"]

UNKNOWN = 255
"""Label of a cell whose class is not known; it counts in no loss."""


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Compute the mean cross entropy over the known cells.

    Parameters
    ----------
    logits
        (n, class, y, x).
    labels
        Class numbers, (n, y, x), UNKNOWN where not known.
    weights
        Weight of each class, (class,); equal where None.

    Returns
    -------
    Tensor
        A scalar; 0 where no cell is known.
    """
    if not bool((labels != UNKNOWN).any()):
        return logits.sum() * 0
    return functional.cross_entropy(logits, labels.long(), weight=weights, ignore_index=UNKNOWN)


def soft_dice(logits: Tensor, labels: Tensor, value: int = 1) -> Tensor:
    """Compute 1 − soft F1 of a class over the known cells of the whole batch.

    logits (n, k, y, x), labels (n, y, x).

    Parameters
    ----------
    logits, labels
        As in `cross_entropy`.
    value
        Number of the class.

    Returns
    -------
    Tensor
        A scalar from 0 to 1.

    References
    ----------
    Milletari et al. 2016, arXiv:1606.04797.
    """
    known = (labels != UNKNOWN).float()
    predicted, true = logits.softmax(dim=1)[:, value] * known, (labels == value).float() * known
    return 1 - (2 * (predicted * true).sum() + 1) / (predicted.sum() + true.sum() + 1)


def _double_convolution(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in ((inputs, outputs), (outputs, outputs)):
        layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNetSegmenter(nn.Module):
    """U-Net with batch norm and bilinear upsampling that computes the logits of each class.

    The input is (n, inputs, y, x), the output (n, classes, y, x). Other sides than multiples are padded inside.

    Parameters
    ----------
    inputs, classes
        Number of channels and of classes.
    width
        Channels at the highest level, doubled at each halving.
    depth
        Number of halvings.
    fold
        Side f of the f × f cells that the highest level processes as channels of one cell, at its input and output. An
        image at 1 m that was made from 10 m loses nothing by f = 2, and the network is several times as fast.
    extra
        Channels of additional features, on any grid, that are concatenated at the highest level.

    References
    ----------
    Ronneberger et al. 2015, arXiv:1505.04597.
    """

    def __init__(
        self, inputs: int = 3, classes: int = 2, width: int = 16, depth: int = 4, fold: int = 1, extra: int = 0
    ) -> None:
        super().__init__()
        self.classes, self.depth, self.fold = classes, depth, fold
        widths = [width * 2**i for i in range(depth + 1)]
        start = inputs * fold**2 + extra
        self.down = nn.ModuleList(
            _double_convolution(start if i == 0 else widths[i - 1], w) for i, w in enumerate(widths)
        )
        self.up = nn.ModuleList(
            _double_convolution(widths[i] + widths[i + 1], widths[i]) for i in reversed(range(depth))
        )
        self.last = nn.Conv2d(width, classes * fold**2, 1)

    @property
    def multiple(self) -> int:
        """Number that the sides are padded to a multiple of."""
        return self.fold << self.depth

    def encode(self, x: Tensor, extra: Tensor | None = None) -> list[Tensor]:
        """Compute the features of every level.

        Parameters
        ----------
        x
            Image, (n, inputs, y, x), with sides that are multiples of `multiple`.
        extra
            Additional features, (n, extra, ·, ·), or None.

        Returns
        -------
        list[Tensor]
            Features by level, the highest resolution first.
        """
        y = functional.pixel_unshuffle(x, self.fold)
        if extra is not None:
            size = list(y.shape[-2:])
            y = torch.cat((y, functional.interpolate(extra, size=size, mode="bilinear", align_corners=False)), dim=1)
        levels: list[Tensor] = []
        for i, block in enumerate(self.down):
            y = block(functional.max_pool2d(y, 2) if i else y)
            levels.append(y)
        return levels

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """Compute the logits of each class.

        Parameters
        ----------
        x
            Image, (n, inputs, y, x).
        extra
            Additional features, (n, extra, ·, ·), or None.

        Returns
        -------
        Tensor
            Logits, (n, classes, y, x).
        """
        height, width = x.shape[-2:]
        pad = [-width % self.multiple, -height % self.multiple]
        if extra is not None and any(pad):  # features cover the image and are padded by the same share
            size = [height, width]
            extra = functional.interpolate(extra, size=size, mode="bilinear", align_corners=False)
            extra = functional.pad(extra, (0, pad[0], 0, pad[1]), mode="replicate")
        levels = self.encode(functional.pad(x, (0, pad[0], 0, pad[1]), mode="replicate"), extra)
        y = levels.pop()
        for block in self.up:
            y = functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = block(torch.cat((levels.pop(), y), dim=1))
        out: Tensor = functional.pixel_shuffle(self.last(y), self.fold)[..., :height, :width]
        return out

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Compute the cross entropy over the known cells.

        Parameters
        ----------
        x
            Image, (n, inputs, y, x).
        labels
            Class numbers, (n, y, x), UNKNOWN where not known.

        Returns
        -------
        Tensor
            A scalar.
        """
        return cross_entropy(self(x), labels)
