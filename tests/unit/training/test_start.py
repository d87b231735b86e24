"""What is refused before a run, and what it leaves; the best weights and early stopping; a new system is one folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.support.devices import refuse_unmoved
from tests.support.recipes import RIDGELINE, write_recipe

import terrafine.systems
from terrafine.errors import (
    DataError,
    JobError,
    MissingExtraError,
    NoModelError,
    RecipeError,
    TerrafineError,
    UsageError,
)
from terrafine.nn.device import find_device, to_device
from terrafine.nn.losses import relief_terms
from terrafine.nn.precision import fixed_correlation
from terrafine.nn.system import TrainingBatch
from terrafine.nn.weights import digest, load
from terrafine.private import FOLDER_LOCK
from terrafine.systems import find_system, recipe_folders, system_names
from terrafine.training import sheet
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.dem.task import DemTask
from terrafine.training.folder import open_folder
from terrafine.training.recipe import read_recipe
from terrafine.training.schedule import Optim, Stop, rate_at
from terrafine.training.start import read_task, train
from terrafine.training.workers import Workers


@pytest.mark.parametrize("name", ["../evil", "a/b", "/tmp/x", ".hidden", "a\\\\b", "", "two words", "a\\u0000b"])
def test_a_name_is_a_name_and_never_a_path(name: str, ground: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.toml", steps=1)
    recipe.write_text(recipe.read_text().replace('name = "tiny"', f'name = "{name}"'))
    with pytest.raises(RecipeError, match="not a path"):
        train(recipe, data_root=ground, out=tmp_path / "deep" / "out", threads=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.toml"]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("seed = 1", "", RecipeError),
        ('"ground/*.tif"', '"nowhere/*.tif"', DataError),
        ('"ground/*.tif" = 1.0', '"ground/*.tif" = 1.0\n"none/*.h5#descending" = 1.0', TerrafineError),
        ("channels = 16", "chanels = 16", RecipeError),
        ("seed = 1", 'seed = 1\nstart = "nothing"', NoModelError),
        ("[optim]", "[loss]\naspekt = 1\n[optim]", RecipeError),
        ("[optim]", "[loss]\nsar = 1\n[optim]", RecipeError),
        ("size = 24", "size = 4000", DataError),
    ],
)
def test_a_refused_training_leaves_nothing(
    old: str, new: str, error: type[Exception], ground: Path, tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path / "r.toml", steps=1)
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new, 1))
    with pytest.raises(error):
        train(recipe, data_root=ground, out=tmp_path / "deep" / "out", threads=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.toml"]


@pytest.mark.parametrize("device", ["cuda", "cuda:3", "mps", "meta", "tpu", "xpu"])
def test_a_device_that_is_not_there_is_found_before_anything_is_read(device: str, tmp_path: Path) -> None:
    if device.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    recipe = write_recipe(tmp_path / "r.toml", steps=1)
    with pytest.raises(UsageError, match=f"device '{device}'"):
        train(recipe, data_root=tmp_path / "nowhere", out=tmp_path / "out", device=device)
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_found_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="matplotlib"):
        train(write_recipe(tmp_path / "r.toml"), data_root=tmp_path / "nowhere", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_hdf5_without_its_extra_is_found_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path / "r.toml")
    recipe.write_text(recipe.read_text().replace("ground/*.tif", "pairs/*.h5#descending"))
    monkeypatch.setattr("terrafine.training.dem.task.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="hdf5"):
        train(recipe, data_root=tmp_path / "nowhere", out=tmp_path / "out")


def test_a_second_process_is_refused_and_the_first_goes_on(ground: Path, tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path / "r.toml", steps=2), tmp_path / "out"
    with open_folder(out) as held:
        with pytest.raises(JobError, match=f"process {os.getpid()} on .* is training there"):
            train(recipe, data_root=ground, out=out, threads=1)
        held.prepare("{}", 0)
        held.write_prepared()
    assert sorted(p.name for p in out.iterdir()) == ["log.jsonl", "recipe.json"]
    train(recipe, data_root=ground, out=out, threads=1)
    assert not (out / FOLDER_LOCK).exists()


def test_a_lock_left_by_a_killed_process_does_not_hold(ground: Path, tmp_path: Path) -> None:
    (tmp_path / FOLDER_LOCK).write_text("process 1 on gone")
    with open_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_format_is_refused(ground: Path, tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path / "r.toml", steps=2), tmp_path / "out"
    train(recipe, data_root=ground, out=out, threads=1)
    path = out / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as f:
        tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118
        metadata = {k: v for k, v in f.metadata().items() if k != "format"}
    save_file(tensors, path, metadata)
    with pytest.raises(RecipeError, match=r"another version of Terrafine.*restart=True"):
        train(recipe, data_root=ground, out=out, threads=1)
    train(recipe, data_root=ground, out=out, threads=1, restart=True)


SCRIPT = {4: 0.9, 8: 0.8, 12: 0.85, 16: 0.86, 20: 0.7, 24: 0.6}


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> dict[int, dict[str, torch.Tensor]]:
    """Held-out scores as SCRIPT has them; the weights that were scored, by step."""
    seen: dict[int, dict[str, torch.Tensor]] = {}

    def score(self: Any, network: torch.nn.Module, checks: Sequence[Any], step: int) -> dict[str, float]:
        seen.setdefault(step, {k: v.clone() for k, v in network.state_dict().items()})
        return dict.fromkeys(DemRecipe.SCORES, SCRIPT[step])

    monkeypatch.setattr(DemTask, "score", score)
    return seen


def stopping(path: Path, table: str) -> Path:
    recipe = write_recipe(path, steps=24)
    recipe.write_text(f"{recipe.read_text()}\n[stop]\n{table}\n")
    return recipe


@pytest.mark.parametrize(
    ("table", "steps", "best"),
    [
        ("", 24, 24),
        ('best_by = "to_bicubic"', 24, 24),
        ('best_by = "to_bicubic"\npatience = 2', 16, 8),
        ('best_by = "to_bicubic"\npatience = 3', 24, 24),
        ('best_by = "slope_to_bicubic"\nmode = "max"\npatience = 1', 8, 4),
        ('best_by = "to_bicubic"\nmode = "max"', 24, 4),
    ],
)
def test_the_best_weights_are_published_and_a_run_stops_when_nothing_gets_better(
    table: str, steps: int, best: int, ground: Path, tmp_path: Path, scripted: dict[int, dict[str, torch.Tensor]]
) -> None:
    done = train(stopping(tmp_path / "r.toml", table), data_root=ground, out=tmp_path / "out", threads=1)
    assert done.steps == steps
    _, tensors = load(done.weights)
    assert all(torch.equal(tensors[k], scripted[best][k]) for k in tensors)


def test_a_run_that_was_cut_off_stops_where_one_that_was_not_does(
    ground: Path, tmp_path: Path, scripted: dict[int, dict[str, torch.Tensor]]
) -> None:
    recipe = stopping(tmp_path / "r.toml", 'best_by = "to_bicubic"\npatience = 2')
    whole = train(recipe, data_root=ground, out=tmp_path / "whole", threads=1)

    def cut(step: int, steps: int, line: dict[str, float]) -> None:
        if step == 14:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(recipe, data_root=ground, out=tmp_path / "cut", threads=1, progress=cut)
    steps: list[int] = []
    for _ in range(2):  # the second time it has already stopped
        again = train(
            recipe, data_root=ground, out=tmp_path / "cut", threads=1, progress=lambda s, t, n: steps.append(s)
        )
        assert (again.steps, digest(again.weights)) == (16, digest(whole.weights))
    assert steps == [13, 14, 15, 16]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('best_by = "mae"', "expected one of to_bicubic"),
        ("patience = 2", "patience needs best_by"),
        ('best_by = "to_bicubic"\nmode = "least"', "expected one of min, max"),
        ('best_by = "to_bicubic"\npatience = -1', "0 or more"),
        ('best_by = "to_bicubic"\npatience = 1.5', "without decimals"),
        ("best_by = 3", "expected a text"),
    ],
)
def test_stopping_that_cannot_be_meant_is_refused(table: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=says):
        read_recipe(stopping(tmp_path / "r.toml", table), DemRecipe)


def test_a_plateau_needs_a_score_in_every_task(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.toml")
    recipe.write_text(recipe.read_text() + 'decay = "plateau"\n')
    with pytest.raises(RecipeError, match="needs best_by"):
        read_recipe(recipe, DemRecipe)


def test_recipes_of_elevation_have_choices_too(tmp_path: Path) -> None:
    base = write_recipe(tmp_path / "own-x2.toml")
    base.write_text(f"{base.read_text()}\n[choices]\nlong = {{ optim = {{ steps = 80 }} }}\nother = {{ seed = 2 }}\n")
    plain, chosen = (read_task(tmp_path / n).recipe for n in ("own-x2.toml", "own-x2-other-long.toml"))
    assert (plain.optim.steps, plain.seed, plain.name) == (8, 1, "tiny")
    assert (chosen.optim.steps, chosen.seed, chosen.name) == (80, 2, "own-x2-other-long")
    assert chosen.optim.rate == plain.optim.rate


def test_every_shipped_recipe_is_read_by_the_one_reader() -> None:
    recipes = [path for part in recipe_folders() for path in part.glob("*.toml")]
    assert len(recipes) >= 9
    for path in recipes:
        task = read_task(path)
        assert task.recipe.stop.patience == 0, "shipped recipes run to their last step"
        keeps_best = task.system.training.task != "dem" or task.system.name == "ridgeline2"
        assert bool(task.recipe.stop.best_by) == keeps_best


def test_every_tensor_that_an_elevation_network_is_given_was_moved_to_the_device(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = refuse_unmoved(monkeypatch, "ridgeline")
    train(write_recipe(tmp_path / "r.toml", steps=2), data_root=ground, out=tmp_path / "out", threads=1)
    assert {"forward", "predict"} == set(called)


def test_a_batch_is_moved_whole() -> None:
    one = torch.ones(2, 2, 2, 2)
    batch = TrainingBatch(one, one, one, 4, {"vv": one, "vh": one})
    moved = to_device(batch, torch.device("meta"))
    assert {t.device.type for t in (moved.coarse, moved.fine, moved.pixel_size_m, *moved.guides.values())} == {"meta"}
    assert moved.scale == 4
    assert find_device("auto").type in ("cpu", "cuda")


def test_processes_share_a_batch_by_turns() -> None:
    rows = torch.arange(5.0)
    parts = [Workers(rank, 2).share(TrainingBatch(rows, rows, rows, 2, {"vv": rows})).guides["vv"] for rank in (0, 1)]
    assert [p.tolist() for p in parts] == [[0, 2, 4], [1, 3]]


def test_fixed_correlations_and_losses_are_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    x, kernel = 80 * torch.randn(1, 2, 24, 24), torch.randn(3, 2, 15, 15)
    plain = fixed_correlation(x, kernel)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fixed_correlation(x, kernel), plain)
        rounded = torch.nn.functional.conv2d(x, kernel, padding=7)
    assert (rounded.float() - plain).abs().max() > 0.1, "what bfloat16 would have done"
    heights = 3000 + x[:, :1]
    batch = TrainingBatch(
        heights, heights.repeat_interleave(2, -2).repeat_interleave(2, -1), torch.full((1, 2, 24, 1), 30.0), 2
    )
    relief = torch.randn(1, 4, 24, 24)
    settings = {"rmse": 1.0, "slope_angle": 0.5, "curvature": 0.5}
    one = relief_terms(relief, relief, relief, batch, settings)
    with torch.autocast("cpu", torch.bfloat16):
        two = relief_terms(relief, relief, relief, batch, settings)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_networks_of_heights_see_the_same_terrain_under_autocast() -> None:
    torch.manual_seed(0)
    heights = (40 * torch.randn(1, 1, 24, 24)).cumsum(-1) + 1500
    for name, network in (("ridgeline", {}), ("srcnn", {})):
        net = find_system(name).build(network, 2).eval()  # type: ignore[misc]
        batch = TrainingBatch(heights, heights, torch.full((1, 2, 24, 1), 30.0), 2)
        training = find_system(name).training
        assert training is not None
        with torch.no_grad():
            plain = training.predict(net, batch, {})["elevation"]
            with torch.autocast("cpu", torch.bfloat16):
                low = training.predict(net, batch, {})["elevation"]
        assert (low - plain).abs().max() < 0.05 * (plain - plain.mean()).abs().max(), name


@pytest.mark.parametrize("decay", ["cosine", "exponential", "none"])
def test_the_rate_rises_falls_and_starts_again_with_a_phase(decay: str) -> None:
    plan = Optim(steps=100, rate=1.0, warmup=10, decay=decay, starts=(50,))
    rates = [rate_at(step, plan) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[50] == rates[0]
    assert rates[:50] == rates[50:]
    assert max(rates) <= 1.0
    assert (rates[49] < 0.1) == (decay != "none")


def test_stop_knows_better_from_worse() -> None:
    assert Stop("f1", "max").better(0.5, Stop("f1", "max").worst)
    assert not Stop("mae").better(2.0, 1.0)
    assert not Stop("mae").better(float("nan"), 1.0)


def test_a_new_system_is_one_folder(ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = tmp_path / "systems" / "onefolder"
    (ours / "recipes").mkdir(parents=True)
    source = Path(str(find_system("ridgeline").build.__code__.co_filename))  # type: ignore[union-attr]
    (ours / "__init__.py").write_text(source.read_text().replace('"ridgeline"', '"onefolder"'))
    write_recipe(ours / "recipes" / "onefolder-x2.toml", steps=2, system="onefolder", network=RIDGELINE)
    monkeypatch.setattr(terrafine.systems, "__path__", [*terrafine.systems.__path__, str(ours.parent)])
    find_system.cache_clear()
    try:
        assert "onefolder" in system_names()
        done = train("onefolder-x2.toml", data_root=ground, out=tmp_path / "out", threads=1)
        spec, _ = load(done.weights)
        assert (spec.system, spec.name) == ("onefolder", "tiny")
    finally:
        find_system.cache_clear()
        shutil.rmtree(ours)


@pytest.mark.parametrize(
    ("system", "size", "said"),
    [
        ("pimsr", 15, "multiple of 2 cells, such as 14 or 16"),
        ("pimsr_published", 20, "multiple of 8 cells, such as 16"),
    ],
)
def test_patches_that_the_network_cannot_read_are_refused_with_sizes_that_fit(
    tmp_path: Path, system: str, size: int, said: str
) -> None:
    recipe = write_recipe(tmp_path / "r.toml", system=system, network="")
    recipe.write_text(recipe.read_text().replace("size = 24", f"size = {size}"), encoding="utf-8")
    with pytest.raises(RecipeError, match=said):
        train(recipe, data_root=tmp_path / "nothing is read", out=tmp_path / "out", threads=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("system", "scale"), [("pimsr_published", 3), ("ridgeline2", 5)])
def test_scales_that_the_network_has_not_are_refused(tmp_path: Path, system: str, scale: int) -> None:
    recipe = write_recipe(tmp_path / "r.toml", system=system, network="")
    recipe.write_text(recipe.read_text().replace("scale = 2", f"scale = {scale}"), encoding="utf-8")
    with pytest.raises(RecipeError, match=f"scale = {scale}: expected"):
        train(recipe, data_root=tmp_path / "nothing is read", out=tmp_path / "out", threads=1)
