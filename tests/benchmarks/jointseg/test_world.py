"""The benchmark of JointSeg: its scores see a worse map, its differences are paired, its images know the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmarks.jointseg import score
from terrafine.physics.sensor_model import Sensor, simulate
from terrafine.training.segmentation.data import Sample


def samples(n: int = 6, side: int = 120) -> list[Sample]:
    rng, out = np.random.default_rng(0), []
    for i in range(n):
        label = (gaussian_filter(rng.random((side, side)), 3) > 0.51).astype(np.uint8)
        fine = 800 + 1200.0 * label + 400 * gaussian_filter(rng.random((3, side, side)), (0, 1, 1))
        coarse = simulate(fine, 10, Sensor(noise=0.0, step=0.0), rng)
        label[:8] = 255
        split = "test-dense" if i % 2 else "test-sparse"
        stored = [np.round(v).astype(np.uint16) for v in (coarse, fine)]
        out.append(Sample(str(i), split, "x", stored[0], stored[1], label, 1e-4))
    return out


def test_a_perfect_map_scores_one_and_a_shifted_one_less_surely() -> None:
    held = samples()
    weights = score.resampled(held)
    perfect = [(s.label == 1).astype(np.float16) for s in held]
    moved = [np.roll(m, 2, axis=1) for m in perfect]
    rows = [score.judged(n, m, held, weights) for n, m in (("perfect", perfect), ("moved", moved))]
    found = score.compared(rows)
    best, other = (found["rows"][n]["classes"][1] for n in ("perfect", "moved"))
    assert best["f1"] == best["boundary_iou"]["2"] == 1
    assert other["f1"] < 0.95
    assert other["boundary_iou"]["2"] < 0.7
    low, high = found["differences"]["perfect − moved"]["interval"]
    assert 0 < low < high
    back = found["differences"]["moved − perfect"]
    assert back["value"] == pytest.approx(other["f1"] - best["f1"])
    assert {r["region"] for r in found["rows"]["moved"]["by_region"]} == {1, 2}


def test_the_way_to_the_upper_bound_is_one_there_and_nothing_at_the_start() -> None:
    held = samples()
    weights = score.resampled(held)
    maps = {"upper": 1, "fair": 4}
    rows = {
        n: score.judged(n, [np.roll((s.label == 1).astype(np.float16), k, 1) for s in held], held, weights)
        for n, k in maps.items()
    }
    rows["ours"] = rows["upper"]
    assert score.halfway(rows, "ours", "fair", "upper")["value"] == pytest.approx(1)
    rows["ours"] = rows["fair"]
    assert score.halfway(rows, "ours", "fair", "upper")["value"] == pytest.approx(0)


def test_the_true_image_has_no_hallucination_and_the_sensor_sees_the_input_in_it() -> None:
    held = samples(2)
    truth = score.scored_image([s.fine.astype(np.float64) * s.unit for s in held], held)
    blur = score.scored_image(score.interpolated(held, "bilinear"), held)
    assert truth["psnr"] is None
    assert blur["psnr"] < 45
    assert truth["effective_resolution_m"] is None
    assert blur["effective_resolution_m"] > 4
    assert truth["sensor_gap"] < 2e-4 < blur["sensor_gap"]
    assert truth["correctness"]["improvement"] > 0.5 > blur["correctness"]["improvement"]
