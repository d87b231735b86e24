"""Partial labels of a scene on cells of 2.5 m: what each head may learn where, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from terrafine.raster.read.labels import LabelRaster
from terrafine.raster.warp.resample import block_mean
from terrafine.training.scenes.recipe import Scene

__all__ = ["QUARTER", "SURE", "Targets", "class_factors", "label_shares", "targets", "weighed"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]
QUARTER = 4
"""Label cells along an image cell."""
SURE = 255
"""What `Targets.known` holds where a label states the class."""
_WEAK = 76  # the same where it follows from distance or greenness alone: 0.3
_KNOWN = 0.6  # share of a cell that labels must cover
_SAMPLES = 2  # labels read along a label cell
_WATER = (0.0, 0.1)  # NDVI and near infrared below which ground without a label is water
_CELL_M = 10.0


@dataclass(frozen=True, slots=True)
class Targets:
    """Shares of impervious ground and of buildings, and how well they are known; 255 stands for 1.

    Attributes
    ----------
    share, known
        (2, 4·y, 4·x), impervious and building.
    """

    share: U8
    known: U8


def label_shares(
    raster: LabelRaster, geobox: Any, positive: Sequence[int], negative: Sequence[int], shift: tuple[float, float]
) -> tuple[F32, F32]:
    """Compute the share of each label cell that some label values cover, of what is known in it.

    Parameters
    ----------
    raster
        The open labels.
    geobox
        Grid of the image.
    positive, negative
        Label values of the class, and of everything else that is known.
    shift
        Displacement of the image in cells, right and down.

    Returns
    -------
    share, known : ndarrays of float32, (4·y, 4·x)
        Share of the class in the known part, and the share that is known.

    Raises
    ------
    GridError
        If the CRSs differ.
    """
    values = raster.finer_numbers(geobox, QUARTER * _SAMPLES, shift)
    yes, no = (_shares(np.isin(values, list(listed))) for listed in (positive, negative))
    known = yes + no
    return yes / np.maximum(known, 1e-6), known


def targets(
    scene: Scene,
    shares: tuple[tuple[F32, F32], tuple[F32, F32]],
    reflectance: F32,
    valid: Mask,
    greenest: F32,
) -> Targets:
    """Combine labels with what greenness and distance say of ground without labels.

    Parameters
    ----------
    scene
        The place.
    shares
        Share and known share of impervious ground and of buildings, as `label_shares` returns them.
    reflectance, valid
        Image of this date (4, y, x), and where it was observed (y, x).
    greenest
        Highest NDVI over all dates, (y, x).

    Returns
    -------
    Targets
        The targets of this date.
    """
    (impervious, known), (built, built_known) = shares
    seen = np.kron(valid, np.ones((QUARTER, QUARTER), np.bool_))
    sure = known >= _KNOWN
    if scene.impervious and not scene.pervious:  # only the class itself is labelled, and edges of it tell nothing
        sure = known * impervious >= 0.5
    share = np.where(sure, impervious, 0)
    level = np.where(sure, SURE, 0).astype(np.uint8)
    empty = (built * built_known < 0.05) & (impervious * known < 0.05) & ~sure
    if scene.green < 1:
        water = (greenest < _WATER[0]) & (reflectance[3] < _WATER[1])
        level[empty & _fine((greenest > scene.green) | water)] = _WEAK
    if scene.far_m > 0:
        far = distance_transform_edt(built * built_known < 0.25) * (_CELL_M / QUARTER) > scene.far_m
        level[empty & far] = _WEAK
    building = np.where(built_known >= _KNOWN, SURE, 0).astype(np.uint8)
    building[(building == 0) & (level == _WEAK)] = _WEAK
    out = np.stack((share, np.where(building == SURE, built, 0)))
    return Targets((out * 255).round().astype(np.uint8), np.where(seen, np.stack((level, building)), 0))


def class_factors(found: Targets, used: Mask) -> F32:
    """Compute the factors by which the class of each head and other ground count the same in a scene.

    A scene is then no lesson in how much of it is built, or labelled, which differs from town to town.

    Parameters
    ----------
    found
        Targets of a scene.
    used
        Cells that are trained on, (y, x).

    Returns
    -------
    ndarray of float32, (head, 2)
        Factor of the class and of other ground, whose weighted cells number one half of the scene each; 0 for a head
        whose labels hold one of the two alone.
    """
    at = _fine(used)
    out = np.zeros((len(found.known), 2), np.float32)
    for head, (share, known) in enumerate(zip(found.share, found.known, strict=True)):
        part, weight = share[at].astype(np.float64) / SURE, known[at].astype(np.float64) / SURE
        sums = float((part * weight).sum()), float(((1 - part) * weight).sum())
        if min(sums) >= 1:
            out[head] = [0.5 * weight.size / one for one in sums]
    return out


def weighed(share: F32, known: F32, factors: F32) -> F32:
    """Multiply how well cells are known by the factors of their classes.

    Parameters
    ----------
    share, known
        Share of each head's class and how well it is known, (head, y, x), 0 to 1.
    factors
        Factor of the class and of other ground, (head, 2); a cell of both gets a mean of the two.

    Returns
    -------
    ndarray of float32, (head, y, x)
        The weights.
    """
    yes, no = factors.T[:, :, None, None]
    return np.asarray(known * (share * yes + (1 - share) * no), np.float32)


def _fine(mask: Mask) -> Mask:
    return np.asarray(np.kron(mask, np.ones((QUARTER, QUARTER), np.bool_)), np.bool_)


def _shares(mask: Mask) -> F32:
    """Share of the samples of each cell."""
    return np.asarray(block_mean(mask.astype(np.float32), None, _SAMPLES)[0])
