"""Confusion, boundaries and samples of class maps, against tables worked by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from terrafine.errors import DataError
from terrafine.evaluation.classes.agreement import Boundaries, Confusion, boundary_reach, measures
from terrafine.evaluation.classes.sample import Sample, estimate, read_sample, stratum_sizes


def maps(side: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two maps of three classes that agree in nine cells of ten, and which cells are known."""
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, 3, (side, side))
    candidate = np.where(rng.random((side, side)) < 0.1, rng.integers(0, 3, (side, side)), reference)
    return candidate, reference, rng.random((side, side)) < 0.95


def tally(candidate: np.ndarray, reference: np.ndarray, told: np.ndarray, cut: int, side: int = 8) -> Confusion:
    """In windows of `cut` cells, merged from two tallies."""
    parts = Confusion(told.shape, side), Confusion(told.shape, side)
    for i, top in enumerate(range(0, told.shape[0], cut)):
        for left in range(0, told.shape[1], cut):
            w = np.s_[top : top + cut, left : left + cut]
            area = np.full(told[w].shape[0], 2.0)
            regions = np.where(reference[w] == 2, 7, 3)
            parts[i % 2].add(candidate[w], reference[w], told[w], (top, left), area, regions)
    return parts[0].merge(parts[1])


def test_measures_are_those_worked_by_hand() -> None:
    # 100 cells: 40 both impervious, 10 the candidate alone, 20 the reference alone, 30 neither.
    found = measures(np.array([[30.0, 20.0], [10.0, 40.0]]))
    assert found["overall_accuracy"] == pytest.approx(0.70)
    assert found["kappa"] == pytest.approx((0.70 - (50 * 40 + 50 * 60) / 1e4) / (1 - (50 * 40 + 50 * 60) / 1e4))
    assert found["precision"].tolist() == pytest.approx([30 / 50, 40 / 50])
    assert found["recall"].tolist() == pytest.approx([30 / 40, 40 / 60])
    assert found["f1"][1] == pytest.approx(2 * 40 / (50 + 60))
    assert found["iou"][1] == pytest.approx(40 / 70)
    assert found["area_bias"][1] == pytest.approx(50 / 60 - 1)


def test_measures_equal_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    candidate, reference, _ = maps()
    found = measures(tally(candidate, reference, np.ones(reference.shape, bool), 40).matrix([0, 1, 2]))
    a, b = reference.ravel(), candidate.ravel()
    assert found["kappa"] == pytest.approx(metrics.cohen_kappa_score(a, b))
    for name, score in (("precision", "precision"), ("recall", "recall"), ("f1", "f1"), ("iou", "jaccard")):
        assert found[name] == pytest.approx(getattr(metrics, f"{score}_score")(a, b, average=None))


def test_a_class_that_nobody_names_has_no_measure() -> None:
    found = measures(np.array([[5.0, 0.0], [0.0, 0.0]]))
    assert np.isnan(found["f1"][1])
    assert found["overall_accuracy"] == 1.0


def test_tallies_do_not_depend_on_how_the_map_is_cut() -> None:
    whole, cut = tally(*maps(), 40), tally(*maps(), 7)
    assert (whole.matrix([0, 1, 2]) == cut.matrix([0, 1, 2])).all()
    assert whole.matrix([0, 1, 2]).sum() == maps()[2].sum()
    assert all((whole.cells[key] == cut.cells[key]).all() for key in whole.cells)
    assert (whole.region_matrix(7, [0, 1, 2]) == cut.region_matrix(7, [0, 1, 2])).all()
    assert whole.area_matrix([0, 1, 2]) == pytest.approx(2 * whole.matrix([0, 1, 2]))
    candidate, reference, told = maps()
    candidate[np.argwhere(told)[0][0], np.argwhere(told)[0][1]] += 1
    assert (tally(candidate, reference, told, 7).matrix([0, 1, 2, 3]) != cut.matrix([0, 1, 2, 3])).any()


def test_regions_share_the_cells_among_them() -> None:
    found = tally(*maps(), 7)
    total = sum(found.region_matrix(r, [0, 1, 2]) for r in (3, 7))
    assert (total == found.matrix([0, 1, 2])).all()
    assert found.region_matrix(7, [0, 1, 2])[:, :2].sum() == 0


def test_draws_of_each_block_once_are_the_whole() -> None:
    found = tally(*maps(), 40)
    weights = np.stack((np.ones(found.blocks), np.eye(found.blocks)[3]))
    drawn = found.drawn([0, 1, 2], weights)
    assert (drawn[0] == found.matrix([0, 1, 2])).all()
    assert 0 < drawn[1].sum() <= 64


def square(side: int, low: int, high: int) -> np.ndarray:
    out = np.zeros((side, side), np.int64)
    out[low:high, low:high] = 1
    return out


def boundary(candidate: np.ndarray, reference: np.ndarray, pixel: float = 1.0, cut: int | None = None) -> Boundaries:
    told = np.ones(reference.shape, bool)
    found = Boundaries((2.0, 5.0))
    if cut is None:
        found.add(candidate, reference, told, (slice(None), slice(None)), (pixel, pixel))
        return found
    halo = boundary_reach((2.0, 5.0), (pixel, pixel))
    padded = [np.pad(a, halo, constant_values=-1) for a in (candidate, reference)]
    for top in range(0, len(told), cut):
        for left in range(0, len(told), cut):
            high, wide = min(cut, len(told) - top), min(cut, len(told) - left)
            w = np.s_[top : top + high + 2 * halo, left : left + wide + 2 * halo]
            part = Boundaries((2.0, 5.0))
            inner = slice(halo, halo + high), slice(halo, halo + wide)
            part.add(padded[0][w], padded[1][w], padded[1][w] >= 0, inner, (pixel, pixel))
            found = found.merge(part)
    return found


def test_boundary_iou_of_shifted_squares_is_the_one_counted_by_hand() -> None:
    # A rim of 2 cells of a 20 × 20 square holds 20² − 16² = 144 cells.
    a, b = square(40, 10, 30), np.roll(square(40, 10, 30), 1, axis=1)
    rim = square(40, 10, 30) - square(40, 12, 28)
    moved = np.roll(rim, 1, axis=1)
    expected = (rim & moved).sum() / (rim | moved).sum()
    assert rim.sum() == 144
    assert boundary(a, b).iou(1, 2.0) == pytest.approx(expected)
    assert boundary(a, a).iou(1, 2.0) == 1.0


def test_boundary_iou_is_in_metres_and_falls_faster_than_iou() -> None:
    a, b = square(60, 10, 50), square(60, 11, 51)
    whole = measures(tally(a, b, np.ones(a.shape, bool), 60).matrix([0, 1]))["iou"][1]
    near, far = (boundary(a, b).iou(1, d) for d in (2.0, 5.0))
    assert near < far < whole  # type: ignore[operator]
    assert boundary(a, b, pixel=2.5).iou(1, 5.0) == near
    assert boundary(a, b, pixel=2.5).iou(1, 2.0) is None


def test_boundaries_do_not_depend_on_how_the_map_is_cut_and_a_void_is_none() -> None:
    rng = np.random.default_rng(3)
    a = (rng.random((50, 50)) < 0.5).astype(np.int64).repeat(2, 0)[:50]
    b = np.roll(a, 2, axis=0)
    assert boundary(a, b).sums == boundary(a, b, cut=13).sums
    assert boundary(a, np.roll(b, 1, axis=0)).sums != boundary(a, b).sums
    full = np.ones((10, 10), np.int64)
    assert boundary(full, full).iou(1, 2.0) is None


# Rows the map, columns the reference: four strata of 10 million cells of 30 m, and 640 points.
POINTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
SHARES = np.array([0.020, 0.015, 0.320, 0.645])
CELLS = 10_000_000


def sampled() -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.indices(POINTS.shape)
    return rows.ravel().repeat(POINTS.ravel()), cols.ravel().repeat(POINTS.ravel())


def test_error_adjusted_areas_are_those_of_the_stratified_estimator() -> None:
    mapped, label = sampled()
    sizes = {i: CELLS * w for i, w in enumerate(SHARES)}
    found = estimate(mapped, label, mapped, sizes, CELLS * 900.0, range(4))
    n = POINTS.sum(axis=1)
    p = SHARES[:, None] * POINTS / n[:, None]
    error = np.sqrt(
        (SHARES[:, None] ** 2 * (POINTS / n[:, None]) * (1 - POINTS / n[:, None]) / (n - 1)[:, None]).sum(0)
    )
    first = found["classes"][0]["area_m2"]
    assert first["value"] / 1e4 == pytest.approx(p[:, 0].sum() * 900_000, rel=1e-9)
    assert first["value"] / 1e4 == pytest.approx(21_158, abs=1)  # hectares, worked by hand
    assert (first["interval"][1] - first["value"]) / 1e4 == pytest.approx(6_158, rel=1e-3)
    for i, row in enumerate(found["classes"]):
        assert row["area_m2"]["standard_error"] == pytest.approx(error[i] * CELLS * 900, rel=5e-4)
        assert row["mapped_area_m2"] == pytest.approx(SHARES[i] * CELLS * 900)
        u = POINTS[i, i] / n[i]
        assert row["precision"]["value"] == pytest.approx(u)
        assert row["precision"]["standard_error"] == pytest.approx(math.sqrt(u * (1 - u) / (n[i] - 1)), rel=5e-4)
        assert row["recall"]["value"] == pytest.approx(p[i, i] / p[:, i].sum())
    assert found["overall_accuracy"]["value"] == pytest.approx(np.trace(p))


def test_producer_s_accuracy_has_olofsson_s_variance() -> None:
    mapped, label = sampled()
    sizes = {i: CELLS * w for i, w in enumerate(SHARES)}
    found = estimate(mapped, label, mapped, sizes, 1.0, range(4))["classes"]
    n, big = POINTS.sum(axis=1), CELLS * SHARES
    q = POINTS / n[:, None]
    for j in range(4):
        total = (big * q[:, j]).sum()
        recall, u = big[j] * q[j, j] / total, q[j, j]
        own = big[j] ** 2 * (1 - recall) ** 2 * u * (1 - u) / (n[j] - 1)
        rest = sum(big[i] ** 2 * q[i, j] * (1 - q[i, j]) / (n[i] - 1) for i in range(4) if i != j)
        expected = math.sqrt((own + recall**2 * rest) / total**2)
        assert found[j]["recall"]["standard_error"] == pytest.approx(expected, rel=5e-4)


def test_weights_matter_and_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    truth = (rng.random(200_000) < 0.1).astype(np.int64)
    mapped = np.where(rng.random(truth.size) < 0.1, 1 - truth, truth)
    inside = 0
    for _ in range(100):
        at = np.concatenate([rng.choice(np.flatnonzero(mapped == c), 100, replace=False) for c in (0, 1)])
        sizes = {c: float((mapped == c).sum()) for c in (0, 1)}
        low, high = estimate(mapped[at], truth[at], mapped[at], sizes, 1.0, [0, 1])["classes"][1]["area_m2"]["interval"]
        inside += low <= truth.mean() <= high
    assert inside >= 85
    assert abs(truth[at].mean() - truth.mean()) > 0.1  # unweighted, the rare stratum would count as half


def test_sizes_come_from_probabilities_or_from_the_map() -> None:
    strata = np.array([1, 1, 2, 2])
    plain = Sample(np.zeros(4), np.zeros(4), np.array([0, 1, 0, 1]))
    known = Sample(plain.x, plain.y, plain.label, strata, np.array([0.1, 0.1, 0.02, 0.02]))
    assert stratum_sizes(known, strata, {}) == pytest.approx({1: 20.0, 2: 100.0})
    assert stratum_sizes(plain, strata, {1: 7.0, 2: 9.0}) == {1: 7.0, 2: 9.0}
    with pytest.raises(DataError, match="no cell of that class"):
        stratum_sizes(plain, strata, {1: 7.0})
    uneven = Sample(plain.x, plain.y, plain.label, strata, np.array([0.1, 0.2, 0.02, 0.02]))
    with pytest.raises(DataError, match="expected one"):
        stratum_sizes(uneven, strata, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x,y\n1,2\n", "expected x, y, class"),
        ("x,y,class\n", "0 rows"),
        ("x,y,class\n1,2,forest\n", "line 2, column class"),
        ("x,y,class\n1,2,1.5\n", "whole numbers"),
        ("x,y,class,probability\n1,2,1,0\n", "above 0"),
    ],
)
def test_a_sample_that_cannot_serve_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        read_sample(tmp_path / "s.csv")


def test_a_sample_is_read_by_its_column_names(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("Class,x,y,Stratum,probability\n1,10.5,20,3,0.25\n0,11,21,4,1\n")
    found = read_sample(tmp_path / "s.csv")
    assert found.label.tolist() == [1, 0]
    assert found.x.tolist() == [10.5, 11.0]
    assert found.stratum is not None
    assert found.stratum.tolist() == [3, 4]
