"""Maps on blocks held out all over each city; one JSON for the page of `benchmarks.real.map`.

    python -m benchmarks.real.map_blocks [--data DIR]

Every third block of 1 km, in diagonals, is held out in turn, with 200 m between it and training ground, so that each
block is scored by a model that did not see it. The trees of `citymap` and its prior are grown again for each fold,
without the correction at 2.5 m; beside them the classifiers of `map` on the same ground. Scores are as in `map`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.command import data_of, destination, parser, publish
from benchmarks.common import machine
from benchmarks.real.map import CLASSIFIERS, HEAD, Trees, enlarged, gains, truth
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
FOLDS = 3
SIDE, BETWEEN = 100, 20  # 10 m cells along a block, and between held-out and training ground
ONE = torch.ones(1, 1, 1, 1)


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


def main() -> int:
    """Score, print, write."""
    torch.set_num_threads(1)
    args = parser(__doc__, "real_map_blocks").parse_args()
    with data_of(args) as data:
        recipe = read_task(find_recipe("citymap.toml")).recipe
        places = load_scenes(data, recipe.data)
        images = [torch.from_numpy(np.ascontiguousarray(p.image))[None] for p in places]
        features = [spectral_features(image, ONE) for image in images]
        maps = [{name: np.zeros(p.valid.shape, np.float32) for name in (*CLASSIFIERS, "citymap trees")} for p in places]
        for fold in range(FOLDS):
            held = folded(places, fold)
            classifiers = {name: Trees(held, count) for name, count in CLASSIFIERS.items()}
            network = grown(held, recipe)
            for place, image, feature, found in zip(held, images, features, maps, strict=True):
                head, at = HEAD[place.name], place.purpose == HELD_OUT
                logit = (network.prior(image, ONE) + network.forest(feature))[0, head].numpy()
                found["citymap trees"][at] = logit[at]
                for name, trees in classifiers.items():
                    cells = trees.features(place.image)[:, at].T
                    found[name][at] = trees.models[head].decision_function(cells)
        record: dict[str, Any] = {"machine": machine(), "block_m": 10 * SIDE, "margin_m": 10 * BETWEEN, "cities": {}}
        for place, found in zip(places, maps, strict=True):
            of, base = truth(place, None), enlarged(-ndvi(place.image))
            made = {name: enlarged(values) for name, values in found.items()}
            ranges = gains(made, base, of)
            below = area_under_curve(base[of.cells], of.label)
            row: dict[str, Any] = {"-NDVI": {"auc": below}}
            for name, values in made.items():
                auc = area_under_curve(values[of.cells], of.label)
                row[name] = {"auc": auc, "gain": auc - below, "gain_interval": ranges[name]}
                print(f"{place.path.name} {name}: {auc:.3f}, above -NDVI {auc - below:+.3f} {ranges[name]}", flush=True)
            record["cities"].setdefault(place.name, {})[str(len(record["cities"].get(place.name, {})) + 1)] = row
        publish(record, destination(args, "real_map_blocks", complete=True))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
