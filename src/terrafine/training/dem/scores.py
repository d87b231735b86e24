"""Scores of a network on held-out patches, and the calibration of its σ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from terrafine.nn.dihedral import transform, transform_sizes
from terrafine.nn.system import System, TrainingBatch
from terrafine.nn.upsample import assemble, relief_of
from terrafine.training.calibration import calibration_of

__all__ = ["calibrate", "score", "equivariance_error"]

_EDGE = 8  # coarse cells at a patch's edge that are not scored, because the network lacks context there
_INNER = 8  # coarse cells along a patch that are scored in any case


@torch.no_grad()
def score(system: System, network: nn.Module, checks: Sequence[TrainingBatch]) -> dict[str, float]:
    """Compute the errors of a network relative to interpolation.

    The scores are geometric means over patches: RMSE / RMSE of bicubic, RMSE / RMSE of the consistent cubic surface,
    and the ratio to bicubic of the errors of slope.

    Parameters
    ----------
    system
        System of the network.
    network
        Network in evaluation mode.
    checks
        Validation batches.

    Returns
    -------
    dict[str, float]
        `to_bicubic`, `to_consistent` and `slope_to_bicubic`.
    """
    logs: list[Tensor] = []
    for batch in checks:
        fine = _inner(batch.fine, batch.scale)
        cubic = [
            _inner(assemble(batch.coarse, relief_of(batch.coarse, batch.scale, c), batch.scale), batch.scale)
            for c in ("bicubic", "backprojected")
        ]
        ours = _inner(_predict(system, network, batch)["elevation"], batch.scale)
        plain, consistent = (_rms(c - fine) for c in cubic)
        error, slope = _rms(ours - fine), _slope_error(ours, fine) / _slope_error(cubic[0], fine)
        logs.append(torch.stack((error / plain, error / consistent, slope)).log())
    ratios = torch.cat(logs, dim=1).mean(dim=1).exp()
    return dict(zip(("to_bicubic", "to_consistent", "slope_to_bicubic"), ratios.tolist(), strict=True))


@torch.no_grad()
def calibrate(system: System, network: nn.Module, checks: Sequence[TrainingBatch]) -> dict[str, float]:
    """Calibrate the network's σ over the inner cells of held-out patches, as `calibration_of`.

    Of patches of several products those of exact block means count, where there are any.

    Parameters
    ----------
    system, network, checks
        As in `score`.

    Returns
    -------
    dict[str, float]
        Factors by name; empty for a network without σ.
    """
    ratios, exact = [], []
    for batch in checks:
        out = _predict(system, network, batch)
        if "elevation_sigma" not in out:
            return {}
        error = (out["elevation"] - batch.fine).abs() / out["elevation_sigma"]
        ratios.append(_inner(error, batch.scale))
        exact.append(torch.ones(len(error), dtype=torch.bool) if batch.sensor is None else _exact(batch.sensor))
    kept = [r[e.to(r.device)] for r, e in zip(ratios, exact, strict=True)]
    return calibration_of(kept if any(map(len, kept)) else ratios)


def _exact(sensor: Tensor) -> Tensor:
    """Which patches are exact block means, (n,)."""
    return sensor[:, -1, 0, 0] > 0.5


@torch.no_grad()
def equivariance_error(system: System, network: nn.Module, checks: Sequence[TrainingBatch]) -> float:
    """Compute the largest RMS difference between outputs of transformed inputs and transformed outputs.

    Guides are left out, since the orbit of a radar cannot be rotated.

    Parameters
    ----------
    system, network, checks
        As in `score`.

    Returns
    -------
    float
        Metres, the largest value of all held-out patches.
    """
    worst = 0.0
    for batch in (replace(b, guides={}) for b in checks):
        plain = _predict(system, network, batch)["elevation"]
        size = batch.pixel_size_m.expand(-1, -1, -1, batch.coarse.shape[-1])
        for turn in (1, 2, 4):
            turned = replace(batch, coarse=transform(batch.coarse, turn), pixel_size_m=transform_sizes(size, turn))
            error = _predict(system, network, turned)["elevation"] - transform(plain, turn)
            worst = max(worst, float(_rms(_inner(error, batch.scale)).max()))
    return worst


def _predict(system: System, network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    if system.training is None:
        raise ValueError(f"system {system.name!r} predicts nothing")
    return system.training.predict(network, batch, {})


def _inner(x: Tensor, k: int) -> Tensor:
    side = x.shape[-1] // k
    edge = max(0, min(_EDGE, (side - _INNER) // 2)) * k
    return x[..., edge : side * k - edge, edge : side * k - edge]


def _rms(error: Tensor) -> Tensor:
    """Per patch, with a floor of a millimetre so that a perfect patch has a logarithm."""
    return error.square().mean(dim=(1, 2, 3)).sqrt().clamp_min(1e-3)


def _slope_error(a: Tensor, b: Tensor) -> Tensor:
    """RMS over a patch of the first differences' error: the pixel size cancels in a ratio."""
    error = a - b
    dy, dx = error[..., 1:, :] - error[..., :-1, :], error[..., 1:] - error[..., :-1]
    return (dy.square().mean(dim=(1, 2, 3)) + dx.square().mean(dim=(1, 2, 3))).sqrt().clamp_min(1e-4)
