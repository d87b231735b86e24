"""Maps of impervious surface and of buildings from real Sentinel-2, against labels from maps; one table, one JSON.

    python -m benchmarks.real.map [--weights NAME=FILE ...] [--only-citymap] [--data DIR]

Held out is the ground that the recipe of `citymap` holds out of training, validation and selection in each city (the
eastern third). "Left out" are weights of the same recipe that never saw the city (choices `withoutpisa` and
`withoutmontpellier`), scored on the whole city. Labels are moved to each image by the displacement that the package
finds. Scores are on the 2.5 m cells whose label is known: buildings in Pisa, impervious surface in Montpellier.

    -NDVI          no training; enlarged by cubic convolution
    per pixel      scikit-learn's HistGradientBoosting on bands and indices of the 10 m cell, the same training ground
    context        the same, and differences from local means and local spread of four indices besides
    all features   the same on bands and all features of `citymap`
    citymap        the shipped weights; also on each image made about as level 2A looks, which is a simulation, and
                   without near infrared
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from benchmarks.command import data_of, destination, parser, publish
from benchmarks.common import RESULTS, block_mean, machine
from terrafine.evaluation.elevation.spectrum import SpectrumStats
from terrafine.nn.system import Options
from terrafine.nn.weights import load
from terrafine.systems import find_weights
from terrafine.systems.citymap.features import COUNT, spectral_features, spectral_indices
from terrafine.systems.citymap.model import CityModel, combine_dates, without
from terrafine.systems.citymap.net import HEADS, CityMap
from terrafine.training.scenes.data import HELD_OUT, TRAIN, DatedScene, load_scenes, ndvi
from terrafine.training.scenes.labels import QUARTER, SURE
from terrafine.training.scenes.patches import surface_reflectance
from terrafine.training.scenes.scores import area_under_curve
from terrafine.training.start import find_recipe, read_task

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
HEAD = {"pisa": 1, "montpellier": 0}  # what the labels of a city tell: 0 impervious, 1 building
LEFT_OUT = 0  # output that is scored where a city is left out: Montpellier labels few buildings
BLOCK = 100  # 10 m cells along a block of the bootstrap: 1 km
DRAWS = 100
CLASSIFIERS = {"per pixel": 6, "context": 30, "all features": COUNT}  # features: indices, local statistics, all
CITYMAP, SURFACE, VISIBLE = "citymap", "citymap, simulated 2A", "citymap, no near infrared"
CELLS = 60_000  # training cells of the boosted trees
WINDOW, LEAST_BUILT = 128, 0.02  # 2.5 m cells along a window of the spectrum, and the share of it that must be built
MOST = 500_000  # cells by which the best threshold is found


@dataclass(frozen=True)
class Truth:
    """Known cells of one date: truth, block number, and where they lie in the 2.5 m grid."""

    place: DatedScene
    cells: Mask
    label: Mask
    block: NDArray[np.int64]


def truth(place: DatedScene, purpose: int | None) -> Truth:
    """The labelled 2.5 m cells of a purpose; None for the whole city."""
    head = HEAD[place.name]
    cells = place.targets.known[head] == SURE
    if purpose is not None:
        cells &= _fine(place.purpose == purpose)
    rows, cols = np.nonzero(cells)
    side = BLOCK * QUARTER
    block = rows // side * 1000 + cols // side
    return Truth(place, cells, place.targets.share[head][cells] > SURE // 2, np.unique(block, return_inverse=True)[1])


def _fine(mask: Mask) -> Mask:
    return np.asarray(np.kron(mask, np.ones((QUARTER, QUARTER), np.bool_)), np.bool_)


def enlarged(values: F32) -> F32:
    """Values of 10 m cells at 2.5 m, by cubic convolution."""
    made = functional.interpolate(torch.from_numpy(values)[None, None], scale_factor=QUARTER, mode="bicubic")
    return np.asarray(made[0, 0].numpy())


def network_scores(weights: Path, image: F32, *, infrared: bool = True) -> F32:
    """Calibrated logits of impervious and building, (2, 4·y, 4·x)."""
    spec, tensors = load(weights)
    if not infrared:
        spec = without(spec, "nir") or spec
        image = image * np.array([1, 1, 1, 0], np.float32)[:, None, None]
    network = CityMap(**spec.network)
    network.load_state_dict(tensors)
    with torch.inference_mode():
        return np.asarray(CityModel(spec, network, Options()).logits(torch.from_numpy(image)[None])[0].numpy())


def surfaced(image: F32) -> F32:
    """The image about as level 2A looks: a simulation."""
    return np.asarray(surface_reflectance(torch.from_numpy(image)[None])[0].numpy())


def citymap_rows(weights: Path) -> dict[str, Any]:
    """How the maps of a weights file are made, of the image as it is and of what users have besides."""
    return {
        CITYMAP: lambda image, head: network_scores(weights, image)[head],
        SURFACE: lambda image, head: network_scores(weights, surfaced(image))[head],
        VISIBLE: lambda image, head: network_scores(weights, image, infrared=False)[head],
    }


class Trees:
    """Boosted trees on bands and so many of the first features of `citymap`; one classifier for each head."""

    def __init__(self, places: Sequence[DatedScene], count: int, seed: int = 0) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        rng = np.random.default_rng(seed)
        self.count, self.models = count, {}
        for head in (0, 1):
            rows, labels = [], []
            for place in places:
                known = block_mean(place.targets.known[head] > 0, QUARTER) > 0.6
                cells = (place.purpose == TRAIN) & place.valid & known
                rows.append(self.features(place.image)[:, cells].T)
                labels.append(block_mean(place.targets.share[head] / SURE, QUARTER)[cells] > 0.5)
            x, y = np.concatenate(rows), np.concatenate(labels)
            if y.all() or not y.any():
                continue
            picked = rng.permutation(len(y))[:CELLS]
            model = HistGradientBoostingClassifier(
                max_iter=120, learning_rate=0.08, max_leaf_nodes=15, l2_regularization=1.0, min_samples_leaf=100
            )
            self.models[head] = model.fit(x[picked], y[picked])

    def features(self, image: F32) -> F32:
        """Features of every cell, (feature, y, x)."""
        with torch.inference_mode():
            described = spectral_indices if self.count == CLASSIFIERS["per pixel"] else spectral_features
            found = described(torch.from_numpy(image)[None], torch.ones(1, 1, 1, 1))[0, : self.count].numpy()
        return np.concatenate((image, found))

    def scores(self, image: F32, head: int) -> F32:
        """Log odds at 2.5 m."""
        found = self.features(image)
        flat = self.models[head].decision_function(found.reshape(len(found), -1).T)
        return enlarged(flat.reshape(image.shape[1:]).astype(np.float32))


def scored(score: F32, of: Truth, threshold: float | None) -> dict[str, Any]:
    """All measures of one map against the labels."""
    values, label = score[of.cells].astype(np.float64), of.label
    best = _best_threshold(values, label)
    found: dict[str, Any] = {"auc": area_under_curve(values, label), "mcc_best": mcc(values >= best, label)}
    fixed = best if threshold is None else threshold
    said = values >= fixed
    found |= {
        "mcc_fixed": None if threshold is None else mcc(said, label),
        "area_bias": None if threshold is None else float(said.sum() / max(1, label.sum()) - 1),
        "recall": float((said & label).sum() / max(1, label.sum())),
    }
    for reach in (0, 1, 2):
        found[f"f1_{reach}"] = tolerant_f1(score >= fixed, of, reach)
    return found


def _best_threshold(values: NDArray[np.float64], label: Mask) -> float:
    step = max(1, label.size // MOST)
    values, label = values[::step], label[::step]
    tried = np.quantile(values, np.linspace(0.01, 0.99, 99))
    return float(tried[int(np.argmax([mcc(values >= t, label) for t in tried]))])


def mcc(said: Mask, label: Mask) -> float:
    """Matthews' correlation coefficient."""
    tp, fp = float((said & label).sum()), float((said & ~label).sum())
    fn, tn = float((~said & label).sum()), float((~said & ~label).sum())
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return float((tp * tn - fp * fn) / below) if below else 0.0


def tolerant_f1(said: Mask, of: Truth, reach: int) -> float:
    """F1 where a cell counts as right with one of its class within `reach` cells of 2.5 m."""
    yes = np.zeros(of.cells.shape, np.bool_)
    yes[of.cells] = of.label
    near_yes, near_said = (_grown(mask & of.cells, reach) for mask in (yes, said))
    precision = float((said & near_yes & of.cells).sum() / max(1, (said & of.cells).sum()))
    recall = float((yes & near_said).sum() / max(1, yes.sum()))
    return 2 * precision * recall / max(1e-9, precision + recall)


def _grown(mask: Mask, reach: int) -> Mask:
    return np.asarray(ndimage.maximum_filter(mask, 2 * reach + 1)) if reach else mask


def gains(scores: Mapping[str, F32], base: F32, of: Truth, seed: int = 0) -> dict[str, list[float]]:
    """95 % interval of AUC above the base, blocks of 1 km drawn with replacement."""
    thin = np.arange(0, of.label.size, max(1, of.label.size // 60_000))
    label, block = of.label[thin], of.block[thin]
    order = np.argsort(block, kind="stable")
    starts = np.searchsorted(block[order], np.arange(block.max() + 2))
    members = [order[a:b] for a, b in pairwise(starts) if b > a]
    rng, found = np.random.default_rng(seed), {name: [] for name in scores}
    values = {name: score[of.cells][thin] for name, score in {**scores, "": base}.items()}
    for _ in range(DRAWS):
        picked = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        if label[picked].all() or not label[picked].any():
            continue
        below = area_under_curve(values[""][picked], label[picked])
        for name in scores:
            found[name].append(area_under_curve(values[name][picked], label[picked]) - below)
    return {name: np.quantile(v, (0.025, 0.975)).tolist() for name, v in found.items()}


def thresholds(scores: Mapping[str, F32], of: Truth) -> dict[str, float]:
    """Threshold of each map by which its area on training ground has no bias."""
    return {name: float(np.quantile(s[of.cells], 1 - of.label.mean())) for name, s in scores.items()}


def reliability(logit: F32, of: Truth) -> list[list[float]]:
    """Mean probability, share of the class and number of cells, in ten bins of probability."""
    chance, label = 1 / (1 + np.exp(-logit[of.cells].astype(np.float64))), of.label
    bins = np.minimum((chance * 10).astype(int), 9)
    return [
        [float(chance[bins == b].mean()), float(label[bins == b].mean()), int((bins == b).sum())]
        for b in range(10)
        if (bins == b).any()
    ]


def areas(logit: F32, of: Truth, threshold: float) -> dict[str, float]:
    """Area of the class over that of the labels, less 1: cells from the shipped threshold on, and the probabilities."""
    chance = 1 / (1 + np.exp(-logit[of.cells].astype(np.float64)))
    known = max(1, int(of.label.sum()))
    return {"counted": float((chance >= threshold).sum() / known - 1), "expected": float(chance.sum() / known - 1)}


def resolution(logit: F32, of: Truth, head: int) -> float | None:
    """Wavelength, metres, at which the probability is coherent with the labels by one half; None without whole windows.

    Windows of 320 m in which every cell is scored; as the mean of many, the phase of a few houses does not matter.
    """
    chance, share = 1 / (1 + np.exp(-logit)), of.place.targets.share[head] / SURE
    stats = SpectrumStats(WINDOW, (10 / QUARTER, 10 / QUARTER))
    for y in range(0, of.cells.shape[0] - WINDOW, WINDOW):
        for x in range(0, of.cells.shape[1] - WINDOW, WINDOW):
            at = np.s_[y : y + WINDOW, x : x + WINDOW]
            if of.cells[at].all() and share[at].mean() > LEAST_BUILT:
                stats = stats.add(chance[at], share[at])
    return stats.effective_resolution() if stats.windows else None


def city_record(
    places: Sequence[DatedScene], everything: Mapping[str, Any], purpose: int | None, city: str, head: int
) -> dict[str, Any]:
    """Every date of one city, and both dates together."""
    out: dict[str, Any] = {}
    kept: dict[str, list[F32]] = {}
    dates = [place for place in places if place.name == city]
    for number, place in enumerate(dates, 1):
        maps: dict[str, F32] = {"-NDVI": enlarged(-ndvi(place.image))}
        for name, made in everything.items():
            maps[name] = made(place.image, head)
        of, train = truth(place, purpose), truth(place, TRAIN)
        limits = {} if purpose is None else thresholds(maps, train)  # a city left out has no ground to choose it on
        found = {name: scored(score, of, limits.get(name)) for name, score in maps.items()}
        ranges = gains({n: s for n, s in maps.items() if n != "-NDVI"}, maps["-NDVI"], of)
        for name, interval in ranges.items():
            found[name]["gain"], found[name]["gain_interval"] = found[name]["auc"] - found["-NDVI"]["auc"], interval
        for name in everything:
            kept.setdefault(name, []).append(maps[name])
        out[str(number)] = {
            "image": place.path.name,
            "moved_m": [10 * place.moved.right, -10 * place.moved.down],
            "methods": found,
        }
        if CITYMAP in maps:
            shipped = load(find_weights(CITYMAP))[0].calibration[f"{HEADS[head]}_threshold"]
            out[str(number)]["reliability"] = reliability(maps[CITYMAP], of)
            out[str(number)]["effective_resolution_m"] = resolution(maps[CITYMAP], of, head)
            if purpose is not None:
                made_of = {name: maps[name] for name in (CITYMAP, SURFACE, VISIBLE)}
                out[str(number)]["areas"] = {name: areas(score, of, shipped) for name, score in made_of.items()}
    if len(dates) > 1:
        out["both"] = {"methods": {n: {"auc": _both(dates, maps, purpose)} for n, maps in kept.items()}}
    return out


def _both(dates: Sequence[DatedScene], maps: Sequence[F32], purpose: int | None) -> float:
    """AUC of the mean log odds of two dates, the second moved onto the first."""
    first, second = dates[0].moved, dates[1].moved
    shift = ((first.down - second.down) * QUARTER, (first.right - second.right) * QUARTER)
    moved = ndimage.shift(maps[1], shift, order=1, mode="nearest")
    mean = combine_dates([torch.from_numpy(m) for m in (maps[0], moved)]).numpy()
    of = truth(dates[0], purpose)
    return area_under_curve(mean[of.cells], of.label)


def _trees(places: Sequence[DatedScene]) -> dict[str, Any]:
    """The classifiers that `citymap` is compared with."""
    return {name: Trees(places, count).scores for name, count in CLASSIFIERS.items()}


def recorded(measured: Mapping[str, Any]) -> dict[str, Any]:
    """The published record with newly measured rows in place of those of the same name."""
    record: dict[str, Any] = json.loads((RESULTS / "real_map.json").read_text())
    for kind in ("held_out", "left_out"):
        for city, dates in measured[kind].items():
            for date, row in dates.items():
                known = record[kind][city][date]
                record[kind][city][date] = known | row | {"methods": known["methods"] | row["methods"]}
    return record | {"machine": measured["machine"]}


def main() -> int:
    """Score, print, write."""
    torch.set_num_threads(1)
    options = parser(__doc__, "real_map")
    options.add_argument("--weights", nargs="*", default=[], metavar="NAME=FILE", help="weights of left-out recipes")
    options.add_argument("--only-citymap", action="store_true", help="rows of citymap; all others stay as recorded")
    args = options.parse_args()
    given = dict(entry.split("=", 1) for entry in args.weights)
    with data_of(args) as data:
        recipe = read_task(find_recipe("citymap.toml")).recipe
        places = load_scenes(data, recipe.data)
        record: dict[str, Any] = {"held_out": {}, "left_out": {}, "machine": machine(), "block_m": BLOCK * 10}
        methods = ({} if args.only_citymap else _trees(places)) | citymap_rows(find_weights("citymap"))
        for city, head in HEAD.items():
            record["held_out"][city] = city_record(places, methods, HELD_OUT, city, head)
            left = {} if args.only_citymap else _trees([p for p in places if p.name != city])
            if city in given:
                left |= citymap_rows(Path(given[city]))
            record["left_out"][city] = city_record(places, left, None, city, LEFT_OUT)
        for kind in ("held_out", "left_out"):
            for city, dates in record[kind].items():
                for date, row in dates.items():
                    for name, m in row["methods"].items():
                        shown = " ".join(f"{k} {v:.3f}" for k, v in m.items() if isinstance(v, float))
                        print(f"{kind} {city} {date} {name}: {shown}")
        record = recorded(record) if args.only_citymap else record
        publish(record, destination(args, "real_map", complete=len(given) == len(HEAD)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
