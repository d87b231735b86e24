"""Recipes that contradict themselves, or hold values of another type, are refused with the file and the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.recipes import write_recipe

from terrafine.errors import RecipeError, TerrafineError
from terrafine.training.recipe import read_recipe, read_tables
from terrafine.training.segmentation.recipe import SampleRecipe
from terrafine.training.start import train


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seed = 1", "seed = -1", "seed = -1: expected 0 to"),
        ("seed = 1", "seed = 9000000000000000000", "seed = .* expected 0 to"),
        ("rate = 1e-3", "rate = inf", "expected a number"),
        ("rate = 1e-3", "rate = 1e-3\nweight_decay = -1", "weight_decay = -1: expected 0 to 1000"),
        ("warmup = 2", "warmup = -1", "warmup"),
        ("rate = 1e-3", "rate = 1e-3\nfactor = 0", "factor = 0: expected above 0"),
        ("rate = 1e-3", 'rate = 1e-3\ndecay = "exponential"\nfinal = 0', "above 0 for exponential decay"),
        ("rate = 1e-3", "rate = 1e-3\nfinal = -1", "final = -1"),
        ('"ground/*.tif" = 1.0', '"ground/*.tif" = "much"', r"files\.'ground/\*\.tif' = 'much': expected a number"),
        ('"ground/*.tif" = 1.0', '"ground/*.tif" = 0', "expected weights above 0"),
        ('"ground/*.tif" = 1.0', '"ground/*.tif" = -1.0', r"= -1\.0: expected 0 to 1000000"),
        ('"ground/b" = [0.0, 1.0]', '"ground/b" = [0.0]', r"expected \[from, to\]"),
        ('"ground/b" = [0.0, 1.0]', '"ground/b" = [0.6, 0.4]', r"expected \[from, to\]"),
        ('"ground/b" = [0.0, 1.0]', '"ground/b" = [0.0, 2.0]', r"expected \[from, to\]"),
        ('"ground/b" = [0.0, 1.0]', '"ground/b" = 0.5', r"held_out\.'ground/b' = 0\.5: expected a list, each a number"),
        ('"ground/b" = [0.0, 1.0]', '"ground/a" = [0.0, 1.0]\n"ground/b" = [0.0, 1.0]', "is held out"),
        ("gap = 4", "gap = -4", "gap = -4"),
        ("coarsen = { 1 = 0.5, 2 = 0.5 }", "coarsen = { half = 1.0 }", "whole factors"),
        ("coarsen = { 1 = 0.5, 2 = 0.5 }", "coarsen = { 0 = 1.0 }", "whole factors"),
        ("coarsen = { 1 = 0.5, 2 = 0.5 }", "coarsen = { 1 = 0 }", "whole factors"),
        ("exaggerate = 0.2", "exaggerate = -1", "exaggerate"),
        ("noise = 0.5", "noise = 0.5\nwidth = [0.3]", "expected a list of 2, each a number"),
        ("kernels = { mean = 0.5, gaussian = 0.5 }", "kernels = 3", "expected a table"),
        ("scale = 2", "scale = 2\nscales = 2", "expected a list, each a number without decimals"),
        ("scale = 2", "scale = 2\nscales = [1, 2]", r"scales\[0\] = 1: expected 2 to 64"),
        ("channels = 16", "channels = -16", r"\[network\] channels = -16: expected 1 to 2048"),
        ("channels = 16", 'channels = "many"', r"\[network\] channels = 'many': expected a number without decimals"),
        ("blocks = [1, 0]", "blocks = []", r"\[network\] blocks = \[\]: expected a list of 2"),
        ("[optim]", "[adversary]\nwidth = 4\n[optim]", "no discriminators"),
        ("[optim]", "[stop]\n[choices]\nx = 3\n[optim]", "tables of the keys"),
        ('name = "tiny"', 'name = ".."', "not a path"),
        ('name = "tiny"', 'name = "größe"', "not a path"),
    ],
)
def test_a_value_that_cannot_serve_is_refused_and_leaves_nothing(
    old: str, new: str, says: str, ground: Path, tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path / "r.toml", steps=1)
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new, 1))
    with pytest.raises(TerrafineError, match=says):
        train(recipe, data_root=ground, out=tmp_path / "out", threads=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.toml"]


def test_weights_may_not_have_the_name_of_the_checkpoint(ground: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.toml", steps=1, extra="scales = [2, 3]")
    recipe.write_text(recipe.read_text().replace('name = "tiny"', 'name = "Checkpoint"'))
    with pytest.raises(RecipeError, match="the run folder has a file of that name"):
        train(recipe, data_root=ground, out=tmp_path / "out", threads=1)


@pytest.mark.parametrize("name", ["-x", "-a.toml", "--.toml", "-", "a-b-c"])
def test_a_file_name_of_dashes_is_no_choice_of_anything(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        read_tables(tmp_path / name)


SAMPLES = """
system = "jointseg"
name = "small"
version = "1"
seed = 3
[data]
[patches]
size = 8
batch = 2
[phases.image]
steps = 2
l1 = 10
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("l1 = 10", "l1 = 10\nsgment = 1", r"\[phases.image\] \['sgment'\]: not known"),
        ("l1 = 10", "joint = 1", r"\[phases.image\] trains nothing"),
        ("l1 = 10", "l1 = 10\n[loss]\naspekt = 1", r"\[loss\]: unknown keys \['aspekt'\]; known are"),
        ("steps = 2", "steps = 2.5", "expected a whole number"),
        ("steps = 2", "steps = -2", r"\[phases\] image\.steps = -2: expected 0 to"),
        ("steps = 2", "steps = true", r"steps = True: expected a number"),
        ("[patches]", '[stop]\nbest_by = "f1"\n[patches]', "expected mode = 'max'"),
        ("[patches]", '[stop]\nbest_by = "area_bias"\nmode = "max"\n[patches]', "expected one of short, f1"),
        ('name = "small"', 'name = "checkpoint"', "the run folder has a file of that name"),
    ],
)
def test_samples_and_phases_that_cannot_serve_are_refused_before_data_are_read(
    old: str, new: str, says: str, tmp_path: Path
) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(SAMPLES.replace(old, new, 1))
    with pytest.raises(RecipeError, match=says):
        train(recipe, data_root=tmp_path / "nowhere", out=tmp_path / "out", threads=1)


def test_a_score_that_is_better_higher_is_taken_with_its_mode(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'{SAMPLES}\n[stop]\nbest_by = "f1"\nmode = "max"\n')
    assert read_recipe(recipe, SampleRecipe).stop.mode == "max"


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ("aspekt = 1", r"\[loss\]: unknown keys \['aspekt'\]; known are"),
        ("l1 = 0", "trains nothing"),
        ("gan = 1", "trains nothing"),
    ],
)
def test_terms_of_heights_from_images_are_checked_before_data_are_read(loss: str, says: str, tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    text = SAMPLES[: SAMPLES.index("[data]")].replace("jointseg", "sat2dem")
    text += '[data.pairs]\n"a.tif" = "b.tif"\n[data.held_out]\na = [0, 1]\n[patches]\nsize = 32\nbatch = 2\n'
    recipe.write_text(f"{text}[loss]\n{loss}\n[network]\nwidth = 4\ndepth = 2\n[optim]\nsteps = 1\n")
    with pytest.raises(RecipeError, match=says):
        train(recipe, data_root=tmp_path / "nowhere", out=tmp_path / "out", threads=1)
