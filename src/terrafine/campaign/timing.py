"""How long the model takes for a unit on this machine: timed on a small batch before a campaign runs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from terrafine.campaign.plan import Plan

__all__ = ["seconds_of_unit"]

_SIDE = 32  # cells of the batch that is timed, without the halo


def seconds_of_unit(plan: Plan) -> float | None:
    """Time the model on one small batch, after another one that warms it up, and scale it to a unit with its halo.

    Parameters
    ----------
    plan
        The plan.

    Returns
    -------
    float or None
        Seconds of one unit for the model alone; reading and writing come on top. None where the model is chosen for
        each DEM by its product.
    """
    from terrafine.nn.model import Tiles
    from terrafine.systems import find_model, load_model

    settings = plan.settings
    verb, name = settings.model.verb, plan.model["name"]
    if name is None:
        return None
    scale = (settings.options.scale or 4) if verb == "dem" else int(plan.model["scale"])
    asked: dict[str, Any] = {"verb": "map" if verb == "image" else verb, "threads": settings.run.threads}
    asked["device"] = settings.run.device
    if verb == "dem":
        asked["self_ensemble"] = settings.options.self_ensemble
    if verb in ("dem", "height"):
        asked["uncertainty"] = settings.options.uncertainty
    ref = find_model(name, scale, **asked)
    if verb == "image":
        ref = find_model(name, scale, **asked, outputs=ref.spec.inputs)
    side = _SIDE + 2 * ref.spec.halo
    batch = Tiles(
        bands={band: np.zeros((1, side, side), np.float32) for band in ref.spec.inputs},
        valid=np.ones((1, side, side), bool),
        pixel_size_m=np.full((1, 2, side), plan.lattice.resolution_m),
        guides={band: np.zeros((1, 2, side * scale, side * scale), np.float32) for band in ref.spec.guides},
    )
    model = load_model(ref)
    model(batch)
    begun = time.perf_counter()
    model(batch)
    return (time.perf_counter() - begun) * (plan.lattice.cells + 2 * plan.lattice.halo) ** 2 / side**2
