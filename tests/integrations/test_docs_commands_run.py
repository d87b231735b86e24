"""Commands of the guides run on small generated inputs of the names that the pages use; the others say why not."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from tests.support import pages
from tests.support.cli import terrafine
from tests.support.paths import ROOT

HISTORY = {"docs/decisions.md", "docs/experiments.md", "CHANGELOG.md"}
RUN = {"dem", "height", "map", "image", "radar", "evaluate", "info", "export", "models"}
NOT_RUN = {  # a word of the command -> why it is not run here
    "--guide": "radar and images that belong together: tests/cli/test_guides.py",
    "--dask": "a cluster: tests/reliability/test_dask.py",
    "runs/": "weights of a training that the page begins with",
    "--gate": "a file of limits: tests/cli/test_evaluate.py",
    "--region": "polygons: tests/cli/test_map.py",
    "--reference": "several candidates: marked blocks of docs/tutorials/research.md",
    "--classes": "class maps: tests/cli/test_evaluate.py",
    "--stack": "dates of one place: tests/cli/test_map_stack.py",
    "truth.tif": "class maps and images: tests/cli/test_evaluate.py",
    "points.csv": "labelled points: tests/cli/test_evaluate.py",
    "s1_inc.tif": "a raster of incidence: tests/cli/test_radar.py",
    ".hgt": "names that state the place of a tile: tests/unit/raster",
    "impervious_": "years of a city, after maps of the same page",
    "my_product": "a product that is measured before: tests/cli/test_measure.py",
    "demo/": "marked blocks: tests/integrations/test_docs_run.py",
    "--sensor landsat-l2": "numbers of Landsat: tests/cli/test_height.py",
}


def commands() -> list[pages.Command]:
    """Every command of a verb that runs a model or reports."""
    every = [
        c
        for page in pages.pages()
        if page not in HISTORY
        for c in pages.commands(page, (ROOT / page).read_text(encoding="utf-8"))
    ]
    return [c for c in every if len(shlex.split(c.text)) > 1 and shlex.split(c.text)[1] in RUN]


def reason(text: str) -> str:
    """Why a command is not run here, or nothing."""
    return next((why for word, why in NOT_RUN.items() if word in text), "")


CHOSEN = [c for c in commands() if not reason(c.text)]


def heights(rows: int, columns: int, cell: float) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns] * cell
    return (600 + 90 * np.sin(x / 310) * np.cos(y / 270) + 0.05 * x - 0.08 * y).astype(np.float32)


def raster(path: Path, values: np.ndarray, cell: float, east: float = 0.0, names: tuple[str, ...] = ()) -> None:
    layers = values if values.ndim == 3 else values[None]
    made = {"driver": "GTiff", "dtype": layers.dtype, "count": len(layers), "crs": "EPSG:32633"}
    grid = Affine(cell, 0, 500_000 + east, 0, -cell, 5_200_000)
    with rasterio.open(path, "w", height=layers.shape[1], width=layers.shape[2], transform=grid, **made) as out:
        out.write(layers)
        if names:
            out.descriptions = names


def scene(side: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    field, roof = np.array([[500, 800, 450, 3200], [2600, 2300, 2100, 2800]])
    found = np.broadcast_to(field[:, None, None], (4, side, side)).astype(np.float64).copy()
    found[:, side // 3 : side // 2, side // 4 : side // 2] = roof[:, None, None]
    return (found + rng.normal(0, 30, found.shape)).round().astype(np.uint16)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs of the names that the pages use, 1.08 km wide."""
    folder = tmp_path_factory.mktemp("world")
    for name in ("glo30", "a", "coarse"):
        raster(folder / f"{name}.tif", heights(36, 36, 30), 30)
    raster(folder / "b.tif", heights(36, 36, 30), 30, east=36 * 30)
    for name in ("lidar", "reference"):
        raster(folder / f"{name}.tif", heights(144, 144, 7.5), 7.5)
    raster(folder / "utm.tif", heights(60, 60, 30) + np.float32(0.25), 30)
    raster(folder / "glo90.tif", heights(12, 12, 90), 90)
    for name in ("s2", "scene", "landsat"):
        raster(folder / f"{name}.tif", scene(36), 10, names=("red", "green", "blue", "nir"))
    (folder / "huge.vrt").write_text(
        '<VRTDataset rasterXSize="36" rasterYSize="36"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>500000, 30, 0, 5200000, 0, -30</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename relativeToVRT="1">glo30.tif'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>",
        encoding="utf-8",
    )
    return folder


def test_most_commands_of_these_verbs_run_and_every_reason_is_used() -> None:
    assert len(CHOSEN) >= 35
    texts = [c.text for c in commands()]
    assert [word for word in NOT_RUN if not any(word in text for text in texts)] == []


@pytest.mark.long
@pytest.mark.parametrize("command", CHOSEN, ids=str)
def test_a_command_runs(command: pages.Command, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the pages: what a command reads may be what one before it wrote."""
    monkeypatch.chdir(world)
    words = shlex.split(command.text)[1:]
    if words[0] in {"dem", "height", "map", "image", "radar", "export"}:
        words.append("--overwrite")
    if words[0] in {"map", "image", "height"}:
        words += ["--max-bright", "1"]
    if words[0] == "evaluate" or words[:2] == ["info", "fine.tif"]:
        assert terrafine("dem", "glo30.tif", "fine.tif", "--model", "bicubic", "--overwrite").exit_code == 0
    done = terrafine(*words)
    assert done.exit_code == 0, done.output
