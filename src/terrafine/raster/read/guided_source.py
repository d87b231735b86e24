"""A DEM with guides: radar and images on the subdivided grid of the DEM, read window by window, never held whole."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrafine.raster.bands import band
from terrafine.raster.grid import subdivided
from terrafine.raster.protocol import SourceBase
from terrafine.raster.read.aligned import AlignedSource, align_to
from terrafine.raster.read.source import Source

__all__ = ["GuidedSource"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]


class GuidedSource(SourceBase):
    """The source of a DEM with bands that guide it, on the grid that divides each of its cells into scale × scale.

    Immutable: `displaced`, `with_sun` and `stating` return another source of the same files.

    Parameters
    ----------
    dem
        The open DEM.
    scale
        Fine cells per side of a DEM cell.
    dates
        Radar files by band (vv, vh), one per date, on the fine grid.
    images
        Pairs of (band, file) of images, on the fine grid.
    azimuth
        Direction from the target to the radar, degrees from grid north.
    incidence
        Incidence angle on the ellipsoid in degrees: a number, or a file on the fine grid.
    linear
        Whether radar is linear power; otherwise dB.

    Attributes
    ----------
    guides
        Names of the bands that `read_guide` gives. `vv`, `vh`: dB, the mean power over the dates, in any order, of
        those observed in a cell; a value outside the valid range of the band counts as not observed. `look_east`,
        `look_north`: sin θ sin α and sin θ cos α, the horizontal parts of the unit vector to the sensor. `optical`: 10
        lg of brightness, the mean over bands and dates, where all are observed and above 0. `sun_east`, `sun_north`:
        the horizontal unit vector toward the sun; not valid before `with_sun` has set its azimuth.
    """

    def __init__(
        self,
        dem: Source,
        scale: int,
        dates: Mapping[str, Sequence[AlignedSource]],
        images: Sequence[tuple[str, AlignedSource]] = (),
        *,
        azimuth: float,
        incidence: AlignedSource | float,
        linear: bool,
    ) -> None:
        self._described_as(dem)
        self.geobox, self.shape = dem.geobox, dem.shape
        self.dem, self._dates = dem, {name: tuple(files) for name, files in dates.items()}
        self._images = tuple(images)
        self.azimuth, self._incidence, self._linear = azimuth, incidence, linear
        self.sun: float | None = None
        self.guide_scale = scale
        looks = ("look_east", "look_north") if self._dates else ()
        self.guides = (
            *self._dates,
            *looks,
            *(("optical", "sun_east", "sun_north") if images else ()),
        )

    def read(self, band: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """Read a window of the DEM.

        Parameters
        ----------
        band, rows, cols
            As in `Source.read`.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            As from `Source.read`.
        """
        return self.dem.read(band, rows, cols)

    def pixel_size_m(self, rows: slice) -> NDArray[np.float64]:
        """Return the ground size of the cells of the DEM.

        Parameters
        ----------
        rows
            First and one past the last row of the DEM.

        Returns
        -------
        ndarray of float64, (2, rows)
            Metres along y and x.
        """
        return self.dem.pixel_size_m(rows)

    def read_guide(self, name: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """Read a window of a guide on the fine grid.

        Parameters
        ----------
        name
            One of `guides`.
        rows, cols
            First and one past the last row and column of the fine grid.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: 0 where not valid. Validity: False where the guide was not observed.

        Raises
        ------
        BandError
            If there is no such guide.
        SourceError
            If a file cannot be read.
        """
        if name in self._dates:
            return self._mean_power(name, rows, cols)
        if name == "optical":
            return self._brightness(rows, cols)
        if name in ("sun_east", "sun_north"):
            return self._toward_sun(name, rows, cols)
        if name not in self.guides:
            return super().read_guide(name, rows, cols)
        theta, valid = self._theta(rows, cols)
        turn = np.sin(np.radians(self.azimuth)) if name == "look_east" else np.cos(np.radians(self.azimuth))
        return (np.sin(np.radians(theta)) * turn * valid).astype(np.float32), valid

    def read_fine(self, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """Read the DEM on the fine grid, resampled by cubic convolution, for registration.

        Parameters
        ----------
        rows, cols
            First and one past the last row and column of the fine grid.

        Returns
        -------
        values, valid : ndarrays of float32 and bool, (y, x)
            Values: metres; 0 where not valid. Validity: False where the DEM has no data.
        """
        return align_to(self.dem, subdivided(self.dem.geobox, self.guide_scale)).read("elevation", rows, cols)

    def displaced(self, dy: float, dx: float, *, optical: bool = False) -> GuidedSource:
        """Return a source that reads radar or images shifted by a number of fine cells.

        Parameters
        ----------
        dy, dx
            Each cell reads what lies `dy` fine cells below and `dx` right of it.
        optical
            Shift the images instead of the radar.

        Returns
        -------
        GuidedSource
            The shifted source.
        """
        fine = subdivided(self.dem.geobox, self.guide_scale)
        to = GeoBox(fine.shape, fine.affine * fine.affine.translation(dx, dy), fine.crs)
        out = copy.copy(self)
        if optical:
            out._images = tuple((name, file.on(to)) for name, file in self._images)
        else:
            out._dates = {name: tuple(f.on(to) for f in files) for name, files in self._dates.items()}
        return out

    def with_sun(self, azimuth: float) -> GuidedSource:
        """Return a source whose images have the sun at an azimuth.

        Parameters
        ----------
        azimuth
            Degrees from grid north.

        Returns
        -------
        GuidedSource
            A source with the guides `sun_east` and `sun_north`.
        """
        out = copy.copy(self)
        out.sun = azimuth
        return out

    def stating(self, lineage: Mapping[str, str], *notes: str) -> GuidedSource:
        """Return a source with more tags for the outputs and more notes for the user.

        Parameters
        ----------
        lineage
            Further tags.
        notes
            Further sentences.

        Returns
        -------
        GuidedSource
            The source with them.
        """
        out = copy.copy(self)
        out._lineage, out.notes = {**self._lineage, **lineage}, (*self.notes, *notes)
        return out

    def identity(self) -> dict[str, Any]:
        """Return the identity of the DEM and its guides: files, digests, geometry.

        `sha256` depends on the content, not on paths and times.
        """
        dem = self.dem.identity()
        guides = {name: [file.identity() for file in files] for name, files in self._dates.items()}
        for name, file in self._images:
            guides.setdefault(name, []).append(file.identity())
        angle = self._incidence if isinstance(self._incidence, float) else self._incidence.identity()
        geometry = {"azimuth": self.azimuth, "linear": self._linear, "sun": self.sun}
        aligned = [one for dates in guides.values() for one in dates] + ([angle] if isinstance(angle, dict) else [])
        content = [(name, one["sha256"], one["aligned_to"]) for name, dates in guides.items() for one in dates]
        theta = angle["sha256"] if isinstance(angle, dict) else angle
        text = json.dumps([dem["sha256"], sorted(content, key=str), theta, geometry], sort_keys=True)
        files = dem["files"] + [f for one in aligned for f in one["files"]]
        own = {"guides": guides, "incidence": angle, **geometry}
        return {**dem, **own, "files": files, "sha256": hashlib.sha256(text.encode()).hexdigest()}

    def close(self) -> None:
        """Close all file handles."""
        self.dem.close()
        for files in self._dates.values():
            for file in files:
                file.close()
        for _, image in self._images:
            image.close()
        if not isinstance(self._incidence, float):
            self._incidence.close()

    def _inside(self, rows: slice, cols: slice) -> Mask:
        """Return which cells lie on the raster, bool (y, x)."""
        (height, width), k = self.dem.shape, self.guide_scale
        y, x = np.arange(rows.start, rows.stop)[:, None], np.arange(cols.start, cols.stop)[None]
        return np.asarray((y >= 0) & (y < height * k) & (x >= 0) & (x < width * k))

    def _toward_sun(self, name: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        inside = self._inside(rows, cols)
        if self.sun is None:
            return np.zeros(inside.shape, np.float32), np.zeros_like(inside)
        alpha = np.radians(self.sun)
        return (inside * (np.sin(alpha) if name == "sun_east" else np.cos(alpha))).astype(np.float32), inside

    def _brightness(self, rows: slice, cols: slice) -> tuple[F32, Mask]:
        """Return the mean over bands where all are valid; bands differ in level, so a partial mean would show steps."""
        seen = self._inside(rows, cols)
        total = np.zeros(seen.shape)
        for name, file in self._images:
            values, valid = file.read(name, rows, cols)
            seen &= valid & (values > 0)
            total[seen] += 10 * np.log10(values[seen].astype(np.float64))
        total[~seen] = 0
        return (total / max(1, len(self._images))).astype(np.float32), seen

    def _theta(self, rows: slice, cols: slice) -> tuple[F32, Mask]:
        if isinstance(self._incidence, float):
            inside = self._inside(rows, cols)
            return np.full(inside.shape, self._incidence, np.float32), inside
        return self._incidence.read("incidence", rows, cols)

    def _mean_power(self, name: str, rows: slice, cols: slice) -> tuple[F32, Mask]:
        shape = (rows.stop - rows.start, cols.stop - cols.start)
        power, count = np.zeros(shape), np.zeros(shape, np.int32)
        low, high = (10 ** (db / 10) if self._linear else db for db in band(name).valid)
        for file in self._dates[name]:
            values, valid = file.read(name, rows, cols)
            valid = valid & (values >= low) & (values <= high)
            power[valid] += values[valid] if self._linear else 10 ** (values[valid].astype(np.float64) / 10)
            count += valid
        seen = count > 0
        out = np.zeros(shape, np.float32)
        out[seen] = 10 * np.log10(power[seen] / count[seen])
        return out, seen
