"""Sources on another grid: places exact, masks kept, windows equal to the whole."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from tests.support.rasters import UTM, heights, read_all, utm_grid, write_raster

from terrafine.errors import GridError, UsageError
from terrafine.raster.read.aligned import AlignedSource, align_to, warp_grid
from terrafine.raster.read.source import Source, open_source


def plane(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A slope that is linear in UTM metres."""
    return 300 + 0.02 * (x - 500_000) + 0.05 * (y - 5_000_000)


def sloping(tmp_path: Path, shape: tuple[int, int] = (120, 150), cell: float = 30.0) -> Source:
    y, x = (np.arange(n) + 0.5 for n in shape)
    z = plane(500_000 + cell * x[None, :], 5_000_000 - cell * y[:, None]).astype(np.float32)
    return open_source(write_raster(tmp_path / "plane.tif", z, transform=utm_grid(*shape, cell=cell).affine))


def centres(box: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """UTM coordinates of the cell centres of any grid."""
    t = box.affine
    x, y = np.meshgrid(t.c + t.a * (np.arange(box.shape[1]) + 0.5), t.f + t.e * (np.arange(box.shape[0]) + 0.5))
    found = Transformer.from_crs(box.crs.to_wkt(), UTM, always_xy=True).transform(x, y)
    return np.asarray(found[0]), np.asarray(found[1])


@pytest.mark.parametrize(
    ("crs", "resolution"),
    [("EPSG:4326", None), ("EPSG:4326", (1e-4, 2e-4)), ("EPSG:3857", 11.0), (None, 10.0), (None, 23.0), (None, 100.0)],
)
def test_a_slope_lies_where_the_projection_says(tmp_path: Path, crs: str | None, resolution: object) -> None:
    source = sloping(tmp_path)
    box = warp_grid(source.geobox, crs, resolution)  # type: ignore[arg-type]
    values, valid = read_all(align_to(source, box))  # type: ignore[arg-type]
    x, y = centres(box)
    inner = valid & (x > 500_200) & (x < 504_300) & (y < 4_999_800) & (y > 4_996_600)
    assert inner.sum() > 200
    tolerance = 0.01  # 20 cm along a 5 % slope, a 150th of a cell
    np.testing.assert_allclose(values[inner], plane(x, y)[inner], atol=tolerance)
    assert np.abs(values[inner] - plane(x + 15, y)[inner]).min() > tolerance  # half a cell off would be seen


@pytest.mark.parametrize(("crs", "resolution"), [("EPSG:4326", None), ("EPSG:3857", 11.0), (None, 100.0)])
def test_windows_equal_the_whole(tmp_path: Path, crs: str | None, resolution: float | None) -> None:
    z = heights((200, 260))
    z[50:80, 60:90] = -9999
    source = open_source(write_raster(tmp_path / "a.tif", z))
    aligned = align_to(source, warp_grid(source.geobox, crs, resolution))
    whole = read_all(aligned)  # type: ignore[arg-type]
    assert whole[1].any() and not whole[1].all()
    height, width = aligned.shape
    again = pickle.loads(pickle.dumps(aligned))
    for rows, cols in (
        (slice(3, height // 2), slice(5, width // 3)),
        (slice(height // 3, height), slice(1, 2)),
        (slice(height // 2, height // 2 + 7), slice(0, width)),
    ):
        for part, full in zip(again.read("elevation", rows, cols), whole, strict=True):
            np.testing.assert_array_equal(part, full[rows, cols])


def test_missing_cells_stay_missing_and_weigh_nothing(tmp_path: Path) -> None:
    z = np.full((60, 60), 100, np.float32)
    z[20:30, 20:30] = -9999
    source = open_source(write_raster(tmp_path / "a.tif", z))
    shifted = GeoBox((60, 60), Affine(30, 0, 500_010, 0, -30, 4_999_990), UTM)
    for box in (shifted, warp_grid(source.geobox, None, 10.0), warp_grid(source.geobox, None, 90.0)):
        values, valid = read_all(align_to(source, box))  # type: ignore[arg-type]
        np.testing.assert_allclose(values[valid], 100, rtol=1e-5)
        assert not values[~valid].any()
        x, y = centres(box)
        hole = (x > 500_690) & (x < 500_810) & (y < 4_999_310) & (y > 4_999_190)
        assert hole.any() and not valid[hole].any()


def test_a_shared_lattice_is_read_without_resampling(tmp_path: Path) -> None:
    z = heights((30, 40))
    source = open_source(write_raster(tmp_path / "a.tif", z))
    moved = GeoBox((20, 20), Affine(30, 0, 500_000 + 30 * 25, 0, -30, 5_000_000 - 30 * 15), UTM)
    values, valid = read_all(align_to(source, moved))  # type: ignore[arg-type]
    np.testing.assert_array_equal(values[:15, :15], z[15:, 25:])
    assert valid.sum() == 15 * 15


def test_going_coarser_averages(tmp_path: Path) -> None:
    z = heights((60, 80))
    source = open_source(write_raster(tmp_path / "a.tif", z))
    values, _ = read_all(align_to(source, utm_grid(6, 8, 300.0)))  # type: ignore[arg-type]
    np.testing.assert_allclose(values, z.reshape(6, 10, 8, 10).mean((1, 3)), rtol=1e-5)


def test_grids_without_a_common_area_or_crs_are_refused(tmp_path: Path) -> None:
    source = sloping(tmp_path)
    with pytest.raises(GridError, match="overlap"):
        align_to(source, GeoBox((10, 10), Affine(30, 0, 900_000, 0, -30, 100_000), UTM))
    with pytest.raises(GridError, match="overlap"):
        align_to(source, GeoBox((10, 10), Affine(0.01, 0, -60, 0, -0.01, 10), "EPSG:4326"))
    with pytest.raises(GridError, match="no CRS"):
        align_to(source, GeoBox((10, 10), utm_grid(10, 10).affine, None))


def test_grids_without_crs_share_a_plane(tmp_path: Path) -> None:
    source = open_source(write_raster(tmp_path / "a.tif", heights(), crs=None), pixel_size_m=(3.0, 6.0))
    half = GeoBox((80, 100), Affine(15, 0, 500_000, 0, -15, 5_000_000), None)
    aligned = align_to(source, half)
    assert aligned.pixel_size_m(slice(0, 1))[:, 0].tolist() == [1.5, 3.0]
    assert read_all(aligned)[1].all()  # type: ignore[arg-type]


def test_an_aligned_source_answers_as_a_source_does(tmp_path: Path) -> None:
    source = sloping(tmp_path)
    aligned = align_to(source, warp_grid(source.geobox, "EPSG:4326"))
    public = {n for n in vars(AlignedSource) if not n.startswith("_")} | {n for n in vars(aligned) if n[0] != "_"}
    assert {"read", "pixel_size_m", "identity", "close", "shape", "geobox", "bands", "vertical", "nodata"} <= public
    assert aligned.identity() != source.identity() and aligned.pixel_size_m(slice(0, 1)).shape == (2, 1)
    outside = aligned.read("elevation", slice(-50, -40), slice(0, 5))
    assert outside[0].shape == (10, 5) and not outside[1].any()


def test_a_source_across_the_antimeridian_is_found_from_both_sides(tmp_path: Path) -> None:
    z = np.full((40, 60), 50, np.float32)
    path = write_raster(tmp_path / "a.tif", z, crs="EPSG:4326", transform=Affine(0.01, 0, 179.7, 0, -0.01, -16.5))
    source = open_source(path)
    # Fiji's grid runs across 180 degrees: EPSG:3460.
    box = warp_grid(GeoBox((40, 60), source.geobox.affine, "EPSG:4326"), "EPSG:3460", 1000.0)
    values, valid = read_all(align_to(source, box))  # type: ignore[arg-type]
    assert valid.mean() > 0.8
    np.testing.assert_allclose(values[valid], 50, rtol=1e-5)


def test_warp_grid_covers_and_snaps() -> None:
    box = utm_grid(100, 130)
    for crs, size in (("EPSG:4326", 0.0005), ("EPSG:32634", 25.0), (None, 7.0)):
        out = warp_grid(box, crs, size)
        t = out.affine
        assert t.a == size and t.e == -size
        assert t.c / size == pytest.approx(round(t.c / size)) and t.f / size == pytest.approx(round(t.f / size))
        back = Transformer.from_crs(UTM, out.crs.to_wkt(), always_xy=True)
        edge = box.boundingbox
        x, y = back.transform(
            [edge.left, edge.right, edge.left, edge.right], [edge.top, edge.top, edge.bottom, edge.bottom]
        )
        inside = out.boundingbox
        slack = 1e-5 * size
        assert inside.left <= min(x) + slack and max(x) <= inside.right + slack
        assert inside.bottom <= min(y) + slack and max(y) <= inside.top + slack
    assert warp_grid(box) == box
    np.testing.assert_allclose(warp_grid(box, None, (10.0, 20.0)).affine.e, -20)


def test_impossible_grids_are_refused() -> None:
    with pytest.raises(UsageError, match="positive"):
        warp_grid(utm_grid(10, 10), None, -5.0)
    with pytest.raises(GridError, match="cannot be read"):
        warp_grid(utm_grid(10, 10), "EPSG:123456")
    with pytest.raises(GridError, match="without CRS"):
        warp_grid(GeoBox((5, 5), utm_grid(5, 5).affine, None), UTM)
    with pytest.raises(GridError, match="latitude"):
        warp_grid(GeoBox((5, 5), Affine(100, 0, 0, 0, -100, 0), "EPSG:3413"), "EPSG:4326")
