"""How long the model takes for a unit on this machine: timed on a small batch before a campaign runs."""

from __future__ import annotations

from typing import Any

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
    from terrafine.inference.projection import seconds_of_batch
    from terrafine.systems import find_model, load_model
    from terrafine.workflows.fields import on_device
    from terrafine.workflows.options import RunOptions

    settings = plan.settings
    verb, name = settings.model.verb, plan.model["name"]
    if name is None:
        return None
    scale = (settings.options.scale or 4) if verb == "dem" else int(plan.model["scale"])
    asked: dict[str, Any] = {"verb": "map" if verb == "image" else verb, "threads": settings.run.threads}
    asked["device"] = on_device(RunOptions(device=settings.run.device)).device
    if verb == "dem":
        asked["self_ensemble"] = settings.options.self_ensemble
    if verb in ("dem", "height"):
        asked["uncertainty"] = settings.options.uncertainty
    ref = find_model(name, scale, **asked)
    if verb == "image":
        ref = find_model(name, scale, **asked, outputs=ref.spec.inputs)
    side = _SIDE + 2 * ref.spec.halo
    seconds = seconds_of_batch(load_model(ref), ref.spec, side, plan.lattice.resolution_m)
    return seconds * (plan.lattice.cells + 2 * plan.lattice.halo) ** 2 / side**2
