"""Items that state a wrong grid, or files that hold other numbers than the product: right, or left out and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.rasters import read_bands
from tests.support.scenes import PISA, add_scene, preset, real_numbers, write_asset
from tests.support.stac_server import Server

import terrafine
from terrafine.errors import EmptyError, GridError

AOI = (10.381, 43.7222, 10.396, 43.731)
SOON: dict[str, Any] = {"timeout_s": 120.0, "attempts": 2, "backoff_s": 0.0}
OLD = {"s2:processing_baseline": "02.14"}


def fetched(server: Server, folder: Path) -> Any:
    out = folder / "s2.tif"
    return terrafine.fetch("sentinel-2", out, aoi=AOI, dates="2020", service=preset(server, folder), **SOON)[0]


@pytest.mark.parametrize("wrong", ["transform", "shape"])
def test_a_grid_that_an_item_states_wrongly_moves_and_hides_nothing(server: Server, tmp_path: Path, wrong: str) -> None:
    numbers, where = real_numbers("pisa", 1, PISA)
    item = add_scene(server, "a", numbers, where, "2020-06-01T10:10:00Z", properties=OLD)
    if wrong == "transform":
        item["properties"]["proj:transform"][2] += 1000
    else:
        item["properties"]["proj:shape"] = [10, 10]
    server.add(item)
    bands, _ = read_bands(fetched(server, tmp_path).path)
    np.testing.assert_allclose(bands["red"], numbers[0, 58:159, 28:152] * 1e-4, atol=1e-6)
    assert (bands["clear_count"] == 1).all()


def test_a_band_that_is_reflectance_already_is_not_scaled_again(server: Server, tmp_path: Path) -> None:
    numbers, where = real_numbers("pisa", 1, PISA)
    add_scene(server, "a", numbers, where, "2020-06-01T10:10:00Z", properties=OLD)
    path = server.folder / server.places["a"] / "nir.tif"
    write_asset(path, (numbers[3] * 1e-4).astype(np.float32), where)
    with pytest.raises(EmptyError, match=r"a, nir: holds float32; expected whole numbers"):
        fetched(server, tmp_path)
    add_scene(server, "b", numbers, where, "2020-07-01T10:10:00Z", properties=OLD)
    done = fetched(server, tmp_path)
    assert list(done.failed) == ["a"] and done.scenes == 1
    np.testing.assert_allclose(read_bands(done.path)[0]["nir"], numbers[3, 58:159, 28:152] * 1e-4, atol=1e-6)


def test_an_area_around_the_globe_is_refused_by_its_width(server: Server, tmp_path: Path) -> None:
    with pytest.raises(GridError, match="360 degrees of longitude wide"):
        terrafine.fetch("sentinel-2", tmp_path / "a.tif", aoi=(-180, -85, 180, 85), dates="2020", **SOON)
    assert server.requests("/") == 0
