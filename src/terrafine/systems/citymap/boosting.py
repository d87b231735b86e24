"""Boosting of CityMap's trees on the labelled cells of whole scenes, before its network is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from terrafine.errors import MissingExtraError
from terrafine.nn.task import SceneBatch, Settings
from terrafine.systems.citymap.features import spectral_features
from terrafine.systems.citymap.forest import Forest
from terrafine.systems.citymap.net import HEADS, QUARTER, CityMap

__all__ = ["boost", "check_extras", "fill"]

F32 = NDArray[np.float32]
_CELLS = 30_000  # cells of one scene and head that trees are grown on
_KNOWN = 0.02  # certainty of a 10 m cell below which it is left out
_BOOSTING = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.12,
    "min_data_in_leaf": 400,
    "lambda_l2": 1.0,
    "feature_fraction_bynode": 0.5,
    "max_bin": 63,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


def check_extras() -> None:
    """Check that the package that grows trees is installed.

    Raises
    ------
    MissingExtraError
        Where it is not.
    """
    if find_spec("lightgbm") is None:
        raise MissingExtraError("trees of citymap are grown by lightgbm: pip install 'terrafine[train]'")


def boost(network: nn.Module, scenes: Iterable[SceneBatch], settings: Settings) -> None:
    """Grow the trees of a network on whole scenes, in place of those that it has.

    Scenes without near infrared grow the trees that are for such images, where the network has those. Of either kind of
    trees each scene counts by its `weight`, and each class in it the same, however much of it is labelled: of one town
    streets are labelled, of another buildings, and a mean over cells would learn which town it is in.

    Parameters
    ----------
    network
        A CityMap.
    scenes
        Whole scenes; cells that are not trained on have `known` 0.
    settings
        Settings of the recipe; `seed` is that of the trees.

    References
    ----------
    Ke et al. 2017, LightGBM: a highly efficient gradient boosting decision tree.
    """
    if not isinstance(network, CityMap) or not network.forest.trees:
        return
    check_extras()
    rng = np.random.default_rng(int(settings.get("seed", 0)))
    found: dict[bool, list[list[Cells | None]]] = {True: [], False: []}
    for scene in scenes:
        visible = network.visible is not None and not bool(scene.infrared.any())
        found[visible].append(_cells(network, scene, rng))
    for visible, forest in ((False, network.forest), (True, network.visible)):
        for head in range(len(HEADS)):
            parts = [one[head] for one in found[visible] if one[head] is not None]
            if parts and forest is not None:
                features, start, share, weight = (np.concatenate(a) for a in zip(*parts, strict=True))
                weight *= len(weight) / max(float(weight.sum()), 1e-9) if visible else 1.0
                fill(forest, head, _grown(forest, features, start, share, weight, settings))


Cells = tuple[F32, F32, F32, F32]


def _cells(network: CityMap, scene: SceneBatch, rng: np.random.Generator) -> list[Cells | None]:
    """Features, prior logit, share and weight of some labelled cells of a scene, by head; None without both classes."""
    with torch.no_grad():
        features = spectral_features(scene.image, scene.infrared)[0]
        prior = network.prior(scene.image, scene.infrared)[0]
        known = functional.avg_pool2d(scene.known, QUARTER)[0]
        share = functional.avg_pool2d(scene.share * scene.known, QUARTER)[0] / known.clamp_min(1e-6)
    out: list[Cells | None] = []
    for head in range(len(HEADS)):
        at = torch.from_numpy(rng.permutation(np.flatnonzero(known[head].numpy().ravel() > _KNOWN))[:_CELLS])
        flat: list[Tensor] = [a.reshape(-1)[at] for a in (prior[head], share[head], known[head])]
        start, part, weight = (a.numpy() for a in flat)
        yes, no = float((weight * part).sum()), float((weight * (1 - part)).sum())
        if min(yes, no) <= 1.0:
            out.append(None)
            continue
        weight = weight * (part / yes + (1 - part) / no) * (scene.weight * _CELLS / 2)
        out.append((features.reshape(len(features), -1)[:, at].T.numpy(), start, part, weight.astype(np.float32)))
    return out


def _grown(forest: Forest, features: F32, start: F32, share: F32, weight: F32, settings: Settings) -> Mapping[str, Any]:
    """The trees as LightGBM describes them."""
    import lightgbm

    data = lightgbm.Dataset(features, (share > 0.5).astype(np.float32), weight=weight, init_score=start)
    chosen = _BOOSTING | {"max_depth": forest.depth, "seed": int(settings.get("seed", 0))}
    found: Mapping[str, Any] = lightgbm.train(chosen, data, forest.trees).dump_model()
    return found


def fill(forest: Forest, head: int, described: Mapping[str, Any]) -> None:
    """Write trees into a forest.

    Parameters
    ----------
    forest
        The forest, changed in place.
    head
        The output that the trees are of.
    described
        Trees as `lightgbm.Booster.dump_model` returns them; a cell goes to the left where its feature is at most the
        threshold.
    """
    feature, threshold, leaf = (torch.zeros_like(a[head]) for a in (forest.feature, forest.threshold, forest.leaf))
    for number, tree in enumerate(described["tree_info"][: forest.trees]):
        _place(tree["tree_structure"], feature[number], threshold[number], leaf[number], 0)
    forest.feature[head], forest.threshold[head], forest.leaf[head] = feature, threshold, leaf


def _place(node: Mapping[str, Any], feature: Tensor, threshold: Tensor, leaf: Tensor, at: int) -> None:
    """Write a node and all below it; a leaf above the last level is repeated down to it."""
    inner = len(threshold)
    if at >= inner:
        leaf[at - inner] = float(node["leaf_value"])
        return
    if "leaf_value" in node:
        for child in (2 * at + 1, 2 * at + 2):
            _place(node, feature, threshold, leaf, child)
        return
    feature[at] = int(node["split_feature"])
    threshold[at] = float(node["threshold"])
    _place(node["left_child"], feature, threshold, leaf, 2 * at + 1)
    _place(node["right_child"], feature, threshold, leaf, 2 * at + 2)
