"""Publishing: what is under the final name is whole, equal to what was given, and the same bytes every time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from tests.support.paths import ROOT
from tests.support.rasters import heights, read_all, utm_grid

from terrafine.errors import DiskError, OutputError, TerrafineError
from terrafine.raster.read.checks.integrity import read_directories
from terrafine.raster.read.source import open_source
from terrafine.raster.vertical import from_name
from terrafine.raster.write import cog_writer
from terrafine.raster.write.cog_writer import check_free_space, open_cog, write_cog
from terrafine.raster.write.encoding import Encoding

SHAPE = (700, 1100)


def surface() -> np.ndarray:
    z = heights(SHAPE)[None].copy()
    z[0, 100:300, 40:800] = np.nan
    z[0, -1, -1] = np.nan
    return z


def blocks(z: np.ndarray, step: int = 512) -> Iterator[np.ndarray]:
    for top in range(0, z.shape[1], step):
        yield z[:, top : top + step]


def write(path: Path, z: np.ndarray, step: int = 512, **more: Any) -> cog_writer.Published:
    names = ("elevation", "elevation_sigma")[: z.shape[0]]
    return write_cog(path, utm_grid(*z.shape[1:]), blocks(z, step), band_names=names, units=("m",) * len(names), **more)


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    z = surface()
    done = write(tmp_path / "o.tif", z, tags={"MODEL": "ridgeline"})
    values, valid = read_all(open_source(done.path))
    np.testing.assert_array_equal(valid, ~np.isnan(z[0]))
    np.testing.assert_array_equal(values[valid], z[0][valid])
    content = done.path.read_bytes()
    assert done.bytes == len(content) and done.sha256 == hashlib.sha256(content).hexdigest()
    assert leftovers(tmp_path) == ["o.tif"]


@pytest.mark.parametrize(("step", "threads"), [(1, 1), (100, 2), (513, 1), (2000, 4)])
def test_the_bytes_depend_on_pixels_alone(tmp_path: Path, step: int, threads: int) -> None:
    z = np.concatenate([surface(), np.abs(surface() - 500)])
    first = write(tmp_path / "a.tif", z, threads=2)
    assert write(tmp_path / "b.tif", z, step, threads=threads).sha256 == first.sha256
    z[0, 5, 5] += 1e-3
    assert write(tmp_path / "b.tif", z, step, threads=threads).sha256 != first.sha256


def test_the_layout_is_that_of_a_cog(tmp_path: Path) -> None:
    path = write(tmp_path / "o.tif", surface()).path
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.block_shapes == [(512, 512)] and file.dtypes == ("float32",)
        assert file.overviews(1) == [2, 4] and file.profile["compress"] == "zstd"
    found = read_directories(str(path))
    assert found is not None and len(found) == 3
    ends = [int((d.offsets + d.counts).max()) for d in found]
    starts = [int(d.offsets.min()) for d in found]
    assert starts[2] < ends[2] < starts[1] < ends[1] < starts[0] < ends[0]  # overviews first, coarsest first
    content = path.read_bytes()
    for directory in found:
        assert (np.diff(directory.offsets.astype(np.int64)) > 0).all()
        for at, n in zip(directory.offsets.tolist(), directory.counts.tolist(), strict=True):
            assert int.from_bytes(content[at - 4 : at], "little") == n
            assert content[at + n : at + n + 4] == content[at + n - 4 : at + n]


def test_a_file_of_more_than_four_gigabytes_would_be_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terrafine.raster.write.cog_layout._CLASSIC_LIMIT", 1000)
    z = surface()
    path = write(tmp_path / "o.tif", z).path
    assert path.read_bytes()[:4] == b"II\x2b\0"
    values, valid = read_all(open_source(path))
    np.testing.assert_array_equal(values[valid], z[0][valid])


def test_overviews_are_means_of_valid_cells(tmp_path: Path) -> None:
    z = surface()
    path = write(tmp_path / "o.tif", z).path
    padded = np.pad(z[0], ((0, SHAPE[0] % 2), (0, SHAPE[1] % 2)), mode="edge").astype(np.float64)
    quads = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2)
    n = (~np.isnan(quads)).sum(axis=(1, 3))
    mean = np.nansum(quads, axis=(1, 3)) / np.maximum(n, 1)
    with rasterio.open(path, overview_level=0) as file:
        read = file.read(1)
    np.testing.assert_array_equal(read == -9999, n == 0)
    np.testing.assert_allclose(read[n > 0], mean[n > 0], rtol=1e-6)


def test_tags_statistics_names_and_units_are_kept(tmp_path: Path) -> None:
    z = surface()
    path = write(
        tmp_path / "o.tif", z, tags={"MODEL": "ridgeline", "SCALE": "4"}, vertical=from_name("EGM2008"), surface="DSM"
    ).path
    known = z[~np.isnan(z)].astype(np.float64)
    with rasterio.open(path) as file:
        told = file.tags(ns="TERRAFINE")
        stats = file.tags(1)
        assert file.tags()["TIFFTAG_SOFTWARE"] == "Terrafine"
        assert file.descriptions == ("elevation",) and file.units == ("m",)
    assert told == {"MODEL": "ridgeline", "SCALE": "4", "VERTICAL_DATUM": "EGM2008", "SURFACE": "DSM"}
    assert float(stats["STATISTICS_MINIMUM"]) == pytest.approx(known.min())
    assert float(stats["STATISTICS_MAXIMUM"]) == pytest.approx(known.max())
    assert float(stats["STATISTICS_MEAN"]) == pytest.approx(known.mean(), rel=1e-6)
    assert float(stats["STATISTICS_STDDEV"]) == pytest.approx(known.std(), rel=1e-5)
    assert float(stats["STATISTICS_VALID_PERCENT"]) == pytest.approx(100 * known.size / z.size, rel=1e-3)
    source = open_source(path)
    assert source.surface == "DSM" and source.vertical is not None and source.vertical.name == "EGM2008"


@pytest.mark.parametrize("meaning", ["Area", "Point"])
def test_place_and_pixel_meaning_survive(tmp_path: Path, meaning: str) -> None:
    z = surface()
    source = open_source(write(tmp_path / "o.tif", z, area_or_point=meaning).path)
    assert source.area_or_point == meaning and source.geobox == utm_grid(*SHAPE)


@pytest.mark.parametrize("nodata", [np.nan, -32768.0, None, -3.4028234663852886e38, 0.0])
def test_missing_cells_take_the_given_nodata_and_no_others_do(tmp_path: Path, nodata: float | None) -> None:
    z = surface()
    huge = nodata is not None and abs(nodata) > 1e30
    if not huge:  # a measured value that looks missing
        z[0, 0, 0] = -9999.0 if nodata is None or np.isnan(nodata) else nodata
    if nodata == -32768:  # no height: refused before it can be taken for a missing one
        with pytest.raises(OutputError, match="near row 0 elevation from -32768"):
            write(tmp_path / "o.tif", z, nodata=nodata)
        z[0, 0, 0] = 0.0
    path = write(tmp_path / "o.tif", z, nodata=nodata).path
    values, valid = read_all(open_source(path, check_range=False))
    np.testing.assert_array_equal(valid, ~np.isnan(z[0]))
    if nodata == 0:
        assert 0 < abs(values[0, 0]) < 1e-30


def test_grids_without_crs_or_overviews_are_written(tmp_path: Path) -> None:
    from odc.geo.geobox import GeoBox

    z = heights((20, 30))[None]
    grid = GeoBox((20, 30), utm_grid(20, 30).affine, None)
    path = write_cog(tmp_path / "o.tif", grid, [z], band_names=["elevation"], units=["m"], statistics=False).path
    with rasterio.open(path) as file:
        assert file.crs is None and file.overviews(1) == [] and "STATISTICS_MEAN" not in file.tags(1)
    np.testing.assert_array_equal(read_all(open_source(path, pixel_size_m=30.0))[0], z[0])


@pytest.mark.parametrize("old", [None, b"what was there before"])
def test_an_iterator_that_fails_leaves_what_was_there(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "o.tif"
    if old is not None:
        path.write_bytes(old)

    def rows() -> Iterator[np.ndarray]:
        yield surface()[:, :300]
        raise RuntimeError("the model broke")

    with pytest.raises(RuntimeError, match="the model broke"):
        write_cog(path, utm_grid(*SHAPE), rows(), band_names=["elevation"], units=["m"])
    assert leftovers(tmp_path) == ([] if old is None else ["o.tif"])
    assert old is None or path.read_bytes() == old


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([np.zeros((1, 699, 1100), np.float32)], "got 699 rows"),
        ([np.zeros((1, 701, 1100), np.float32)], "more rows"),
        ([np.zeros((2, 700, 1100), np.float32)], "shape"),
        ([np.zeros((1, 700, 1099), np.float32)], "shape"),
        ([np.full((1, 700, 1100), np.inf, np.float32)], "infinite"),
        ([np.where(np.eye(700, 1100) > 0, np.float32(np.nan), -np.inf)[None].astype(np.float32)], "infinite"),
    ],
)
def test_rows_that_do_not_fill_the_grid_are_refused(tmp_path: Path, rows: list[np.ndarray], message: str) -> None:
    with pytest.raises(OutputError, match=message):
        write_cog(tmp_path / "o.tif", utm_grid(*SHAPE), rows, band_names=["elevation"], units=["m"])
    assert leftovers(tmp_path) == []


def test_a_block_that_reads_back_different_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cog_writer.cog_layout.assemble

    def damaging(levels: list[str], target: str) -> tuple[str, int]:
        done = whole(levels, target)
        other = surface() + np.float32(1e-3)
        with rasterio.open(target) as file:
            profile = file.profile
        with rasterio.open(target, "w", **profile) as file:
            file.write(np.where(np.isnan(other), np.float32(-9999), other))
            file.build_overviews([2, 4])
        return done

    monkeypatch.setattr(cog_writer.cog_layout, "assemble", damaging)
    with pytest.raises(OutputError, match="read back different"):
        write(tmp_path / "o.tif", surface())
    assert leftovers(tmp_path) == []


FULL_DISK = """
import resource, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from tests.support.paths import ROOT
from tests.support.rasters import utm_grid
from terrafine.errors import DiskError
from terrafine.raster.write.cog_writer import write_cog

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
z = np.random.default_rng(0).normal(0, 100, (1, 1100, 1100)).astype(np.float32)
try:
    write_cog(sys.argv[1], utm_grid(1100, 1100), [z], band_names=["elevation"], units=["m"])
except DiskError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("limit", [4_000, 1_500_000, 5_000_000])
def test_a_disk_that_fills_is_an_error_and_publishes_nothing(tmp_path: Path, limit: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "o.tif"), str(ROOT), str(limit)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0 and "refused:" in done.stdout, done.stderr
    assert leftovers(tmp_path) == []


def test_a_level_that_is_short_is_a_full_disk(tmp_path: Path) -> None:
    done = write(tmp_path / "o.tif", surface())
    with open(done.path, "r+b") as file:
        file.truncate(done.bytes - 2000)
    with pytest.raises(DiskError, match="did not reach the disk"):
        cog_writer.cog_layout.assemble([str(done.path)], str(tmp_path / "p.tif"))


def test_free_space_is_asked_for_where_the_file_will_lie(tmp_path: Path) -> None:
    check_free_space(tmp_path / "not" / "yet" / "there.tif", 1)
    with pytest.raises(DiskError, match=r"needs .* MB, but"):
        check_free_space(tmp_path / "o.tif", 1 << 60)


def test_an_unwritable_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no folder"):
        write(tmp_path / "absent" / "o.tif", surface())
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write(tmp_path / "folder", surface())


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "o.tif"

    def rows() -> Iterator[np.ndarray]:
        with pytest.raises(OutputError, match="another run"):
            write(path, surface())
        yield from blocks(surface())

    write_cog(path, utm_grid(*SHAPE), rows(), band_names=["elevation"], units=["m"])
    assert read_all(open_source(path))[1].sum() == (~np.isnan(surface())).sum()


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    shop = tmp_path / ".o.tif.part"
    shop.mkdir()
    (shop / "level0.tif").write_bytes(b"half a file")
    write(tmp_path / "o.tif", surface())
    assert leftovers(tmp_path) == ["o.tif"]


def test_a_failure_of_whoever_yields_rows_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    def rows() -> Iterator[np.ndarray]:
        yield surface()[:, :10]
        (tmp_path / "absent" / "input.bin").read_bytes()

    with pytest.raises(FileNotFoundError) as caught:
        write_cog(tmp_path / "o.tif", utm_grid(*SHAPE), rows(), band_names=["elevation"], units=["m"])
    assert not isinstance(caught.value, TerrafineError)


def classes() -> np.ndarray:
    rng = np.random.default_rng(3)
    z = (rng.random((1, 700, 1100)) < 0.3).astype(np.float32)
    z[0, 100:300, 40:800] = np.nan
    return z


def test_whole_numbers_keep_palette_scale_and_range(tmp_path: Path) -> None:
    z = classes()
    palette = {0: (232, 236, 222), 1: (178, 34, 52)}
    layout = {"band_names": ("class",), "units": ("1",)}
    with open_cog(
        tmp_path / "c.tif",
        utm_grid(*z.shape[1:]),
        encoding=Encoding("uint8", nodata=255, palette=palette),
        tags=(tags := {}),
        **layout,
    ) as writer:
        for block in blocks(z, 100):
            writer.push(block)
        tags["SHARE"] = "told by the rows"
        assert not (tmp_path / "c.tif").exists()
    assert writer.published.bytes == (tmp_path / "c.tif").stat().st_size
    with rasterio.open(tmp_path / "c.tif") as file:
        assert file.dtypes == ("uint8",) and file.nodata == 255 and file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert [file.colormap(1)[n][:3] for n in (0, 1)] == list(palette.values())
        assert file.tags(ns="TERRAFINE") == {"SHARE": "told by the rows"}
        np.testing.assert_array_equal(file.read(1), np.where(np.isnan(z[0]), 255, z[0]))
    with rasterio.open(tmp_path / "c.tif", overview_level=1) as file:  # 4 × 4 cells: the class of more than half
        quads = z[0].reshape(175, 4, 275, 4).transpose(0, 2, 1, 3).reshape(175, 275, 16)
        whole = ~np.isnan(quads).any(axis=2)
        np.testing.assert_array_equal(file.read(1)[whole], quads.sum(axis=2)[whole] > 8)
        assert file.colormap(1)[1][:3] == palette[1]


def test_a_scale_is_stated_and_undone_by_whoever_reads(tmp_path: Path) -> None:
    z = np.linspace(-0.15, 1.6, 40 * 50, dtype=np.float32).reshape(1, 40, 50)
    z[0, 3, 4] = np.nan
    encoding = Encoding("int16", scale=1e-4, nodata=-32768)
    with open_cog(tmp_path / "r.tif", utm_grid(40, 50), encoding=encoding, band_names=("red",), units=("1",)) as writer:
        writer.push(z)
    source = open_source(tmp_path / "r.tif", want=("red",))
    values, valid = read_all(source, "red")
    assert source.scaled
    np.testing.assert_array_equal(valid, ~np.isnan(z[0]))
    np.testing.assert_allclose(values[valid], z[0][valid], atol=5.1e-5)


@pytest.mark.parametrize("value", [255.0, -1.0, 300.0])
def test_a_number_out_of_its_types_range_or_equal_to_nodata_is_refused(tmp_path: Path, value: float) -> None:
    z = np.full((1, 8, 8), value, np.float32)
    layout = {"band_names": ("class",), "units": ("1",), "encoding": Encoding("uint8", nodata=255)}
    with (
        pytest.raises(OutputError, match="expected 0 to 254"),
        open_cog(tmp_path / "c.tif", utm_grid(8, 8), **layout) as w,
    ):
        w.push(z)
    assert leftovers(tmp_path) == []
