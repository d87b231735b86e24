"""Options that verbs share: how an input is read, how a run goes, and which grid is written.

A verb takes `read` and `run`, and their fields as keywords too (`terrafine.workflows.fields`):
`sharpen_dem(a, b, elevation_unit="ft", memory="4GB")`.
"""

from __future__ import annotations

import numbers
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from terrafine.arguments import check_fields, check_kind, fits
from terrafine.errors import UsageError
from terrafine.workflows.device import check_device

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.inference.engine import RunReport
    from terrafine.inference.progress import Progress
    from terrafine.raster.products import Product

__all__ = ["ENGINES", "PRECISIONS", "Guidance", "ReadOptions", "RunOptions", "TargetGrid", "parse_size"]

_THREADS = 1024  # more than any machine has cores; a library asked for millions dies
ENGINES = ("torch", "openvino", "onnx")
PRECISIONS = ("float32", "bfloat16")
_FACTOR = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How an input is read, where the file does not state it.

    Parameters
    ----------
    bands
        Number of each band in the file, counted from 1: `{"red": 3}`. By default bands are identified by their names.
    nodata
        Value of cells without data. By default what the file states.
    elevation_unit
        Unit of heights: m, ft, us-ft or another that `terrafine.raster.read.file` knows.
    vertical_datum
        Datum of heights, for example EGM2008.
    assume_crs
        CRS of files that have none or a wrong one, for example "EPSG:32633".
    pixel_size_m
        Metres along a cell where there is no CRS: one number, or (y, x). For numpy heights also float64 (2, y).
    sensor
        Sensor of an optical image, a name of `terrafine.raster.read.images.sensors.SENSORS`.
    stack
        Whether several images are dates of one place on one grid, and not parts of a mosaic.
    product
        What a DEM is: a key of `terrafine.raster.products.PRODUCTS` such as "srtm1", a product file, or a Product. By
        default recognised from tags, file names, grid and heights.
    allow_remote
        Read remote sources that a local file names. Those that are given as inputs are read without it.
    allow_folders
        Folders in which the sources of a VRT may lie besides its own and the working one.

    Raises
    ------
    UsageError, GridError, DatumError
        For a value that no verb can use.
    """

    bands: Mapping[str, int] | None = None
    nodata: float | None = None
    elevation_unit: str | None = None
    vertical_datum: str | None = None
    assume_crs: str | None = None
    pixel_size_m: float | tuple[float, float] | NDArray[np.float64] | None = None
    sensor: str | None = None
    stack: bool = False
    product: str | os.PathLike[str] | Product | None = None
    allow_remote: bool = False
    allow_folders: Sequence[str | os.PathLike[str]] = ()

    def __post_init__(self) -> None:
        if self.bands is not None and not isinstance(self.bands, Mapping):
            raise UsageError(f"bands={self.bands!r}; expected numbers by name, as {{'red': 3}}")
        for name, number in (self.bands or {}).items():
            if not is_whole(number) or number < 1:
                raise UsageError(f"band {name} is number {number!r}; expected a whole number, counted from 1")
        check_fields(self)
        for folder in self.allow_folders:
            if not os.path.isdir(folder):  # noqa: PTH112
                raise UsageError(f"allow_folders={folder!r}; expected a folder that exists")
        self._check_words()

    def _check_words(self) -> None:
        """Check the unit, the datum and the CRS that are stated, before any file is opened."""
        if self.elevation_unit is not None:
            from terrafine.raster.units import unit_factor

            unit_factor(self.elevation_unit, "elevation_unit=")
        if self.vertical_datum is not None:
            from terrafine.raster.vertical import from_name

            from_name(self.vertical_datum)
        if self.assume_crs is not None:
            from terrafine.raster.grid import parse_crs

            parse_crs(self.assume_crs, "assume_crs=", "expected for example EPSG:32633")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is executed; of these `device`, `precision`, `engine`, `threads` and `tile` can affect the bytes.

    Parameters
    ----------
    device
        Where the model computes: `cpu`, `cuda`, `cuda:N` or `mps`; `auto` takes a CUDA device where there is one, else
        MPS, else the CPU. With `dask` it is that of the workers: `cuda` needs workers with the resource `GPU`.
    precision
        Of the network's convolutions: `float32`, or `bfloat16`, which is faster where the hardware computes in it.
    engine
        Runs the network: torch, openvino or onnx; the last two need an extra of the same name.
    memory
        Limit in bytes, or as text such as "4GB", of this process or of each Dask worker. A run whose projection is
        above it is refused. By default no limit.
    threads
        CPU threads of the engine. By default all, or those of the run that is resumed.
    tile
        Input cells along one side of a tile. By default as large as fits.
    dask
        Address of a scheduler, or a distributed.Client; its workers share the file system of the output.
    restart
        Start from scratch instead of resuming an unfinished run of the same output.
    creation_options
        Of the GeoTIFFs that are written, by name: {"COMPRESS": "DEFLATE"}; `terrafine.raster.write.creation.ALLOWED`
        lists them. A resumed run may state others.
    progress
        True for a progress bar, or an object with the methods of `terrafine.inference.progress.Progress`.
    report
        Called with a `RunReport` at the end.

    Raises
    ------
    UsageError
        For a value that no verb can use.
    """

    device: str = "auto"
    precision: str = "float32"
    engine: str = "torch"
    memory: int | str | None = None
    threads: int | None = None
    tile: int | None = None
    dask: Any = None
    restart: bool = False
    creation_options: Mapping[str, str] | None = None
    progress: Progress | bool | None = None
    report: Callable[[RunReport], None] | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UsageError(f"engine {self.engine!r}: expected one of {', '.join(ENGINES)}")
        check_device(self.device, self.engine)
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision {self.precision!r}: expected one of {', '.join(PRECISIONS)}")
        if self.precision != "float32" and self.engine != "torch":
            raise UsageError(
                f'precision {self.precision!r}: the engine {self.engine} has float32; choose engine="torch"'
            )
        if self.memory is not None:
            parse_size(self.memory, "memory")
        for name in ("threads", "tile"):
            value = getattr(self, name)
            if value is not None and (not is_whole(value) or value < 1):
                raise UsageError(f"{name}={value!r}; expected a whole number of at least 1")
        if self.threads is not None and self.threads > _THREADS:
            raise UsageError(f"threads={self.threads}; expected at most {_THREADS:,}")
        if self.dask is not None and not isinstance(self.dask, str) and not hasattr(self.dask, "submit"):
            raise UsageError(
                f"dask={self.dask!r}; expected an address such as tcp://host:8786, or a distributed.Client"
            )
        if not isinstance(self.progress, bool | None):
            from terrafine.inference.progress import Progress

            if not isinstance(self.progress, Progress):
                raise UsageError(
                    f"progress {self.progress!r}: expected True, False or an object with start, advance, stop"
                )
        if self.report is not None and not callable(self.report):
            raise UsageError(f"report {self.report!r}: expected a function of one RunReport")
        check_fields(self)
        _ = self.layout

    @property
    def layout(self) -> dict[str, Any]:
        """The creation options as arguments of the writer of GeoTIFFs."""
        from terrafine.raster.write.creation import layout_of

        return layout_of(self.creation_options or {})

    @property
    def memory_bytes(self) -> int | None:
        """The memory limit in bytes."""
        return None if self.memory is None else parse_size(self.memory)

    @property
    def followed(self) -> bool:
        """Whether progress or a report is asked for, which a result that is not computed yet cannot give."""
        return self.report is not None or self.progress not in (None, False)

    @property
    def reporter(self) -> Progress | None:
        """The object that receives progress: a bar for True, None for False."""
        if self.progress is True:
            from terrafine.inference.progress import reporter

            return reporter()
        return self.progress or None


@dataclass(frozen=True, slots=True)
class TargetGrid:
    """The grid to write, where it is not the input's own subdivided.

    Parameters
    ----------
    resolution
        Cell size (x, y) in units of `crs`.
    crs
        CRS of the output; by default the input's.
    snapped
        Whether edges lie on whole multiples of the cell size also where CRS and cell size are those of the input's
        grid, which is then resampled by a part of a cell. A grid that is warped has such edges in any case.

    Raises
    ------
    UsageError
        For a cell size that is not two numbers above 0.
    """

    resolution: tuple[float, float] | None = None
    crs: str | None = None
    snapped: bool = False

    def __post_init__(self) -> None:
        pair = self.resolution
        if pair is not None and not (fits(pair, "tuple[float, float]") and all(v > 0 for v in pair)):
            raise UsageError(f"target_resolution={pair!r}; expected two sizes above 0, (x, y)")
        check_kind("target_crs", self.crs, "str | None")
        check_kind("snapped", self.snapped, "bool")

    def __bool__(self) -> bool:
        return self.resolution is not None or self.crs is not None

    def check(self) -> None:
        """Check before anything is read that the CRS can be written.

        Raises
        ------
        GridError
            If it cannot be read, or is not a horizontal CRS.
        """
        if self.crs is not None:
            from terrafine.errors import GridError
            from terrafine.raster.grid import parse_crs

            crs = parse_crs(self.crs, "target_crs=", "expected for example EPSG:32633")
            if crs.is_compound or crs.is_vertical or crs.is_geocentric:
                raise GridError(
                    f"target_crs=: {crs.name!r} is not a horizontal CRS; expected for example EPSG:32633. Heights keep "
                    "the vertical datum of the input"
                )


@dataclass(frozen=True, slots=True)
class Guidance:
    """Radar files and images that guide a DEM, and their geometry.

    Parameters
    ----------
    files
        Band (vv, vh; red, green, blue, nir) to its files, each a date; `file.tif#2` states a band number, and
        `file.tif#*` takes every band as a date.
    orbit
        Direction of the radar's pass: ascending or descending.
    heading
        Heading of the track, degrees clockwise from north; by default Sentinel-1's at that latitude.
    incidence
        Incidence on the ellipsoid: degrees, a file, or None for the middle of the swath.
    unit
        Unit of the radar: dB or linear power.
    sun
        Azimuth of the images' sun, degrees from true north; by default estimated from the relief.

    Raises
    ------
    UsageError
        For a value of another kind.
    """

    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    orbit: str | None = None
    heading: float | None = None
    incidence: str | float | None = None
    unit: str = "dB"
    sun: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)


def parse_size(value: int | str, name: str = "") -> int:
    """Return the bytes of `4GB` (powers of ten), `512MiB` (powers of two) or a number.

    Parameters
    ----------
    value
        The size.
    name
        The argument that messages name.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    UsageError
        If it is not a size.
    """
    match = None
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", value, re.IGNORECASE)
    size = int(float(match[1]) * _FACTOR[(match[2] or "").lower()]) if match else value
    if isinstance(size, str) or not is_whole(size) or size <= 0:
        shown = f"{name}={value!r}" if name else repr(value)
        raise UsageError(f"{shown} is not a size; expected for example 4GB, 512MiB or 2000000000")
    return int(size)


def is_whole(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
