"""A real pair in training: its patches, the errors of its sensor in other terrain, and the band that is held out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from tests.support.rasters import write_raster

from terrafine.errors import DataError, RecipeError
from terrafine.nn.system import REFERENCE_SLOPE
from terrafine.raster.products import find_product
from terrafine.systems import find_system
from terrafine.training.dem.packed import read_packed_pair, write_pack
from terrafine.training.dem.pair_patches import pair_patch, with_errors
from terrafine.training.dem.products import ProductDegradation
from terrafine.training.dem.real_error import growth_on
from terrafine.training.dem.real_pair import PairCells, RealPair, load_pair, pair_cells
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.dem.task import DemTask, read_data
from terrafine.training.recipe import read_recipe

CELL = 90.0
ROWS, COLS = 120, 100
TABLE = RealPair("pair/coarse.tif", "pair/fine.tif", "srtm3", (0.0, 0.3), gap=6)
RECIPE = """
system = "ridgeline2"
name = "tiny"
version = "0.1"
scale = 2
scales = [2, 3]
seed = 1
validation_patches = 4
[network]
channels = 8
blocks = 1
scales = [2, 3]
[data]
gap = 4
[data.files]
"ground/*.tif" = 1.0
[data.held_out]
"ground/b" = [0.0, 1.0]
[patches]
size = 16
batch = 4
exaggerate = 0.2
[products]
exact = 0.4
[misfit]
[pair]
coarse = "pair/coarse.tif"
reference = "pair/fine.tif"
product = "srtm3"
held_out = [0.0, 0.3]
gap = 6
validation_patches = 3
[optim]
steps = 2
rate = 1e-3
warmup = 1
"""


def surface(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    rough = np.random.default_rng(seed).normal(size=(rows, cols))
    return 400 + 900 * gaussian_filter(rough, 6) + 150 * gaussian_filter(rough, 2)


def cells(table: RealPair = TABLE) -> PairCells:
    """A pair whose errors are known: 2 m of noise on the mean of each cell."""
    fine = surface(2 * ROWS, 2 * COLS)
    coarse = fine.reshape(ROWS, 2, COLS, 2).mean(axis=(1, 3)) + np.random.default_rng(1).normal(0, 2, (ROWS, COLS))
    pixel = np.full((2, ROWS), CELL)
    valid = np.ones((ROWS, COLS), bool)
    return pair_cells(
        table, find_product(table.product), coarse.astype(np.float32), fine.astype(np.float32), valid, pixel
    )


@pytest.fixture(scope="module")
def folder(ground: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data folder with a pair in it, whose coarse file lies 20 m too far west."""
    root = tmp_path_factory.mktemp("with_pair")
    (root / "ground").symlink_to(ground / "ground")
    (root / "pair").mkdir()
    fine = surface(3 * ROWS, 3 * COLS, seed=4)
    coarse = fine.reshape(ROWS, 3, COLS, 3).mean(axis=(1, 3))
    coarse[50:60, 40:60] = -9999
    kinds = {"fine": (fine, 30.0, 600_000.0), "coarse": (coarse, 90.0, 600_000.0 - 20.0)}
    for name, (heights, cell, west) in kinds.items():
        write_raster(
            root / "pair" / f"{name}.tif",
            heights.astype(np.float32),
            nodata=-9999,
            crs="EPSG:32630",
            transform=(cell, 0.0, west, 0.0, -cell, 6_200_000.0),
        )
    return root


def recipe(path: Path, change: tuple[str, str] = ("", "")) -> DemRecipe:
    path.write_text(RECIPE.replace(*change) if change[0] else RECIPE, encoding="utf-8")
    return read_recipe(path, DemRecipe)


def test_the_stated_shift_registers_the_files_and_gaps_are_not_cells_of_the_pair(folder: Path) -> None:
    still, moved = (load_pair(folder, replace(TABLE, shift_m=(east, 0.0))) for east in (0.0, 20.0))
    assert moved.coarse.shape == (ROWS, COLS)
    assert moved.fine.shape == (2 * ROWS, 2 * COLS)
    assert not moved.valid[50:60, 40:60].any()
    assert moved.valid[5:45, 5:-5].all()
    assert np.isfinite(moved.coarse).all()
    inner = np.s_[5:45, 5:-5]
    assert moved.error[inner].std() < 0.3 * still.error[inner].std()


def test_errors_are_what_the_coarse_file_adds_to_the_blurred_and_averaged_reference() -> None:
    pair = cells()
    assert pair.error.std() == pytest.approx(2.0, rel=0.05)
    blurred = cells(replace(TABLE, blur_m=60.0))
    assert blurred.error.std() > 1.2 * pair.error.std(), "the mean is sharper than the stated point spread"


def test_the_held_out_band_and_its_margin_are_not_trained_on() -> None:
    training, held_out = cells().split()
    assert held_out.zones == ((0, 36),)
    assert training.zones == ((42, ROWS),)
    rng = np.random.default_rng(2)
    rows = {y for y, _ in (training._window(16, rng) for _ in range(300))}
    assert min(rows) == 42
    assert max(rows) == ROWS - 16
    with pytest.raises(DataError, match="all rows are held out"):
        cells(replace(TABLE, held_out=(0.0, 1.0))).split()


def test_drawn_errors_are_as_large_as_the_noise_that_is_stated_for_them() -> None:
    pair = cells(replace(TABLE, by_slope=0.0, stated=0.0))
    drawn = [pair.draw_error(28, np.random.default_rng(i)) for i in range(60)]
    shares = np.asarray([error.share.std() for error in drawn])
    levels = np.asarray([error.noise_share for error in drawn])
    assert levels.max() / levels.min() > 2.0
    assert levels.max() / levels.min() <= math.exp(2 * TABLE.level)
    product = pair._sensor((CELL, CELL)).noise_m(REFERENCE_SLOPE)
    np.testing.assert_allclose(shares / levels, 2.0 / product, rtol=0.15)


def test_errors_by_slope_are_those_at_the_reference_slope_and_grow_with_it_again() -> None:
    pair = cells(replace(TABLE, by_slope=1.0, level=0.0))
    even = replace(pair, table=replace(pair.table, by_slope=0.0))
    one, other = (p.draw_error(28, np.random.default_rng(3)) for p in (pair, even))
    assert one.by_slope
    assert not other.by_slope
    slopes = np.asarray([[0.0, REFERENCE_SLOPE, 0.5, 9.0]])
    np.testing.assert_allclose(other.relative(slopes), 1.0)
    low, middle, steep, cliff = one.relative(slopes)[0]
    assert low < middle < steep < cliff
    np.testing.assert_allclose([middle, cliff], [1.0, 4.0])
    there = growth_on(pair.slope.astype(np.float64), one.noise_growth)
    ratio = np.abs(other.share[one.share != 0] / one.share[one.share != 0])
    assert there.min() * 0.99 < ratio.min() < 0.9
    assert 1.1 < ratio.max() < there.max() * 1.01


def test_real_errors_take_the_place_of_the_noise_and_nothing_else_of_canopy() -> None:
    pair = cells(replace(TABLE, errors=1.0, by_slope=0.0, stated=0.0, level=0.0))
    noisy = ProductDegradation(noise_share=0.5, correlation_cells=1.0, exact=False)
    made = with_errors(noisy, pair, 28, np.random.default_rng(5))
    level = torch.zeros((28 * 3, 28 * 3), dtype=torch.float64)
    found = made(level, 3, np.random.default_rng(0), (30.0, 30.0))
    assert made.error is not None
    np.testing.assert_allclose(found, 30.0 * made.error.share[6:-6, 6:-6])
    assert made.conditions((30.0, 30.0))[1] == pytest.approx(made.noise_share)
    assert with_errors(ProductDegradation(), pair, 28, np.random.default_rng(5)).error is None, "exact block means"
    never = replace(pair, table=replace(pair.table, errors=0.0))
    assert with_errors(noisy, never, 28, np.random.default_rng(5)).error is None


def test_a_patch_of_the_pair_has_no_offset_and_the_conditions_of_the_product() -> None:
    pair = cells(replace(TABLE, stated=0.0))
    shifted = replace(pair, coarse=pair.coarse + 40, error=pair.error + 40)
    drawn = [
        pair_patch(p, 16, 0.0, 0.0, np.random.default_rng(7), torch.device("cpu"), mirror=True) for p in (pair, shifted)
    ]
    np.testing.assert_allclose(drawn[0][0], drawn[1][0], atol=1e-3)
    coarse, fine, size, guides, conditions, known = drawn[0]
    means = fine.reshape(1, 16, 2, 16, 2).mean(dim=(2, 4))
    assert float((coarse - means).std()) == pytest.approx(2.0, rel=0.15)
    assert size.shape == (2, 16, 1)
    assert guides == {}
    assert float(known.min()) == 1.0
    sensor = pair._sensor((CELL, CELL))
    np.testing.assert_allclose(
        conditions[[0, 1, 5]], [sensor.psf_cells, sensor.noise_m(REFERENCE_SLOPE) / CELL, 0.0], rtol=1e-5
    )


def test_batches_mix_the_pair_in_at_its_scale_and_repeat(folder: Path, tmp_path: Path) -> None:
    asked = recipe(tmp_path / "r.toml", ("validation_patches = 3", "validation_patches = 3\npatches = 1.0"))
    data = read_data(asked, folder)
    assert [check.scale for check in data.checks] == [2, 2], "simulated ones, then those of the pair"
    pair = load_pair(folder, replace(TABLE, held_out=(0.0, 0.3)))
    below = pair.fine[: 2 * 36]
    held_out = data.checks[1].fine
    assert float(held_out.min()) >= float(below.min()) - 1e-3
    for step in (0, 1):
        one, two = data.batch(step), data.batch(step)
        assert torch.equal(one.coarse, two.coarse)
        assert one.sensor is not None
        assert two.sensor is not None
        assert torch.equal(one.sensor, two.sensor)
    growth = data.batch(0).sensor
    assert growth is not None
    assert torch.allclose(growth[:, 3], growth[:1, 3]), "every patch at the scale of the pair is one of it"


def test_a_packed_pair_gives_the_same_batches_and_another_one_is_refused(folder: Path, tmp_path: Path) -> None:
    asked = recipe(tmp_path / "r.toml")
    table = asked.pair
    assert table is not None
    pair = load_pair(folder, table)
    path = tmp_path / "pack.safetensors"
    write_pack(path, [], asked.data.files, pair=pair)
    found = read_packed_pair(path, table)
    assert found.product.sensor == pair.product.sensor
    for name in ("coarse", "fine", "valid", "error", "slope", "pixel_size_m"):
        np.testing.assert_array_equal(getattr(found, name), getattr(pair, name), err_msg=name)
    assert found.zones == pair.zones
    with pytest.raises(DataError, match="this recipe states"):
        read_packed_pair(path, replace(table, shift_m=(1.0, 0.0)))
    write_pack(path, [], asked.data.files)
    with pytest.raises(DataError, match=r"\[pair\] None"):
        read_packed_pair(path, table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[misfit]", ""), "add both, or leave"),
        (("[misfit]", "[misfit]\n[radar]"), "has no guides"),
        (("gap = 6\n", "gap = 6\nscale = 4\n"), r"scale = 4: expected one of the scales of the recipe, \[2, 3\]"),
        (("scale = 2\nscales = [2, 3]", "scale = 3"), r"\[pair\] scale = 2: expected .* \[3\]"),
        (("held_out = [0.0, 0.3]\ngap", "held_out = [0.3, 0.3]\ngap"), "held_out"),
        (('coarse = "pair/coarse.tif"', 'coarse = "../coarse.tif"'), "coarse"),
    ],
)
def test_recipes_that_cannot_be_right_are_refused(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(tmp_path / "r.toml", change)


def test_a_file_of_the_pair_that_is_trained_on_whole_is_refused(folder: Path, tmp_path: Path) -> None:
    whole = recipe(tmp_path / "r.toml", ('"ground/*.tif" = 1.0', '"ground/*.tif" = 1.0\n"pair/fine.tif" = 1.0'))
    with pytest.raises(DataError, match=r"pair/fine is trained on whole"):
        read_data(whole, folder)


@pytest.mark.parametrize(
    ("file", "rows", "message"),
    [
        ("coarse", [0.5, 0.8], r"pair/coarse = \[0.5, 0.8\] in \[data.held_out\], and \[pair\] held_out"),
        ("coarse", [0.0, 1.0], "expected the same rows in both"),
        ("coarse", [0.0, 0.3], None),
        ("fine", [0.5, 0.8], r"pair/fine: \[data\] trains on ground that \[pair\] holds out"),
        ("fine", [0.0, 0.2], "trains on ground that"),
        ("fine", [0.0, 0.5], "holds out ground that"),
        ("fine", [0.0, 0.31], None),
    ],
)
def test_rows_of_a_file_of_the_pair_are_on_one_side_of_both_splits(
    file: str, rows: list[float], message: str | None, folder: Path, tmp_path: Path
) -> None:
    text = RECIPE.replace('"ground/*.tif" = 1.0', f'"ground/*.tif" = 1.0\n"pair/{file}.tif" = 1.0')
    (tmp_path / "r.toml").write_text(text.replace("= [0.0, 1.0]", f'= [0.0, 1.0]\n"pair/{file}" = {rows}'))
    asked = read_recipe(tmp_path / "r.toml", DemRecipe)
    if message is None:
        assert read_data(asked, folder).checks
        return
    task = DemTask(find_system("ridgeline2"), asked)
    for work in (lambda: read_data(asked, folder), lambda: task.pack(folder, tmp_path / "pack")):
        with pytest.raises(DataError, match=message):
            work()


@pytest.mark.parametrize(("key", "message"), [("srtm5", "srtm5"), ("block_mean", "no noise on flat ground")])
def test_a_product_without_a_sensor_is_refused(key: str, message: str, folder: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        load_pair(folder, replace(TABLE, product=key))


def test_a_pair_without_common_ground_is_refused(folder: Path) -> None:
    pair = load_pair(folder, TABLE)
    with pytest.raises(DataError, match="no window of 16 × 16 cells is valid in both"):
        replace(pair, valid=np.zeros_like(pair.valid)).draw_patch(16, np.random.default_rng(0))
