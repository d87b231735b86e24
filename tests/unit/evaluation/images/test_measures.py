"""Measures of images: laws, scikit-image where it is there, and the comparison of files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from tests.support.rasters import write_raster
from tests.support.surfaces import terrain

from terrafine.cli import main
from terrafine.errors import BandError, EmptyError, GridError, UsageError
from terrafine.evaluation.images.compare import compare
from terrafine.evaluation.images.measures import (
    correctness,
    harmonised,
    matched,
    measure,
    psnr,
    reduced,
    spectral_angle,
)
from terrafine.evaluation.report import write_report
from terrafine.physics.ssim import ssim
from terrafine.raster.warp.resample import block_mean, upsample

K = 4


def scene(side: int = 128, seed: int = 0) -> np.ndarray:
    """Three bands of reflectance, alike but not the same."""
    bands = [0.2 + 0.03 * (terrain(side, seed, 1.2) - 500) / 100 + 0.01 * b for b in range(2)]
    return np.clip(np.stack([*bands, 0.25 + 0.02 * (terrain(side, seed + 9, 1.2) - 500) / 100]), 0.01, 0.9)


def test_psnr_is_that_of_the_mean_squared_error() -> None:
    assert psnr(0.01) == pytest.approx(20.0)
    assert psnr(0.01, peak=10.0) == pytest.approx(40.0)
    assert psnr(0.0) == math.inf


def test_ssim_is_one_of_equals_and_that_of_scikit_image() -> None:
    a = scene()
    b = a + 0.02 * np.random.default_rng(0).standard_normal(a.shape)
    assert ssim(a, a) == pytest.approx(1.0)
    assert ssim(a, b).mean() < 0.99
    metrics = pytest.importorskip("skimage.metrics")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    for i in range(3):
        assert ssim(a, b)[i].mean() == pytest.approx(metrics.structural_similarity(a[i], b[i], **options), abs=1e-9)


def test_histograms_are_matched_band_by_band() -> None:
    a, b = scene(), 2 * scene(64, 3) + 0.1
    found = matched(a, b)
    for mine, other in zip(found, b, strict=True):
        assert np.quantile(mine, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(other, [0.1, 0.5, 0.9]), abs=2e-3)
    order = np.argsort(a[0].ravel())
    assert (np.diff(found[0].ravel()[order]) >= 0).all()
    assert matched(a, a) == pytest.approx(a)


def test_the_triangle_keeps_a_ramp_inside_and_a_constant_everywhere() -> None:
    ramp = np.broadcast_to(np.arange(64.0), (1, 64, 64))
    assert reduced(ramp, K)[0, :, 1:-1] == pytest.approx(block_mean(ramp, None, K)[0][0][:, 1:-1])
    assert reduced(np.full((2, 32, 32), 0.3), K) == pytest.approx(0.3)


def test_the_triangle_is_torch_s_antialiased_one() -> None:
    torch = pytest.importorskip("torch")
    image = scene(64)
    there = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None], scale_factor=1 / K, mode="bilinear", antialias=True
    )
    assert reduced(image, K) == pytest.approx(there[0].numpy(), abs=1e-9)


def test_spectral_angles_know_no_brightness() -> None:
    a = scene(16)
    assert spectral_angle(a, 3 * a) == pytest.approx(0, abs=1e-4)
    b = np.zeros((2, 1, 1))
    b[0], c = 1.0, np.ones((2, 1, 1))
    assert spectral_angle(b, c)[0, 0] == pytest.approx(45)
    assert np.isnan(spectral_angle(np.zeros((2, 1, 1)), c)[0, 0])


def test_a_harmonised_image_lies_where_the_truth_lies() -> None:
    truth = scene()
    moved = np.roll(truth, (2, -1), axis=(1, 2)) * 1.3 + 0.05
    inner = np.s_[:, 12:-12, 12:-12]
    assert np.abs(harmonised(moved, truth) - truth)[inner].mean() < 0.2 * np.abs(moved - truth)[inner].mean()
    assert harmonised(truth, truth) == pytest.approx(truth)


def test_the_truth_improves_the_input_omits_and_noise_hallucinates() -> None:
    hr = scene()
    up = upsample(block_mean(hr, None, K)[0], K, "bilinear")
    rng = np.random.default_rng(2)
    invented = hr + 0.4 * np.abs(rng.standard_normal(hr.shape))
    found = {name: correctness(up, sr, hr) for name, sr in (("truth", hr), ("input", up), ("noise", invented))}
    assert all(sum(f[:3]) == pytest.approx(1) for f in found.values())
    assert max(range(3), key=lambda i: found["truth"][i]) == 0
    assert max(range(3), key=lambda i: found["input"][i]) == 1
    assert max(range(3), key=lambda i: found["noise"][i]) == 2
    assert correctness(hr, hr, hr)[3] == 0.0


def test_one_cell_s_correctness_is_the_formula_s() -> None:
    # Distances of one cell of one band, |a − b| / |a + b|: input 1, truth 3 and output 2.
    up, hr, sr = (np.full((1, 1, 1), v) for v in (1.0, 3.0, 2.0))
    ref, im, om = 2 / 4, 1 / 5, 1 / 3
    # A threshold that is not exceeded by the reference is by neither of the others: two cells, one of them judged.
    up, hr, sr = (np.concatenate((a, b), axis=2) for a, b in zip((up, hr, sr), (np.ones((1, 1, 1)),) * 3, strict=True))
    d_im, d_om = im / ref, om / ref
    beyond = 1 - math.exp(-0.05 * (d_im + d_om - 1))
    scores = [d_im + d_om * beyond, d_om + d_im * beyond, math.exp(-0.05 * d_im * d_om)]
    total = sum(math.exp(-s / 0.25) for s in scores)
    expected = [math.exp(-s / 0.25) / total for s in scores]
    assert correctness(up, sr, hr)[:3] == pytest.approx(tuple(expected), rel=1e-6)
    assert correctness(up, sr, hr)[3] == 0.5


def test_a_shift_and_a_tint_show_in_the_consistency() -> None:
    hr = scene(256)
    lr = block_mean(hr, None, K)[0]
    good, moved = measure(lr, hr, hr, K), measure(lr, np.roll(hr, 2 * K, axis=2), hr, K)
    assert good.kept_max < 1e-12
    assert good.shift_px is not None
    assert moved.shift_px is not None
    assert good.shift_px < 0.3 < 1.5 < moved.shift_px < 2.5
    tinted = hr * np.array([1.2, 1.0, 1.0])[:, None, None]
    assert measure(lr, tinted, hr, K).angle > 2 * good.angle


def put(path: Path, image: np.ndarray, cell: float, **more: Any) -> Path:
    stored = np.round(image * 10_000).astype(np.uint16)
    options = {"nodata": 0, "names": ("red", "green", "blue")} | more
    return write_raster(path, stored, transform=Affine(cell, 0, 500_000, 0, -cell, 5_000_000), **options)


def files(tmp_path: Path, side: int = 256) -> tuple[Path, Path, Path]:
    hr = scene(side)
    lr = block_mean(hr, None, K)[0]
    sr = np.clip(0.7 * hr + 0.3 * upsample(lr, K), 0.01, 1)
    return put(tmp_path / "sr.tif", sr, 2.5), put(tmp_path / "hr.tif", hr, 2.5), put(tmp_path / "lr.tif", lr, 10.0)


def test_images_are_judged_beside_interpolation(tmp_path: Path) -> None:
    sr, hr, lr = files(tmp_path)
    drawn: list[dict[str, Any]] = []
    found = compare({"sr": sr}, hr, coarse=lr, window=128, figures=drawn.append)
    mine, base = found["candidates"][0], found["baselines"]["bicubic"]
    assert found["settings"]["full_scale"] == {"sr": 10_000, "reference": 10_000, "coarse": 10_000}
    assert mine["psnr"] > base["psnr"] + 5
    assert mine["ssim"] > base["ssim"]
    assert mine["correctness"]["improvement"] > base["correctness"]["improvement"]
    assert base["correctness"]["omission"] > mine["correctness"]["omission"]
    assert found["baselines"]["back_projected"]["consistency"]["block_mean"] < 1e-4 < base["consistency"]["block_mean"]
    assert "above back-projected" in found["verdict"]["sentence"]
    write_report(found, drawn[0], tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 5


def test_windows_with_a_void_are_left_out_and_all_void_is_refused(tmp_path: Path) -> None:
    sr, hr, lr = files(tmp_path)
    holed = scene(256)
    holed[:, 5, 5] = 0
    put(hr, holed, 2.5)
    found = compare({"sr": sr}, hr, coarse=lr, window=128)
    assert found["notes"] == ["3 of 4 windows are whole and were compared."]
    assert found["candidates"][0]["n"] == 3 * 128**2
    put(hr, np.zeros((3, 256, 256)), 2.5)
    with pytest.raises(EmptyError, match="no window"):
        compare({"sr": sr}, hr, coarse=lr)


def test_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    sr, hr, lr = files(tmp_path, 128)
    with pytest.raises(GridError, match="subdivide"):
        compare({"sr": sr}, hr, coarse=put(tmp_path / "odd.tif", scene(20), 16.0))
    with pytest.raises(BandError, match="at least two"):
        compare({"sr": put(tmp_path / "grey.tif", scene(128), 2.5, names=("a", "b", "c"))}, hr, coarse=lr)
    with pytest.raises(UsageError, match="above 0"):
        compare({"sr": sr}, hr, coarse=lr, divide_by=-1)


def test_the_command_line_knows_images_and_asks_for_their_input(tmp_path: Path) -> None:
    from click.testing import CliRunner

    sr, hr, lr = map(str, files(tmp_path))
    missing = CliRunner().invoke(main, ["evaluate", sr, hr])
    assert missing.exit_code == 2
    assert "--coarse" in missing.stderr
    result = CliRunner().invoke(main, ["evaluate", sr, hr, "--coarse", lr, "--out", str(tmp_path / "r")])
    assert result.exit_code == 0, result.output
    assert "halluc." in result.stdout
    assert (tmp_path / "r" / "results.json").is_file()
