"""Small rasters made on the spot for tests of reading and writing."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

from tests.support.surfaces import hills

UTM = "EPSG:32633"


def heights(shape: tuple[int, int] = (40, 50), seed: int = 0) -> np.ndarray:
    """Rolling terrain of some hundred metres, float32 (y, x)."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 3, shape)
    return (500 + np.cumsum(np.cumsum(steps, 0), 1) / 10).astype(np.float32)


def write_raster(
    path: Path,
    values: np.ndarray,
    *,
    crs: Any = UTM,
    cell: float = 30.0,
    origin: tuple[float, float] = (500_000, 5_000_000),
    transform: Affine | None = None,
    nodata: float | None = -9999.0,
    unit: str = "",
    tags: dict[str, str] | None = None,
    names: tuple[str, ...] = (),
    scale: float = 1.0,
    offset: float = 0.0,
    **profile: Any,
) -> Path:
    """Write (y, x) or (band, y, x) as a raster of square cells whose upper left corner is the origin.

    NaN is written as the nodata value of a floating-point raster that has one. Other settings go to GDAL.
    """
    stack = values[None] if values.ndim == 2 else values
    if nodata is not None and np.issubdtype(stack.dtype, np.floating):
        stack = np.where(np.isnan(stack), stack.dtype.type(nodata), stack)
    transform = Affine(cell, 0, origin[0], 0, -cell, origin[1]) if transform is None else transform
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver=profile.pop("driver", "GTiff"),
            count=stack.shape[0],
            height=stack.shape[1],
            width=stack.shape[2],
            dtype=profile.pop("dtype", str(stack.dtype)),
            crs=crs,
            transform=transform,
            nodata=nodata,
            **profile,
        ) as out:
            out.update_tags(**(tags or {}))
            out.write(stack)
            for i, name in enumerate(names, start=1):
                out.set_band_description(i, name)
            if unit:
                out.units = [unit] * stack.shape[0]
            if scale != 1.0 or offset != 0.0:
                out.scales, out.offsets = [scale] * stack.shape[0], [offset] * stack.shape[0]
    return path


def write_dem(path: Path, values: np.ndarray | None = None, **more: Any) -> Path:
    """Write a one-band DEM of 30 m cells, `hills` unless other heights are given."""
    settings: dict[str, Any] = {"origin": (500_000, 5_200_000), "nodata": -32768}
    return write_raster(path, hills() if values is None else values, **(settings | more))


def write_surface(
    path: Path, z: np.ndarray, cell: float = 10.0, *, bands: tuple[str, ...] = ("elevation",), **more: Any
) -> Path:
    """Write (y, x) or (band, y, x), NaN where there is no data, as a surface to evaluate, 10 m cells."""
    settings: dict[str, Any] = {"origin": (500_000, 4_000_000), "nodata": -32768} | more
    return write_raster(path, np.asarray(z, dtype=np.float32), cell=cell, names=bands, **settings)


def read_band(path: Path, band: int = 1) -> np.ndarray:
    """Read one band (y, x), NaN where a floating-point raster has nodata."""
    with rasterio.open(path) as file:
        values = file.read(band, masked=True)
    return np.asarray(values.filled(np.nan) if np.issubdtype(values.dtype, np.floating) else values.data)


def read_bands(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read all bands by name, NaN where nodata, and the tags that Terrafine wrote."""
    with rasterio.open(path) as file:
        names, tags = file.descriptions, file.tags(ns="TERRAFINE")
    return {name: read_band(path, i) for i, name in enumerate(names, 1)}, tags


def utm_grid(height: int, width: int, cell: float = 30.0) -> GeoBox:
    """A north-up grid in UTM 33 N."""
    return GeoBox((height, width), Affine(cell, 0, 500_000, 0, -cell, 5_000_000), UTM)


def read_all(source: Any, band: str = "elevation") -> tuple[np.ndarray, np.ndarray]:
    """The values and the mask of the whole of a small source."""
    return source.read(band, slice(0, source.shape[0]), slice(0, source.shape[1]))


def sparse_vrt(path: Path, height: int, width: int, side: int = 256) -> Path:
    """A VRT of that size with data in its first, middle and last square, and nodata everywhere else."""
    write_raster(path.with_name("tile.tif"), np.add.outer(np.arange(side), np.arange(side)).astype(np.float32))
    square = (
        '<SimpleSource><SourceFilename relativeToVRT="1">tile.tif</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{side}" ySize="{side}"/>'
        f'<DstRect xOff="%d" yOff="%d" xSize="{side}" ySize="{side}"/></SimpleSource>'
    )
    right, down = width - side, height - side
    places = ((0, 0), (right // 2, down // 2), (right, down))
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>EPSG:32633</SRS><GeoTransform>500000,0.1,0,'
        '5000000,0,-0.1</GeoTransform><VRTRasterBand dataType="Float32" band="1"><NoDataValue>-9999</NoDataValue>'
        + "".join(square % place for place in places)
        + "</VRTRasterBand></VRTDataset>",
        encoding="utf-8",
    )
    return path
