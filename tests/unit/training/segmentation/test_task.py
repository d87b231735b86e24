"""Learning from samples: phases, what each teaches, what is refused, and a run that was cut off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter
from tests.support.devices import refuse_unmoved

from terrafine.errors import DataError, NoModelError, RecipeError
from terrafine.nn.task import SampleBatch
from terrafine.nn.weights import load, read_spec
from terrafine.raster.write.small_image import write_patch
from terrafine.systems import find_model, find_system, load_model
from terrafine.systems.jointseg import loss
from terrafine.systems.jointseg.net import JointSeg
from terrafine.training.checkpoint import start_state
from terrafine.training.recipe import read_recipe
from terrafine.training.runner import _step
from terrafine.training.segmentation.data import SampleSampler, load_all, load_samples
from terrafine.training.segmentation.recipe import SampleRecipe
from terrafine.training.segmentation.task import SegmentationTask
from terrafine.training.start import find_recipe, train

SIZE = {"blocks": 1, "features": 4, "growth": 2}
TINY: dict[str, Any] = {"first": SIZE, "second": SIZE, "width": 4, "depth": 2}
SHIPPED = Path(find_system("jointseg").build.__code__.co_filename).parent / "recipes" / "jointseg.toml"  # type: ignore[union-attr]
SETTINGS = {"loss": {"dice": 1.0, "perceptual": "own"}}

RECIPE = """
system = "jointseg"
name = "small"
version = "1"
seed = 3
validate_every = 6
checkpoint_every = 2
validation_samples = 1
[network]
width = 4
depth = 2
first = { blocks = 1, features = 4, growth = 2 }
second = { blocks = 1, features = 4, growth = 2 }
[adversary]
width = 4
[loss]
dice = 1
perceptual = "own"
[data]
samples = "samples"
[patches]
size = 8
batch = 2
light = 0.1
[optim]
rate = 1e-3
ema = 0.5
clip = 1.0
[phases.image]
steps = 2
l1 = 10
[phases.game]
steps = 1
l1 = 10
perceptual = 0.1
gan = 0.1
[phases.joint]
steps = 3
l1 = 1
segment = 1
joint = 1
[choices]
images = { phases = { joint = { steps = 0 } } }
started = { phases = { image = { steps = 0 }, game = { steps = 0 } } }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples of bright blocks, which are class 1, and a recipe."""
    root = tmp_path_factory.mktemp("joint")
    (root / "samples").mkdir()
    rng, listed = np.random.default_rng(0), []
    for i in range(6):
        label = np.kron(rng.random((12, 12)) < 0.4, np.ones((10, 10))).astype(np.uint8)
        fine = gaussian_filter(800 + 1500.0 * label + 100 * rng.random((3, 120, 120)), (0, 1, 1))
        coarse = fine.reshape(3, 12, 10, 12, 10).mean(axis=(2, 4))
        label[:5] = 255
        for part, values, cell in (("fine", fine, 1), ("coarse", coarse, 10), ("label", label[None], 1)):
            grid = GeoBox(values.shape[-2:], Affine.scale(cell, -cell), None)
            kind = np.uint8 if part == "label" else np.uint16
            write_patch(root / "samples" / f"{i}_{part}.tif", values.astype(kind), grid, ())
        listed.append({"name": str(i), "split": "val" if i > 3 else "train", "image": "x"})
    index = {"format": "terrafine-impervious/1", "scale": 10, "bands": ["red", "green", "blue"], "samples": listed}
    (root / "samples" / "index.json").write_text(json.dumps(index | {"stored_per_reflectance": 10_000}))
    (root / "small.toml").write_text(RECIPE)
    return root


def batch(**phase: float) -> SampleBatch:
    torch.manual_seed(1)
    fine = torch.rand(2, 3, 80, 80) * 0.3
    label = (torch.rand(2, 80, 80) < 0.3).to(torch.uint8)
    return SampleBatch(torch.nn.functional.avg_pool2d(fine, 10), fine, label, phase)


def taught(net: JointSeg, batch: SampleBatch) -> tuple[bool, bool]:
    """Whether a step's loss reaches the images' network, and the segmenter."""
    net.zero_grad(set_to_none=True)
    loss.network_losses({}, batch, loss.forward(net, batch, SETTINGS), SETTINGS)["total"].backward()  # type: ignore[no-untyped-call]
    assert net.images is not None
    parts = (net.images.first.first.weight, next(net.reader.parameters()))
    images, reader = (p.grad is not None and float(p.grad.abs().sum()) > 0 for p in parts)
    return images, reader


@pytest.mark.parametrize(
    ("phase", "images", "reader"),
    [
        ({"l1": 1}, True, False),
        ({"segment": 1}, False, True),
        ({"segment": 1, "joint": 1}, True, True),
        ({"segment": 1, "l1": 1}, True, True),
    ],
)
def test_a_phase_teaches_what_it_says_and_nothing_else(phase: dict[str, float], images: bool, reader: bool) -> None:
    torch.manual_seed(0)
    assert taught(JointSeg(**TINY), batch(**phase)) == (images, reader)


def test_without_joint_the_segmentation_leaves_the_image_alone() -> None:
    torch.manual_seed(0)
    net = JointSeg(**TINY)
    grads = []
    for phase in ({"l1": 1.0}, {"l1": 1.0, "segment": 1.0}, {"l1": 1.0, "segment": 1.0, "joint": 1.0}):
        taught(net, batch(**phase))
        assert net.images is not None
        weight = net.images.first.first.weight.grad
        assert weight is not None
        grads.append(weight.clone())
    torch.testing.assert_close(grads[1], grads[0])
    assert (grads[2] - grads[0]).abs().max() > 1e-6


def test_the_images_learn_at_the_share_of_the_rate_that_a_phase_gives_them(folder: Path) -> None:
    recipe = read_recipe(folder / "small.toml", SampleRecipe)
    plan, moved = replace(recipe.optim, steps=9, rate=1e-2, decay="none", starts=(), ema=0.0, clip=0.0), {}
    task = SegmentationTask(find_system("jointseg"), replace(recipe, optim=plan))
    for share in (1.0, 0.1):
        torch.manual_seed(0)
        state = start_state(JointSeg(**TINY), {}, plan, recipe.stop)
        before = {n: p.detach().clone() for n, p in state.network.named_parameters()}
        phase = {"segment": 1.0, "joint": 1.0, "l1": 1.0, "images_rate": share}
        _step(task, state, batch(**phase), torch.device("cpu"))
        after = dict(state.network.named_parameters())
        for part in ("images", "reader"):
            steps = [(after[n] - before[n]).abs().max() for n in before if n.startswith(part)]
            moved[part, share] = float(torch.stack(steps).max().detach())
    assert moved["images", 0.1] == pytest.approx(0.1 * moved["images", 1.0], rel=1e-3)
    assert moved["reader", 0.1] == pytest.approx(moved["reader", 1.0], rel=1e-3)


def test_a_phase_that_teaches_nothing_is_refused() -> None:
    b = batch(joint=1)
    with pytest.raises(RecipeError, match="trains nothing"):
        loss.network_losses({}, b, loss.forward(JointSeg(**TINY), b, SETTINGS), SETTINGS)


def test_the_segmenters_own_features_see_a_wrong_image_and_not_the_true_one() -> None:
    net, b = JointSeg(**TINY), batch(perceptual=1)
    made = loss.forward(net, b, SETTINGS)
    wrong = loss.network_losses({}, b, made, SETTINGS)["perceptual"]
    right = loss.Output(net, loss.StageImages(made.images.quarter, b.fine, made.images.deep))
    assert float(loss.network_losses({}, b, right, SETTINGS)["perceptual"].detach()) == 0
    assert float(wrong.detach()) > 0.01
    assert net.training


def test_discriminators_are_asked_in_phases_with_a_game_alone() -> None:
    found = loss.discriminators({"adversary": {"width": 4}})
    net, quiet, game = JointSeg(**TINY), batch(l1=1), batch(l1=1, gan=1)
    assert loss.discriminator_losses(found, quiet, loss.forward(net, quiet, SETTINGS), SETTINGS) == {}
    assert set(loss.discriminator_losses(found, game, loss.forward(net, game, SETTINGS), SETTINGS)) == {
        "quarter",
        "fine",
    }
    assert "gan" in loss.network_losses(found, game, loss.forward(net, game, SETTINGS), SETTINGS)
    with pytest.raises(RecipeError, match="expected none or unet"):
        loss.discriminators({"adversary": {"kind": "patch"}})


def test_batches_follow_from_seed_and_step_and_keep_fine_over_coarse(folder: Path) -> None:
    samples = load_samples(folder / "samples", ["train"])
    assert [s.name for s in load_samples(folder / "samples", ["train"], limit=2)] == ["0", "3"]

    def draw(seed: int, step: int) -> SampleBatch:
        return SampleSampler(samples, 8, 3, seed, 0.2, lambda _: {"l1": 1})(step)

    one, same, other = draw(1, 5), draw(1, 5), draw(1, 6)
    torch.testing.assert_close(one.fine, same.fine)
    assert (one.fine - other.fine).abs().max() > 0.01
    assert one.label.shape == (3, 80, 80)
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(one.fine, 10), one.coarse, atol=2e-4, rtol=0)
    bright = one.fine.mean(dim=1) > one.fine.mean(dim=(1, 2, 3), keepdim=False)[:, None, None]
    told = one.label < 2
    assert float((bright == (one.label == 1))[told].float().mean()) > 0.8, "labels turn with the image"


def test_haze_moves_both_images_alike_band_by_band_and_nothing_else(folder: Path) -> None:
    samples = load_samples(folder / "samples", ["train"])
    plain, hazy = (SampleSampler(samples, 8, 1, 3, 0.1, lambda step: {}, haze)(0) for haze in (0.0, 0.02))
    moved = hazy.coarse - plain.coarse
    np.testing.assert_allclose(moved, moved[..., :1, :1].expand_as(moved), atol=1e-6)
    np.testing.assert_allclose(hazy.fine - plain.fine, moved[..., :1, :1].expand_as(plain.fine), atol=1e-6)
    assert 1e-4 < float(moved.abs().max()) <= 0.02
    assert float(moved[0, 0, 0, 0]) != float(moved[0, 1, 0, 0])
    assert torch.equal(hazy.label, plain.label)


def test_several_folders_of_samples_are_read_as_one(folder: Path) -> None:
    one = load_samples(folder / "samples", ["train"])
    both = load_all([folder / "samples", folder / "samples"], ["train"])
    assert [s.name for s in both] == 2 * [s.name for s in one]
    assert len(load_all([folder / "samples", folder / "samples"], ["train"], limit=2)) == 2


def test_a_recipe_counts_its_phases_and_refuses_what_makes_no_sense(folder: Path) -> None:
    recipe = read_recipe(folder / "small.toml", SampleRecipe)
    assert (recipe.optim.steps, recipe.optim.starts) == (6, (2, 3))
    assert [recipe.phase(s).get("segment", 0) for s in range(6)] == [0, 0, 0, 1, 1, 1]
    assert read_recipe(folder / "small-images.toml", SampleRecipe).optim.steps == 3
    for old, new, told in (
        ("steps = 3", "speed = 3", "needs numbers"),
        ("rate = 1e-3", "rate = 1e-3\nsteps = 5", "phases say"),
        ("size = 8", "size = 9", "multiple of 8"),
        ('samples = "samples"', "samples = []", "expected 1 to 1000 entries"),
        ('perceptual = "own"', 'perceptual = "vgg"', "expected lite or own"),
    ):
        assert old in RECIPE
        (folder / "wrong.toml").write_text(RECIPE.replace(old, new))
        with pytest.raises(RecipeError, match=told):
            read_recipe(folder / "wrong.toml", SampleRecipe)


def test_every_choice_of_the_shipped_recipe_can_be_read_and_built() -> None:
    choices = (
        "images",
        "plain",
        "started",
        "region",
        "own",
        "apart",
        "imageonly",
        "stage1",
        "nir",
        "bilinear",
        "truth",
        "coarse",
        "hazy",
        "both",
        "started-hazy-both",
    )
    names = [SHIPPED.name, *(f"jointseg-{c}.toml" for c in (*choices, "full", "mask2former"))]
    for name in names:
        recipe = read_recipe(SHIPPED.with_name(name), SampleRecipe)
        if "full" not in name and "mask2former" not in name:
            net = find_system("jointseg").build(recipe.network, 10)  # type: ignore[union-attr]
            assert sum(p.numel() for p in net.parameters()) * 4 < 10e6


def test_a_bare_name_is_a_recipe_here_or_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe("jointseg-region.toml") == SHIPPED.with_name("jointseg-region.toml")
    assert find_recipe("ridgeline-x4.toml").is_file()
    assert find_recipe("./jointseg.toml") == Path("jointseg.toml"), (
        "a folder was given: nothing is looked for elsewhere"
    )
    assert find_recipe("unheard-of.toml") == Path("unheard-of.toml")
    (tmp_path / "jointseg.toml").write_text(RECIPE)
    assert find_recipe("jointseg-started.toml") == Path("jointseg-started.toml")
    assert read_recipe(SHIPPED.with_name("jointseg-region.toml"), SampleRecipe).start == "jointseg"


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(folder: Path) -> None:
    recipe, whole = folder / "small.toml", folder / "whole"
    done = train(recipe, data_root=folder, out=whole, device="cpu")
    assert 0 <= done.scores["f1"] <= 1
    assert (whole / "pictures" / "step-000006.png").exists()
    spec = read_spec(done.weights)
    assert (spec.outputs, spec.tiling, spec.scale) == (("impervious",), "blend", 10)
    load_model(find_model(done.weights, 10, verb="map"))

    class CutError(Exception):
        pass

    def stop(step: int, steps: int, line: dict[str, float]) -> None:
        if step == 5:
            raise CutError

    with pytest.raises(CutError):
        train(recipe, data_root=folder, out=folder / "cut", device="cpu", progress=stop)
    again = train(recipe, data_root=folder, out=folder / "cut", device="cpu")
    a, b = load(done.weights)[1], load(again.weights)[1]
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_starts_from_weights_that_fit_and_refuses_those_that_do_not(folder: Path) -> None:
    images = train(folder / "small-images.toml", data_root=folder, out=folder / "images", device="cpu")
    assert images.scores["short"] > 1, "an image alone is no map"
    text = RECIPE.replace('version = "1"', 'version = "1"\nstart = "images/small-images.safetensors"')
    (folder / "next.toml").write_text(text)
    done = train(folder / "next-started.toml", data_root=folder, out=folder / "next", device="cpu")
    assert done.scores["short"] < 1
    (folder / "lost.toml").write_text(text.replace("images/small-images", "nowhere/none"))
    with pytest.raises(NoModelError, match="no such file"):
        train(folder / "lost.toml", data_root=folder, out=folder / "lost", device="cpu")


def test_every_tensor_that_the_network_is_given_was_moved_to_the_device(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = refuse_unmoved(monkeypatch, "jointseg")
    train(folder / "small.toml", data_root=folder, out=tmp_path / "out", device="cpu")
    assert set(called) == {"forward", "predict"}


def test_a_run_never_stops_before_its_last_phase(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = RECIPE.replace("validate_every = 6", "validate_every = 1")
    text = text.replace("[phases.joint]\nsteps = 3", "[phases.joint]\nsteps = 9")
    (folder / "stops.toml").write_text(f'{text}\n[stop]\nbest_by = "f1"\nmode = "max"\npatience = 2\n')
    scores = dict.fromkeys(SampleRecipe.SCORES, 0.5)
    monkeypatch.setattr(SegmentationTask, "score", lambda self, network, checks, step: scores)
    done = train(folder / "stops.toml", data_root=folder, out=tmp_path / "out", device="cpu")
    assert done.steps == 5, "the last phase starts at step 3"


def test_folders_that_hold_no_samples_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="terrafine dataset impervious"):
        load_samples(tmp_path, ["train"])
    with pytest.raises(DataError, match="in split 'test'; found train, val"):
        load_samples(folder / "samples", ["test"])
    with pytest.raises(DataError, match="expected 4 bands"):
        load_samples(folder / "samples", ["train"], bands=4)
