"""Physics terms of the loss: terrain, flow and radar, each relative to the consistent cubic surface.

A term of a patch is its error ÷ (the same error of the consistent cubic surface + a floor), like heights and slopes in
`terrafine.nn.losses`: 1 is no better than interpolation in any relief, and a weight has the same meaning in plains and
mountains. The errors, their units and sources are those of `terrafine.physics`. Weights are set in a recipe's `[loss]`;
one that is absent or 0 costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from terrafine.errors import RecipeError
from terrafine.nn.system import TrainingBatch
from terrafine.physics.backscatter import Backscatter, fit_exponent, sar_loss
from terrafine.physics.flow import accumulation_loss, sink_penalty, soft_direction_loss
from terrafine.physics.radar import MID_SWATH, cos_local_incidence, layover_or_shadow
from terrafine.physics.terrain import FLAT, aspect_loss, curvature_loss, gradient_loss, slope_loss

__all__ = ["SETTINGS", "TERMS", "Surfaces", "Term", "physics_terms", "sar_term"]

LEAST = 0.002
"""Rise per metre that counts as noise; errors far below its effect have little influence."""

_NATS = 0.02  # approximate effect of a rise of LEAST per metre on a soft direction
_PITS = 0.01  # of the cubic surface's RMS error: a smooth surface has too few pits for a ratio
_BASIN = 32  # fine cells along the middle of a patch in which water is routed
_RADAR = ("vv", "vh")
_LOOK = ("look_east", "look_north")
_WINDOW = 31  # fine cells whose mean is subtracted from radar: slower variation is land cover, not relief
_DB2 = 0.01  # Huber's half square of 0.14 dB: about 1,000 looks


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Surfaces that the terms compare.

    Attributes
    ----------
    prediction, truth, cubic
        Heights above each patch's mean, (n, 1, y, x), metres; `cubic` is the consistent cubic surface.
    pixel_size_m
        Metres along y and x of a fine cell, (n, 2, y, 1).
    """

    prediction: Tensor
    truth: Tensor
    cubic: Tensor
    pixel_size_m: Tensor

    def pixel(self) -> Tensor:
        """Return the mean pixel size of each patch in metres, (n, 1)."""
        return self.pixel_size_m.mean(dim=(1, 2, 3))[:, None]


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the loss.

    Attributes
    ----------
    unit
        Unit and meaning of the error.
    error
        Function (surface, Surfaces) -> (n, 1), in `unit`.
    floor
        Function (Surfaces) -> value added to the error of the cubic surface, in `unit`.
    """

    unit: str
    error: Callable[[Tensor, Surfaces], Tensor]
    floor: Callable[[Surfaces], Tensor | float]


def _sinks_floor(s: Surfaces) -> Tensor:
    rms = (s.cubic - s.truth).square().mean(dim=(2, 3)).sqrt()
    return _PITS * (rms + LEAST * s.pixel())


def _basin(z: Tensor) -> Tensor:
    top, left = ((side - _BASIN) // 2 for side in z.shape[-2:])
    return z[..., max(0, top) : max(0, top) + _BASIN, max(0, left) : max(0, left) + _BASIN]


TERMS: Mapping[str, Term] = {
    "gradient": Term(
        "m/m: L1 of first differences", lambda z, s: gradient_loss(z, s.truth, s.pixel_size_m), lambda s: LEAST
    ),
    "slope_angle": Term(
        "degrees: Horn's slope",
        lambda z, s: slope_loss(z, s.truth, s.pixel_size_m),
        lambda s: math.degrees(math.atan(LEAST)),
    ),
    "aspect": Term(
        "1 - cos of the angle, weighted by sin(slope)",
        lambda z, s: aspect_loss(z, s.truth, s.pixel_size_m),
        lambda s: (LEAST / FLAT) ** 2 / 2,
    ),
    "curvature": Term(
        "1/100 m: plan and profile",
        lambda z, s: curvature_loss(z, s.truth, s.pixel_size_m),
        lambda s: 100 * LEAST / s.pixel(),
    ),
    "flow": Term(
        "nats: soft flow directions", lambda z, s: soft_direction_loss(z, s.truth, s.pixel_size_m), lambda s: _NATS
    ),
    "sinks": Term("m: pits where the truth has none", lambda z, s: sink_penalty(z, s.truth), _sinks_floor),
    "accumulation": Term(
        "|Δ ln A| of drained cells",
        lambda z, s: accumulation_loss(_basin(z), _basin(s.truth), s.pixel_size_m.mean(dim=2, keepdim=True)),
        lambda s: _NATS,
    ),
}

SETTINGS = (*TERMS, "sar", "sar_area")
"""Names of the settings of `physics_terms`."""


def physics_terms(
    relief: Tensor, cubic: Tensor, batch: TrainingBatch, settings: Mapping[str, float], edge: int
) -> dict[str, Tensor]:
    """Compute the terms that the settings request, each the mean over patches of its relative error.

    Parameters
    ----------
    relief, cubic
        Subcell minus cell height of the prediction and of the consistent cubic surface, (n, k², y, x), metres.
    batch
        Heights, pixel sizes and guides.
    settings
        A weight for each name of TERMS and for `sar`; `sar_area` is the exponent assumed for the radar's footprint (1:
        not normalised for slope).
    edge
        Number of coarse cells left out at the border.

    Returns
    -------
    dict[str, Tensor]
        Scalars by name; `sar` is absent where no patch of the batch has radar.

    Raises
    ------
    RecipeError
        For `sar` where the data have no radar at all.
    """
    requested = [name for name in TERMS if settings.get(name, 0.0)]
    if not requested and not settings.get("sar", 0.0):
        return {}
    s = _surfaces(relief, cubic, batch, edge)
    parts: dict[str, Tensor] = {}
    for name in requested:
        term = TERMS[name]
        with torch.no_grad():
            unit = term.error(s.cubic, s) + term.floor(s)
        parts[name] = (term.error(s.prediction, s) / unit).mean()
    if settings.get("sar", 0.0):
        guides = {name: _inside(g, edge * batch.scale) for name, g in batch.guides.items()}
        found = sar_term(s, guides, settings.get("sar_area", 1.0))
        parts |= {} if found is None else {"sar": found}
    return parts


def sar_term(s: Surfaces, guides: Mapping[str, Tensor], area: float = 1.0) -> Tensor | None:
    """Compute the error of the modelled backscatter of the prediction relative to that of the cubic surface.

    The exponent of the cosine law is fitted to the truth for each patch and polarisation. Only observed cells count
    that are in layover or shadow by their own slope neither in the truth nor in the prediction. Cells under cast shadow
    or another slope's layover should be passed as not observed.

    Parameters
    ----------
    s
        Surfaces to compare.
    guides
        Guides by band, as in `TrainingBatch`.
    area
        Fixed value of `Backscatter.area`.

    Returns
    -------
    Tensor | None
        A scalar, or None where no patch has a cell that counts.

    Raises
    ------
    RecipeError
        Without radar bands or look vector.
    """
    bands = [name for name in _RADAR if name in guides]
    if not bands or not all(name in guides for name in _LOOK):
        raise RecipeError(
            f"[loss] sar needs radar, and the batch has {sorted(guides) or 'no guide'}; expected "
            "vv or vh with look_east and look_north, from a [radar] table or guides in the data; or leave sar out"
        )
    east, north = (guides[name][:, :1] for name in _LOOK)
    observed_cells = torch.cat([guides[name][:, 1:] for name in bands], dim=1) > 0
    known_look = (guides[_LOOK[0]][:, 1:] > 0) & (guides[_LOOK[1]][:, 1:] > 0)
    incidence = torch.where(known_look, torch.rad2deg(torch.asin(torch.hypot(east, north).clamp_max(1.0))), MID_SWATH)
    azimuth = torch.rad2deg(torch.atan2(east, north))
    known = observed_cells & known_look & ~layover_or_shadow(s.truth, s.pixel_size_m, incidence, azimuth)
    known = functional.pad(known[..., 1:-1, 1:-1], (1, 1, 1, 1))  # at the border slopes are extrapolated
    some = known.flatten(1).any(1)
    if not bool(some.any()):
        return None
    observed = torch.cat([guides[name][:, :1] for name in bands], dim=1)[some]
    size, incidence, azimuth, known = (x[some] for x in (s.pixel_size_m, incidence, azimuth, known))
    facing = cos_local_incidence(s.truth[some], size, incidence, azimuth)
    exponent = fit_exponent(observed, facing, incidence, known, area=area, window=_WINDOW)

    def apart(z: Tensor) -> Tensor:
        model = Backscatter(area=area)
        return sar_loss(
            z[some], observed, size, incidence, azimuth, model, known, exponent=exponent, window=_WINDOW, empty="zero"
        )

    with torch.no_grad():
        unit = apart(s.cubic) + _DB2
    return (apart(s.prediction) / unit).mean()


def _surfaces(relief: Tensor, cubic: Tensor, batch: TrainingBatch, edge: int) -> Surfaces:
    """Surfaces from subcells; each patch's mean is subtracted first, so that float32 keeps the curvature."""
    k, border = batch.scale, edge * batch.scale
    low = batch.coarse.double().mean(dim=(2, 3), keepdim=True)
    cells = (batch.coarse.double() - low).to(relief.dtype).repeat_interleave(k, dim=-2).repeat_interleave(k, dim=-1)
    prediction, plain = (_inside(cells + functional.pixel_shuffle(x, k), border) for x in (relief, cubic.detach()))
    truth = _inside((batch.fine.double() - low).to(relief.dtype), border)
    size = batch.pixel_size_m.repeat_interleave(k, dim=2) / k
    return Surfaces(prediction, truth, plain, size[:, :, border:-border] if border else size)


def _inside(x: Tensor, border: int) -> Tensor:
    return x[..., border:-border, border:-border] if border else x
