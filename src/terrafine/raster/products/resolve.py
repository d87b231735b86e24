"""Which product a raster is: stated by the user, by tags or by file names, else inferred from its grid and heights."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from terrafine.raster.products.contradiction import contradiction
from terrafine.raster.products.estimate import estimate_sensor, sample_windows
from terrafine.raster.products.level import measure_level, with_level
from terrafine.raster.products.model import SAME, Product
from terrafine.raster.products.names import MADE_HERE, named, origin_note
from terrafine.raster.products.registry import PRODUCTS, find_product
from terrafine.raster.protocol import RasterSource

__all__ = ["Resolved", "recognise", "resolve_product"]

_TAGS = ("TERRAFINE_PRODUCT", "PRODUCT")
_GRID = 1e-3  # of the posting, by which a grid of arc seconds may differ from it
_SRTM_M = (20.0, 110.0, 50.0)  # cells of SRTM, projected or not: least, most, and between 1" and 3"
_HOW = {
    "noisy": "not recognised, measured from its spectrum",
    "blurred": "not recognised, blurred as its spectrum shows",
    "exact": "not recognised, its spectrum is that of block means",
    "unknown": "not recognised",
}
_STATE = 'state it with product="srtm1" or another key, or with a product file'
_NOTE = {
    "noisy": "",
    "blurred": f"the noise of this DEM is not identifiable from its heights, and 1 % of the cell is taken; {_STATE}",
    "exact": "",
    "unknown": f"point spread and noise of this DEM are not identifiable from its heights; {_STATE}",
}
_DESCRIPTIONS = ("TIFFTAG_IMAGEDESCRIPTION", "TIFFTAG_DOCUMENTNAME", "TITLE", "SOURCE_DATASET", "DESCRIPTION")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The product of a raster.

    Attributes
    ----------
    product
        The product; its key is `unknown` where none was recognised.
    how
        How it was found, as words that follow the name: `stated`, `from the file name`.
    note
        What the user should read, or empty.
    known
        Whether a sensor model is known: of the product that was stated or recognised, measured from the heights, or of
        the product that whole metres suggest.
    level
        Where the level of the noise comes from; empty where that is the sensor model alone.
    """

    product: Product
    how: str
    note: str = ""
    known: bool = True
    level: str = ""

    @property
    def line(self) -> str:
        """One line for a summary: the product, how it was found, its sensor model, and where its noise comes from."""
        level = f"; level of the noise: {self.level}" if self.level else ""
        return f"product {self.product.label} ({self.how}): {self.product.sensor}{level}"


def resolve_product(
    source: RasterSource, asked: str | os.PathLike[str] | Product | None = None, *, own_level: bool = True
) -> Resolved:
    """The product of a DEM: the one that is asked for, else the one recognised, else `unknown`.

    The noise of a known product is that of this raster, as far as its spectrum shows it; a product file, and a Product
    that is none of `PRODUCTS`, is taken as it is.

    Parameters
    ----------
    source
        An open DEM.
    asked
        A key of `PRODUCTS`, a product file or a Product; None to recognise it.
    own_level
        Whether the noise of a known product is measured on this raster; False where parts of one result come from
        several rasters.

    Returns
    -------
    Resolved

    Raises
    ------
    UsageError, SourceError
        For a key that is not known, or a product file that cannot be read.
    """
    rows = source.shape[0] // 2
    size = source.pixel_size_m(slice(rows, rows + 1))[:, 0]
    cells = float(size[0]), float(size[1])
    pitch = cells[0]
    if asked is not None:
        product = find_product(asked)
        stated = Resolved(product.on_cells(cells), "stated")
        if not _own_cells(product, cells):
            return replace(stated, note=_resampled(product, pitch))
        levels = own_level and any(product is p for p in PRODUCTS)
        return _levelled(source, stated, cells) if levels else stated
    found = recognise(source.paths, source.tags, pitch)
    if found is not None and _own_cells(found.product, cells):
        found = replace(found, product=found.product.on_cells(cells), note=contradiction(source, found.product))
        return _levelled(source, found, cells) if own_level else found
    resampled = origin_note(source.paths, source.tags, pitch) if found is None else _resampled(found.product, pitch)
    return _inferred(source, cells, resampled, own_level=own_level)


def _levelled(source: RasterSource, found: Resolved, cells: tuple[float, float]) -> Resolved:
    """The same product with the noise of this raster, as far as its spectrum shows it."""
    level = measure_level(source, found.product, cells)
    return replace(found, product=with_level(found.product, level), level=level.words)


def _inferred(source: RasterSource, cells: tuple[float, float], resampled: str, *, own_level: bool) -> Resolved:
    """The product from grid and heights alone: whole metres on a grid of arc seconds, or what the spectrum shows."""
    seen = estimate_sensor(sample_windows(source), cells)
    whole_metres = seen.step >= 1.0
    crs = source.geobox.crs
    if whole_metres and not resampled and crs is not None and crs.geographic:
        for product in (find_product("srtm1"), find_product("srtm3")):
            if product.posting is not None and abs(-source.geobox.affine.e * 3600 / product.posting - 1) < _GRID:
                alike = Resolved(product.on_cells(cells), "from its grid and whole metres", _alike(product))
                return _levelled(source, alike, cells) if own_level else alike
    sensor, how, note = seen.sensor, _HOW[seen.verdict], _NOTE[seen.verdict]
    known = seen.verdict != "unknown"
    cell = math.sqrt(cells[0] * cells[1])
    if seen.verdict in ("unknown", "blurred") and whole_metres and _SRTM_M[0] <= cell <= _SRTM_M[1]:
        near = find_product("srtm1" if cell < _SRTM_M[2] else "srtm3")
        sensor, how = near.on_cells(cells).sensor, f"not recognised, in whole metres as {near.label} is"
        note = f"{_NOTE['unknown']}; the sensor model of {near.label} is taken"
        known = True
    unknown = Product("unknown", "unknown", "", "", None, "", None, "m", sensor, None, f"inferred: {how}")
    notes = f"{resampled}; {note}" if resampled and note else resampled or note
    return Resolved(unknown, how, notes, known)


def recognise(paths: Sequence[str], tags: Mapping[str, str], pitch_m: float) -> Resolved | None:
    """The product that tags, or else file names, state; None where they state none, or several.

    Parameters
    ----------
    paths
        Files of the raster.
    tags
        Metadata of the first file.
    pitch_m
        Distance between rows in metres; it decides between products of one family.
    """
    upper = {name.upper(): value for name, value in tags.items()}
    if all(name in upper for name in MADE_HERE):
        return None
    for tag in _TAGS:
        key = upper.get(tag, "").strip().lower()
        if stated := next((p for p in PRODUCTS if p.key == key), None):
            return Resolved(stated, f"from the tag {tag}")
    for tag in _DESCRIPTIONS:
        if (described := named(upper.get(tag, ""), pitch_m)) is not None:
            return Resolved(described, f"from the tag {tag}")
    files = [named(Path(path).name, pitch_m) for path in paths]
    first = files[0] if files else None
    if first is None or any(p is None or p.key != first.key for p in files):
        return None
    return Resolved(first, "from the file name" + "s" * (len(files) > 1))


def _own_cells(product: Product, cells: tuple[float, float]) -> bool:
    """Whether cells of that size may be those of the product itself."""
    return abs(product.stretched(cells) - 1.0) <= SAME


def _resampled(product: Product, pitch_m: float) -> str:
    return (
        f"cells of {pitch_m:.3g} m are not those of {product.label}, {product.posting_m:.3g} m: it was resampled, and "
        "its sensor model is converted to these cells, which describes it only roughly. Use the original file, or a "
        'product file made for these cells: product="FILE"'
    )


def _alike(product: Product) -> str:
    if product.key != "srtm1":
        return ""
    return (
        'whole metres at 1" are also how NASADEM, AW3D30 and ASTER come, and no file name or tag states which: if it '
        'is one of them, state it with product="nasadem" | "aw3d30" | "aster"'
    )
