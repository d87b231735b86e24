"""Options of `build_dataset`: reading of images and labels, simulation of the coarse image, selection of sites."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from terrafine.arguments import check_fields
from terrafine.errors import UsageError
from terrafine.physics.sensor_model import SENTINEL2, Sensor
from terrafine.raster.read.labels import label_numbers

__all__ = ["DatasetFields", "DatasetOptions", "check_shares", "merged"]

PathLike = str | os.PathLike[str]
SCALE = 10
"""Fine cells along a coarse cell: 1 m and 10 m."""
COLOURS_NIR = ("red", "green", "blue", "nir")
_WIDEST_M = 1000.0
STORED = 10_000
"""Reflectance times this number is stored in the files of the samples."""


class DatasetFields(TypedDict, total=False):
    """The fields of `DatasetOptions` as keyword arguments; `sealed` is the earlier name of `impervious`."""

    impervious: Sequence[str]
    sealed: Sequence[str]
    unknown: Sequence[str]
    road_widths: Mapping[str, float] | None
    bands: Sequence[str]
    band_numbers: Mapping[str, int] | None
    full_scale: float | None
    pixel_size_m: float | None
    coarse: PathLike | None
    coarse_scale: float
    histogram_of: PathLike | None
    sensor: Sensor
    regions: PathLike | None
    side: int
    count: int | None
    spacing_m: float
    shares: Mapping[str, float] | None
    hold_out: Mapping[str, str] | None
    block_m: float
    seed: int


@dataclass(frozen=True)
class DatasetOptions:
    """How samples are read, made and selected.

    Attributes
    ----------
    impervious, unknown
        Classes ("1") or colours ("#3C1098") of label rasters that are impervious, and that are not known.
    road_widths
        Width in metres by class of road; other classes keep the widths of `read_shapes`.
    bands, band_numbers
        Bands of the images, and their numbers in the file where it does not name them.
    full_scale
        Stored value of a reflectance of 1; by default 255 for bytes, 10,000 for 16 bits, 1 for floats.
    pixel_size_m
        Metres along a pixel of images without CRS.
    coarse, coarse_scale
        A real coarse image of the same ground, registered by correlation, and its stored value of a reflectance of 1.
        Without it, `sensor` simulates one.
    histogram_of
        A coarse image; the histogram of the fine images is matched to it, band by band.
    sensor
        Sensor model of the simulated coarse image.
    regions
        A raster of integers: the strata.
    side
        Metres along a sample, a multiple of 10.
    count, spacing_m
        Samples in total (None: as many as the spacing allows), and metres between them; see `choose_sites`.
    shares
        Share of samples by split; by default val 0.15 and test 0.15.
    hold_out
        {split: text in the path of the images whose samples belong to it}.
    block_m
        Samples in one block of this many metres, or in one folder of images without CRS, belong to one split.
    seed
        Seed of every random choice.
    """

    impervious: Sequence[str] = ("1",)
    unknown: Sequence[str] = ()
    road_widths: Mapping[str, float] | None = None
    bands: Sequence[str] = ("red", "green", "blue")
    band_numbers: Mapping[str, int] | None = None
    full_scale: float | None = None
    pixel_size_m: float | None = None
    coarse: PathLike | None = None
    coarse_scale: float = STORED
    histogram_of: PathLike | None = None
    sensor: Sensor = field(default=SENTINEL2)
    regions: PathLike | None = None
    side: int = 320
    count: int | None = None
    spacing_m: float = 3000.0
    shares: Mapping[str, float] | None = None
    hold_out: Mapping[str, str] | None = None
    block_m: float = 5000.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("full_scale", "coarse_scale", "pixel_size_m", "count"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} {value!r}: expected a number above 0")
        for name in ("spacing_m", "seed"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} {getattr(self, name)!r}: expected 0 or more")
        if self.side < 4 * SCALE or self.side % SCALE or self.block_m <= 0:
            raise UsageError(
                f"side {self.side} m, blocks of {self.block_m:g} m; expected a multiple of {SCALE}, at least "
                f"{4 * SCALE}, and blocks above 0 m"
            )
        label_numbers(self.impervious, self.unknown)
        if strange := [name for name in (*self.bands, *(self.band_numbers or {})) if name not in COLOURS_NIR]:
            raise UsageError(f"band {', '.join(strange)}: expected some of {', '.join(COLOURS_NIR)}")
        if any(number < 1 for number in (self.band_numbers or {}).values()):
            raise UsageError(f"band_numbers {self.band_numbers!r}: expected numbers of bands, from 1")
        for name, width in (self.road_widths or {}).items():
            if not 0 < width <= _WIDEST_M:
                raise UsageError(f"road_widths {name} {width!r}: expected metres above 0 and up to {_WIDEST_M:g}")
        check_shares(self.shares or {})


def check_shares(shares: Mapping[str, float]) -> None:
    """Check the shares of the splits other than "train".

    Parameters
    ----------
    shares
        Share of each split.

    Raises
    ------
    UsageError
        For a share below 0, for shares that leave nothing to train on, or for one of "train", which has the rest.
    """
    if not all(share >= 0 for share in shares.values()) or not sum(shares.values()) < 1:
        raise UsageError(f"shares {dict(shares)}; expected 0 or more each, and less than 1 together")
    if "train" in shares:
        raise UsageError(f"shares {dict(shares)}; expected none of train, which has what the others leave")


def merged(options: DatasetOptions | None, fields: DatasetFields) -> DatasetOptions:
    """Replace single fields of the options.

    Parameters
    ----------
    options
        Options, or None for the defaults.
    fields
        Fields that take precedence.

    Returns
    -------
    DatasetOptions
        The options.

    Raises
    ------
    UsageError
        For a name that is not a field.
    """
    given = dict(fields)
    if "sealed" in given:
        given.setdefault("impervious", given.pop("sealed"))
        given.pop("sealed", None)
    known = {f.name for f in dataclasses.fields(DatasetOptions)}
    if strange := sorted(given.keys() - known):
        raise UsageError(f"unknown option {', '.join(strange)}; expected one of {', '.join(sorted(known))}")
    return dataclasses.replace(options or DatasetOptions(), **given)  # type: ignore[arg-type]
