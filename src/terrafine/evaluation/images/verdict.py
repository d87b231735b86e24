"""One plain sentence on images: how good the best is, compared with interpolation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["verdict"]


def verdict(best: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one sentence: PSNR of the best image, its gain over interpolation, and its consistency.

    Parameters
    ----------
    best
        The best candidate of results.json.
    baselines
        Records of the baselines by name.

    Returns
    -------
    str
        The sentence.
    """
    base = baselines["back_projected"]
    if best["psnr"] is None or base["psnr"] is None:
        return f"{best['name']} equals the reference."
    gain = best["psnr"] - base["psnr"]
    way = "above" if gain >= 0 else "below"
    return (
        f"{best['name']}: PSNR {best['psnr']:.2f} dB, {abs(gain):.2f} dB {way} back-projected bicubic interpolation; "
        f"averaged back it differs from the input by {best['consistency']['block_mean']:.4f} of reflectance."
    )
