"""`consistency="hard"` is a promise: an output that leaves it is refused, whatever the input and the weights."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.fakes import write_dem_with_gaps

import terrafine
from terrafine.errors import MissingExtraError, OutputError, UsageError
from terrafine.nn.weights import load, save
from terrafine.raster.grid import plausible_cell
from terrafine.systems import find_model

RNG = np.random.default_rng(0)
HEIGHTS = {
    "hills": RNG.normal(500, 50, (40, 40)),
    "summits": 8_900 + RNG.normal(0, 20, (40, 40)),
    "trench": -10_900 + RNG.normal(0, 20, (40, 40)),
    "extremes": RNG.uniform(-11_000, 8_900, (40, 40)),
}


def residual(fine: NDArray[np.float32], coarse: NDArray[np.float32], k: int) -> float:
    y, x = coarse.shape
    means = fine.astype(np.float64).reshape(y, k, x, k).mean(axis=(1, 3))
    return float(np.abs(means - coarse).max())


@pytest.mark.parametrize("pixel", [1e-12, 1e-8, 1e-4, 1e-2, 1.0, 30.0, 1e4, 1e6, 1e9, 1e15])
@pytest.mark.parametrize("name", HEIGHTS)
@pytest.mark.parametrize("model", ["ridgeline", "bicubic"])
def test_a_published_array_keeps_the_observation(model: str, name: str, pixel: float) -> None:
    coarse = HEIGHTS[name].astype(np.float32)
    try:
        fine = terrafine.sharpen_dem(coarse, scale=2, model=model, pixel_size_m=pixel)
    except UsageError as error:
        assert not plausible_cell(pixel)
        assert "pixel_size_m" in str(error)
    except OutputError as error:
        assert not (name == "hills" and 30 <= pixel <= 1e4), f"an ordinary input is refused: {error}"
        if "expected -11100 to 9000 m" in str(error):
            assert model == "ridgeline" or name == "extremes"
        else:
            assert model == "ridgeline"
            assert 'consistency="none"' in str(error)
    else:
        assert residual(fine, coarse, 2) <= 0.01
        assert fine.min() >= -11_100
        assert fine.max() <= 9_000


def test_the_comparison_sees_an_output_that_does_not_keep_it() -> None:
    coarse = HEIGHTS["hills"].astype(np.float32)
    fine = terrafine.sharpen_dem(coarse, scale=2, model="bicubic", consistency="none", pixel_size_m=30.0)
    assert residual(fine, coarse, 2) > 0.1


def test_the_soft_promise_is_kept_as_well() -> None:
    coarse = HEIGHTS["hills"].astype(np.float32)
    options = {"scale": 2, "model": "bicubic", "pixel_size_m": 30.0}
    fine = terrafine.sharpen_dem(coarse, consistency="soft", tolerance_m=0.5, **options)
    assert 0.4 < residual(fine, coarse, 2) <= 0.51


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that fit their spec and give relief of millions of metres."""
    ref = find_model("srcnn", 2)
    assert ref.path is not None
    spec, tensors = load(ref.path)
    path = tmp_path_factory.mktemp("weights") / "foreign.safetensors"
    save(path, {name: 1e3 * values for name, values in tensors.items()}, spec)
    return path


@pytest.mark.parametrize("consistency", ["hard", "soft", "none"])
@pytest.mark.parametrize("target", [None, (20.0, 20.0)], ids=["own grid", "warped"])
def test_heights_that_no_reader_takes_are_not_published(
    tmp_path: Path, foreign: Path, target: tuple[float, float] | None, consistency: str
) -> None:
    coarse = write_dem_with_gaps(tmp_path / "coarse.tif", (40, 40))
    options = {"scale": 2, "model": foreign, "consistency": consistency}
    with pytest.raises(OutputError, match=r"elevation from -\S+ to \S+ m in tile .*; expected -11100 to 9000 m"):
        terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", target_resolution=target, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["coarse.tif"]
    if target is None:
        with pytest.raises(OutputError, match="expected -11100 to 9000 m"):
            terrafine.sharpen_dem(RNG.normal(500, 50, (20, 20)), pixel_size_m=30.0, **options)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_an_engine_that_is_not_installed_leaves_nothing_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setitem(sys.modules, "openvino" if engine == "openvino" else "onnxruntime", None)
    coarse = write_dem_with_gaps(tmp_path / "coarse.tif", (20, 20))
    with pytest.raises(MissingExtraError, match=r"pip install 'terrafine\[onnx.*engine=\"torch\"") as error:
        terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", scale=2, model="srcnn", engine=engine)
    assert engine in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["coarse.tif"]
    terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", scale=2, model="srcnn", engine="torch")


def test_without_dask_nothing_is_left_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    coarse = write_dem_with_gaps(tmp_path / "coarse.tif", (20, 20))
    with pytest.raises(MissingExtraError, match=r"terrafine\[dask\]"):
        terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", scale=2, model="bicubic", dask="tcp://localhost:1")
    assert [p.name for p in tmp_path.iterdir()] == ["coarse.tif"]
    terrafine.sharpen_dem(coarse, tmp_path / "fine.tif", scale=2, model="bicubic")
