"""What a user says of radar that guides a DEM, and the DEM's source joined with it, checked against its own relief."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from terrafine.errors import BandError, UsageError

if TYPE_CHECKING:
    from terrafine.raster.guides import GuidedSource
    from terrafine.raster.register import Offset
    from terrafine.raster.source import Source
    from terrafine.systems import ModelRef

__all__ = ["Guidance", "open_guided", "parse_guides"]

_SIDE = 256  # coarse cells along the window in which radar is held against relief
_REACH = 4  # fine cells by which it may lie beside it
_LEAST = 0.1  # fine cells below which a displacement is left: moving it would blur more than it mends
_ENOUGH = 1000  # fine cells
_RELIEF_DB = 0.05  # spread of the simulation below which the ground is too level to tell anything
_WINDOW = 31  # fine cells whose mean is taken away before, as the network does
_TOLD = 2  # decimals of a displacement: what the tags say is what is taken out, on every machine
_CLEAR = 0.15  # correlation by which the other orbit must explain the radar better before it is refused


@dataclass(frozen=True, slots=True)
class Guidance:
    """Radar files and their geometry.

    files      band (vv, vh) -> files, each a date; `file.tif#2` names a band number
    orbit      ascending or descending; heading of the track in degrees, by default Sentinel-1's at that latitude
    incidence  degrees on the ellipsoid: a number, a file, or None for the middle of the swath
    unit       dB or linear power
    """

    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    orbit: str | None = None
    heading: float | None = None
    incidence: str | float | None = None
    unit: str = "dB"


def parse_guides(pairs: tuple[tuple[str, str], ...], **geometry: Any) -> Guidance:
    """From NAME=FILE pairs as the command line has them, FILE a glob too; `incidence` may be a number.

    Raises UsageError.
    """
    files: dict[str, list[str]] = {}
    incidence: str | float | None = None
    for name, value in pairs:
        if name != "incidence":
            file, mark, number = value.rpartition("#") if re.search(r"#\d+$", value) else (value, "", "")
            found = sorted(glob(file)) or [file]  # noqa: PTH207  (absolute patterns too)
            files.setdefault(name, []).extend(path + mark + number for path in found)
        elif incidence is not None:
            raise UsageError("incidence is given twice; expected one number or file for all dates")
        else:
            incidence = _number(value)
    return Guidance({name: tuple(paths) for name, paths in files.items()}, incidence=incidence, **geometry)


def open_guided(dem: Source, ref: ModelRef, guidance: Guidance) -> GuidedSource:
    """The DEM's source with its guides on the fine grid.

    Raises UsageError without an orbit, with a self-ensemble, or where the radar plainly looks from the other side;
    BandError, GridError, EmptyError as `terrafine.raster.guides.open_guides`.
    """
    from terrafine.physics.radar import MID_SWATH
    from terrafine.radar import sensor_azimuth
    from terrafine.raster.guides import open_guides

    _refuse_unheard(guidance, ref)
    if guidance.orbit not in ("ascending", "descending"):
        raise UsageError(f"--orbit {guidance.orbit}: radar guides need --orbit ascending or --orbit descending")
    incidence = MID_SWATH if guidance.incidence is None else guidance.incidence
    angle = MID_SWATH if isinstance(incidence, str) else float(incidence)
    azimuth = sum(sensor_azimuth(dem, guidance.orbit, guidance.heading, None, angle)) % 360
    guided = open_guides(dem, ref.spec.scale, guidance.files, azimuth=azimuth, incidence=incidence, unit=guidance.unit)
    guided.guide_tags.update(
        RADAR_ORBIT=guidance.orbit,
        RADAR_LOOK_AZIMUTH=f"{azimuth:.2f}",
        RADAR_INCIDENCE=("assumed mid-swath " if guidance.incidence is None else "") + Path(str(incidence)).name,
        RADAR_FILES=", ".join(f"{name}={len(files)}" for name, files in guidance.files.items()),
    )
    _hold_against_relief(guided, guidance.orbit, guidance.heading, angle)
    return guided


def _hold_against_relief(guided: GuidedSource, orbit: str, heading: float | None, incidence: float) -> None:
    """Take out how far the radar lies beside the DEM; refuse it where the other orbit's light explains it better."""
    from terrafine.radar import sensor_azimuth

    other = "descending" if orbit == "ascending" else "ascending"
    mirrored = None if heading is None else (180 - heading) % 360  # one track crosses the meridian as the other does
    across = sum(sensor_azimuth(guided.dem, other, mirrored, None, incidence))
    own, theirs = (_offset(guided, incidence, azimuth) for azimuth in (guided.azimuth, across))
    if own is None or theirs is None:
        guided.guide_tags["RADAR_SHIFT_CELLS"] = "not looked for: too little radar or relief in the raster's middle"
        return
    if theirs.correlation > max(own.correlation, 0.0) + _CLEAR and theirs.trusted:
        raise UsageError(
            f"--orbit {orbit}: the radar follows relief lit from the {other} side (correlation "
            f"{theirs.correlation:.2f}) better than from this one ({own.correlation:.2f}); say --orbit {other}, "
            "or check the files"
        )
    dy, dx = round(own.dy, _TOLD), round(own.dx, _TOLD)
    told = "not told: the radar follows the relief too little"
    if own.trusted and max(abs(dy), abs(dx)) > _LEAST:
        guided.displace(dy, dx)
        told = f"{dy} down, {dx} right, taken out"
    elif own.trusted:
        told = f"{dy} down, {dx} right, left as it is"
    guided.guide_tags.update(
        RADAR_RELIEF_CORRELATION=f"{own.correlation:.3f}",
        RADAR_SHIFT_CELLS=told,
        RADAR_SHIFT_PROMINENCE=f"{own.prominence:.1f}",
    )


def _offset(guided: GuidedSource, incidence: float, azimuth: float) -> Offset | None:
    """Where the first band lies against its simulation over the DEM, in the raster's middle; None: cannot be told."""
    import torch

    from terrafine.physics.backscatter import highpass, simulate_db
    from terrafine.raster.register import estimate_offset

    (height, width), k = guided.shape, guided.guide_scale
    top, left = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2)
    rows, cols = slice(top * k, min(height, top + _SIDE) * k), slice(left * k, min(width, left + _SIDE) * k)
    z, known = guided.read_fine(rows, cols)
    db, seen = guided.read_guide(guided.guides[0], rows, cols)
    pixel = np.repeat(guided.pixel_size_m(slice(rows.start // k, rows.stop // k)) / k, k, axis=1)
    z = np.where(known, z, np.nan).astype(np.float64)  # so that no slope is taken across the rim of a void
    lit = simulate_db(torch.from_numpy(z), torch.from_numpy(pixel), incidence, azimuth)
    mask = torch.from_numpy(seen) & torch.isfinite(lit)
    valid = mask.numpy()
    model, radar = (highpass(v, mask, _WINDOW).numpy() for v in (lit, torch.from_numpy(db).double()))
    if valid.sum() < _ENOUGH or model[valid].std() < _RELIEF_DB:
        return None
    return estimate_offset(radar, model, valid, _REACH)


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _refuse_unheard(guidance: Guidance, ref: ModelRef) -> None:
    """Raise where a model makes no use of a guide that is given, or none is."""
    if not any(guidance.files.values()):
        raise UsageError("no radar is given; expected at least one --guide vv=FILE or vh=FILE")
    if ref.options.self_ensemble:
        raise UsageError("radar knows the looks of real orbits alone: no --self-ensemble with --guide")
    heard = [name for name in ref.spec.guides if not name.startswith("look_")]
    if unknown := sorted(set(guidance.files) - set(heard)):
        raise BandError(
            f"{ref.name} makes no use of the guide {', '.join(unknown)}; it takes {', '.join(heard) or 'no guide'}"
        )
