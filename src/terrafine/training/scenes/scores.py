"""Scores of partial labels: area under the ROC curve, and the calibration of probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata

__all__ = ["area_under_curve", "balanced_threshold", "fitted", "unbiased_threshold"]

F64 = NDArray[np.float64]


def area_under_curve(score: NDArray[np.floating], label: NDArray[np.bool_]) -> float:
    """Compute the area under the ROC curve: the chance that a positive cell scores higher than a negative one.

    Parameters
    ----------
    score, label
        Score and truth of each cell, (cell,).

    Returns
    -------
    float
        The area; NaN where one class is absent.
    """
    positive = int(label.sum())
    negative = label.size - positive
    if not positive or not negative:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[label].sum() - positive * (positive + 1) / 2) / (positive * negative))


def fitted(logit: NDArray[np.floating], share: NDArray[np.floating]) -> tuple[float, float]:
    """Fit the scale and the odds by which logits become calibrated: scale · logit + log(odds).

    Parameters
    ----------
    logit, share
        Logit and true share of each cell, (cell,).

    Returns
    -------
    scale, odds : float
        Both above 0.

    References
    ----------
    Platt 1999, Probabilistic outputs for support vector machines.
    """
    x, y = logit.astype(np.float64), share.astype(np.float64)

    def loss(at: F64) -> float:
        z = np.exp(at[0]) * x + at[1]
        return float(np.mean(np.logaddexp(0.0, z) - y * z))

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 200})
    return float(np.exp(found.x[0])), float(np.exp(np.clip(found.x[1], -20, 20)))


def unbiased_threshold(probability: NDArray[np.floating], share: NDArray[np.floating]) -> float:
    """Find the probability above which as many cells lie as the true area has.

    Parameters
    ----------
    probability, share
        Probability and true share of each cell, (cell,).

    Returns
    -------
    float
        Threshold from 0.02 to 0.98.
    """
    return float(np.clip(np.quantile(probability, 1 - float(np.mean(share))), 0.02, 0.98))


def balanced_threshold(probability: NDArray[np.floating], share: NDArray[np.floating]) -> float:
    """Find the probability at which as large a share of the class is missed as of other ground is mistaken for it.

    For labels that are no random sample of the ground: it does not depend on how much of each class is labelled.

    Parameters
    ----------
    probability, share
        Probability and true share of each cell, (cell,).

    Returns
    -------
    float
        Threshold from 0.02 to 0.98.
    """
    order = np.argsort(probability)
    y = share[order].astype(np.float64)
    missed = np.cumsum(y) / max(float(y.sum()), 1e-9)
    mistaken = 1 - np.cumsum(1 - y) / max(float((1 - y).sum()), 1e-9)
    at = int(np.argmin(np.abs(missed - mistaken)))
    return float(np.clip(probability[order][at], 0.02, 0.98))
