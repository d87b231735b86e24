"""Scenes as values: the reflectance, backscatter or heights of one scene, or of one pass, on a grid."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.acquire.catalogue import Scene
from terrafine.acquire.masks import clear_cells
from terrafine.acquire.offset import Decision
from terrafine.acquire.remote import AssetError, AssetReader, Resampling
from terrafine.acquire.request import Request
from terrafine.raster.bands import BANDS
from terrafine.raster.read.images.sensors import SENSORS

__all__ = ["Observation", "Pass", "observe", "passes", "stored_numbers"]

F32 = NDArray[np.float32]
_SENTINEL2, _LANDSAT = SENSORS["sentinel2"], SENSORS["landsat-l2"]


@dataclass(frozen=True)
class Pass:
    """Scenes of one satellite on one day: neighbouring tiles of one recording.

    Attributes
    ----------
    scenes
        In order of their names.
    """

    scenes: tuple[Scene, ...]

    @property
    def day(self) -> Any:
        """Its date."""
        return self.scenes[0].day


@dataclass
class Observation:
    """A pass on a grid.

    Attributes
    ----------
    values
        (band, y, x), NaN where there is no clear ground.
    clearness
        (y, x): the share of clear ground of the scene that each cell is from.
    digests
        Scene to the SHA-256 of the numbers that were read of it.
    failed
        Scene to what is wrong with it.
    """

    values: F32
    clearness: F32
    digests: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def passes(scenes: Sequence[Scene]) -> list[Pass]:
    """Group scenes by day and satellite, oldest first."""
    groups: dict[tuple[Any, str, str], list[Scene]] = {}
    for scene in scenes:
        orbit = str(scene.properties.get("sat:orbit_state", ""))
        groups.setdefault((scene.day, scene.platform, orbit), []).append(scene)
    return [Pass(tuple(sorted(groups[key], key=lambda s: s.id))) for key in sorted(groups)]


def stored_numbers(
    reader: AssetReader, request: Request, scene: Scene, geobox: Any, *, masks: tuple[str, ...] = ("classes",)
) -> tuple[F32, F32 | None]:
    """Read the bands of a scene, and its mask where the option `mask` is one of `masks`, as stored numbers.

    No band is read where the mask leaves no cell.

    Returns
    -------
    numbers : ndarray of float32, (band, y, x)
        NaN where there are none.
    classes : ndarray of float32, (y, x), or None
        The mask asset.
    """
    collection = request.collection
    fill = 0.0 if collection.kind in ("sentinel-2-l2a", "landsat-l2") else collection.nodata
    classes = None
    if collection.mask and request.options.mask in masks:
        classes = reader.read(scene, collection.mask, geobox, "nearest", None)
        if not clear_cells(collection.kind, classes).any():
            shape = (len(request.bands), *classes.shape)
            return np.full(shape, np.nan, np.float32), classes
    numbers = []
    for name in request.bands:
        rule: Resampling = BANDS[name].resampling if name in BANDS else "bilinear"
        numbers.append(reader.read(scene, collection.assets[name], geobox, rule, fill))
    return np.stack(numbers), classes


def observe(
    reader: AssetReader,
    request: Request,
    group: Pass,
    geobox: Any,
    decisions: Mapping[str, Decision],
    clear_shares: Mapping[str, float],
    cloud_mask: Callable[[F32], NDArray[np.bool_]] | None = None,
) -> Observation:
    """Read a pass on a grid; where its scenes overlap, the first one counts.

    Raises
    ------
    NetworkError
        If a server does not answer.
    """
    shape = (len(request.bands), int(geobox.shape[0]), int(geobox.shape[1]))
    seen = Observation(np.full(shape, np.nan, np.float32), np.zeros(shape[1:], np.float32))
    for scene in group.scenes:
        try:
            numbers, classes = stored_numbers(reader, request, scene, geobox)
        except AssetError as error:
            seen.failed[scene.id] = str(error)
            continue
        digest = hashlib.sha256(numbers.tobytes())
        if classes is not None:
            digest.update(classes.tobytes())
        seen.digests[scene.id] = digest.hexdigest()
        values = _values(request, numbers, decisions.get(scene.id))
        clear = np.isfinite(values).all(axis=0)
        if classes is not None:
            clear &= clear_cells(request.collection.kind, classes)
        if cloud_mask is not None and clear.any():
            clear &= cloud_mask(values)
        fresh = clear & np.isnan(seen.values[0])
        seen.values[:, fresh] = values[:, fresh]
        seen.clearness[fresh] = clear_shares.get(scene.id, 0.0)
    return seen


def _values(request: Request, numbers: F32, decision: Decision | None) -> F32:
    """Stored numbers as reflectance, dB, degrees or metres; NaN where they mean no data."""
    collection = request.collection
    if collection.kind == "sentinel-2-l2a":
        subtract = np.float32(0.0 if decision is None else decision.subtract)
        return np.where(numbers > 0, (numbers - subtract) * np.float32(_SENTINEL2.factor), np.float32(np.nan))
    if collection.kind == "landsat-l2":
        scaled = numbers * np.float32(_LANDSAT.factor) + np.float32(_LANDSAT.offset)
        return np.where(numbers > 0, scaled, np.float32(np.nan))
    values = numbers * np.float32(collection.scale) + np.float32(collection.offset)
    if request.radar and not collection.db:
        power = [i for i, name in enumerate(request.bands) if name != "incidence"]
        with np.errstate(invalid="ignore", divide="ignore"):
            decibel = 10.0 * np.log10(values[power])
        values[power] = np.where(values[power] > 0, decibel, np.float32(np.nan))
    return values
