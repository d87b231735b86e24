"""Cells of an image: about square, and of a size that a model reads."""

from __future__ import annotations

from odc.geo.geobox import GeoBox

from terrafine.errors import GridError
from terrafine.raster.protocol import RasterSource

__all__ = ["require_square_cells"]

_SQUARE = 0.8  # shorter side of a cell over the longer, at least


def require_square_cells(image: RasterSource, known_m: float, low_m: float, high_m: float, who: str) -> None:
    """Check that the cells of an image are about square and of a size that a model can read.

    Parameters
    ----------
    image
        The image.
    known_m, low_m, high_m
        Cell size in metres that the model was trained on, and the smallest and largest that it reads.
    who
        Name of the model, for messages.

    Raises
    ------
    GridError
        If not; the message gives the gdalwarp command.
    """
    middle = image.shape[0] // 2
    down, across = image.pixel_size_m(slice(middle, middle + 1))[:, 0].tolist()
    if not all(low_m <= size <= high_m for size in (down, across)):
        problem = f"{who} was trained on {known_m:g} m and reads {low_m:g} to {high_m:g} m"
    elif min(down, across) < _SQUARE * max(down, across):
        problem = f"{who} expects about square ones"
    else:
        return
    raise GridError(
        f"{image.paths[0]}: cells of {down:.3g} × {across:.3g} m; {problem}. Warp the image first: gdalwarp "
        f"-r cubic -t_srs {_metric_crs(image.geobox)} -tr {known_m:g} {known_m:g} in.tif out.tif"
    )


def _metric_crs(grid: GeoBox) -> str:
    """The grid's own CRS if it measures ground metres, else the UTM zone of its centre."""
    crs = grid.crs
    metric = crs is not None and crs.projected and set(crs.units) <= {"metre", "meter", "m"}
    if crs is None or (metric and crs.to_epsg() != 3857):
        return "EPSG:" + (str(crs.to_epsg()) if crs is not None and crs.to_epsg() else "xxxx")
    west, south, east, north = grid.extent.to_crs("EPSG:4326").boundingbox
    zone = min(max(int((west + east) / 2 + 180) // 6 + 1, 1), 60)
    return f"EPSG:{(32600 if south + north >= 0 else 32700) + zone}"
