"""Products by the names of files, and files of which no single product follows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from terrafine.raster.products.model import Product
from terrafine.raster.products.registry import PRODUCTS

__all__ = ["MADE_HERE", "named", "origin_note"]

MADE_HERE = ("MODEL", "SYSTEM", "SOURCE_SHA256")
"""Tags that an output of Terrafine has, all of them; its cells are of no product."""


def named(text: str, pitch_m: float) -> Product | None:
    """The product whose pattern a name matches; of several in its family the one with the nearest posting.

    Parameters
    ----------
    text
        File name, or a description that holds one.
    pitch_m
        Distance between rows in metres.
    """
    matches = [p for p in PRODUCTS if p.pattern and re.search(p.pattern, text, flags=re.IGNORECASE)]
    if not matches or (len(matches) > 1 and matches[0].name == matches[1].name):
        return matches[0] if matches else None
    family = [p for p in PRODUCTS if p.name == matches[0].name]
    return min(family, key=lambda p: abs(math.log((p.posting_m or pitch_m) / pitch_m)))


def origin_note(paths: Sequence[str], tags: Mapping[str, str], pitch_m: float) -> str:
    """What a user should know of a raster without a product: an output of Terrafine, or a mosaic of several products.

    Parameters
    ----------
    paths
        Files of the raster.
    tags
        Metadata of the first file.
    pitch_m
        Distance between rows in metres.
    """
    upper = {name.upper(): value for name, value in tags.items()}
    if all(name in upper for name in MADE_HERE):
        return (
            f"this DEM is an output of Terrafine ({upper['MODEL']}): its fine detail is estimated, not observed, and "
            "would be taken as observed. Use the DEM that it was made from, with a larger scale"
        )
    files = {path: named(Path(path).name, pitch_m) for path in paths}
    labels = sorted({p.label for p in files.values() if p is not None})
    if not labels or (len(labels) == 1 and None not in files.values()):
        return ""
    others = [Path(path).name for path, p in files.items() if p is None]
    more = f" and files of no known product such as {others[0]}" if others else ""
    return (
        f"its files are of {', '.join(labels)}{more}, and no one sensor model describes them all; super-resolve each "
        "product by itself, or state the one to assume with product="
    )
