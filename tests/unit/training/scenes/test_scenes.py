"""Learning from scenes of a real sensor: registration, partial labels, ground held out, a training of a few steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift
from tests.support.rasters import write_raster

from terrafine.errors import DataError, RecipeError
from terrafine.nn.weights import load
from terrafine.training.recipe import read_recipe
from terrafine.training.scenes.data import HELD_OUT, MARGIN, TRAIN, VALIDATE, ground, load_scenes
from terrafine.training.scenes.labels import SURE, class_factors, targets
from terrafine.training.scenes.patches import SceneSampler, surface_reflectance, whole_scenes
from terrafine.training.scenes.recipe import Scene, SceneRecipe
from terrafine.training.scenes.register import displacement
from terrafine.training.scenes.scores import area_under_curve, balanced_threshold, fitted, unbiased_threshold
from terrafine.training.start import find_recipe, train

RECIPE = """
system = "citymap"
name = "own"
version = "1"
seed = 1
validate_every = 2
[network]
width = 4
[data]
margin_m = 40
[data.scenes.town]
images = ["town_1.tif", "town_2.tif"]
labels = "labels.tif"
impervious = [1]
building = [1]
other = [0]
far_m = 60
held_out = { cols = [0.7, 1.0] }
validate = { rows = [0.7, 1.0] }
[patches]
size = 16
batch = 2
[optim]
steps = 4
rate = 0.01
precision = "float32"
"""
SIDE = 96


def town(folder: Path, moved: tuple[float, float] = (0.6, -1.1)) -> Path:
    """Two dates of a town whose buildings are grey and whose other ground is green, moved against its labels."""
    rng = np.random.default_rng(0)
    built = gaussian_filter(rng.random((SIDE * 10, SIDE * 10)), 12) > 0.505
    share = built.reshape(SIDE, 10, SIDE, 10).mean(axis=(1, 3))
    where = {"crs": "EPSG:32632", "origin": (6e5, 4.8e6), "nodata": None}
    for date in (1, 2):
        at = shift(share, moved, order=1, mode="nearest")
        grey, green = np.array([0.14, 0.14, 0.15, 0.17]), np.array([0.05, 0.09, 0.08, 0.32 - 0.05 * date])
        image = at * grey[:, None, None] + (1 - at) * green[:, None, None] + 0.01 * rng.normal(size=(4, SIDE, SIDE))
        numbers = np.round(1e4 * image.clip(0.01)).astype(np.uint16)
        write_raster(folder / f"town_{date}.tif", numbers, names=("red", "green", "blue", "nir"), cell=10.0, **where)
    write_raster(folder / "labels.tif", built.astype(np.uint8)[None], names=("class",), cell=1.0, **where)
    (folder / "own.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return town(tmp_path_factory.mktemp("town"))


def recipe(folder: Path) -> SceneRecipe:
    return read_recipe(folder / "own.toml", SceneRecipe)


def test_labels_are_moved_to_each_image_by_a_fraction_of_a_cell(folder: Path) -> None:
    places = load_scenes(folder, recipe(folder).data)
    for place in places:
        assert place.moved.found
        assert (place.moved.down, place.moved.right) == pytest.approx((0.6, -1.1), abs=0.15)
    plain = load_scenes(folder, replace(recipe(folder).data, register=False))
    agreed = []
    for found in (places[0], plain[0]):
        red = np.kron(found.image[0], np.ones((4, 4)))[16:-16, 16:-16]
        agreed.append(np.corrcoef(red.ravel(), found.targets.share[1][16:-16, 16:-16].ravel())[0, 1])
    assert agreed[0] > agreed[1] + 0.05


def test_without_agreement_nothing_is_moved() -> None:
    rng = np.random.default_rng(1)
    index, share = rng.random((64, 64)).astype(np.float32), rng.random((256, 256)).astype(np.float32)
    found = displacement(index, np.ones((64, 64), np.bool_), share, np.ones((256, 256), np.bool_))
    assert not found.found and (found.right, found.down) == (0, 0)


def test_what_no_label_says_is_unknown_or_weak() -> None:
    shape = (20, 20)
    built = np.zeros((80, 80), np.float32)
    built[:8, :8] = 1
    full = np.ones_like(built)
    green = np.full(shape, 0.2, np.float32)
    green[0, 10:] = 0.7
    place = Scene(images=("a",), impervious=(1,), building=(1,), other=(0,), far_m=100)
    found = targets(place, ((built, built), (built, full)), np.full((4, *shape), 0.2), np.ones(shape, np.bool_), green)
    level = found.known[0]
    assert (level[:8, :8] == SURE).all() and (found.share[0, :8, :8] == 255).all()
    assert (level[:4, 8:30] == 0).all(), "yards near a building may be sealed"
    assert ((level[:4, 48:] > 0) & (level[:4, 48:] < SURE)).all() and (found.share[0, :4, 48:] == 0).all()
    assert ((level[60:, 60:] > 0) & (level[60:, 60:] < SURE)).all()
    assert (found.known[1] == SURE).all()


def test_ground_for_each_purpose_does_not_touch() -> None:
    place = Scene(images=("a",), held_out={"cols": (0.5, 1.0)}, validate={"rows": (0.0, 0.3)})
    found = ground((40, 40), place, 3)
    assert (found[:, 20:] == HELD_OUT).all() and (found[:12, :17] == VALIDATE).all()
    assert (found[15:, :17] == TRAIN).all()
    assert (found[:, 17:20] == MARGIN).all() and (found[12:15, :17] == MARGIN).all()


def test_the_same_step_draws_the_same_batch_and_never_from_held_out_ground(folder: Path) -> None:
    r = recipe(folder)
    places = load_scenes(folder, r.data)
    marked = []
    for place in places:
        image = np.where(place.purpose == TRAIN, 0.2, 0.9).astype(np.float32)
        marked.append(replace(place, image=np.repeat(image[None], 4, axis=0)))
    calm = replace(r.patches, light=0.0, haze=0.0, gamma=0.0, noise=0.0, no_infrared=0.0)
    sampler = SceneSampler(marked, [], 0.0, calm, 7)
    for step in range(8):
        batch = sampler(step)
        assert float(batch.image.max()) < 0.21
        torch.testing.assert_close(batch.image, sampler(step).image)
        assert batch.share.shape == batch.known.shape == (2, 2, 64, 64)


def test_features_read_a_border_of_training_ground_around_a_patch(folder: Path) -> None:
    r = recipe(folder)
    batch = SceneSampler(load_scenes(folder, r.data), [], 0.0, replace(r.patches, border=4), 7)(0)
    assert batch.image.shape[-2:] == (24, 24) and batch.share.shape[-2:] == (64, 64)


def test_the_class_and_other_ground_of_each_scene_count_the_same(folder: Path) -> None:
    places = load_scenes(folder, recipe(folder).data)
    used = [(p.purpose == TRAIN) & p.valid for p in places]
    factors = [class_factors(p.targets, at) for p, at in zip(places, used, strict=True)]
    scenes = list(whole_scenes(places, factors, 0.1))
    assert [float(s.infrared) for s in scenes] == [1, 0] * len(places)
    assert [s.weight for s in scenes] == [1, 0.1] * len(places)
    for with_it, without in zip(scenes[::2], scenes[1::2], strict=True):
        assert torch.equal(with_it.known, without.known) and float(without.image[:, 3].max()) == 0
    for place, scene, at, factor in zip(places, scenes[::2], used, factors, strict=True):
        known = place.targets.known / 255 * np.kron(at, np.ones((4, 4)))
        share = place.targets.share / 255
        yes, no = ((known * part).sum(axis=(1, 2)) * factor[:, i] for i, part in enumerate((share, 1 - share)))
        np.testing.assert_allclose(yes, no, rtol=1e-3)
        whole = scene.share.numpy()[0] == 1
        found = np.asarray([scene.known.numpy()[0, i][whole[i]].max() for i in (0, 1)])
        np.testing.assert_allclose(found, factor[:, 0], rtol=1e-5)
        away = np.kron(~at, np.ones((4, 4), np.bool_))
        assert float(scene.known[0, :, torch.from_numpy(away)].max()) == 0
    none = replace(places[0].targets, share=np.zeros_like(places[0].targets.share))
    assert not class_factors(none, used[0]).any()


def test_copies_without_the_light_of_the_air_are_darker_and_bluest_most(folder: Path) -> None:
    r = recipe(folder)
    places = load_scenes(folder, r.data)
    image = torch.from_numpy(places[0].image)[None]
    copy = surface_reflectance(torch.nn.functional.pad(image, (1, 0)))
    assert float(copy[..., 0].abs().max()) == 0, "nothing is made of what was not observed"
    fell = (image - copy[..., 1:]).mean(dim=(0, 2, 3)).tolist()
    assert fell[2] > fell[1] > fell[0] > fell[3] and fell[2] > 0.05
    scenes = list(whole_scenes(places, [np.ones((2, 2), np.float32)] * len(places), 0.1, 0.5))
    assert [s.weight for s in scenes] == [1, 0.5, 0.1, 0.05] * len(places)
    torch.testing.assert_close(scenes[1].image, surface_reflectance(scenes[0].image))
    calm = replace(r.patches, light=0.0, haze=0.0, gamma=0.0, noise=0.0, no_infrared=0.0, stretch=0.0, batch=1)
    plain, mixed = (SceneSampler(places, [], 0.0, replace(calm, surface=s), 7) for s in (0.0, 1.0))
    blue = [(float(plain(i).image[:, 2].min()), float(mixed(i).image[:, 2].min())) for i in range(12)]
    assert min(b for _, b in blue) < 0.03 < min(a for a, _ in blue), "some patches are copies"


def test_a_training_writes_calibrated_weights_that_tell_buildings(folder: Path, tmp_path: Path) -> None:
    done = train(folder / "own.toml", data_root=folder, out=tmp_path / "run", device="cpu", threads=1)
    spec, _ = load(done.weights)
    assert spec.outputs == ("impervious", "building")
    assert {"building_scale", "building_odds", "building_threshold"} <= set(spec.calibration)
    assert done.scores["auc_building"] > 0.9
    assert set(spec.provenance["domain"]) == {"red", "green", "blue", "nir"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('images = ["town_1.tif", "town_2.tif"]', 'images = ["town_1.tif", "labels.tif"]', "labels.tif"),
        ("validate = { rows = [0.7, 1.0] }", "", "validate"),
        ("held_out = { cols", "held_out = { columns", "rows and cols"),
        ("size = 16", "size = 18", "multiple of 4"),
        ("[data]\n", '[data]\nuse = ["city"]\n', "no such scene"),
    ],
)
def test_a_recipe_that_cannot_serve_is_refused(old: str, new: str, said: str, folder: Path) -> None:
    (folder / "bad.toml").write_text(RECIPE.replace(old, new))
    with pytest.raises((RecipeError, DataError, Exception), match=said):
        load_scenes(folder, read_recipe(folder / "bad.toml", SceneRecipe).data)


def test_the_shipped_recipe_and_its_choices_are_read() -> None:
    for name, use in (("citymap", ()), ("citymap-withoutpisa", ("montpellier",)), ("citymap-region", ())):
        assert tuple(read_recipe(find_recipe(f"{name}.toml"), SceneRecipe).data.use) == use


def test_scores_are_those_by_hand() -> None:
    score, label = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert area_under_curve(score, label) == 0.75
    assert area_under_curve(np.ones(4), label) == 0.5
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 2, 20_000)
    share = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * logit - 1)))
    scale, odds = fitted(logit, share)
    assert scale == pytest.approx(0.5, abs=0.05) and np.log(odds) == pytest.approx(-1, abs=0.07)
    chance = 1 / (1 + np.exp(-(0.5 * logit - 1)))
    assert np.mean(chance >= unbiased_threshold(chance, share)) == pytest.approx(share.mean(), abs=0.01)


def test_a_balanced_threshold_does_not_depend_on_how_much_of_each_class_is_labelled() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(0.6, 0.1, 20_000), rng.normal(0.4, 0.1, 20_000)

    def at(share: int) -> float:
        return balanced_threshold(np.r_[positive, negative[::share]], np.r_[np.ones(20_000), np.zeros(20_000 // share)])

    assert at(1) == pytest.approx(0.5, abs=0.01)
    assert at(10) == pytest.approx(at(1), abs=0.02)
    few = np.r_[positive, negative[::10]], np.r_[np.ones(20_000), np.zeros(2_000)]
    assert unbiased_threshold(*few) < 0.47  # the threshold for the labelled area follows the selection of labels
