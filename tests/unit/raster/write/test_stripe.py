"""Rows that wait on the disk, and columns written one after the other, give the bytes of a file made in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.rasters import utm_grid

from terrafine.errors import DiskError, OutputError
from terrafine.raster.write import overviews, stripe
from terrafine.raster.write.cog_writer import write_cog


def surface(bands: int) -> np.ndarray:
    z = np.random.default_rng(5).normal(500, 100, (bands, 1301, 2075)).astype(np.float32)
    z[:, 200:700, 900:1600] = np.nan
    z[1:] = np.abs(z[1:])  # standard errors
    z[0, 3, 7] = -9999
    return z


def write(path: Path, z: np.ndarray) -> bytes:
    names = ["elevation", "elevation_sigma"][: z.shape[0]]
    rows = (z[:, top : top + 137] for top in range(0, z.shape[1], 137))
    write_cog(path, utm_grid(*z.shape[1:]), rows, band_names=names, units=["m"] * len(names))
    return path.read_bytes()


@pytest.mark.parametrize("bands", [1, 2])
@pytest.mark.parametrize(("kept", "columns"), [(0, 8192), (0, 1024), (1 << 30, 1024)])
def test_neither_disk_nor_columns_change_a_byte(
    kept: int, columns: int, bands: int, tmp_path: Path, monkeypatch
) -> None:
    z = surface(bands)
    whole = write(tmp_path / "whole.tif", z)
    monkeypatch.setattr(stripe, "_IN_MEMORY", kept)
    monkeypatch.setattr(overviews, "_COLUMNS", columns * bands)
    assert write(tmp_path / "parts.tif", z) == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts.tif", "whole.tif"]


def test_a_stripe_on_the_disk_that_is_damaged_is_noticed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(stripe, "_IN_MEMORY", 0)
    monkeypatch.setattr(stripe.Stripe, "put", lambda *_: None)
    with pytest.raises((DiskError, OutputError)):
        write(tmp_path / "o.tif", surface(1))
    assert list(tmp_path.iterdir()) == []


def test_rows_return_as_they_were_placed(tmp_path: Path) -> None:
    z = surface(2)[:, :512]
    for name, limit in (("memory", 1 << 30), ("disk", 0)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stripe, "_IN_MEMORY", limit)
            rows = stripe.Stripe(tmp_path / name, 2, z.shape[2])
            for top in range(0, 512, 100):
                rows.put(top, 0, z[:, top : top + 100, :1000])
                rows.put(top, 1000, z[:, top : top + 100, 1000:])
            np.testing.assert_array_equal(rows.take(511, slice(990, 1300)), z[:, :511, 990:1300])
            rows.remove()
    assert list(tmp_path.iterdir()) == []
