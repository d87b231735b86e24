"""A run folder after a restart, a failed write, a finished run, and where several processes share a batch."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.support.recipes import write_recipe
from torch import nn

from terrafine.errors import DataError, OutputError, RecipeError
from terrafine.nn.weights import digest
from terrafine.training import folder as run_folder
from terrafine.training import runner, start
from terrafine.training.batches import Batches
from terrafine.training.checkpoint import start_state
from terrafine.training.dem.recipe import DemRecipe
from terrafine.training.dem.task import DemTask
from terrafine.training.folder import open_folder
from terrafine.training.runner import _step
from terrafine.training.schedule import Optim, Stop
from terrafine.training.start import train
from terrafine.training.workers import Workers


class CutOffError(Exception):
    """A run that ends early."""


def cut_at(last: int, seen: list[int]) -> Any:
    def progress(step: int, steps: int, line: dict[str, float]) -> None:
        seen.append(step)
        if step == last:
            raise CutOffError

    return progress


def test_a_restarted_run_that_is_cut_off_is_not_resumed_from_the_former_one(ground: Path, tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path / "r.toml"), tmp_path / "out"
    whole = digest(train(recipe, data_root=ground, out=out, threads=1).weights)
    (out / "pictures").mkdir()
    (out / "pictures" / "step-000008.png").write_bytes(b"old")
    with pytest.raises(CutOffError):
        train(recipe, data_root=ground, out=out, threads=1, restart=True, progress=cut_at(2, []))
    assert not (out / "checkpoint.safetensors").exists()
    assert list((out / "pictures").iterdir()) == []
    seen: list[int] = []
    done = train(recipe, data_root=ground, out=out, threads=1, progress=cut_at(99, seen))
    assert seen == list(range(1, 9))
    assert digest(done.weights) == whole


def test_a_restart_that_is_refused_keeps_the_former_run(ground: Path, tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path / "r.toml"), tmp_path / "out"
    train(recipe, data_root=ground, out=out, threads=1)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    recipe.write_text(recipe.read_text().replace("size = 24", "size = 4000"))
    with pytest.raises(DataError):
        train(recipe, data_root=ground, out=out, threads=1, restart=True)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_a_finished_run_draws_no_batch_and_gives_the_same_result(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = write_recipe(tmp_path / "r.toml", steps=2), tmp_path / "out"
    drawn: list[int] = []
    batch = Batches.batch
    monkeypatch.setattr(Batches, "batch", lambda self, step: (drawn.append(step), batch(self, step))[1])
    first = train(recipe, data_root=ground, out=out, threads=1)
    bytes_ = first.weights.read_bytes()
    again = train(recipe, data_root=ground, out=out, threads=1)
    assert drawn == [0, 1]
    assert (again.weights.read_bytes(), again.scores, again.steps) == (bytes_, first.scores, first.steps)


def test_a_score_that_is_never_a_number_publishes_nothing(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path / "r.toml", steps=4)
    recipe.write_text(f'{recipe.read_text()}\n[stop]\nbest_by = "to_bicubic"\n')
    monkeypatch.setattr(DemTask, "score", lambda *_: dict.fromkeys(DemRecipe.SCORES, float("nan")))
    with pytest.raises(DataError, match="no held-out to_bicubic was a number"):
        train(recipe, data_root=ground, out=tmp_path / "out", threads=1)
    assert not (tmp_path / "out" / "tiny-x2.safetensors").exists()


@pytest.mark.parametrize("what", ["write_whole", "write_checkpoint", "draw_curve", "write_result"])
def test_a_full_disk_is_reported_in_words(
    what: str, ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    module = {"write_whole": run_folder, "write_result": start}.get(what, runner)
    monkeypatch.setattr(module, what, full)
    recipe, out = write_recipe(tmp_path / "r.toml", steps=2), tmp_path / "out"
    with pytest.raises(OutputError, match=r"No space left.*out=DIR.*resumed"):
        train(recipe, data_root=ground, out=out, threads=1)
    monkeypatch.undo()
    assert train(recipe, data_root=ground, out=out, threads=1).steps == 2


@pytest.mark.parametrize("name", ["new/" + "x" * 300, "new/a\0b", "file", "file/below"])
def test_a_folder_that_cannot_be_created_leaves_no_parents(name: str, tmp_path: Path) -> None:
    (tmp_path / "ok").mkdir()
    (tmp_path / "ok" / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="out=DIR"), open_folder(tmp_path / "ok" / name):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_folder_has_any_name(ground: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.toml", steps=1)
    out = tmp_path / "deep" / ".." / "ground-ü 雪" / "x.toml"
    done = train(recipe, data_root=ground, out=out, threads=1)
    assert done.weights.parent.parent.parent == tmp_path
    assert json.loads((done.weights.parent / "result.json").read_text())["sha256"] == digest(done.weights)


def test_a_checkpoint_of_other_networks_is_refused(ground: Path, tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path / "r.toml", steps=2), tmp_path / "out"
    train(recipe, data_root=ground, out=out, threads=1)
    path = out / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as f:
        tensors, metadata = {k: f.get_tensor(k) for k in f.keys()}, f.metadata()  # noqa: SIM118
    del tensors[next(k for k in tensors if k.startswith("state.network."))]
    save_file(tensors, path, metadata)
    with pytest.raises(RecipeError, match="does not fit the networks"):
        train(recipe, data_root=ground, out=out, threads=1)


def test_processes_that_would_not_have_the_same_number_of_patches_are_refused(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "join_workers", lambda: Workers(0, 3))
    with pytest.raises(RecipeError, match="expected a multiple of 3"):
        train(write_recipe(tmp_path / "r.toml"), data_root=ground, out=tmp_path / "out", threads=1)
    assert not (tmp_path / "out").exists()


class Net(nn.Module):
    """One weight, in a child that carries a name."""

    def __init__(self) -> None:
        super().__init__()
        self.child = nn.Linear(1, 1)


def fake_task(optim: Optim, **hooks: Any) -> Any:
    """A task of one weight whose discriminator has a child of the same name."""
    given = {
        "forward": lambda net, batch, settings: net.child(batch),
        "loss": lambda found, batch, output, settings: {"total": output.square().mean()},
        "discriminator_losses": lambda found, batch, output, settings: {
            "critic": found["critic"].child(output.detach()).mean()
        },
        "rate_factors": lambda batch: {"child": 0.5},
    }
    recipe = SimpleNamespace(optim=optim, seed=1, loss={}, stop=Stop())
    return SimpleNamespace(hooks=SimpleNamespace(**(given | hooks)), recipe=recipe, settings={})


def test_a_discriminator_whose_gradient_is_not_finite_is_refused() -> None:
    task = fake_task(
        Optim(4, 0.1),
        discriminator_losses=lambda found, *_: {"critic": found["critic"].child.weight.sum() * float("nan")},
    )
    state = start_state(Net(), {"critic": Net()}, task.recipe.optim, Stop())
    with pytest.raises(DataError, match=r"step 0: the gradient of the discriminator 'critic' is not finite"):
        _step(task, state, torch.ones(2, 1), torch.device("cpu"))


def test_factors_of_the_rate_are_of_the_network_alone_and_a_plateau_ends_with_its_phase() -> None:
    task = fake_task(Optim(8, 0.1, warmup=1, decay="plateau", starts=(1,)))
    state = start_state(Net(), {"critic": Net()}, task.recipe.optim, Stop())
    state.numbers |= {"plateau": 0.25, "waited": 3.0}
    rates = []
    for _ in range(2):
        line = _step(task, state, torch.ones(2, 1), torch.device("cpu"))
        rates.append((line["rate"], *(o.param_groups[0]["lr"] for o in state.optimisers.values())))
    assert rates == [
        (pytest.approx(0.025), pytest.approx(0.0125), pytest.approx(0.025)),
        (pytest.approx(0.1), pytest.approx(0.05), pytest.approx(0.1)),
    ]
    assert state.numbers["waited"] == 0
