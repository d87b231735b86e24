"""Dates of one place as one source: each keeps its own values, and a hole in one is filled by the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.rasters import write_raster

from terrafine.errors import BandError, EmptyError, GridError, UsageError
from terrafine.raster.bands import band_of_date, measured_of_date
from terrafine.raster.read.images.date_stack import DateStack
from terrafine.raster.read.images.reflectance import open_image

NAMES = ("red", "green", "blue", "nir")


def date(path: Path, level: int, hole: bool = False, cell: float = 10.0) -> Path:
    numbers = np.full((4, 24, 20), level, np.uint16)
    numbers[:, ::2] += 40
    numbers[:, 0, 0] = 150  # shadow: no offset is in these numbers
    if hole:
        numbers[:, 4:8, 4:8] = 0
    return write_raster(path, numbers, names=NAMES, nodata=0, cell=cell, crs="EPSG:32632")


def stack(*paths: Path) -> DateStack:
    made = DateStack([open_image(p, want=NAMES, sensor="sentinel2") for p in paths])
    made.require_valid()
    return made


WHOLE = (slice(0, 24), slice(0, 20))


def test_each_date_keeps_its_values_and_a_hole_takes_those_of_the_others(tmp_path: Path) -> None:
    with stack(date(tmp_path / "a.tif", 800), date(tmp_path / "b.tif", 1600, hole=True)) as both:
        assert list(both.bands)[:4] == list(NAMES)
        first, valid = both.read("red", *WHOLE)
        second, _ = both.read(band_of_date("red", 2), *WHOLE)
        seen, _ = both.read(measured_of_date(2), *WHOLE)
        assert valid.all()
        assert first[1, 1] == pytest.approx(0.08)
        assert second[1, 1] == pytest.approx(0.16)
        assert second[5, 5] == pytest.approx(first[5, 5])
        assert seen[5, 5] == 0
        assert seen[1, 1] == 1
        assert both.read(measured_of_date(1), *WHOLE)[0].all()


def test_where_no_date_was_measured_nothing_is_valid(tmp_path: Path) -> None:
    with stack(date(tmp_path / "a.tif", 800, hole=True), date(tmp_path / "b.tif", 1600, hole=True)) as both:
        values, valid = both.read("red", *WHOLE)
        assert not valid[4:8, 4:8].any()
        assert (values[4:8, 4:8] == 0).all()
        assert valid[10:].all()


def test_identity_holds_every_date(tmp_path: Path) -> None:
    a, b, c = (date(tmp_path / f"{n}.tif", n) for n in (800, 900, 1000))
    with stack(a, b) as one, stack(a, c) as other:
        assert one.identity() != other.identity()
        assert len(one.identity()["dates"]) == 2


def test_what_is_no_stack_is_refused(tmp_path: Path) -> None:
    a = date(tmp_path / "a.tif", 800)
    with pytest.raises(GridError, match=r"b\.tif: its grid is .* 20 from .*a\.tif.* 10 from"):
        stack(a, date(tmp_path / "b.tif", 800, cell=20.0))
    with pytest.raises(UsageError, match="expected 2 to"):
        stack(a)
    with stack(a, a) as both, pytest.raises(BandError, match="no band of the stack is called 'swir'"):
        both.read("swir", *WHOLE)
    empty = write_raster(tmp_path / "e.tif", np.zeros((4, 24, 20), np.uint16), names=NAMES, nodata=0, cell=10.0)
    with pytest.raises((EmptyError, GridError)):
        stack(a, empty)
