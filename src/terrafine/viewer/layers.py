"""Layers of the map: what each band of a file is, how it is drawn, and its tiles as PNG."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terrafine.errors import EmptyError
from terrafine.physics.gradient import gradient_to_the_edge
from terrafine.physics.hillshade import hillshade
from terrafine.raster.read.content_type import CLASS_NAMES, class_names_in, colour_table, kind_of, stated_unit_m
from terrafine.raster.read.opened import read_header
from terrafine.raster.read.web_tiles import WebTiles, ground_metres
from terrafine.viewer.colours import CIVIDIS, LAND, SHARE, Classes, Ramp

__all__ = ["Layer", "comparable", "layers_of"]

Kind = Literal["elevation", "classes", "quantity", "image"]
F64 = NDArray[np.float64]

_RGB = ("red", "green", "blue")
_EVERY = {"class", "classes"}
_HEIGHTS = {"elevation", "relief"}
_DISTINCT = (
    *((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189)),
    *((140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207)),
)
_MOST_CLASSES = 64
_LIGHT = (0.45, 0.75)  # least brightness of the relief, and how much the sun adds
_LOWEST = 32768.0  # metres: the zero of the Terrarium encoding


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: a band, or red, green and blue, of one file.

    Attributes
    ----------
    key
        Name of the layer in addresses.
    label
        Name for people: the file, and the band where the file has several layers.
    kind
        How it is drawn.
    tiles
        The file.
    bands
        Band numbers.
    style
        Colours of values, or of classes; None for an image.
    limits
        Value of black and of white of each band of an image.
    metres
        Metres of the unit of heights.
    unit
        Unit of values.
    """

    key: str
    label: str
    kind: Kind
    tiles: WebTiles
    bands: tuple[int, ...]
    style: Ramp | Classes | None = None
    limits: tuple[tuple[float, float], ...] = ()
    metres: float = 1.0
    unit: str = ""

    def describe(self) -> dict[str, Any]:
        """Return what the page must know of the layer."""
        return {
            "key": self.key,
            "label": self.label,
            "kind": self.kind,
            "bounds": list(self.tiles.bounds),
            "maxzoom": self.tiles.deepest,
            "legend": None if self.style is None else self.style.legend(),
            "date": self.tiles.tags.get("TIFFTAG_DATETIME", ""),
        }

    def picture(self, zoom: int, column: int, row: int) -> bytes:
        """Draw a tile as PNG; cells without data are transparent.

        Parameters
        ----------
        zoom, column, row
            Address of the tile.

        Returns
        -------
        bytes
            A PNG of 256 × 256 pixels.
        """
        margin = 1 if self.kind == "elevation" else 0
        values, valid = self.tiles.tile(zoom, column, row, self.bands, margin)
        if self.kind == "image":
            colours = self._stretched(values)
        elif isinstance(self.style, Classes):
            colours, drawn = self.style.paint(values[0])
            valid = valid & drawn
        else:
            colours = (self.style or Ramp(0.0, 1.0, CIVIDIS)).paint(values[0])
        if margin:
            colours = colours * self._light(values[0], valid, zoom, row)[..., None]
            inner = np.s_[margin:-margin, margin:-margin]
            colours, valid = colours[inner], valid[inner]
        return _png(np.dstack([np.clip(colours, 0, 255), np.where(valid, 255, 0)]))

    def heights(self, zoom: int, column: int, row: int) -> bytes:
        """Encode the heights of a tile for 3D terrain as a Terrarium PNG; cells without data have the lowest height.

        Parameters
        ----------
        zoom, column, row
            Address of the tile.

        Returns
        -------
        bytes
            A PNG in which red × 256 + green + blue / 256 - 32768 is the height in metres.

        References
        ----------
        https://github.com/tilezen/joerd/blob/master/docs/formats.md
        """
        values, valid = self.tiles.tile(zoom, column, row, self.bands)
        lowest = self.style.low if isinstance(self.style, Ramp) else 0.0
        shifted = np.clip(np.where(valid, values[0], lowest) * self.metres + _LOWEST, 0, 65535.99)
        red, rest = np.divmod(shifted, 256)
        green, blue = np.divmod(rest, 1)
        return _png(np.dstack([red, green, np.floor(blue * 256)]))

    def value(self, longitude: float, latitude: float) -> str:
        """Return the value at a place as text with its unit, or `no data`.

        Parameters
        ----------
        longitude, latitude
            Degrees.

        Returns
        -------
        str
            For people to read.
        """
        found = self.tiles.value(longitude, latitude, self.bands)
        if found is None:
            return "no data"
        if isinstance(self.style, Classes):
            number = int(found[0])
            return self.style.names.get(number, f"class {number}")
        return ", ".join(f"{v:,.4g}" if abs(v) < 100 else f"{v:,.1f}" for v in found) + f" {self.unit}".rstrip()

    def _light(self, heights: F64, valid: NDArray[np.bool_], zoom: int, row: int) -> F64:
        """Brightness of each pixel of a tile with its margin; level ground beside cells without data."""
        z = np.where(valid, heights * self.metres, np.nan)
        size = ground_metres(zoom, row, margin=1)[:, None]
        south, east = gradient_to_the_edge(z, (size, size))
        least, more = _LIGHT
        return np.asarray(least + more * hillshade(np.nan_to_num(east), -np.nan_to_num(south)))

    def _stretched(self, values: F64) -> F64:
        low, high = (np.asarray(ends)[:, None, None] for ends in zip(*self.limits, strict=True))
        lit = np.clip((values - low) / np.maximum(high - low, 1e-12), 0, 1) ** (1 / 1.2)
        return np.asarray((255 * lit).transpose(1, 2, 0))


def layers_of(path: str | os.PathLike[str], number: int = 0) -> list[Layer]:
    """Open a file and return its layers: an image, or one for each band.

    Parameters
    ----------
    path
        A raster file.
    number
        Number of the file, which makes keys unique.

    Returns
    -------
    list of Layer
        One or more, the most important one first.

    Raises
    ------
    SourceError, GridError
        For a file that cannot be opened, or has no CRS.
    EmptyError
        For a file without a valid cell.
    """
    name, kind = os.fspath(path), kind_of(path)
    tiles = WebTiles(name, smooth=kind != "classes")
    label, low = Path(name).name, [n.lower() for n in tiles.names]
    if kind == "image":
        bands = tuple(low.index(c) + 1 for c in _RGB) if set(_RGB) <= set(low) else _first(len(low))
        return [Layer(f"{number}-rgb", label, "image", tiles, bands, limits=_limits(tiles, bands, name))]
    found = []
    for i, band in enumerate(tiles.names, 1):
        shown = label if len(tiles.names) == 1 else f"{label}: {band}"
        found.append(_layer(f"{number}-{i}", shown, kind, tiles, i, name))
    return found


def comparable(layers: Sequence[Layer]) -> list[Layer]:
    """Give elevation layers of one unit the same colours, so that they can be compared.

    Parameters
    ----------
    layers
        Layers of all files.

    Returns
    -------
    list of Layer
        The same layers in the same order.
    """
    ramps: dict[str, list[Ramp]] = {}
    for layer in layers:
        if layer.kind == "elevation" and isinstance(layer.style, Ramp):
            ramps.setdefault(layer.unit, []).append(layer.style)

    def shared(layer: Layer) -> Layer:
        if layer.kind != "elevation" or not isinstance(layer.style, Ramp):
            return layer
        same = ramps[layer.unit]
        low, high = min(r.low for r in same), max(r.high for r in same)
        return replace(layer, style=replace(layer.style, low=low, high=high))

    return [shared(layer) for layer in layers]


def _layer(key: str, label: str, kind: str, tiles: WebTiles, band: int, path: str) -> Layer:
    said, unit = tiles.names[band - 1].lower(), tiles.units[band - 1]
    if kind == "classes" and (said in _EVERY or len(tiles.names) == 1):
        return Layer(key, label, "classes", tiles, (band,), _classes(tiles, band, path))
    ((low, high),) = _limits(tiles, (band,), path)
    if said in _HEIGHTS or (kind == "elevation" and band == 1):
        metres = stated_unit_m(path) or 1.0
        known = unit or ("m" if stated_unit_m(path) else "")
        return Layer(key, label, "elevation", tiles, (band,), Ramp(low, high, LAND, known), metres=metres, unit=known)
    if kind == "probability" or unit == "1":
        return Layer(key, label, "quantity", tiles, (band,), Ramp(0.0, 1.0, SHARE))
    return Layer(key, label, "quantity", tiles, (band,), Ramp(low, high, CIVIDIS, unit), unit=unit)


def _classes(tiles: WebTiles, band: int, path: str) -> Classes:
    """Colours of the file's table, else a distinct one for each number that is found."""
    table, names = colour_table(read_header(path)), class_names_in(tiles.tags.get(CLASS_NAMES, ""))
    if table is not None:
        given = {i: int(v) for i, v in enumerate(table) if v >= 0}
        keep = given if len(given) <= _MOST_CLASSES else {i: v for i, v in given.items() if i in _present(tiles, band)}
        return Classes({i: (v >> 16, v >> 8 & 255, v & 255) for i, v in keep.items()}, names)
    present = sorted(set(names) | _present(tiles, band))[:_MOST_CLASSES]
    return Classes({n: _DISTINCT[i % len(_DISTINCT)] for i, n in enumerate(present)}, names)


def _present(tiles: WebTiles, band: int) -> set[int]:
    values, valid = tiles.sample((band,))
    return {int(v) for v in np.unique(values[0][valid])}


def _limits(tiles: WebTiles, bands: Sequence[int], path: str) -> tuple[tuple[float, float], ...]:
    """The 2nd and the 98th percentile of each band."""
    values, valid = tiles.sample(bands)
    if not valid.any():
        raise EmptyError(f"{path}: holds no valid cell, so there is nothing to show")
    ends = np.percentile(values[:, valid], (2, 98), axis=1)
    return tuple((float(a), float(b)) for a, b in ends.T)


def _first(count: int) -> tuple[int, ...]:
    return (1, 2, 3) if count >= 3 else (1, 1, 1)


def _png(values: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(out, format="PNG", compress_level=1)
    return out.getvalue()
