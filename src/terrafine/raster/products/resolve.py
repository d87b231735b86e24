"""Which product a raster is: stated by the user, by tags or by file names, else inferred from its grid and heights."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from terrafine.raster.products.model import Product, SensorModel
from terrafine.raster.products.registry import PRODUCTS, find_product
from terrafine.raster.protocol import RasterSource

__all__ = ["Resolved", "default_sensor", "recognise", "resolve_product"]

_TAGS = ("TERRAFINE_PRODUCT", "PRODUCT")
_MADE_HERE = ("MODEL", "SYSTEM", "SOURCE_SHA256")  # all of them: an output of Terrafine, whose cells are of no product
_DESCRIPTIONS = ("TIFFTAG_IMAGEDESCRIPTION", "TIFFTAG_DOCUMENTNAME", "TITLE", "SOURCE_DATASET", "DESCRIPTION")
_NEAR = 0.15  # of the posting, by which cells may differ from it


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
    """

    product: Product
    how: str
    note: str = ""

    @property
    def line(self) -> str:
        """One line for a summary: the product, how it was found, and its sensor model."""
        return f"product {self.product.label} ({self.how}): {self.product.sensor}"


def resolve_product(source: RasterSource, asked: str | os.PathLike[str] | Product | None = None) -> Resolved:
    """The product of a DEM: the one that is asked for, else the one recognised, else `unknown`.

    Parameters
    ----------
    source
        An open DEM.
    asked
        A key of `PRODUCTS`, a product file or a Product; None to recognise it.

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
    pitch, cell = float(size[0]), float(size.min())
    if asked is not None:
        product = find_product(asked)
        return Resolved(product, "stated", "" if _own_cells(product, pitch) else _resampled(product, pitch))
    found = recognise(source.paths, source.tags, pitch)
    if found is not None and _own_cells(found.product, pitch):
        return found
    unknown = Product("unknown", "unknown", "", "", None, "", None, "m", default_sensor(cell), None, "default")
    return Resolved(unknown, "not recognised", "" if found is None else _resampled(found.product, pitch))


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
    if all(name in upper for name in _MADE_HERE):
        return None
    for tag in _TAGS:
        key = upper.get(tag, "").strip().lower()
        if stated := next((p for p in PRODUCTS if p.key == key), None):
            return Resolved(stated, f"from the tag {tag}")
    for tag in _DESCRIPTIONS:
        if (described := _named(upper.get(tag, ""), pitch_m)) is not None:
            return Resolved(described, f"from the tag {tag}")
    named = [_named(Path(path).name, pitch_m) for path in paths]
    first = named[0] if named else None
    if first is None or any(p is None or p.key != first.key for p in named):
        return None
    return Resolved(first, "from the file name" + "s" * (len(named) > 1))


def _named(text: str, pitch_m: float) -> Product | None:
    """The product whose pattern a name matches; of several in its family the one with the nearest posting."""
    matches = [p for p in PRODUCTS if p.pattern and re.search(p.pattern, text, flags=re.IGNORECASE)]
    if not matches or (len(matches) > 1 and matches[0].name == matches[1].name):
        return matches[0] if matches else None
    family = [p for p in PRODUCTS if p.name == matches[0].name]
    return min(family, key=lambda p: abs(math.log((p.posting_m or pitch_m) / pitch_m)))


def _own_cells(product: Product, pitch_m: float) -> bool:
    """Whether rows that far apart may be those of the product itself."""
    return product.posting_m is None or abs(pitch_m / product.posting_m - 1.0) <= _NEAR


def _resampled(product: Product, pitch_m: float) -> str:
    return (
        f"cells of {pitch_m:.3g} m are not those of {product.label}, {product.posting_m:.3g} m: it was resampled, so "
        "that the sensor model of the product describes it only roughly. Use the original file, or a product file "
        'made for these cells: product="FILE"'
    )


def default_sensor(cell_m: float) -> SensorModel:
    """A mild sensor for a DEM of which nothing is known: slight blur, noise of 1 % of the cell size."""
    return SensorModel(0.25, round(0.01 * cell_m, 3), round(0.02 * cell_m, 3), 0.5, 0.0, exact=False)
