"""Open files as named bands on one north-up grid; masked, windowed reads; never the whole raster."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS

from terrafine.errors import BandError, DatumError, EmptyError, UsageError
from terrafine.raster import grid, vertical
from terrafine.raster.bands import band as band_of
from terrafine.raster.crs import horizontal
from terrafine.raster.products import identify_product, product_datum
from terrafine.raster.protocol import SourceBase
from terrafine.raster.read import integrity, mosaic
from terrafine.raster.read.file import HEIGHTS, RasterFile, Stated, open_file
from terrafine.raster.vertical import VerticalDatum

__all__ = ["Source", "open_source"]

PathLike = str | os.PathLike[str]


class Source(SourceBase):
    """Named bands on one grid, from one file or a mosaic of files that share a lattice.

    Rows run north to south whatever the file's own order (south-up files are flipped as they are read). Where files
    overlap, the first that is valid counts. Pickled without handles; a worker opens the files again at its first read.
    """

    def __init__(
        self,
        files: Sequence[RasterFile],
        places: Sequence[tuple[int, int]],
        geobox: GeoBox,
        crs: CRS | None,
        datum: VerticalDatum | None,
        surface: str | None,
        pixel_size: tuple[float, float] | None,
        check_range: bool,
    ) -> None:
        first = files[0]
        self._files = tuple(files)
        self._places = tuple(places)
        self._crs = crs
        self._stated = pixel_size
        self._check_range = check_range
        self.geobox = geobox
        self.paths = tuple(f.path for f in files)
        self.shape = (int(geobox.shape[0]), int(geobox.shape[1]))
        self.bands = {name: fact.index for name, fact in first.facts.items()}
        self.nodata = next(iter(first.facts.values())).nodata
        self.vertical = datum
        self.surface = surface
        self.area_or_point = first.area_or_point
        self._tags = first.tags

    def close(self) -> None:
        """Give all file handles back; a later read opens them again."""
        for file in self._files:
            file.close()

    def with_bands(self, want: Sequence[str], bands: Mapping[str, int] | None = None) -> Source:
        """The same open files with other bands; it takes their handles over, and this source opens them again.

        Raises BandError, GridError as `open_source`.
        """
        for name in want:
            band_of(name)
        files = [file.with_bands(want, bands) for file in self._files]
        return Source(
            files, self._places, self.geobox, self._crs, self.vertical, self.surface, self._stated, self._check_range
        )

    def read(self, band: str, rows: slice, cols: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """A window, as given or reaching outside the raster: float32 (y, x) and bool valid (y, x).

        Values are in the band's unit (heights in metres), scale and offset applied; a cell is not valid outside the
        raster, at nodata, under the mask band and at NaN, and holds 0 there. Raises BandError for a value out of the
        band's range, infinity included, or an unknown band, SourceError where the file cannot be read.
        """
        if band not in self.bands:
            raise BandError(f"{self.paths[0]}: band {band!r} was not opened; opened are {', '.join(self.bands)}")
        top, bottom = int(rows.start), int(rows.stop)
        left, right = int(cols.start), int(cols.stop)
        if bottom < top or right < left:
            raise UsageError(f"a window runs forward; found rows {top}-{bottom}, columns {left}-{right}")
        shape = (bottom - top, right - left)
        values, valid = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        for file, (y0, x0) in zip(self._files, self._places, strict=True):
            r0, r1 = max(top, y0), min(bottom, y0 + file.shape[0])
            c0, c1 = max(left, x0), min(right, x0 + file.shape[1])
            if r0 >= r1 or c0 >= c1:
                continue
            part, ok = file.read(band, slice(r0 - y0, r1 - y0), slice(c0 - x0, c1 - x0))
            if self._check_range:
                _in_range(file, band, part, ok)
            else:
                ok &= np.isfinite(part)
                part[~ok] = 0.0
            if ok.shape == shape and len(self._files) == 1:
                return part, ok
            here = np.s_[r0 - top : r1 - top, c0 - left : c1 - left]
            fresh = ok & ~valid[here]
            values[here][fresh] = part[fresh]
            valid[here] |= fresh
        return values, valid

    def pixel_size_m(self, rows: slice) -> NDArray[np.float64]:
        """Metres on the ground along y and x for each row, inside the raster or beyond; float64 (2, rows)."""
        return grid.pixel_size_m(self.geobox, rows, self._stated, self._crs)

    @property
    def scaled(self) -> bool:
        """Whether a file states a scale or offset of its own, applied as it is read."""
        return any(f.scale != 1.0 or f.offset != 0.0 for file in self._files for f in file.facts.values())

    def storage(self, band: str) -> list[tuple[str, float, float]]:
        """How each file stores the band: (type, scale, offset), a value being number · scale + offset."""
        facts = [file.facts[band] for file in self._files]
        return list(dict.fromkeys((f.dtype, f.scale, f.offset) for f in facts))

    def require_valid(self, band: str | None = None) -> None:
        """At least one cell of the band (the first by default) is valid, else EmptyError; stops at the first found."""
        name = band or next(iter(self.bands))
        step = max(1, (8 << 20) // max(1, self.shape[1]))
        for top in range(0, self.shape[0], step):
            rows = slice(top, min(top + step, self.shape[0]))
            if self.read(name, rows, slice(0, self.shape[1]))[1].any():
                return
        raise EmptyError(
            f"{', '.join(self.paths[:3])}: band {name!r} holds no valid cell (nodata {self.nodata}); "
            "expected at least one"
        )

    def identity(self) -> dict[str, Any]:
        """What the input is, to detect that it changed: files with size, time and digest, grid, bands, and how read.

        `sha256` covers content and grid alone, not path or time; local files of 64 MB and more are sampled. JSON-safe.
        """
        files: list[dict[str, Any]] = []
        for path in dict.fromkeys(p for f in self._files for p in (f.path, *f.parts)):
            local = Path(path)
            entry: dict[str, Any] = {"path": path}
            if local.is_file():
                stat = local.stat()
                entry |= {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": integrity.content_digest(path)}
            elif path in self.paths:
                entry |= {"size": None, "mtime_ns": None, "sha256": self._sampled_digest()}
            files.append(entry)
        facts = {
            "shape": list(self.shape),
            "transform": [float(v) for v in tuple(self.geobox.affine)[:6]],
            "crs": None if self._crs is None else self._crs.to_wkt(),
            "bands": dict(self.bands),
            "nodata": None if self.nodata is None else repr(self.nodata),
            "unit": self._files[0].unit,
            "vertical": None if self.vertical is None else self.vertical.name,
            "pixel_size_m": None if self._stated is None else list(self._stated),
        }
        text = json.dumps([facts, [f.get("sha256") for f in files]], sort_keys=True)
        return {"files": files, **facts, "sha256": hashlib.sha256(text.encode()).hexdigest()}

    def _sampled_digest(self) -> str:
        digest = hashlib.sha256()
        height, width = self.shape
        side = 256
        for fy in np.linspace(0, max(0, height - side), 4).astype(int).tolist():
            for fx in np.linspace(0, max(0, width - side), 4).astype(int).tolist():
                for name in self.bands:
                    values, valid = self.read(name, slice(fy, fy + side), slice(fx, fx + side))
                    digest.update(values.tobytes() + valid.tobytes())
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """What `terrafine info` shows of a raster; JSON-safe, nothing is read but headers."""
        middle = self.shape[0] // 2
        size = self.pixel_size_m(slice(middle, middle + 1))[:, 0]
        box = self.geobox.boundingbox
        return {
            "paths": list(self.paths),
            "driver": self._files[0].driver,
            "shape": list(self.shape),
            "bands": {n: {"index": f.index, "dtype": f.dtype} for n, f in self._files[0].facts.items()},
            "crs": None if self._crs is None else (f"EPSG:{c}" if (c := self._crs.to_epsg()) else self._crs.name),
            "bounds": [float(box.left), float(box.bottom), float(box.right), float(box.top)],
            "pixel": [float(self.geobox.affine.a), float(self.geobox.affine.e)],
            "pixel_size_m": {"y": float(size[0]), "x": float(size[1])},
            "nodata": self.nodata,
            "unit": self._files[0].unit,
            "vertical": None if self.vertical is None else str(self.vertical),
            "surface": self.surface,
            "area_or_point": self.area_or_point,
            "south_up": self._files[0].south_up,
            "tags": dict(sorted(self._files[0].tags.items())),
        }


def _in_range(file: RasterFile, band: str, values: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    low, high = band_of(band).valid
    found_low, found_high = float(values.min()), float(values.max())  # invalid cells hold 0, which every range admits
    fact = file.facts[band]
    if found_low < low or found_high > high:
        _out_of_range(file, band, values[valid])
    # Inside the range of bathymetry, yet never measured to the millimetre: the commonest undeclared nodata.
    if found_low <= -9999.0 and fact.nodata is None and band == "elevation" and bool((values == -9999.0).any()):
        raise BandError(
            f"{file.path}: band {fact.index} (elevation) holds exactly -9999 and declares no nodata value; expected it "
            "declared: gdal_edit -a_nodata -9999, or nodata=-9999"
        )


def _out_of_range(file: RasterFile, band: str, values: NDArray[np.float32]) -> None:
    """Raise BandError for the valid values of a window, some of them out of the band's range."""
    low, high = band_of(band).valid
    fact = file.facts[band]
    scaled = fact.scale != 1.0 or fact.offset != 0.0
    how = f", its scale {fact.scale:g} and offset {fact.offset:g} applied" if scaled else ""
    height = band.startswith(HEIGHTS)
    if np.isinf(values).any():
        raise BandError(
            f"{file.path}: band {fact.index} ({band}) holds {int(np.isinf(values).sum())} infinite values in a window "
            f"of it{how}, as a division by zero or an overflow leaves them; expected finite ones. If they mean "
            "missing, declare them with nodata=inf"
        )
    unit = file.unit if height and file.unit not in ("", "m") else band_of(band).unit
    factor = file.factor if height else 1.0
    raise BandError(
        f"{file.path}: band {fact.index} ({band}) holds values from {values.min() / factor:.9g} to "
        f"{values.max() / factor:.9g} {unit}{how}; expected {low / factor:.6g} to {high / factor:.6g}. If such values "
        "mean missing, declare them with nodata=VALUE"
        + ("; if the unit is another, state it with elevation_unit=UNIT" if height else "")
    )


def _datum(files: Sequence[RasterFile], option: str | None) -> tuple[VerticalDatum | None, str | None]:
    """Vertical datum and surface: CRS and tags state, product names suggest, the option fills in or confirms."""
    said: VerticalDatum | None = None
    surface: str | None = None
    guessed: VerticalDatum | None = None
    before = files[0].path
    for file in files:
        product = identify_product(Path(file.path).name)
        found = vertical.from_crs(file.crs) if file.crs is not None else None
        found = found or vertical.from_tags(file.tags)
        guess = product_datum(product) if product is not None else None
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
            f"{files[0].path}: the file states that its heights stand on {said}; vertical_datum= says {wanted.name}. "
            "Leave it out, or convert the heights with gdalwarp"
        )
    return said or wanted, surface


def open_source(
    paths: PathLike | Sequence[PathLike],
    *,
    bands: Mapping[str, int] | None = None,
    want: Sequence[str] = ("elevation",),
    vertical_datum: str | None = None,
    check_range: bool = True,
    assume_crs: str | None = None,
    pixel_size_m: float | tuple[float, float] | None = None,
    elevation_unit: str | None = None,
    nodata: float | None = None,
    unit_required: bool = True,
) -> Source:
    """Open anything GDAL opens, or several files as a mosaic, as the bands `want` on one north-up grid.

    `bands` maps a name to a band number where descriptions do not tell; `assume_crs` and `pixel_size_m` (metres, one
    or (y, x)) serve files without CRS; `elevation_unit` and `nodata` override what the file states. Without
    `unit_required` heights of unstated unit are described, not refused.
    Raises SourceError (missing, truncated, no raster), BandError, GridError, DatumError.
    """
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not listed:
        raise UsageError("no input file was given; expected at least one")
    stated: tuple[float, float] | None = None
    if pixel_size_m is not None:
        pair = (pixel_size_m, pixel_size_m) if isinstance(pixel_size_m, (int, float)) else pixel_size_m
        stated = (float(pair[0]), float(pair[1]))
        if not all(grid.plausible_cell(s) for s in stated):
            raise UsageError(f"a pixel size is positive, {grid.CELLS_M}; found {pixel_size_m!r}")
    for name in want:
        band_of(name)
    options = Stated(assume_crs, elevation_unit, nodata, stated is not None, unit_required)
    files: list[RasterFile] = []
    try:
        for path in listed:
            file = open_file(path, want, bands, options)
            files.append(file)
            if len(listed) > 1:
                file.close()  # a mosaic of thousands must not hold thousands of handles
        transform, shape, places = mosaic.lay_out(files)
        datum, surface = _datum(files, vertical_datum)
    except BaseException:
        for file in files:
            file.close()
        raise
    crs = None if files[0].crs is None else horizontal(files[0].crs)
    geobox = GeoBox(shape, transform, None if crs is None else crs.to_wkt())
    return Source(files, places, geobox, crs, datum, surface, stated, check_range)
