"""Training on images: batches by step, split by ground, resumed to the same weights, choices by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.devices import refuse_unmoved
from tests.support.rasters import write_raster

from terrafine.errors import DataError, RecipeError
from terrafine.nn.weights import load, read_spec
from terrafine.systems.sat2dem.discriminators import PatchGan
from terrafine.systems.sat2dem.net import UNet
from terrafine.systems.sat2dem.normalise import HIGH_M, LOW_M
from terrafine.systems.sat2dem.sizes import refuses_size
from terrafine.training.height.data import ImageSampler, load_scenes, split_scenes
from terrafine.training.height.published import block_split, pair_tiles, read_split
from terrafine.training.height.recipe import ImageRecipe
from terrafine.training.height.scores import _RANGE_M, level_of, mean_ssim, score_tiles
from terrafine.training.recipe import read_recipe
from terrafine.training.start import train

RECIPE = """
system = "sat2dem"
name = "tiny"
version = "0.1"
seed = 3
validate_every = 2
checkpoint_every = 2
validation_tiles = 4
[network]
width = 4
depth = 4
tile = 32
[adversary]
width = 4
layers = 2
[loss]
l1 = 100
[data]
gap = 8
[data.pairs]
"a_image.tif" = "a_dem.tif"
"b_image.tif" = "b_dem.tif"
[data.held_out]
"b_image" = [0.0, 1.0]
[patches]
size = 32
batch = 2
[optim]
steps = 4
rate = 1e-3
decay = "none"
[choices]
drpan = { adversary = { kind = "drpan" } }
shift = { network = { normalisation = "shift" } }
relief = { network = { normalisation = "relief", norm = "none", head = "linear", outputs = 2 }, loss = { sigma = 0.1 } }
alone = { data = { pairs = { "b_image.tif" = "" } } }
"""


class CutOffError(Exception):
    """A run that ends early."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of image and heights, 96×100 cells; heights of `b` on another grid; `a` with a void."""
    root = tmp_path_factory.mktemp("scenes")
    for i, name in enumerate("ab"):
        rng = np.random.default_rng(i)
        z = (rng.normal(size=(96, 100)).cumsum(0).cumsum(1) * 2 + 500).astype(np.float32)
        light = 9000 + 40 * np.gradient(z)[1] + rng.normal(0, 50, z.shape)
        dn = np.stack([light, light + 600, light + 1500]).clip(5500, 30000).astype(np.uint16)
        if name == "a":
            dn[0, :5, :5] = 0
        write(root / f"{name}_image.tif", dn, 30, ("red", "green", "blue"))
        write(root / f"{name}_dem.tif", z[None] if name == "a" else z[None, ::2, ::2], 30 if name == "a" else 60)
    (root / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    return root


def write(path: Path, values: np.ndarray, cell: float, names: tuple[str, ...] = ()) -> None:
    write_raster(path, values, cell=cell, crs="EPSG:32612", origin=(4e5, 4e6), nodata=None, names=names)


PAIRS = {"a_image.tif": "a_dem.tif", "b_image.tif": "b_dem.tif"}


def test_pairs_lie_on_the_images_grid_and_are_void_where_either_is(ground: Path) -> None:
    a, b = load_scenes(ground, PAIRS, "landsat-l1")
    assert a.image.shape == (3, 96, 100)
    assert b.terrain.heights.shape == (96, 100)
    assert (a.terrain.heights == a.terrain.nodata).sum() == 25
    assert 0.0 < a.image.min() < a.image.max() < 0.6
    with pytest.raises(DataError, match=r"c\.tif: no such file"):
        load_scenes(ground, {"a_image.tif": "c.tif"})


def test_a_batch_follows_from_seed_and_step_and_avoids_voids(ground: Path) -> None:
    sampler = ImageSampler(load_scenes(ground, PAIRS, "landsat-l1"), 32, 3, seed=1, light=0.1)
    one, same, other = sampler(5), sampler(5), sampler(6)
    assert torch.equal(one.image, same.image)
    assert not torch.equal(one.image, other.image)
    assert one.image.shape == (3, 3, 32, 32)
    assert bool((one.valid == 1).all())


def test_the_suns_mirror_changes_rows_for_columns_and_nothing_else(ground: Path) -> None:
    scenes = load_scenes(ground, PAIRS, "landsat-l1")
    plain, sun = (ImageSampler(scenes, 32, 1, seed=1, mirror=m) for m in ("none", "sun"))
    seen = set()
    for step in range(8):
        a, b = plain(step).target, sun(step).target
        seen.add(torch.equal(a, b))
        assert torch.equal(a, b) or torch.equal(a.transpose(-1, -2), b)
    assert seen == {True, False}


def test_the_same_ground_on_both_sides_is_refused(ground: Path) -> None:
    scenes = load_scenes(ground, PAIRS, "landsat-l1")
    split_scenes(scenes, {"b_image": [0.0, 1.0]}, gap=8)
    twin = replace(scenes[0], terrain=replace(scenes[0].terrain, name="twin"))
    with pytest.raises(DataError, match="same terrain"):
        split_scenes([scenes[0], twin], {"twin": [0.0, 1.0]}, gap=8)


@pytest.mark.parametrize("recipe", ["tiny-drpan-shift.toml", "tiny-relief.toml"])
def test_a_run_cut_off_goes_on_to_the_same_weights(recipe: str, ground: Path, tmp_path: Path) -> None:
    def stop(step: int, steps: int, line: dict[str, float]) -> None:
        if step == 3:
            raise CutOffError

    whole = train(ground / recipe, data_root=ground, out=tmp_path / "whole", threads=1)
    with pytest.raises(CutOffError):
        train(ground / recipe, data_root=ground, out=tmp_path / "cut", threads=1, progress=stop)
    resumed = train(ground / recipe, data_root=ground, out=tmp_path / "cut", threads=1)
    (spec, a), (_, b) = load(whole.weights), load(resumed.weights)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert whole.scores == resumed.scores
    assert spec.name == Path(recipe).stem
    assert (tmp_path / "whole" / "pictures" / "step-000002.png").stat().st_size > 1000
    steps = [json.loads(line)["step"] for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4]
    if "relief" in recipe:
        assert spec.tiling == "exact"
        assert spec.calibration["sigma"] > 0
    else:
        assert (spec.tiling, spec.relative) == ("blend", True)


@pytest.mark.parametrize("recipe", ["tiny.toml", "tiny-drpan-shift.toml", "tiny-relief.toml"])
def test_every_tensor_that_the_network_is_given_was_moved_to_the_device(
    recipe: str, ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = refuse_unmoved(monkeypatch, "sat2dem")
    train(ground / recipe, data_root=ground, out=tmp_path, threads=1)
    assert set(called) == {"forward", "predict"}


def test_a_checkpoint_of_another_recipe_is_refused(ground: Path, tmp_path: Path) -> None:
    train(ground / "tiny.toml", data_root=ground, out=tmp_path, threads=1)
    with pytest.raises(RecipeError, match="another recipe"):
        train(ground / "tiny-shift.toml", data_root=ground, out=tmp_path, threads=1)


def test_choices_in_a_file_name_change_what_they_say_and_nothing_else(ground: Path) -> None:
    plain, chosen = (read_recipe(ground / n, ImageRecipe) for n in ("tiny.toml", "tiny-drpan-shift.toml"))
    assert chosen.name == "tiny-drpan-shift"
    assert chosen.adversary == {**plain.adversary, "kind": "drpan"}
    assert chosen.network == {**plain.network, "normalisation": "shift"}
    assert (chosen.data, chosen.patches, chosen.optim) == (plain.data, plain.patches, plain.optim)
    assert read_recipe(ground / "tiny-alone.toml", ImageRecipe).data.pairs == {"a_image.tif": "a_dem.tif"}
    with pytest.raises(RecipeError, match=r"tiny\.toml has no choice 'gem'; it has drpan, shift"):
        read_recipe(ground / "tiny-gem.toml", ImageRecipe)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(ground / "other.toml", ImageRecipe)


def test_every_published_variant_is_a_recipe() -> None:
    folder = Path(load.__code__.co_filename).parents[1] / "systems" / "sat2dem" / "recipes"
    seen = set()
    for game in ("unet", "pix2pix", "drpan"):
        for attend in ("none", "cbam", "gam", "simam"):
            for extra in ("plain", "gradient"):
                for kind in ("global", "shift"):
                    recipe = read_recipe(folder / f"sat2dem-{game}-{attend}-{extra}-{kind}.toml", ImageRecipe)
                    found: tuple[Any, ...] = (
                        {"none": "unet"}.get(recipe.adversary["kind"], recipe.adversary["kind"]),
                        recipe.network["attend"],
                        "gradient" if recipe.loss["gradient"] else "plain",
                        recipe.network["normalisation"],
                    )
                    assert found == (game, attend, extra, kind)
                    seen.add(found)
    assert len(seen) == 48


def test_the_dynamic_range_is_that_of_the_published_data() -> None:
    assert _RANGE_M == HIGH_M - LOW_M


def test_a_tiles_own_mean_has_no_r2_and_truth_has_all_scores() -> None:
    truth = torch.rand(2, 1, 32, 32) * 100
    valid = torch.ones_like(truth)
    perfect = score_tiles(truth, truth, valid)
    assert bool((perfect["mae"] == 0).all())
    torch.testing.assert_close(perfect["ssim"], torch.ones(2))
    mean = truth - level_of(truth, valid, "relief")
    torch.testing.assert_close(score_tiles(mean, truth, valid)["r2"], torch.zeros(2), atol=1e-5, rtol=0)
    assert bool((mean_ssim(truth + 800, truth) < 0.99).all())


def test_shift_is_height_above_the_lowest_known_cell() -> None:
    z, valid = torch.tensor([[5.0, 9.0], [1.0, 7.0]])[None, None], torch.ones(1, 1, 2, 2)
    valid[..., 1, 0] = 0
    assert level_of(z, valid, "shift").flatten()[[0, 1, 3]].tolist() == [0.0, 4.0, 2.0]


def test_tiles_pair_by_their_trailing_number(tmp_path: Path) -> None:
    for name in ("rgb/s2_7.png", "rgb/s2_12.png", "dem/glo_12.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"1 tiles have no partner, e\.g\. number 7"):
        pair_tiles(tmp_path, "rgb/*.png", "dem/*.tif")
    (tmp_path / "dem/glo_7.tif").touch()
    assert list(pair_tiles(tmp_path, "rgb/*.png", "dem/*.tif")) == [7, 12]


def test_a_split_is_read_and_held_to_account(tmp_path: Path) -> None:
    path = tmp_path / "dataset_splits.json"
    path.write_text(json.dumps({"split_1": {"train": [1, 2], "validation": [3], "test": [4]}}), encoding="utf-8")
    assert read_split(path, "split_1", {1, 2, 3, 4})["validation"] == [3]
    with pytest.raises(DataError, match="names 1 tiles that are not there"):
        read_split(path, "split_1", {1, 2, 3})
    with pytest.raises(DataError, match="'split_2' with train"):
        read_split(path, "split_2", {1})
    path.write_text(json.dumps({"split_1": {"train": [1, 2], "validation": [2], "test": []}}), encoding="utf-8")
    with pytest.raises(DataError, match="on two sides"):
        read_split(path, "split_1", {1, 2})


def test_no_training_tile_of_a_block_split_neighbours_a_scored_one() -> None:
    centres = {i: (7680.0 * (i % 40), 7680.0 * (i // 40)) for i in range(1600)}
    parts = block_split(centres, 60_000)
    scored = np.array([centres[i] for i in parts["validation"] + parts["test"]])
    nearest = min(np.abs(scored - np.array(centres[i])).max(axis=1).min() for i in parts["train"])
    assert nearest >= 2 * 7680
    assert 0.08 < len(parts["validation"]) / 1600 < 0.25
    with pytest.raises(DataError, match="take smaller blocks"):
        block_split(centres, 1e7)


def test_tiles_of_the_published_layout_train(tmp_path: Path) -> None:
    for i in range(3):
        rng = np.random.default_rng(i)
        (tmp_path / "s2").mkdir(exist_ok=True)
        (tmp_path / "dem").mkdir(exist_ok=True)
        write(tmp_path / "s2" / f"tile_{i}.tif", rng.integers(0, 255, (3, 32, 32)).astype(np.uint8), 30)
        write(tmp_path / "dem" / f"tile_{i}.tif", rng.normal(500, 20, (1, 32, 32)).astype(np.float32), 30)
    splits = {"split_1": {"train": [0, 1], "validation": [2], "test": []}}
    (tmp_path / "dataset_splits.json").write_text(json.dumps(splits), encoding="utf-8")
    text = RECIPE[: RECIPE.index("[data]")] + '[data]\nimages = "s2/*.tif"\nheights = "dem/*.tif"\n'
    text += RECIPE[RECIPE.index("[patches]") : RECIPE.index("[choices]")].replace("steps = 4", "steps = 2")
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    done = train(tmp_path / "own.toml", data_root=tmp_path, out=tmp_path / "run", threads=1)
    assert read_spec(done.weights).provenance["held_out_scores"]["mae"] > 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("size = 32", "size = 40", r"size = 40.*multiple of 16 cells, such as 32 or 48"),
        ("depth = 4", "depth = 6", r"size = 32.*multiple of 64 cells, such as 64 or 128"),
        ("layers = 2", 'layers = 4\nkind = "pix2pix"', r"layers = 4 needs at least 48 cells.*such as 48 or 64"),
    ],
)
def test_patches_that_the_networks_cannot_halve_are_refused_with_sizes_that_fit(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE.replace(old, new), encoding="utf-8")
    with pytest.raises(RecipeError, match=said):
        train(recipe, data_root=tmp_path / "nothing is read", out=tmp_path / "out", threads=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("depth", [2, 4])
def test_the_sizes_that_are_refused_are_those_that_torch_refuses(depth: int, layers: int) -> None:
    network = {"width": 1, "depth": depth}
    with torch.device("meta"):
        net, judge = UNet(**network), PatchGan(4, 2, layers)
        for size in range(16, 72, 2):
            refused = refuses_size(network, size, {"kind": "pix2pix", "layers": layers})
            try:
                heights = net(torch.zeros(2, 3, size, size))
                judge(torch.cat((torch.zeros(2, 3, size, size), heights), dim=1))
            except (RuntimeError, ValueError):
                assert refused, size
            else:
                assert not refused, size
