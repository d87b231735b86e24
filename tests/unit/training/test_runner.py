"""A run interrupted anywhere goes on to the same weights; what cannot be trained is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.recipes import RIDGELINE, write_recipe

from terrafine.errors import DataError, RecipeError, WeightsError
from terrafine.nn.weights import digest, load, read_spec
from terrafine.training import runner
from terrafine.training.curve import draw_curve
from terrafine.training.start import train


class StopError(Exception):
    """Raised by a test in place of a power cut."""


def run(recipe: Path, ground: Path, out: Path, *, stop_after: int | None = None, resume: bool = True) -> Path:
    def progress(step: int, total: int, line: dict[str, float]) -> None:
        if step == stop_after:
            raise StopError

    return train(
        recipe, data_root=ground, out=out, device="cpu", threads=1, progress=progress, restart=not resume
    ).weights


@pytest.mark.parametrize("method", ["adamw", "muon"])
def test_interrupted_and_resumed_gives_the_same_weights(ground: Path, tmp_path: Path, method: str) -> None:
    wide = "channels = 32\nblocks = [1, 0]\ndeep_channels = 0\ndeep_blocks = 0"
    recipe = write_recipe(tmp_path / "r.toml", network=wide, method=method)
    whole = run(recipe, ground, tmp_path / "whole")
    for stop in (2, 5):
        with pytest.raises(StopError):
            run(recipe, ground, tmp_path / "broken", stop_after=stop)
    resumed = run(recipe, ground, tmp_path / "broken")
    assert digest(resumed) == digest(whole)
    steps = [json.loads(line)["step"] for line in (tmp_path / "broken" / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)) == [4, 8]
    assert (tmp_path / "broken" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_ended_after_its_last_checkpoint_draws_the_whole_curve(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path / "r.toml")
    calm, broken = tmp_path / "calm", tmp_path / "broken"
    run(recipe, ground, calm)

    def cut(log: list[dict[str, float]], *rest: Any) -> None:
        if log and log[-1]["step"] == 8:
            raise StopError
        draw_curve(log, *rest)

    monkeypatch.setattr(runner, "draw_curve", cut)
    with pytest.raises(StopError):
        run(recipe, ground, broken)
    monkeypatch.undo()
    run(recipe, ground, broken)
    assert (broken / "curve.png").read_bytes() == (calm / "curve.png").read_bytes()


def test_another_seed_gives_other_weights(ground: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.toml", steps=2)
    one = run(recipe, ground, tmp_path / "one")
    recipe.write_text(recipe.read_text().replace("seed = 1", "seed = 2"))
    assert digest(run(recipe, ground, tmp_path / "two")) != digest(one)


def test_the_weights_say_where_they_come_from(ground: Path, tmp_path: Path) -> None:
    spec = read_spec(run(write_recipe(tmp_path / "r.toml", steps=2), ground, tmp_path / "out"))
    assert (spec.name, spec.system, spec.scale, spec.version) == ("tiny", "ridgeline", 2, "0.1")
    assert spec.provenance["recipe"]["seed"] == 1
    assert set(spec.provenance["held_out_scores"]) == {"to_bicubic", "to_consistent", "slope_to_bicubic"}
    assert spec.calibration["sigma"] > 0
    assert spec.tolerance_m > 0
    assert 1.0 == spec.calibration["0.68"] < spec.calibration["0.90"] < spec.calibration["0.95"]


def test_training_lowers_the_loss(ground: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    train(
        write_recipe(tmp_path / "r.toml", steps=60, system="srcnn", network="", extra="scales = [2, 3]"),
        data_root=ground,
        out=tmp_path / "out",
        threads=1,
        progress=lambda step, total, line: seen.append(line["total"]),
    )
    assert sum(seen[-10:]) < 0.95 * sum(seen[:10])
    assert read_spec(tmp_path / "out" / "tiny.safetensors").scales == (2, 3)


def test_start_takes_the_tensors_that_fit(ground: Path, tmp_path: Path) -> None:
    first = run(write_recipe(tmp_path / "a.toml", steps=2), ground, tmp_path / "a")
    text = write_recipe(tmp_path / "b.toml", steps=1, extra=f'start = "{first}"').read_text()
    (tmp_path / "b.toml").write_text(text.replace("scale = 2", "scale = 3").replace("rate = 1e-3", "rate = 1e-9"))
    _, old = load(first)
    _, new = load(run(tmp_path / "b.toml", ground, tmp_path / "b"))
    torch.testing.assert_close(new["head.weight"], old["head.weight"], atol=1e-6, rtol=0)
    assert new["tail.weight"].shape != old["tail.weight"].shape


def test_a_checkpoint_of_another_recipe_is_refused(ground: Path, tmp_path: Path) -> None:
    run(write_recipe(tmp_path / "a.toml", steps=3), ground, tmp_path / "out")
    with pytest.raises(RecipeError, match="another recipe"):
        run(write_recipe(tmp_path / "b.toml", steps=4), ground, tmp_path / "out")
    run(write_recipe(tmp_path / "b.toml", steps=4), ground, tmp_path / "out", resume=False)


def test_a_torn_checkpoint_is_refused(ground: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "a.toml", steps=3)
    run(recipe, ground, tmp_path / "out")
    checkpoint = tmp_path / "out" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged checkpoint"):
        run(recipe, ground, tmp_path / "out")


def test_leaking_ground_is_refused(ground: Path, tmp_path: Path) -> None:
    (tmp_path / "ground").mkdir()
    for name in "ab":
        (tmp_path / "ground" / f"{name}.tif").write_bytes((ground / "ground" / "a.tif").read_bytes())
    with pytest.raises(DataError, match="same terrain as held-out"):
        run(write_recipe(tmp_path / "r.toml"), tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seed = 1", "", r"missing keys \['seed'\]"),
        ("seed = 1", "seed = 1\nsead = 2", r"unknown keys \['sead'\]"),
        ("rate = 1e-3", "rate = 0.0", "expected above 0"),
        ("rate = 1e-3", 'rate = "fast"', "expected a number"),
        ("mean = 0.5", "box = 0.5", "expected positive weights"),
        ('"ground/b" = [0.0, 1.0]', "", "held_out is empty"),
        ("channels = 16", "chanels = 16", r"unknown keys \['chanels'\]; known are"),
        ('system = "ridgeline"', 'system = "interpolation"', "no weights to train"),
        ("seed = 1", "seed =", "not TOML"),
        ("scale = 2", "scale = 2\nscales = [3, 4]", "not among scales"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(ground: Path, tmp_path: Path, old: str, new: str, says: str) -> None:
    recipe = write_recipe(tmp_path / "r.toml", steps=1)
    assert old in recipe.read_text()
    recipe.write_text(recipe.read_text().replace(old, new, 1))
    with pytest.raises(RecipeError, match=says):
        run(recipe, ground, tmp_path / "out")


@pytest.mark.parametrize(("system", "network"), [("ridgeline", RIDGELINE), ("srcnn", "")])
def test_a_term_that_a_loss_does_not_know_is_refused(ground: Path, tmp_path: Path, system: str, network: str) -> None:
    recipe = write_recipe(tmp_path / "r.toml", system=system, network=network)
    recipe.write_text(f"{recipe.read_text()}\n[loss]\naspekt = 0.5\n")
    with pytest.raises(RecipeError, match=r"\[loss\]: unknown keys \['aspekt'\]; known are"):
        run(recipe, ground, tmp_path / "out")


def test_a_missing_recipe_and_missing_data_are_refused(ground: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        run(tmp_path / "none.toml", ground, tmp_path / "out")
    with pytest.raises(DataError, match="no file matches"):
        run(write_recipe(tmp_path / "r.toml"), tmp_path, tmp_path / "out")


@pytest.mark.slow
def test_two_processes_share_a_batch_and_agree_with_one(ground: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.toml", steps=3)
    balance = '[balance]\nmethod = "uncertainty"\nterms = ["rmse", "slope"]\nrate = 0.5'
    recipe.write_text(f"{recipe.read_text()}\n[loss]\nrmse = 0.5\nslope = 0.5\n{balance}")
    alone = run(recipe, ground, tmp_path / "alone")
    code = (
        "import sys; from terrafine.training.start import train;"
        "train(sys.argv[1], data_root=sys.argv[2], out=sys.argv[3], device='cpu', threads=1)"
    )
    script = tmp_path / "go.py"
    script.write_text(code)
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *map(str, (script, recipe, ground, tmp_path / "two")),
        ],
        check=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    _, one = load(alone)
    _, two = load(tmp_path / "two" / "tiny-x2.safetensors")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-3, rtol=0)
    logs = [(tmp_path / where / "log.jsonl").read_text().splitlines()[-1] for where in ("alone", "two")]
    here, there = (json.loads(line) for line in logs)
    for name in ("weight_rmse", "weight_slope"):  # by the mean over both, where each one's patches say otherwise
        assert there[name] == pytest.approx(here[name], rel=1e-4)
    assert there["rmse"] != pytest.approx(here["rmse"], rel=1e-4)
