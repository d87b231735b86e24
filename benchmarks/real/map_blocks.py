"""Maps on blocks held out all over each city; one JSON for the page of `benchmarks.real.map`.

    python -m benchmarks.real.map_blocks [--only-citymap] [--data DIR]

Every third block of 1 km, in diagonals, is held out in turn, with 200 m between it and training ground, so that each
block is scored by a model that did not see it. The trees of `citymap` and its prior are grown again for each fold,
without the correction at 2.5 m; beside them the classifiers of `map` on the same ground. The trees are also scored on
each image made about as level 2A looks, which is a simulation, and without near infrared. Scores are as in `map`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.command import data_of, destination, parser, publish
from benchmarks.common import RESULTS, machine
from benchmarks.real.map import CLASSIFIERS, HEAD, Trees, enlarged, gains, surfaced, truth
from terrafine.systems.citymap.boosting import boost
from terrafine.systems.citymap.features import spectral_features
from terrafine.systems.citymap.net import CityMap
from terrafine.training.scenes.data import HELD_OUT, MARGIN, TRAIN, DatedScene, load_scenes, ndvi
from terrafine.training.scenes.labels import class_factors
from terrafine.training.scenes.patches import whole_scenes
from terrafine.training.scenes.recipe import SceneRecipe
from terrafine.training.scenes.scores import area_under_curve
from terrafine.training.start import find_recipe, read_task

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
FOLDS = 3
SIDE, BETWEEN = 100, 20  # 10 m cells along a block, and between held-out and training ground
ONE = torch.ones(1, 1, 1, 1)
TREES, SURFACE, VISIBLE = "citymap trees", "citymap trees, simulated 2A", "citymap trees, no near infrared"


def folded(places: Sequence[DatedScene], fold: int) -> list[DatedScene]:
    """The places with every third block held out."""
    out = []
    for place in places:
        rows, cols = np.indices(place.valid.shape) // SIDE
        held = (rows + cols) % FOLDS == fold
        near = ndimage.maximum_filter(held, 2 * BETWEEN + 1)
        purpose = np.where(held, HELD_OUT, np.where(near, MARGIN, TRAIN)).astype(np.uint8)
        out.append(replace(place, purpose=purpose))
    return out


def grown(places: Sequence[DatedScene], recipe: SceneRecipe) -> CityMap:
    """A network with trees of the training ground; its correction is 0."""
    made = CityMap(**dict(recipe.network)).eval()
    factors = [class_factors(p.targets, (p.purpose == TRAIN) & p.valid) for p in places]
    boost(
        made, whole_scenes(places, factors, recipe.patches.no_infrared, recipe.patches.surface), {"seed": recipe.seed}
    )
    return made


def logits(network: CityMap, image: F32, at: Mask, head: int, infrared: float = 1.0) -> F32:
    """Logits of prior and trees of the cells of a mask."""
    seen = torch.from_numpy(np.ascontiguousarray(image))[None] * torch.tensor([1, 1, 1, infrared]).view(1, 4, 1, 1)
    flag = infrared * ONE
    with torch.inference_mode():
        prior = network.prior(seen, flag)[0, head].numpy()[at]
        cells = spectral_features(seen, flag)[..., torch.from_numpy(at)].unsqueeze(-1)
        return np.asarray(prior + network.boosted(cells, flag)[0, head, :, 0].numpy())


def scores(places: Sequence[DatedScene], recipe: SceneRecipe, names: Sequence[str]) -> list[dict[str, F32]]:
    """Of every place the score of each 10 m cell by models that did not see it, by name."""
    maps = [{name: np.zeros(p.valid.shape, np.float32) for name in (*names, TREES, SURFACE, VISIBLE)} for p in places]
    for fold in range(FOLDS):
        held = folded(places, fold)
        classifiers = {name: Trees(held, CLASSIFIERS[name]) for name in names}
        network = grown(held, recipe)
        for place, found in zip(held, maps, strict=True):
            head, at = HEAD[place.name], place.purpose == HELD_OUT
            if not at.any():
                continue
            found[TREES][at] = logits(network, place.image, at, head)
            found[SURFACE][at] = logits(network, surfaced(place.image), at, head)
            found[VISIBLE][at] = logits(network, place.image, at, head, 0.0)
            for name, trees in classifiers.items():
                cells = trees.features(place.image)[:, at].T
                found[name][at] = trees.models[head].decision_function(cells)
    return maps


def measured(place: DatedScene, found: Mapping[str, F32]) -> dict[str, Any]:
    """AUC of each map of a place and its gain above -NDVI."""
    of, base = truth(place, None), enlarged(-ndvi(place.image))
    made = {name: enlarged(values) for name, values in found.items()}
    ranges = gains(made, base, of)
    below = area_under_curve(base[of.cells], of.label)
    row: dict[str, Any] = {"-NDVI": {"auc": below}}
    for name, values in made.items():
        auc = area_under_curve(values[of.cells], of.label)
        row[name] = {"auc": auc, "gain": auc - below, "gain_interval": ranges[name]}
        print(f"{place.path.name} {name}: {auc:.3f}, above -NDVI {auc - below:+.3f} {ranges[name]}", flush=True)
    return row


def main() -> int:
    """Score, print, write."""
    torch.set_num_threads(1)
    options = parser(__doc__, "real_map_blocks")
    options.add_argument("--only-citymap", action="store_true", help="rows of citymap; all others stay as recorded")
    args = options.parse_args()
    with data_of(args) as data:
        recipe = read_task(find_recipe("citymap.toml")).recipe
        places = load_scenes(data, recipe.data)
        cities: dict[str, Any] = {}
        if args.only_citymap:
            cities = json.loads((RESULTS / "real_map_blocks.json").read_text())["cities"]
        numbers = dict.fromkeys(HEAD, 0)
        names = () if args.only_citymap else tuple(CLASSIFIERS)
        for place, found in zip(places, scores(places, recipe, names), strict=True):
            numbers[place.name] += 1
            dates = cities.setdefault(place.name, {})
            date = str(numbers[place.name])
            dates[date] = dates.get(date, {}) | measured(place, found)
        record = {"machine": machine(), "block_m": 10 * SIDE, "margin_m": 10 * BETWEEN, "cities": cities}
        publish(record, destination(args, "real_map_blocks", complete=True))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
