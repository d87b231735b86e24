"""The products that are known here: recognised by file names, chosen by key, each a file of `data/`."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path

from terrafine.errors import UsageError
from terrafine.raster.products.file import read_product
from terrafine.raster.products.model import Product
from terrafine.raster.vertical import DATUMS, VerticalDatum

__all__ = ["BLOCK_MEAN", "PRODUCTS", "find_product", "identify_product", "product_datum"]

_FOLDER = Path(__file__).parent / "data"
# In this order patterns are sought in the file name: a product before the ones whose names its name contains.
_ORDER = (
    *("fabdem", "glo30", "glo90", "nasadem", "aw3d30", "aster", "tandemx90", "3dep", "merit", "arcticdem", "alos12"),
    *("srtm3", "srtm1", "lidar", "block_mean"),
)

PRODUCTS: tuple[Product, ...] = tuple(read_product(_FOLDER / f"{key}.toml") for key in _ORDER)
_ELLIPSOIDAL = r"(SRTM[ _-]?GL1|AW3D[ _-]?30)([ _-]?E(?![a-z0-9])|[ _-]?Ellip(s(oid(al)?)?)?(?![a-z]))"
BLOCK_MEAN = next(p for p in PRODUCTS if p.key == "block_mean")


def identify_product(filename: str) -> Product | None:
    """The well-known DEM whose naming rule the base name of a file follows, or None.

    A name that does not state the posting of SRTM gives 1", whose datum and surface are the same as those of 3".
    """
    named = (p for p in PRODUCTS if p.pattern and re.search(p.pattern, filename, flags=re.IGNORECASE))
    return next(named, None)


def product_datum(product: Product, filename: str = "") -> VerticalDatum:
    """The datum a product's guide states; `known` states the product and its source.

    OpenTopography also serves heights above the ellipsoid, and marks the name of the product with `_E` or `_Ellip`.
    """
    if re.search(_ELLIPSOIDAL, filename, flags=re.IGNORECASE):
        name = "WGS84 ellipsoid"
        return VerticalDatum(name, DATUMS[name], f"the file name, which marks {product.name} above the ellipsoid")
    return VerticalDatum(product.datum, DATUMS[product.datum], f"the product {product.name} ({product.url})")


def find_product(asked: str | os.PathLike[str] | Product) -> Product:
    """The product of a key such as `srtm1`, of a product file, or the product itself.

    Raises
    ------
    UsageError
        For a key that is not known; the message lists all keys.
    SourceError
        For a file that is missing or not a product file.
    """
    if isinstance(asked, Product):
        return asked
    if not isinstance(asked, str | os.PathLike):
        raise UsageError(f"product={asked!r}; expected a key such as srtm1, a product file or a Product")
    text = os.fspath(asked)
    if isinstance(asked, os.PathLike) or text.endswith(".toml") or os.sep in text:
        return read_product(text)
    key = re.sub(r"[^a-z0-9]", "", text.lower())
    known = {re.sub(r"[^a-z0-9]", "", p.key): p for p in PRODUCTS}
    if key in known:
        return known[key]
    close = get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"; closest is {known[close[0]].key}" if close else ""
    raise UsageError(
        f"product {text!r} is not known{hint}; expected one of {', '.join(sorted(p.key for p in PRODUCTS))}, or a "
        "product file (.toml)"
    )
