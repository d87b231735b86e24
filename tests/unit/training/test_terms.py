"""PIMSR trains with terms of physics and adaptive weights, and not without the radar that a term asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.recipes import write_recipe

from terrafine.errors import RecipeError
from terrafine.training.start import train

NETWORK = (
    "width = 8\nbody = [8, 1]\n[network.relief]\nchannels = 8\nblocks = [1, 0]\ndeep_channels = 0\ndeep_blocks = 0"
)
NAMES = ("gradient", "slope_angle", "aspect", "curvature", "flow", "sinks", "sar")


def recipe(folder: Path, *, radar: str, balance: str = "", steps: int = 2) -> Path:
    path = write_recipe(folder / "r.toml", system="pimsr", network=NETWORK, steps=steps)
    loss = "[loss]\nrmse = 0.5\n" + "".join(f"{name} = 0.1\n" for name in NAMES)
    path.write_text(f"{path.read_text()}\n{loss}{balance}{radar}")
    return path


def test_every_term_is_trained_on_and_told(ground: Path, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    balance = '[balance]\nmethod = "relobralo"\nterms = ["rmse", "aspect", "sar"]\n'
    path = recipe(tmp_path, radar="[radar]\ndrop = 0.0\n", balance=balance)
    train(path, data_root=ground, out=tmp_path / "out", threads=1, progress=lambda s, t, line: lines.append(line))
    assert {*NAMES, "weight_rmse", "weight_aspect", "weight_sar", "share_dem"} <= lines[0].keys()
    assert all(0 <= line[name] < 3 for line in lines for name in NAMES)
    assert lines[-1]["weight_sar"] != lines[-1]["weight_aspect"]


def test_sar_without_radar_is_refused(ground: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"\[loss\] sar"):
        train(recipe(tmp_path, radar=""), data_root=ground, out=tmp_path / "out", threads=1)
