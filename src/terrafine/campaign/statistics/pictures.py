"""Growth curves and the map of change as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from terrafine.atomic import written
from terrafine.campaign.plan import Plan
from terrafine.campaign.settings import Epoch
from terrafine.campaign.statistics.tiles import CHANGE, TileCounts
from terrafine.errors import MissingExtraError

__all__ = ["draw_change", "draw_growth"]

_INK, _MUTED, _RAW, _STEADY = "#1f2a30", "#5b6b73", "#9aa7ad", "#b22234"
_COLOURS = {
    "stays other": (232, 236, 222),
    "stays impervious": (128, 128, 132),
    "became impervious": (178, 34, 52),
    "no longer impervious": (33, 102, 172),
    "unknown": (255, 255, 255),
}
_LONGEST = 1400  # pixels of the map of change


def _pyplot() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("pictures need an extra: pip install 'terrafine[campaign]'") from error
    return Figure


def draw_growth(
    path: Path,
    epochs: Sequence[Epoch],
    rows: Sequence[Mapping[str, Any]],
    title: str,
    adjusted: Mapping[str, tuple[float, float, float]] | None = None,
) -> None:
    """Draw impervious area by epoch: as mapped, after the temporal rule, and adjusted with its interval.

    Parameters
    ----------
    path
        The PNG.
    epochs
        The epochs.
    rows
        Rows of `area_rows`; those of the region are drawn.
    title
        What is drawn.
    adjusted
        Epoch -> error-adjusted area and the ends of its 95 % interval, in square kilometres.
    """
    figure = _pyplot()(figsize=(7.5, 4.6), dpi=150, layout="constrained")
    axes = figure.subplots()
    years = [epoch.middle for epoch in epochs]
    region = rows[0]["zone"]
    for rule, colour, label in (("raw", _RAW, "as mapped"), ("steady", _STEADY, "after the temporal rule")):
        values = [r["common_impervious_km2"] for r in rows if r["rule"] == rule and r["zone"] == region]
        axes.plot(years, values, "o-", color=colour, label=label, linewidth=2, markersize=6)
    if adjusted:
        known = [(e.middle, *adjusted[e.name]) for e in epochs if e.name in adjusted]
        x, y, low, high = (np.array(v) for v in zip(*known, strict=True))
        axes.errorbar(
            x, y, yerr=np.stack([y - low, high - y]), fmt="s", color=_INK, capsize=4, label="adjusted, 95 % interval"
        )
    axes.set_title(title, loc="left", fontsize=11, color=_INK)
    axes.set_ylabel("impervious surface, km² of ground", color=_MUTED)
    axes.set_xticks(years, [epoch.name for epoch in epochs])
    axes.margins(x=0.08, y=0.12)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#dfe4e6", linewidth=0.8)
    axes.tick_params(colors=_MUTED)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    with written(path) as part:
        figure.savefig(part, format="png")


def draw_change(path: Path, plan: Plan, counts: Sequence[TileCounts], title: str) -> None:
    """Draw what became of each part of the region from the first epoch to the last, on an equal-area projection.

    A part of a tile has the colour of its most frequent change; where more than a twentieth of it became impervious,
    or no longer is, it has that colour, so that growth shows at the scale of a country.

    Parameters
    ----------
    path
        The PNG.
    plan, counts
        The plan, and the counts of its tiles.
    title
        What is drawn.
    """
    figure_type = _pyplot()
    picture, extent = _canvas(plan, counts)
    height, width = picture.shape[:2]
    figure = figure_type(figsize=(8, max(3.0, 8 * height / width * 0.92 + 1.1)), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture, extent=extent, interpolation="nearest")
    axes.set_title(title, loc="left", fontsize=11, color=_INK)
    axes.set_xlabel("km east, equal-area projection on the middle of the region", color=_MUTED, fontsize=8)
    axes.tick_params(colors=_MUTED, labelsize=8)
    from matplotlib.patches import Patch

    patches = [Patch(facecolor="#" + bytes(_COLOURS[name]).hex(), edgecolor="#c5ccd0", label=name) for name in CHANGE]
    figure.legend(handles=patches, frameon=False, ncols=3, loc="outside lower center", fontsize=8)
    with written(path) as part:
        figure.savefig(part, format="png", bbox_inches="tight", pad_inches=0.15)


def _canvas(plan: Plan, counts: Sequence[TileCounts]) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
    """The picture (y, x, colour), and its extent in kilometres of Lambert's azimuthal equal-area projection."""
    west, south, east, north = plan.area.bounds
    lon, lat = (west + east) / 2, (south + north) / 2
    equal = CRS.from_dict({"proj": "laea", "lat_0": lat, "lon_0": lon, "datum": "WGS84", "units": "m"})
    onto = Transformer.from_crs("EPSG:4326", equal, always_xy=True)
    left, bottom, right, top = onto.transform_bounds(west, south, east, north, densify_pts=41)
    pixel = max(right - left, top - bottom) / _LONGEST
    pixel = max(pixel, plan.lattice.side_m / counts[0].parts.shape[1] / 2)
    width, height = max(8, round((right - left) / pixel)), max(8, round((top - bottom) / pixel))
    picture = np.full((height, width, 3), 255, np.uint8)
    for count in counts:
        _paint(picture, plan, count, equal, (left, top, pixel))
    return picture, (left / 1e3, right / 1e3, bottom / 1e3, top / 1e3)


def _paint(
    picture: NDArray[np.uint8], plan: Plan, count: TileCounts, equal: CRS, place: tuple[float, float, float]
) -> None:
    left, top, pixel = place
    into = Transformer.from_crs(f"EPSG:{count.tile.epsg}", equal, always_xy=True)
    back = Transformer.from_crs(equal, f"EPSG:{count.tile.epsg}", always_xy=True)
    x0, y0, x1, y1 = into.transform_bounds(*plan.lattice.bounds(count.tile), densify_pts=5)
    cols = np.arange(max(0, int((x0 - left) / pixel)), min(picture.shape[1], int((x1 - left) / pixel) + 2))
    rows = np.arange(max(0, int((top - y1) / pixel)), min(picture.shape[0], int((top - y0) / pixel) + 2))
    if not (len(cols) and len(rows)):
        return
    x, y = np.meshgrid(left + (cols + 0.5) * pixel, top - (rows + 0.5) * pixel)
    easting, northing = back.transform(x, y)
    a, _, b, d = plan.lattice.bounds(count.tile)
    parts = count.parts
    across = np.floor((np.asarray(easting) - a) / (b - a) * parts.shape[2]).astype(int)
    down = np.floor((d - np.asarray(northing)) / plan.lattice.side_m * parts.shape[1]).astype(int)
    inside = (across >= 0) & (across < parts.shape[2]) & (down >= 0) & (down < parts.shape[1])
    across, down = across[inside], down[inside]
    share = parts[:, down, across]
    kind = share.argmax(axis=0)
    gain, loss = CHANGE.index("became impervious"), CHANGE.index("no longer impervious")
    kind = np.where(share[loss] > 0.05, loss, kind)
    kind = np.where(share[gain] > np.maximum(0.05, share[loss]), gain, kind)
    seen = share.sum(axis=0) > 0
    colours = np.array([_COLOURS[name] for name in CHANGE], np.uint8)
    where_rows, where_cols = (
        (rows[:, None] + 0 * cols[None])[inside][seen],
        (0 * rows[:, None] + cols[None])[inside][seen],
    )
    picture[where_rows, where_cols] = colours[kind[seen]]
