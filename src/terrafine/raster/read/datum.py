"""The vertical datum and the surface of one or several files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from terrafine.errors import DatumError
from terrafine.raster import vertical
from terrafine.raster.products import identify_product, product_datum
from terrafine.raster.read.file import RasterFile
from terrafine.raster.vertical import VerticalDatum

__all__ = ["datum_and_surface"]


def datum_and_surface(files: Sequence[RasterFile], option: str | None) -> tuple[VerticalDatum | None, str | None]:
    """Return the vertical datum and the surface of files: stated by CRS, tags or the caller, or implied by the product.

    Parameters
    ----------
    files
        The files of a mosaic.
    option
        The datum that the caller states, or None.

    Returns
    -------
    datum, surface : VerticalDatum or None, str or None
        The datum of the heights; `DSM` or `DTM`.

    Raises
    ------
    DatumError
        If the files have different datums, one has another than `option`, or the name is not known.
    """
    said: VerticalDatum | None = None
    surface: str | None = None
    guessed: VerticalDatum | None = None
    before = files[0].path
    for file in files:
        name = Path(file.path).name
        product = identify_product(name)
        found = vertical.from_crs(file.crs) if file.crs is not None else None
        found = found or vertical.from_tags(file.tags)
        guess = product_datum(product, name) if product is not None else None
        vertical.same_or_raise(said, found, before, file.path)
        if option is None:
            vertical.same_or_raise(said or guessed, found or guess, before, file.path)
        said, guessed = said or found, guessed or guess
        tagged = file.tags.get(vertical.SURFACE_TAG)
        surface = surface or (tagged if tagged in {"DSM", "DTM"} else None) or (product.surface if product else None)
        before = file.path
    if option is None:
        return said or guessed, surface
    wanted = vertical.from_name(option)
    if said is not None and not said.same(wanted):
        raise DatumError(
            f"{files[0].path}: its heights are above {said}, but vertical_datum= states {wanted.name}. "
            "Leave the argument out, or convert the heights with gdalwarp"
        )
    return said or wanted, surface
