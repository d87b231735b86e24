"""Open radar and images as guides of a DEM, and register them to its relief."""

from __future__ import annotations

import re
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from terrafine.errors import BandError, EmptyError, UsageError
from terrafine.workflows.advice import advice_for
from terrafine.workflows.fields import GUIDANCE_FIELDS
from terrafine.workflows.options import Guidance

if TYPE_CHECKING:
    from torch import Tensor

    from terrafine.raster.read.guided_source import GuidedSource
    from terrafine.raster.read.source import Source
    from terrafine.raster.warp.registration import Offset
    from terrafine.systems import ModelRef

__all__ = ["Guidance", "open_guided", "parse_guides"]

_SIDE = 256  # side, in coarse cells, of the window in which guides are compared with the relief
_REACH = 4  # largest shift in fine cells that is searched
_LEAST = 0.1  # smaller shifts, in fine cells, are not removed: resampling would blur more than it corrects
_ENOUGH = 1000  # fine cells
_RELIEF_DB = 0.05  # if the simulation varies less than this, the ground is too flat for a comparison
_WINDOW = 31  # side, in fine cells, of the window whose mean is subtracted first, as the network does
_DECIMALS = 2  # decimals of a shift: the tags state exactly what is removed, on every machine
_SUN_ELEVATION = 45.0  # degrees, of the shading that an image is compared with; its pattern hardly depends on it
_LIT = 0.1  # below this correlation with the best shading, the azimuth of the sun is not identifiable
_CLEAR = 0.15  # radar is refused if the other orbit correlates better by more than this
_UNKNOWN = "not estimated: too few valid cells of the guide or too little relief in the raster's middle"


def parse_guides(pairs: tuple[tuple[str, str], ...], **geometry: Any) -> Guidance:
    """Return the guidance that NAME=FILE pairs of the command line state.

    Parameters
    ----------
    pairs
        Pairs of a band and a file or glob pattern; the value of `incidence` may be a number.
    geometry
        Further fields of `Guidance`.

    Returns
    -------
    Guidance
        The files by band, and the geometry.

    Raises
    ------
    UsageError
        If `incidence` is given twice.
    """
    files: dict[str, list[str]] = {}
    incidence: str | float | None = None
    for name, value in pairs:
        if name != "incidence":
            file, mark, number = value.rpartition("#") if re.search(r"#(\d+|\*)$", value) else (value, "", "")
            found = sorted(glob(file)) or [file]  # noqa: PTH207  (absolute patterns too)
            files.setdefault(name, []).extend(path + mark + number for path in found)
        elif incidence is not None:
            raise UsageError("incidence is given twice; expected one number or file for all dates")
        else:
            incidence = _number(value)
    return Guidance({name: tuple(paths) for name, paths in files.items()}, incidence=incidence, **geometry)


def open_guided(dem: Source, ref: ModelRef, guidance: Guidance) -> GuidedSource:
    """Open the guides of a DEM on the fine grid, and register them to the relief.

    Parameters
    ----------
    dem
        The open DEM.
    ref
        The model.
    guidance
        Files and geometry of the guides.

    Returns
    -------
    GuidedSource
        The DEM with its guides; it closes the DEM.

    Raises
    ------
    UsageError
        If radar lacks an orbit, a self-ensemble is asked for, the radar clearly looks from the other side, or the sun's
        azimuth is neither stated nor identifiable.
    BandError
        If the model does not use a guide, or values do not fit the band or unit.
    GridError, EmptyError, SourceError
        As `terrafine.raster.read.guides.open_guides`.
    """
    from terrafine.physics.radar import MID_SWATH
    from terrafine.raster.protocol import closed_on_error
    from terrafine.raster.read.guides import OPTICAL, RADAR, open_guides
    from terrafine.workflows.inputs.look_direction import sensor_azimuth

    _refuse_unheard(guidance, ref, OPTICAL)
    radar = any(guidance.files.get(name) for name in RADAR)
    if radar and guidance.orbit not in ("ascending", "descending"):
        raise UsageError(f'radar guides need orbit="ascending" or orbit="descending"; found {guidance.orbit}')
    incidence = MID_SWATH if guidance.incidence is None else guidance.incidence
    angle = MID_SWATH if isinstance(incidence, str) else float(incidence)
    orbit = guidance.orbit or "descending"
    azimuth = sum(sensor_azimuth(dem, orbit, guidance.heading, None, angle)) % 360 if radar else 0.0
    with advice_for(GUIDANCE_FIELDS):
        guided = open_guides(
            dem, ref.spec.scale, guidance.files, azimuth=azimuth, incidence=incidence, unit=guidance.unit
        )
    with closed_on_error(guided):
        guided = guided.stating(
            {"GUIDE_FILES": ", ".join(f"{name}={len(files)}" for name, files in guidance.files.items())}
        )
        if radar:
            guided = _register_radar(_state_radar(guided, guidance, orbit, incidence), orbit, guidance.heading, angle)
        if "optical" in guided.guides:
            guided = _register_images(guided, guidance.sun)
    return guided


def _state_radar(guided: GuidedSource, guidance: Guidance, orbit: str, incidence: str | float) -> GuidedSource:
    assumed = guidance.incidence is None
    note = f"no incidence was given: mid-swath, {incidence} degrees, is assumed; state incidence=DEGREES or a file"
    return guided.stating(
        {
            "RADAR_ORBIT": orbit,
            "RADAR_LOOK_AZIMUTH": f"{guided.azimuth:.2f}",
            "RADAR_INCIDENCE": ("assumed mid-swath " if assumed else "") + Path(str(incidence)).name,
        },
        *((note,) if assumed else ()),
    )


def _register_radar(guided: GuidedSource, orbit: str, heading: float | None, incidence: float) -> GuidedSource:
    """Register the radar to the DEM; refuse it if the other orbit explains it better."""
    from terrafine.physics.backscatter import simulate_db
    from terrafine.workflows.inputs.look_direction import sensor_azimuth

    other = "descending" if orbit == "ascending" else "ascending"
    mirrored = None if heading is None else (180 - heading) % 360  # both tracks cross the meridian at the same angle
    across = sum(sensor_azimuth(guided.dem, other, mirrored, None, incidence))
    z, pixel, db, seen = _middle(guided, guided.guides[0])
    own, theirs = (_compare(simulate_db(z, pixel, incidence, a), db, seen) for a in (guided.azimuth, across))
    if own is None or theirs is None:
        return guided.stating({"RADAR_SHIFT_CELLS": _UNKNOWN})
    if theirs.correlation > max(own.correlation, 0.0) + _CLEAR and theirs.trusted:
        raise UsageError(
            f"{orbit} orbit: the radar follows relief lit from the {other} side (correlation "
            f"{theirs.correlation:.2f}) better than from this one ({own.correlation:.2f}); state "
            f'orbit="{other}", or check the files'
        )
    return _shifted(guided, own, "RADAR")


def _shifted(guided: GuidedSource, own: Offset, prefix: str) -> GuidedSource:
    """Remove the shift of the radar or the images if it can be trusted, and state it in the tags."""
    dy, dx = round(own.dy, _DECIMALS), round(own.dx, _DECIMALS)
    result = "not identifiable: the guide follows the relief too little"
    if own.trusted and max(abs(dy), abs(dx)) > _LEAST:
        guided = guided.displaced(dy, dx, optical=prefix == "OPTICAL")
        result = f"{dy} down, {dx} right, taken out"
    elif own.trusted:
        result = f"{dy} down, {dx} right, left as it is"
    return guided.stating(
        {
            f"{prefix}_RELIEF_CORRELATION": f"{own.correlation:.3f}",
            f"{prefix}_SHIFT_CELLS": result,
            f"{prefix}_SHIFT_PROMINENCE": f"{own.prominence:.1f}",
        },
        f"{prefix.lower()} against the DEM, in fine cells: {result}",
    )


def _register_images(guided: GuidedSource, sun: float | None) -> GuidedSource:
    """Estimate the azimuth of the sun if it is not given, and register the images to the DEM."""
    from terrafine.physics.shading import find_sun, shade_db
    from terrafine.workflows.inputs.look_direction import grid_north

    z, pixel, db, seen = _middle(guided, "optical")
    if int(seen.sum()) < _ENOUGH:
        raise EmptyError(
            f"{guided.dem.paths[0]}: the images show {int(seen.sum())} fine cells of its middle; expected "
            f"{_ENOUGH}. Give images that cover it"
        )
    notes: tuple[str, ...] = ()
    if sun is None:
        try:
            found = find_sun(db, z, pixel, seen, _WINDOW)
        except ValueError as e:
            raise UsageError(
                f"{guided.dem.paths[0]}: too flat to estimate the azimuth of the images' sun ({e}); state sun=DEGREES"
            ) from e
        if found.correlation < _LIT:
            raise UsageError(
                f"{guided.dem.paths[0]}: the images follow its relief too little (correlation {found.correlation:.2f}) "
                "to estimate the azimuth of their sun; state sun=DEGREES, or leave them out"
            )
        azimuth, result = round(found.azimuth, _DECIMALS), "estimated from the relief"
        notes = (f"the image's sun was estimated at {azimuth:.0f} degrees from grid north; sun=DEGREES overrides it",)
    else:
        azimuth, result = (sun + grid_north(guided.dem)) % 360, "given"
    guided = guided.with_sun(azimuth).stating(
        {"OPTICAL_SUN_AZIMUTH": f"{azimuth:.1f} from the grid's north, {result}"}, *notes
    )
    own = _compare(shade_db(z, pixel, azimuth, _SUN_ELEVATION), db, seen)
    if own is None:
        return guided.stating({"OPTICAL_SHIFT_CELLS": _UNKNOWN})
    return _shifted(guided, own, "OPTICAL")


def _middle(guided: GuidedSource, name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return heights, cell sizes in metres, a guide and its validity in the raster's middle; (y, x) on the fine grid.

    Heights are interpolated by cubic convolution and NaN at nodata, so that no slope crosses an edge.
    """
    import torch

    (height, width), k = guided.shape, guided.guide_scale
    top, left = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2)
    rows, cols = slice(top * k, min(height, top + _SIDE) * k), slice(left * k, min(width, left + _SIDE) * k)
    z, known = guided.read_fine(rows, cols)
    db, seen = guided.read_guide(name, rows, cols)
    pixel = np.repeat(guided.pixel_size_m(slice(rows.start // k, rows.stop // k)) / k, k, axis=1)
    z = np.where(known, z, np.nan).astype(np.float64)
    return torch.from_numpy(z), torch.from_numpy(pixel), torch.from_numpy(db).double(), torch.from_numpy(seen)


def _compare(lit: Tensor, db: Tensor, seen: Tensor) -> Offset | None:
    """Return the shift of a guide against its model, both high-passed; None if there is too little of either."""
    import torch

    from terrafine.physics.highpass import highpass
    from terrafine.raster.warp.registration import estimate_offset

    mask = seen & torch.isfinite(lit)
    valid = mask.numpy()
    model, guide = (highpass(v, mask, _WINDOW).numpy() for v in (lit, db))
    if valid.sum() < _ENOUGH or model[valid].std() < _RELIEF_DB:
        return None
    return estimate_offset(guide, model, valid, _REACH)


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _refuse_unheard(guidance: Guidance, ref: ModelRef, optical: tuple[str, ...]) -> None:
    """Raise if the model does not use a guide that is given, or none is given."""
    if not any(guidance.files.values()):
        raise UsageError('no guide is given; expected at least one, as files={"vv": "FILE"}')
    if ref.options.self_ensemble:
        raise UsageError("self_ensemble=True cannot be used with guides: mirrored radar is not what an orbit observes")
    heard = [name for name in ref.spec.guides if not name.startswith(("look_", "sun_"))]
    if "optical" in heard:
        heard[heard.index("optical") : heard.index("optical") + 1] = optical
    if unknown := sorted(set(guidance.files) - set(heard)):
        raise BandError(
            f"{ref.name} does not use the guide {', '.join(unknown)}; it uses {', '.join(heard) or 'no guide'}"
        )
