"""Streams and basins beside a DEM: what `hydro=True` of `sharpen_dem` writes together with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrafine.errors import GridError, MissingExtraError, ResourceError, UsageError
from terrafine.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from terrafine.atomic import Publish
    from terrafine.evaluation.hydrology import Drainage
    from terrafine.evaluation.hydrology.vectors import Segment
    from terrafine.raster.write.geopackage import Layer
    from terrafine.workflows.options import RunOptions

__all__ = ["ENDINGS", "Hydrology", "asked_streams", "publish_with_streams", "streams_beside"]

ENDINGS = {"filled": "_filled.tif", "flow": "_flow.tif", "area": "_area.tif", "vectors": "_hydro.gpkg"}
"""What is written beside NAME.tif."""
BYTES_PER_CELL = 150
"""Peak of routing one float32 surface with streams, basins and files; measured: 48 to 94 on 1,500 x 1,500 and
3,000 x 3,000 rough cells of 10 m, the most where streams begin at 0.02 km2."""
DEFAULT_LIMIT_BYTES = 4 * 2**30
_BYTES_ON_DISK = 13  # per cell: the DEM, the filled one, contributing area, directions
_NO_FLOW = 255  # of the directions in the file


@dataclass(frozen=True, slots=True)
class Hydrology:
    """What is derived from the DEM that a run writes.

    Attributes
    ----------
    stream_area_km2
        Contributing area at which streams begin; None for a power of ten that suits the extent.
    limit_bytes
        Memory that routing may take.
    """

    stream_area_km2: float | None = None
    limit_bytes: int = DEFAULT_LIMIT_BYTES

    def __post_init__(self) -> None:
        area = self.stream_area_km2
        if area is not None and not 0 < area < float("inf"):
            raise UsageError(f"stream_area_km2={area:g}; expected square kilometres above 0")

    def check(self, paths: list[str], destination: Path, shape: tuple[int, int], crs: Any) -> None:
        """Check before the run that the DEM can be routed and the files can be written.

        Parameters
        ----------
        paths
            The inputs.
        destination
            The DEM that will be written.
        shape
            Rows and columns (y, x) of the output.
        crs
            CRS of the output, or None.

        Raises
        ------
        MissingExtraError, GridError, ResourceError
            As `require`.
        OutputError
            If a file cannot be written.
        DiskError
            If the disk is too small.
        """
        from terrafine.raster.write.cog_writer import check_free_space
        from terrafine.workflows.outputs.destinations import check_destinations

        self.require(shape, crs)
        for beside in streams_beside(destination):
            check_destinations(paths, beside, None)
        check_free_space(destination, _BYTES_ON_DISK * shape[0] * shape[1])

    def require(self, shape: tuple[int, int], crs: Any) -> None:
        """Check before the run that the DEM can be routed.

        Parameters
        ----------
        shape
            Rows and columns (y, x) of the output.
        crs
            CRS of the output, or None.

        Raises
        ------
        MissingExtraError
            If a library is not installed.
        GridError
            If the output has no CRS, or is too small to route water.
        ResourceError
            If it is too large for the memory that is allowed.
        """
        from terrafine.evaluation.hydrology.d8 import kernels
        from terrafine.raster.write.geopackage import require_geopackage

        try:
            import pyflwdir  # noqa: F401
        except ImportError as e:
            raise MissingExtraError("hydro=True needs the extra `hydro`; install terrafine[hydro]") from e
        kernels()
        require_geopackage()
        if crs is None:
            raise GridError("hydro=True needs a CRS, which streams and basins are written in; state it: assume_crs=CRS")
        if min(shape) < 3:
            raise GridError(f"hydro=True: {shape[0]} × {shape[1]} cells are too few to route water; expected 3 × 3")
        need = shape[0] * shape[1] * BYTES_PER_CELL
        if need > self.limit_bytes:
            raise ResourceError(
                f"hydro=True routes water over the whole output at once, because it crosses tiles: {need / 1e9:.1f} GB "
                f"for {shape[0]:,} × {shape[1]:,} cells, and {self.limit_bytes / 1e9:.1f} GB are allowed. Allow more "
                "with memory=SIZE, leave hydro out, or run a river basin at a time"
            )


def asked_streams(hydro: bool, stream_area_km2: float | None, run: RunOptions) -> Hydrology | None:
    """Return what is to be derived from the DEM.

    Parameters
    ----------
    hydro, stream_area_km2
        As `sharpen_dem` takes them.
    run
        Options of the run, whose memory limit holds here too.

    Returns
    -------
    Hydrology or None
        None where nothing is asked for.

    Raises
    ------
    UsageError
        If an area is stated without streams, or is not above 0.
    """
    if hydro:
        return Hydrology(stream_area_km2, DEFAULT_LIMIT_BYTES if run.memory_bytes is None else run.memory_bytes)
    if stream_area_km2 is not None:
        raise UsageError("stream_area_km2= is for the streams of hydro=True, which is not given")
    return None


def streams_beside(destination: Path) -> list[Path]:
    """Return the files that are written beside a DEM.

    Parameters
    ----------
    destination
        The DEM.

    Returns
    -------
    list of Path
        In the order of `ENDINGS`.
    """
    return [destination.with_name(destination.stem + ending) for ending in ENDINGS.values()]


def publish_with_streams(
    hydro: Hydrology,
    write: Callable[..., None],
    destination: Path,
    layout: Mapping[str, Any],
    lines: list[str],
    rows: Iterator[NDArray[np.float32]],
    residuals: Any,
    folder: Path,
) -> None:
    """Write the DEM, and what follows from it; all files are published together, the DEM last.

    Parameters
    ----------
    hydro
        What is derived.
    write
        Writes the DEM from rows, residuals and the job folder, with a layout.
    destination
        The DEM.
    layout
        Arguments of the writer from creation options.
    lines
        Receives a line for the summary.
    rows, residuals, folder
        As `terrafine.workflows.outputs.write.publish`.

    Raises
    ------
    DiskError, OutputError
        If a file cannot be written.
    """
    from terrafine.atomic import PublishSet

    with PublishSet(destination) as published:
        write(rows, residuals, folder, layout={**layout, "publish": published.stage})
        lines.append(_derive(hydro, published.staged_path(destination), destination, layout, published.stage))


def _derive(hydro: Hydrology, dem: Path, destination: Path, layout: Mapping[str, Any], publish: Publish) -> str:
    """Route the water of a DEM and write the files beside it; a line for the summary."""
    import numpy as np

    from terrafine.evaluation.hydrology import default_areas_km2, drainage
    from terrafine.evaluation.hydrology.vectors import outlets, segments
    from terrafine.raster.read.source import open_source
    from terrafine.raster.write.geopackage import write_geopackage

    filled, flow, area, vectors = streams_beside(destination)
    with open_source([os.fspath(dem)], want=("elevation",)) as source:
        geobox, vertical, surface = source.geobox, source.vertical, source.surface
        size = np.ascontiguousarray(source.pixel_size_m(slice(0, source.shape[0]))[::-1])  # routing takes x before y
        heights, valid = source.read("elevation", slice(0, source.shape[0]), slice(0, source.shape[1]))
        kept: dict[str, Any] = {"vertical": vertical, "surface": surface, "area_or_point": source.area_or_point}
    crs = "" if geobox.crs is None else geobox.crs.to_wkt()
    drained = drainage(heights, valid, size)
    del heights
    areas = default_areas_km2(drained.valid, size)
    least = areas[len(areas) // 2] if hydro.stream_area_km2 is None else hydro.stream_area_km2
    found = segments(drained, least, geobox.affine)
    tags = {"VERSION": __version__, "DEM": destination.name, "STREAM_AREA_KM2": f"{least:g}"}
    write = partial(_write, geobox=geobox, tags=tags, publish=publish, layout=layout)
    seen = drained.valid
    write(filled, np.where(seen, drained.filled, np.nan), "elevation", "m", tags=tags | _sinks(drained), **kept)
    write(flow, np.where(seen, drained.code, _NO_FLOW), "flow_direction", "", codes=True)
    write(area, np.where(seen, drained.area_km2, np.nan), "contributing_area", "km2")
    write_geopackage(vectors, _layers(drained, found, geobox.affine), crs, publish)
    length = sum(one.length_m for one in found) / 1000
    cut = sum(not one.complete for one in found)
    return (
        f"streams from {least:g} km²: {length:,.1f} km in {len(found):,} parts, {len(outlets(found)):,} basins; "
        f"{cut:,} parts may receive water from beyond the edge (complete = 0)"
    )


def _sinks(drained: Drainage) -> dict[str, str]:
    sinks = drained.sinks
    return {
        "FILLED_SINKS": str(sinks.count),
        "FILLED_CELLS": str(sinks.cells),
        "FILLED_DEPTH_MAX_M": f"{sinks.max_depth_m:.3f}",
        "FILLED_VOLUME_M3": f"{sinks.volume_m3:.0f}",
    }


def _write(
    target: Path,
    values: NDArray[Any],
    name: str,
    unit: str,
    *,
    layout: Mapping[str, Any],
    codes: bool = False,
    **more: Any,
) -> None:
    """Write one band in blocks of rows; of codes no overviews, because a mean of directions is none."""
    import numpy as np

    from terrafine.raster.write.cog_writer import open_cog
    from terrafine.raster.write.encoding import FLOAT, Encoding

    encoding = Encoding("uint8", nodata=_NO_FLOW) if codes else FLOAT
    known = np.isfinite(values) if not codes else values != _NO_FLOW
    options = {**layout, "overviews": False} if codes else dict(layout)
    with open_cog(target, band_names=(name,), units=(unit,), encoding=encoding, **{**options, **more}) as writer:
        for top in range(0, values.shape[0], 512):
            rows = slice(top, top + 512)
            writer.push(np.where(known[rows], values[rows], np.nan).astype(np.float32)[None])


def _layers(drained: Drainage, found: list[Segment], transform: Any) -> list[Layer]:
    """The streams, the catchment of each part of a stream, and the basins of those that leave the extent."""
    import numpy as np

    from terrafine.evaluation.hydrology.vectors import catchments, outlets
    from terrafine.raster.write.geopackage import Layer, polygons

    streams = Layer(
        "streams",
        "LineString",
        [one.line for one in found],
        {
            "id": np.array([one.number for one in found], np.int32),
            "flows_into": np.array([one.below for one in found], np.int32),
            "order": np.array([one.order for one in found], np.int32),
            "area_km2": np.array([one.area_km2 for one in found], np.float64),
            "length_m": np.array([one.length_m for one in found], np.float64),
            "complete": np.array([one.complete for one in found], np.int32),
        },
    )
    layers = [streams]
    complete = {one.number: int(one.complete) for one in found}
    for name, ends in (("catchments", found), ("basins", outlets(found))):
        labels, area = catchments(drained, ends)
        shapes = polygons(labels, transform)
        fields: dict[str, NDArray[Any]] = {
            "stream_id": np.array(list(shapes), np.int32),
            "area_km2": np.array([area[n] for n in shapes], np.float64),
            "complete": np.array([complete[n] for n in shapes], np.int32),
        }
        layers.append(Layer(name, "MultiPolygon", list(shapes.values()), fields))
    return layers
