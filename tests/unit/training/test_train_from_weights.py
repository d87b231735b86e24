"""`train` takes weights to start from, in Python and on the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.support.recipes import write_recipe

from terrafine import train
from terrafine.errors import NoModelError
from terrafine.nn.weights import load


def test_train_starts_from_weights(ground: Path, tmp_path: Path) -> None:
    first = train(write_recipe(tmp_path / "a.toml", steps=2), data_root=ground, out=tmp_path / "a", threads=1).weights
    recipe = write_recipe(tmp_path / "b.toml", steps=1)
    recipe.write_text(recipe.read_text().replace("rate = 1e-3", "rate = 1e-9"))
    _, old = load(first)
    spec, new = load(train(recipe, data_root=ground, out=tmp_path / "b", threads=1, start=first).weights)
    assert spec.provenance["recipe"]["start"] == first.name  # the file, not the folders of this machine
    torch.testing.assert_close(new["head.weight"], old["head.weight"], atol=1e-6, rtol=0)
    words = [sys.executable, "-m", "terrafine.cli", "train", str(recipe), "--data", str(ground), "--quiet"]
    subprocess.run([*words, "--out", str(tmp_path / "c"), "--threads", "1", "--start", str(first)], check=True)
    _, same = load(tmp_path / "c" / "tiny-x2.safetensors")
    assert all(torch.equal(same[k], new[k]) for k in new)
    with pytest.raises(NoModelError, match="no such file"):
        train(recipe, data_root=ground, out=tmp_path / "d", start="nothing")
