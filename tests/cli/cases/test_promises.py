"""Promises are enforced before a file gets its name: hard consistency, and shards that are whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from tests.support.cases import assert_refused, ground
from tests.support.cli import terrafine
from tests.support.rasters import read_band, write_raster
from tests.support.surfaces import block_means
from tests.support.weights import write_weights

SMALL = {"channels": 8, "blocks": [1, 0], "deep_channels": 0, "deep_blocks": 0}
# A share of the relief in metres; block means of float32 heights of 9,000 m have steps of 0.001 m.
KEPT = 0.01


@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.3, 30.0, 900.0, 30_000.0])
@pytest.mark.parametrize("base", [0.0, 8000.0])
@pytest.mark.parametrize("model", ["ridgeline", "bicubic"])
def test_block_means_are_kept_on_any_cell_size_or_nothing_is_published(
    model: str, base: float, size: float, tmp_path: Path
) -> None:
    place = Affine(size, 0, 500_000, 0, -size, 5_000_000)
    z = ground(base=base).astype(np.float32)
    source, out = write_raster(tmp_path / "a.tif", z, transform=place), tmp_path / "o.tif"
    result = terrafine("dem", source, out, "--scale", 2, "--model", model, "--quiet")
    if result.exit_code:
        assert_refused(result, output=out)
        return
    assert np.abs(block_means(read_band(out), 2) - z).max() < KEPT


@pytest.mark.parametrize("spread", [0.01, 0.3, 3.0, 100.0])
def test_foreign_weights_keep_block_means_or_publish_nothing(spread: float, tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "w.safetensors", "ridgeline", SMALL, 2, spread)
    z = ground().astype(np.float32)
    source, out = write_raster(tmp_path / "a.tif", z), tmp_path / "o.tif"
    result = terrafine("dem", source, out, "--scale", 2, "--model", weights, "--quiet")
    if result.exit_code:
        assert 2 <= result.exit_code <= 17, result.output
        assert not out.exists()
        return
    assert np.abs(block_means(read_band(out), 2) - z).max() < KEPT


@pytest.mark.parametrize("gap", ["none", "block", "scattered", "edge"])
@pytest.mark.parametrize("grid", ["utm", "degrees", "another-crs"])
def test_block_means_are_kept_beside_nodata(gap: str, grid: str, tmp_path: Path) -> None:
    z = ground().astype(np.float32)
    if gap == "block":
        z[10:20, 12:30] = np.nan
    elif gap == "scattered":
        z[::7, ::5] = np.nan
    elif gap == "edge":
        z[:, :3] = np.nan
    where = {"crs": "EPSG:4326", "cell": 1 / 3600, "origin": (12.0, 60.0)} if grid == "degrees" else {}
    source, out = write_raster(tmp_path / "a.tif", z, **where), tmp_path / "o.tif"
    more = ("--tile", 16) if grid == "another-crs" else ()
    result = terrafine("dem", source, out, "--scale", 2, "--quiet", *more)
    assert result.exit_code == 0, result.output
    found = block_means(read_band(out), 2)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(z))
    assert np.nanmax(np.abs(found - z)) < KEPT


@pytest.mark.parametrize("at", [0.02, 0.3, 0.5, 0.7, 0.95, 0.999])
def test_a_shard_that_is_damaged_before_assembly_is_never_published(
    at: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terrafine.inference import engine

    real = engine.assemble_rows

    def damaged(*args: object, **named: object) -> object:
        (shard,) = tmp_path.glob("o.tif.job/**/shard-*.bin")
        with open(shard, "r+b") as file:
            file.seek(int(at * shard.stat().st_size))
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 0x3F]))
        return real(*args, **named)

    source = write_raster(tmp_path / "a.tif", ground().astype(np.float32))
    out, good = tmp_path / "o.tif", tmp_path / "g.tif"
    assert terrafine("dem", source, good, "--scale", 2, "--quiet").exit_code == 0
    monkeypatch.setattr(engine, "assemble_rows", damaged)
    result = terrafine("dem", source, out, "--scale", 2, "--quiet")
    if result.exit_code == 0:  # the damage was found and the shard computed again, or it lies in no row that is used
        np.testing.assert_array_equal(read_band(out), read_band(good))
    else:
        assert not out.exists()
    monkeypatch.setattr(engine, "assemble_rows", real)
    again = terrafine("dem", source, out, "--scale", 2, "--quiet", *(() if result.exit_code else ("--restart",)))
    assert again.exit_code == 0, again.output
    np.testing.assert_array_equal(read_band(out), read_band(good))
