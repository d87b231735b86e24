"""The table of sensors is the only place that states how numbers become reflectance: a changed row changes all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
from tests.support.rasters import write_raster

from terrafine.acquire.observe import _values
from terrafine.campaign.plan import _require_known
from terrafine.cli import main
from terrafine.datasets.terrain.height import _both
from terrafine.errors import UsageError
from terrafine.raster.read.images.reflectance import open_image
from terrafine.raster.read.images.sensors import SENSORS, SENSORS_10M
from terrafine.raster.read.source import open_source
from terrafine.training.height.data import _load
from terrafine.training.scenes.data import _read

SIDE = 32
AT: dict[str, Any] = {"crs": "EPSG:32632", "origin": (6e5, 4.8e6), "nodata": None, "cell": 10.0}
ROWS = slice(0, SIDE)


def numbers(bands: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(200, 4000, (bands, SIDE, SIDE)).astype(np.uint16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_raster(tmp_path / "a.tif", numbers(4), names=("red", "green", "blue", "nir"), **AT)
    heights = np.full((SIDE, SIDE), 400, np.float32)
    write_raster(tmp_path / "dem.tif", heights, **AT)
    return tmp_path


def fetched(kind: str) -> np.ndarray:
    request: Any = SimpleNamespace(collection=SimpleNamespace(kind=kind))
    return _values(request, numbers(3).astype(np.float32) + 9000, None)


def of_a_dataset(folder: Path) -> np.ndarray:
    with open_image(folder / "a.tif", sensor="sentinel2") as picture, open_source(folder / "dem.tif") as under:
        return _both(picture, under, ROWS, SIDE)[0]


def read(folder: Path) -> np.ndarray:
    with open_image(folder / "a.tif", sensor="sentinel2") as image:
        return image.read("red", ROWS, ROWS)[0]


USERS: dict[str, tuple[str, Callable[[Path], np.ndarray]]] = {
    "reading": ("sentinel2", read),
    "samples of heights": ("sentinel2", of_a_dataset),
    "training on heights": ("sentinel2", lambda at: _load(at / "a.tif", at / "dem.tif", "a", "sentinel2").image),
    "training on scenes": ("sentinel2", lambda at: _read(at / "a.tif")[0]),
    "fetched Sentinel-2": ("sentinel2", lambda _: fetched("sentinel-2-l2a")),
    "fetched Landsat": ("landsat-l2", lambda _: fetched("landsat-l2")),
}


@pytest.mark.parametrize("user", USERS)
def test_every_reader_of_reflectance_follows_the_row(user: str, folder: Path) -> None:
    name, found = USERS[user]
    row, before = SENSORS[name], found(folder)
    factor = row.factor
    object.__setattr__(row, "factor", 1.02 * factor)
    try:
        changed = found(folder)
    finally:
        object.__setattr__(row, "factor", factor)
    assert not np.array_equal(changed, before)
    np.testing.assert_array_equal(found(folder), before)


def test_a_campaign_knows_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Any = SimpleNamespace(source=SimpleNamespace(sensor="twin", product=None), path="a.toml")
    with pytest.raises(UsageError, match="'twin'"):
        _require_known(settings)
    monkeypatch.setitem(SENSORS, "twin", SENSORS["sentinel2"])
    _require_known(settings)


@pytest.mark.parametrize(("verb", "names"), [("height", tuple(SENSORS)), ("map", SENSORS_10M), ("image", SENSORS_10M)])
def test_the_command_line_offers_the_rows(verb: str, names: tuple[str, ...]) -> None:
    command = main.get_command(click.Context(main), verb)
    assert command is not None
    (option,) = [p for p in command.params if "--sensor" in p.opts]
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == names
