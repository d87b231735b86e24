"""`hydro=True`: streams and basins beside a DEM are those of the DEM, of all of it, and are published with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.features import rasterize

import terrafine
from terrafine.errors import GridError, MissingExtraError, OutputError, ResourceError, UsageError
from terrafine.evaluation.hydrology import drainage, fill, streams
from terrafine.evaluation.hydrology.vectors import NONE, catchments, outlets, segments
from terrafine.workflows.outputs import streams as module

pyflwdir = pytest.importorskip("pyflwdir")
pyogrio = pytest.importorskip("pyogrio")

CELL = 30.0
SIZE = np.array([CELL, CELL])
GRID = Affine(CELL, 0, 500_000, 0, -CELL, 4_000_000)
QUICK: dict[str, Any] = {"scale": 2, "model": "bicubic", "consistency": "none", "progress": False}


def valley(rows: int = 60, columns: int = 50) -> np.ndarray:
    """A valley that runs to the south, rough enough to have sinks and tributaries."""
    y, x = np.mgrid[:rows, :columns]
    z = 500 - 2.0 * y + 1.5 * np.abs(x - columns / 2) + np.random.default_rng(4).normal(0, 1.5, (rows, columns))
    return z.astype(np.float32)


def bowl(side: int = 41) -> np.ndarray:
    """A valley to the south inside a wall with one gap; ground outside the wall drains outwards."""
    y, x = np.mgrid[:side, :side]
    inside = np.minimum(np.minimum(y, side - 1 - y), np.minimum(x, side - 1 - x))
    z = 100 + 3.0 * np.abs(x - side // 2) - 1.0 * y
    wall = np.where(inside < 3, 200.0 + 10 * inside, 300.0)
    gap = (x == side // 2) & (y > side // 2)
    return np.where((inside <= 3) & ~gap, wall, z).astype(np.float32)


def written(path: Path, z: np.ndarray, **more: Any) -> Path:
    made = {"driver": "GTiff", "dtype": "float32", "count": 1, "crs": "EPSG:32633", "transform": GRID, "nodata": np.nan}
    with rasterio.open(path, "w", height=z.shape[0], width=z.shape[1], **(made | more)) as out:
        out.write(z.astype(np.float32), 1)
    return path


def layer(path: Path, name: str) -> tuple[dict[str, np.ndarray], Any]:
    import shapely

    meta, _, geometry, fields = pyogrio.raw.read(path, layer=name)
    return dict(zip(meta["fields"], fields, strict=True)), shapely.from_wkb(geometry)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hydro")
    source = written(folder / "coarse.tif", valley())
    return terrafine.sharpen_dem(source, folder / "fine.tif", hydro=True, stream_area_km2=0.05, **QUICK)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as src:
        return src.read(1)


def test_the_dem_is_the_same_bytes_with_and_without(made: Path, tmp_path: Path) -> None:
    plain = terrafine.sharpen_dem(made.parent / "coarse.tif", tmp_path / "fine.tif", **QUICK)
    assert plain.read_bytes() == made.read_bytes()
    assert {p.name for p in made.parent.iterdir()} == {
        "coarse.tif",
        "fine.tif",
        "fine_area.tif",
        "fine_filled.tif",
        "fine_flow.tif",
        "fine_hydro.gpkg",
    }


def test_streams_are_those_that_evaluate_compares(made: Path) -> None:
    expected = streams(drainage(read(made), None, SIZE / 2), 0.05)
    fields, lines = layer(made.with_name("fine_hydro.gpkg"), "streams")
    with rasterio.open(made) as src:
        centres = [rasterio.transform.rowcol(src.transform, *np.asarray(line.coords).T) for line in lines]
    drawn = np.zeros(expected.shape, bool)
    for rows, columns in centres:
        drawn[np.asarray(rows), np.asarray(columns)] = True
    assert expected.sum() > 50
    assert not (drawn & ~expected).any()
    assert (expected & ~drawn).sum() <= 1  # a head that is an outlet of its own has no length
    assert (fields["area_km2"] >= 0.05).all()


def test_filling_is_that_of_pyflwdir(made: Path) -> None:
    theirs, _ = pyflwdir.dem.fill_depressions(read(made), nodata=-9999.0)
    filled = read(made.with_name("fine_filled.tif"))
    np.testing.assert_array_equal(filled, theirs)
    assert (filled > read(made)).any()
    np.testing.assert_array_equal(filled, fill(read(made)))


def test_each_part_of_a_stream_flows_into_the_one_that_begins_where_it_ends(made: Path) -> None:
    fields, lines = layer(made.with_name("fine_hydro.gpkg"), "streams")
    at = {int(n): i for i, n in enumerate(fields["id"])}
    assert len(at) > 3
    for i, below in enumerate(fields["flows_into"].tolist()):
        if below == NONE:
            continue
        assert lines[i].coords[-1] == lines[at[below]].coords[0]
        assert fields["area_km2"][at[below]] > fields["area_km2"][i]
        assert fields["order"][at[below]] >= fields["order"][i]
    np.testing.assert_allclose(fields["length_m"], [line.length for line in lines], rtol=1e-9)


def test_catchments_and_basins_hold_the_ground_of_the_contributing_area(made: Path) -> None:
    gpkg = made.with_name("fine_hydro.gpkg")
    fields, shapes = layer(gpkg, "catchments")
    basins, _ = layer(gpkg, "basins")
    np.testing.assert_allclose([s.area / 1e6 for s in shapes], fields["area_km2"], rtol=1e-9)
    assert basins["area_km2"].sum() == pytest.approx(fields["area_km2"].sum())
    lines, _ = layer(gpkg, "streams")
    area = dict(zip(lines["id"].tolist(), lines["area_km2"].tolist(), strict=True))
    for number, ground in zip(basins["stream_id"].tolist(), basins["area_km2"].tolist(), strict=True):
        assert ground == pytest.approx(area[number])  # a basin is all that drains to its last cell


def test_directions_and_areas_agree_with_the_streams(made: Path) -> None:
    flow, area = read(made.with_name("fine_flow.tif")), read(made.with_name("fine_area.tif"))
    assert set(np.unique(flow)) <= {0, 1, 2, 4, 8, 16, 32, 64, 128}
    expected = drainage(read(made), None, SIZE / 2)
    np.testing.assert_array_equal(flow, expected.code)
    np.testing.assert_allclose(area, expected.area_km2, rtol=1e-6)
    with rasterio.open(made.with_name("fine_filled.tif")) as src:
        assert src.tags(ns="TERRAFINE")["DEM"] == "fine.tif"
        assert src.descriptions == ("elevation",)


def test_tiles_leave_no_trace(made: Path, tmp_path: Path) -> None:
    source = made.parent / "coarse.tif"
    small = terrafine.sharpen_dem(source, tmp_path / "fine.tif", hydro=True, stream_area_km2=0.05, tile=16, **QUICK)
    for ending in ("_flow.tif", "_area.tif", "_filled.tif"):
        np.testing.assert_array_equal(
            read(small.with_name(f"fine{ending}")), read(made.with_name(f"fine{ending}")), err_msg=ending
        )
    for name in ("streams", "catchments", "basins"):
        ours, theirs = (layer(p.with_name("fine_hydro.gpkg"), name) for p in (small, made))
        assert all(np.array_equal(ours[0][f], theirs[0][f]) for f in ours[0])


def test_water_from_beyond_the_edge_is_stated() -> None:
    """In a bowl whose water is all inside, the streams are complete; with the northern half cut off they are not."""
    whole = bowl()
    found = segments(drainage(whole, None, SIZE), 0.05, GRID)
    main = max(found, key=lambda s: s.area_km2)
    cut = segments(drainage(np.ascontiguousarray(whole[12:]), None, SIZE), 0.05, GRID)
    assert any(s.complete for s in found)
    assert not max(cut, key=lambda s: s.area_km2).complete
    assert main.area_km2 > max(s.area_km2 for s in cut)


def test_nodata_is_a_border_too() -> None:
    z = bowl()
    holed = z.copy()
    holed[14:17, 18:23] = np.nan
    before, after = (segments(drainage(s, np.isfinite(s), SIZE), 0.05, GRID) for s in (z, holed))
    assert any(s.complete for s in before if s.end[0] > 17)
    below = [s.complete for s in after if s.end[0] > 17]
    assert below and not any(below)
    labels, area = catchments(drainage(holed, np.isfinite(holed), SIZE), outlets(after))
    assert not labels[14:17, 18:23].any()
    assert sum(area.values()) == pytest.approx((labels > 0).sum() * CELL**2 / 1e6)


def test_no_stream_of_that_area_gives_empty_layers(tmp_path: Path) -> None:
    source = written(tmp_path / "coarse.tif", valley(20, 20))
    out = terrafine.sharpen_dem(source, tmp_path / "fine.tif", hydro=True, stream_area_km2=1e6, **QUICK)
    for name in ("streams", "catchments", "basins"):
        fields, shapes = layer(out.with_name("fine_hydro.gpkg"), name)
        assert len(shapes) == 0
        assert "area_km2" in fields


def test_degrees_are_measured_on_the_ground(tmp_path: Path) -> None:
    grid = Affine(1 / 3600, 0, 10, 0, -1 / 3600, 60)
    source = written(tmp_path / "coarse.tif", valley(), crs="EPSG:4326", transform=grid)
    out = terrafine.sharpen_dem(source, tmp_path / "fine.tif", hydro=True, stream_area_km2=0.05, **QUICK)
    area = read(out.with_name("fine_area.tif"))
    assert area.min() == pytest.approx(15.49 * 7.76 / 1e6, rel=0.01)  # half a second of arc at 60 degrees north
    with rasterio.open(out) as src:
        assert pyogrio.read_info(out.with_name("fine_hydro.gpkg"), layer="streams")["crs"] == src.crs.to_string()


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"memory": "1MB"}, ResourceError, "memory=|MB"),
        ({"stream_area_km2": -1.0}, UsageError, "above 0"),
        ({"stream_area_km2": 1.0, "hydro": False}, UsageError, "hydro=True"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    tmp_path: Path, more: dict[str, Any], error: type[Exception], said: str
) -> None:
    source = written(tmp_path / "coarse.tif", valley(20, 20))
    with pytest.raises(error, match=said):
        terrafine.sharpen_dem(source, tmp_path / "fine.tif", **(QUICK | {"hydro": True} | more))
    assert {p.name for p in tmp_path.iterdir()} == {"coarse.tif"}


def test_an_output_too_large_to_route_is_refused() -> None:
    with pytest.raises(ResourceError, match=r"hydro=True .* 15\.0 GB .* memory=SIZE"):
        module.Hydrology().require((10_000, 10_000), "EPSG:32633")
    module.Hydrology(limit_bytes=16 * 10**9).require((10_000, 10_000), "EPSG:32633")


def test_without_crs_and_in_memory_it_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path / "coarse.tif", valley(20, 20), crs=None)
    with pytest.raises(GridError, match="assume_crs="):
        terrafine.sharpen_dem(source, tmp_path / "fine.tif", hydro=True, pixel_size_m=30.0, **QUICK)
    with pytest.raises(UsageError, match="hydro"):
        terrafine.sharpen_dem(valley(20, 20), pixel_size_m=30.0, scale=2, model="bicubic", hydro=True)
    assert {p.name for p in tmp_path.iterdir()} == {"coarse.tif"}


def test_without_the_extra_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    source = written(tmp_path / "coarse.tif", valley(20, 20))
    for name in ("pyogrio.raw", "pyflwdir"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingExtraError, match="hydro"):
            terrafine.sharpen_dem(source, tmp_path / "fine.tif", hydro=True, **QUICK)
    assert {p.name for p in tmp_path.iterdir()} == {"coarse.tif"}


def test_a_failure_while_streams_are_written_leaves_everything_as_it_was(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(tmp_path / "coarse.tif", valley(20, 20))
    out = terrafine.sharpen_dem(source, tmp_path / "fine.tif", hydro=True, **QUICK)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("fine*") if p.is_file()}
    written(source, valley(20, 20) + 7)

    def broken(*_: object) -> None:
        raise OutputError("the vectors cannot be written")

    monkeypatch.setattr("terrafine.raster.write.geopackage.write_geopackage", broken)
    with pytest.raises(OutputError):
        terrafine.sharpen_dem(source, out, hydro=True, **QUICK)
    assert {p.name: p.read_bytes() for p in tmp_path.glob("fine*") if p.is_file()} == before


def test_basins_burnt_back_are_the_labels() -> None:
    from terrafine.raster.write.geopackage import polygons

    drained = drainage(valley(), None, SIZE)
    labels, _ = catchments(drained, segments(drained, 0.05, GRID))
    shapes = polygons(labels, GRID)
    burnt = rasterize([(s, n) for n, s in shapes.items()], labels.shape, transform=GRID, dtype="int32")
    np.testing.assert_array_equal(burnt, labels)
