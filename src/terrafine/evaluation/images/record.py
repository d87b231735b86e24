"""The record of a judged image in results.json, from what its windows measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from terrafine.evaluation.classes.agreement import plain
from terrafine.evaluation.images.measures import Measured, psnr

__all__ = ["summary"]


def summary(parts: Sequence[Measured], peak: float) -> dict[str, Any]:
    """The measures of all windows together: sums over cells, shifts as their mean, correctness by cells judged."""
    n, coarse = sum(p.n for p in parts), sum(p.coarse for p in parts)
    told = [(p.judged, p.judged[3] * p.n) for p in parts if p.judged[3] > 0]
    weight = sum(w for _, w in told)
    judged = [sum(j[i] * w for j, w in told) / weight if weight else math.nan for i in range(3)]
    shifts = [p.shift_px for p in parts if p.shift_px is not None]
    angles = sum(p.angle_n for p in parts)
    return {
        "n": n,
        "psnr": plain(psnr(sum(p.squared for p in parts) / n, peak)),
        "ssim": plain(sum(p.similarity for p in parts) / sum(p.similarity_n for p in parts)),
        "consistency": {
            "reflectance": sum(p.reflectance for p in parts) / coarse,
            "block_mean": sum(p.kept for p in parts) / coarse,
            "block_mean_max": max(p.kept_max for p in parts),
            "spectral_angle_deg": sum(p.angle for p in parts) / angles if angles else None,
            "shift_px": sum(shifts) / len(shifts) if shifts else None,
        },
        "synthesis": sum(p.synthesis for p in parts) / n,
        "correctness": {
            "improvement": plain(judged[0]),
            "omission": plain(judged[1]),
            "hallucination": plain(judged[2]),
            "judged_share": weight / n,
        },
    }
