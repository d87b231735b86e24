"""Guides: what lies beside is put back, what is fill is not heard, and nothing that changes goes unseen."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.rasters import write_raster

from terrafine.errors import BandError, EmptyError
from terrafine.raster.read.guided_source import GuidedSource
from terrafine.raster.read.guides import open_guides
from terrafine.raster.read.source import open_source

SIDE, K, CELL = 30, 4, 120.0
INNER = (slice(20, 100), slice(20, 100))


def write(path: Path, values: NDArray[Any], cell: float, band: str) -> Path:
    return write_raster(path, values.astype(np.float32), cell=cell, names=(band,), nodata=np.nan)


def radar(dy: float = 0, dx: float = 0) -> NDArray[Any]:
    """Smooth backscatter in dB whose features lie dy fine cells below and dx right of their place."""
    y, x = np.mgrid[: SIDE * K, : SIDE * K] + 0.5
    return -10 + 3 * np.sin((x - dx) / 6) + 2 * np.cos((y - dy) / 8)


def guided(folder: Path, *files: Path, **options: Any) -> GuidedSource:
    dem = write(folder / "dem.tif", np.full((SIDE, SIDE), 900.0), CELL, "elevation")
    return open_guides(open_source(dem), K, {"vv": files}, **{"azimuth": 100.0, "incidence": 38.5} | options)


@pytest.mark.parametrize("shift", [(2, -3), (0.4, 1.25)])
def test_what_lies_beside_is_put_back_also_after_pickling(tmp_path: Path, shift: tuple[float, float]) -> None:
    source = guided(tmp_path, write(tmp_path / "vv.tif", radar(*shift), CELL / K, "vv"))
    beside, _ = source.read_guide("vv", *INNER)
    source = source.displaced(*shift)
    back, seen = pickle.loads(pickle.dumps(source)).read_guide("vv", *INNER)
    assert seen.all()
    assert np.abs(back - radar()[INNER]).max() < 0.05
    assert np.abs(beside - radar()[INNER]).max() > 0.5


def test_fill_in_one_date_leaves_the_others_their_mean(tmp_path: Path) -> None:
    for linear, fills in ((False, (-9999.0, 1e30, -999.0)), (True, (0.0, 1e30, -1e-4))):
        clean = 10 ** (radar() / 10) if linear else radar()
        dirty = clean.copy()
        dirty[40, 40:43] = fills
        one, two = (write(tmp_path / f"{n}.tif", v, CELL / K, "vv") for n, v in (("one", clean), ("two", dirty)))
        unit = "linear" if linear else "dB"
        mean, seen = guided(tmp_path, one, two, unit=unit).read_guide("vv", *INNER)
        assert seen.all()
        np.testing.assert_allclose(mean, radar()[INNER], atol=1e-3)
        mean, seen = guided(tmp_path, two, unit=unit).read_guide("vv", *INNER)
        assert np.argwhere(~seen).tolist() == [[20, 20], [20, 21], [20, 22]]
        assert (mean[~seen] == 0).all()


def test_what_changes_a_guide_changes_the_identity_and_a_later_copy_does_not(tmp_path: Path) -> None:
    vv = write(tmp_path / "vv.tif", radar(), CELL / K, "vv")
    first = guided(tmp_path, vv).identity()["sha256"]
    os.utime(vv, (0, 0))
    assert guided(tmp_path, vv).identity()["sha256"] == first
    moved = guided(tmp_path, vv).displaced(0.5, 0)
    angle = write(tmp_path / "theta.tif", np.full((SIDE, SIDE), 38.5), CELL, "incidence")
    others = [
        moved,
        guided(tmp_path, vv, azimuth=260.0),
        guided(tmp_path, vv, incidence=35.0),
        guided(tmp_path, vv, incidence=angle),
        guided(tmp_path, vv, vv),
        guided(tmp_path, write(tmp_path / "b.tif", radar(1), CELL / K, "vv")),
    ]
    assert len({first, *(o.identity()["sha256"] for o in others)}) == 1 + len(others)


def test_an_incidence_in_radians_is_refused(tmp_path: Path) -> None:
    vv = write(tmp_path / "vv.tif", radar(), CELL / K, "vv")
    angle = write(tmp_path / "theta.tif", np.full((SIDE, SIDE), 0.67), CELL, "incidence")
    with pytest.raises(BandError, match="on the ellipsoid"):
        guided(tmp_path, vv, incidence=angle)


def test_a_guide_with_a_void_middle_is_judged_by_the_rest(tmp_path: Path) -> None:
    values = np.full((600, 600), np.nan)
    with pytest.raises(EmptyError):
        guided(tmp_path, write(tmp_path / "void.tif", values, CELL / K, "vv"))
    values[:3] = 0.2
    with pytest.raises(BandError, match='unit="linear"'):
        guided(tmp_path, write(tmp_path / "power.tif", values, CELL / K, "vv"))


def test_a_cell_that_one_band_lacks_is_lacking_in_brightness(tmp_path: Path) -> None:
    """Bands differ in level: their mean over fewer would be a step that is no relief."""
    dem = write(tmp_path / "dem.tif", np.full((SIDE, SIDE), 900.0), CELL, "elevation")
    red, nir = np.full((SIDE * K, SIDE * K), 1000.0), np.full((SIDE * K, SIDE * K), 4000.0)
    nir[30, 30:33] = (np.nan, 0.0, -5.0)
    red[:10], nir[:10] = 2000.0, 5000.0  # a band without any contrast is refused
    files = {n: (write(tmp_path / f"{n}.tif", v, CELL / K, n),) for n, v in (("red", red), ("nir", nir))}
    source = open_guides(open_source(dem), K, files, azimuth=0.0, incidence=38.5)
    assert source.guides == ("optical", "sun_east", "sun_north")
    mean, seen = source.read_guide("optical", *INNER)
    assert mean[seen] == pytest.approx(10 * np.log10(2000.0), abs=1e-4)
    assert np.argwhere(~seen).tolist() == [[10, 10], [10, 11], [10, 12]]
    assert not source.read_guide("sun_east", *INNER)[1].any()
    before = source.identity()["sha256"]
    source.sun = 90.0
    assert source.identity()["sha256"] != before
    assert source.read_guide("sun_east", *INNER)[0].min() == 1


def stack(path: Path, dates: int, names: tuple[str, ...] = ()) -> Path:
    """Radar of that many dates in one file, each a little brighter than the one before."""
    values = np.stack([radar() + 0.01 * i for i in range(dates)]).astype(np.float32)
    return write_raster(path, values, cell=CELL / K, names=names, nodata=np.nan)


@pytest.mark.parametrize("mark", ["#*", ""])
@pytest.mark.parametrize("dates", [2, 98])
def test_every_band_of_a_stack_is_a_date(tmp_path: Path, dates: int, mark: str) -> None:
    path = stack(tmp_path / "stack.tif", dates)
    source = guided(tmp_path, Path(f"{path}{mark}"))
    one_by_one = guided(tmp_path, *(Path(f"{path}#{i + 1}") for i in range(dates)))
    np.testing.assert_array_equal(source.read_guide("vv", *INNER)[0], one_by_one.read_guide("vv", *INNER)[0])


def test_dates_without_any_cell_are_left_out_and_counted(tmp_path: Path) -> None:
    full = stack(tmp_path / "full.tif", 3)
    values = np.stack([radar() + 0.01 * i for i in range(3)] + [np.full_like(radar(), np.nan)]).astype(np.float32)
    partly = write_raster(tmp_path / "partly.tif", values, cell=CELL / K, nodata=np.nan)
    source = guided(tmp_path, partly)
    assert [n for n in source.notes if "1 of 4 dates have no valid cell" in n]
    np.testing.assert_array_equal(
        source.read_guide("vv", *INNER)[0], guided(tmp_path, full).read_guide("vv", *INNER)[0]
    )
    with pytest.raises(EmptyError, match="holds no valid cell"):
        guided(tmp_path, Path(f"{partly}#4"))
    nothing = write_raster(tmp_path / "nothing.tif", values[[3, 3]], cell=CELL / K, nodata=np.nan)
    with pytest.raises(EmptyError, match="none of its 2 dates"):
        guided(tmp_path, nothing)


@pytest.mark.parametrize("number", ["0", "4", "99"])
def test_a_date_that_the_stack_does_not_have_is_refused(number: str, tmp_path: Path) -> None:
    with pytest.raises(BandError, match=rf"stack\.tif#{number}: the file has bands 1 to 3"):
        guided(tmp_path, Path(f"{stack(tmp_path / 'stack.tif', 3)}#{number}"))


def test_a_stack_with_named_bands_gives_the_band_that_is_named(tmp_path: Path) -> None:
    path = stack(tmp_path / "both.tif", 2, ("vv", "vh"))
    alone = guided(tmp_path, Path(f"{path}#1")).read_guide("vv", *INNER)[0]
    np.testing.assert_array_equal(guided(tmp_path, path).read_guide("vv", *INNER)[0], alone)
    same = stack(tmp_path / "same.tif", 3, ("vv", "vv", "vv"))
    every = guided(tmp_path, Path(f"{same}#*")).read_guide("vv", *INNER)[0]
    np.testing.assert_array_equal(guided(tmp_path, same).read_guide("vv", *INNER)[0], every)


def test_a_message_names_a_few_bands_of_many(tmp_path: Path) -> None:
    many = stack(tmp_path / "many.tif", 98, tuple(f"date {i}" for i in range(98)))
    with pytest.raises(BandError, match=r"8='date 7' and 90 more") as error:
        open_source(many, want=("red",))
    assert len(str(error.value)) < 500
