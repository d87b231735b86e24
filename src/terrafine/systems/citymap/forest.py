"""Boosted trees over the features of a cell, as tensors that any device evaluates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Forest"]

_CELLS = 32_768  # cells evaluated at once; their nodes stay in the processor's cache
_TREES = 16  # trees evaluated at once


class Forest(nn.Module):
    """Sum of the leaves of complete binary trees, by head.

    A forest has no parameters: boosting fills its buffers (`terrafine.systems.citymap.boosting`), and gradients do not
    change them. Unfilled, it gives 0 everywhere.

    Parameters
    ----------
    heads
        Number of outputs.
    trees
        Trees of each head; 0 for an empty forest.
    depth
        Comparisons from the root to a leaf.
    features
        Number of features of a cell; a forest that names another one is not loaded.
    """

    feature: Tensor
    threshold: Tensor
    leaf: Tensor

    def __init__(self, heads: int, trees: int, depth: int, features: int) -> None:
        super().__init__()
        self.heads, self.trees, self.depth, self.features = heads, trees, depth, features
        inner = 2**depth - 1
        self.register_buffer("feature", torch.zeros(heads, trees, inner, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(heads, trees, inner))
        self.register_buffer("leaf", torch.zeros(heads, trees, inner + 1))

    def forward(self, features: Tensor) -> Tensor:
        """Compute the sum of the leaves that each cell reaches.

        A cell goes to the right where its feature is above the threshold.

        Parameters
        ----------
        features
            Features, (n, feature, y, x).

        Returns
        -------
        Tensor
            Sums, (n, head, y, x), without gradient.
        """
        n, count, y, x = features.shape
        if not self.trees:
            return features.new_zeros((n, self.heads, y, x))
        with torch.no_grad():
            cells = features.detach().movedim(1, -1).reshape(-1, count)
            sums = [self._sums(part) for part in torch.tensor_split(cells, -(-len(cells) // _CELLS))]
            return torch.cat(sums).reshape(n, y, x, self.heads).movedim(-1, 1).contiguous()

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *more: Any) -> None:
        named = state_dict.get(f"{prefix}feature")
        if named is not None and named.numel() and not 0 <= int(named.min()) <= int(named.max()) < self.features:
            raise ValueError(
                f"tensor '{prefix}feature' names features {int(named.min())} to {int(named.max())}; expected 0 to "
                f"{self.features - 1}"
            )
        super()._load_from_state_dict(state_dict, prefix, *more)

    def _sums(self, cells: Tensor) -> Tensor:
        """Sums of every head, (cell, head)."""
        return torch.stack([self._head(cells, head) for head in range(self.heads)], dim=1)

    def _head(self, cells: Tensor, head: int) -> Tensor:
        out = cells.new_zeros(len(cells))
        inner = self.threshold.shape[-1]
        for first in range(0, self.trees, _TREES):
            at = slice(first, first + _TREES)
            feature = self.feature[head, at].reshape(-1).long()
            threshold, leaf = self.threshold[head, at].reshape(-1), self.leaf[head, at].reshape(-1)
            count = len(threshold) // inner
            root = torch.arange(count, device=cells.device) * inner
            node = torch.zeros((len(cells), count), dtype=torch.long, device=cells.device)
            for _ in range(self.depth):
                index = root + node
                right = cells.gather(1, feature[index]) > threshold[index]
                node = 2 * node + 1 + right
            out = out + leaf[node - inner + torch.arange(count, device=cells.device) * (inner + 1)].sum(dim=1)
        return out
