"""The published chain on real labels: super-resolution and a segmenter, apart and as one, against direct maps.

    python -m benchmarks.real.map_chain [--steps 600] [--rows NAME ...] [--data DIR]

Every row but the shipped ones is trained here, on the training ground of the recipe of `citymap` and with its sampling,
augmentation and loss, for the same number of steps of the same patches; the last weights are scored, none are selected.
All read the four 10 m bands. There is no 1 m truth of these cities, so the super-resolution starts from that of the
shipped JointSeg, whose 1 m images are of Dubai and whose 10 m input was simulated; near infrared, which it does not
have, is enlarged bilinearly. Scores are on the same windows for all: a random sample of the ground held out.

    direct                       a U-Net at 10 m, 2.5 m by subpixels; and with ten times the steps
    bilinear, then segmenter     the image enlarged to 1 m, a U-Net on that
    Prog-ESRGAN, then segmenter  the same U-Net on the sharpened image; the images stay as they are
    as one                       the same, and the loss of the map changes the images, at a tenth of the rate
    Prog-ESRGAN, Mask2Former     a small Mask2Former, from nothing, on the sharpened image, with the same loss of cells:
                                 its own, of whole masks, has no place for ground whose class is unknown; left out
                                 without the package transformers
    jointseg as shipped          trained on Dubai, reads red, green and blue
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.command import data_of, destination, parser, publish
from benchmarks.common import RESULTS, machine
from benchmarks.real.map import CLASSIFIERS, HEAD, MOST, Trees, enlarged, mcc, network_scores
from terrafine.nn.weights import load
from terrafine.systems import find_weights
from terrafine.systems.citymap.loss import losses
from terrafine.systems.jointseg.mask2former import Mask2Former
from terrafine.systems.jointseg.net import JointSeg, K, upsample_bilinear
from terrafine.systems.jointseg.segmenters import UNetSegmenter
from terrafine.training.scenes.data import HELD_OUT, TRAIN, DatedScene, load_scenes, ndvi
from terrafine.training.scenes.labels import QUARTER, SURE, class_factors
from terrafine.training.scenes.patches import SceneSampler
from terrafine.training.scenes.recipe import ScenePatches
from terrafine.training.scenes.scores import area_under_curve
from terrafine.training.start import find_recipe, read_task

F32 = NDArray[np.float32]
INNER, AROUND, WINDOWS = 24, 8, 24  # 10 m cells scored along a window, cells around them, windows of a city
LEAST_KNOWN = 0.1
RATE, IMAGES_RATE, WARMUP, CLIP = 2e-3, 0.1, 30, 1.0
PATCHES = ScenePatches(size=24, batch=3, light=0.08, haze=0.012, gamma=0.03, no_infrared=0.0)
DIRECT, BILINEAR = "direct, U-Net at 10 m", "bilinear, then segmenter"
DIRECT_LONG = "direct, ten times the steps"
APART, JOINT = "Prog-ESRGAN, then segmenter", "Prog-ESRGAN and segmenter as one"
MASKS = "Prog-ESRGAN, then Mask2Former"
SHIPPED = "jointseg as shipped"
UNTRAINED = ("-NDVI", "per pixel", "all features", "citymap", SHIPPED)
TRAINED = (DIRECT, DIRECT_LONG, BILINEAR, APART, JOINT, MASKS)
LONG = 10  # times the steps of the direct U-Net, which are that much cheaper
DRAWS = 200


class Direct(nn.Module):
    """U-Net of the 10 m bands whose subpixels are the 2.5 m cells."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = UNetSegmenter(4, 2 * QUARTER**2, 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of both heads, (n, 2, 4·y, 4·x)."""
        return functional.pixel_shuffle(self.reader(_scaled(x)), QUARTER)


class Fine(nn.Module):
    """Segmenter of the image at 1 m, enlarged bilinearly or sharpened; `joint` trains the images too."""

    def __init__(
        self, images: nn.Module | None = None, reader: nn.Module | None = None, *, joint: bool = False
    ) -> None:
        super().__init__()
        self.images, self.joint = images, joint
        self.reader = reader or UNetSegmenter(4, 2, 16, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of both heads, (n, 2, 4·y, 4·x)."""
        fine = upsample_bilinear(x, K)
        if self.images is not None:
            with torch.set_grad_enabled(self.joint and torch.is_grad_enabled()):
                fine = torch.cat((self.images(x[:, :3])[1], fine[:, 3:]), dim=1)
        return _quarters(self.reader(_scaled(fine)))


class Masks(nn.Module):
    """Log odds of both heads by a Mask2Former whose classes are each head's class and other ground."""

    def __init__(self) -> None:
        super().__init__()
        self.masks = Mask2Former(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of both heads, (n, 2, y, x)."""
        yes, no = self.masks(x).split(2, dim=1)
        return yes - no


def made(name: str, images: Callable[[], nn.Module | None]) -> nn.Module:
    """The untrained network of a row."""
    if name in (DIRECT, DIRECT_LONG):
        return Direct()
    if name == BILINEAR:
        return Fine(None)
    return Fine(images(), Masks() if name == MASKS else None, joint=name == JOINT)


def _scaled(x: Tensor) -> Tensor:
    return (x - 0.12) * 8.0


def _quarters(fine: Tensor) -> Tensor:
    """Means of 1 m logits on cells of 2.5 m."""
    return functional.adaptive_avg_pool2d(fine, [n // K * QUARTER for n in fine.shape[-2:]])


@dataclass(frozen=True)
class Window:
    """Where the inner cells of a window begin."""

    y: int
    x: int


def windows(places: Sequence[DatedScene], seed: int = 0) -> list[Window]:
    """Some windows of a city's held-out ground in which enough is labelled on every date."""
    height, width = places[0].valid.shape
    spots = [
        Window(y, x)
        for y in range(AROUND, height - INNER - AROUND, INNER)
        for x in range(AROUND, width - INNER - AROUND, INNER)
    ]
    kept: list[Window] = []
    for i in np.random.default_rng(seed).permutation(len(spots)):
        y, x = spots[i].y, spots[i].x
        at, around = np.s_[y : y + INNER, x : x + INNER], np.s_[y - AROUND : y + INNER + AROUND, :]
        fits = all(
            (p.purpose[at] == HELD_OUT).all()
            and p.valid[around][:, x - AROUND : x + INNER + AROUND].all()
            and _labelled(p, spots[i])[1].mean() >= LEAST_KNOWN
            for p in places
        )
        if fits:
            kept.append(spots[i])
    return kept[:WINDOWS]


def _labelled(place: DatedScene, at: Window) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Truth and whether it is known, of the inner cells at 2.5 m."""
    fine = np.s_[QUARTER * at.y : QUARTER * (at.y + INNER), QUARTER * at.x : QUARTER * (at.x + INNER)]
    head = HEAD[place.name]
    return place.targets.share[head][fine] > SURE // 2, place.targets.known[head][fine] == SURE


def _inside(found: F32, at: Window) -> F32:
    """The inner cells of a whole map at 2.5 m."""
    return found[QUARTER * at.y : QUARTER * (at.y + INNER), QUARTER * at.x : QUARTER * (at.x + INNER)]


def trained(network: nn.Module, places: Sequence[DatedScene], steps: int) -> float:
    """Train a network on the training ground of places; processor seconds."""
    begun = time.process_time()
    factors = [class_factors(p.targets, (p.purpose == TRAIN) & p.valid) for p in places]
    sampler = SceneSampler(places, [], 0.0, PATCHES, 1, factors)
    images = [p for n, p in network.named_parameters() if n.startswith("images.")]
    others = [p for n, p in network.named_parameters() if not n.startswith("images.")]
    joint = bool(getattr(network, "joint", False))
    groups = [{"params": others, "lr": RATE}, *([{"params": images, "lr": RATE * IMAGES_RATE}] if joint else [])]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=1e-4)

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
    network.train()
    for step in range(steps):
        batch = sampler(step)
        loss = losses({}, batch, network(batch.image), {"loss": {}})["total"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        schedule.step()
    network.eval()
    return time.process_time() - begun


Scores = dict[tuple[str, int], list[F32]]


def of_windows(
    of: Callable[[Tensor, int], Tensor], cities: Mapping[str, Sequence[DatedScene]], at: Mapping[str, list[Window]]
) -> tuple[Scores, float]:
    """Scores of every window by city and date, and km² per processor second."""
    begun, out, cells = time.process_time(), {}, 0
    for city, places in cities.items():
        for date, place in enumerate(places, 1):
            found = []
            for w in at[city]:
                side = np.s_[:, w.y - AROUND : w.y + INNER + AROUND, w.x - AROUND : w.x + INNER + AROUND]
                image = torch.from_numpy(np.ascontiguousarray(place.image[side]))[None]
                with torch.inference_mode():
                    logit = of(image, HEAD[city])[0].numpy()
                inner = slice(QUARTER * AROUND, QUARTER * (AROUND + INNER))
                found.append(logit[inner, inner])
                cells += image.shape[-1] * image.shape[-2]
            out[city, date] = found
    return out, cells * 1e-4 / max(1e-9, time.process_time() - begun)


def row(
    scores: Scores, base: Scores, cities: Mapping[str, Sequence[DatedScene]], at: Mapping[str, list[Window]]
) -> Any:
    """AUC, its gain above -NDVI with an interval over windows, and the best MCC, by city and date."""
    out: dict[str, Any] = {}
    for (city, date), found in scores.items():
        labels = [_labelled(cities[city][date - 1], w) for w in at[city]]
        parts = [(s[k], b[k], y[k]) for s, b, (y, k) in zip(found, base[city, date], labels, strict=True)]
        value, below, label = (np.concatenate(a) for a in zip(*parts, strict=True))
        auc, under = area_under_curve(value, label), area_under_curve(below, label)
        drawn, rng = [], np.random.default_rng(0)
        for _ in range(DRAWS):
            picked = [parts[i] for i in rng.integers(len(parts), size=len(parts))]
            v, b, y = (np.concatenate(a)[::7] for a in zip(*picked, strict=True))
            if 0 < y.mean() < 1:
                drawn.append(area_under_curve(v, y) - area_under_curve(b, y))
        tried = np.quantile(value[:: max(1, len(value) // MOST)], np.linspace(0.01, 0.99, 99))
        out.setdefault(city, {})[str(date)] = {
            "auc": auc,
            "gain": auc - under,
            "gain_interval": np.quantile(drawn, (0.025, 0.975)).tolist(),
            "mcc_best": max(mcc(value >= t, label) for t in tried),
        }
    return out


def main() -> int:
    """Train, score, print, write."""
    torch.set_num_threads(1)
    options = parser(__doc__, "real_map_chain")
    options.add_argument("--steps", type=int, default=600)
    options.add_argument(
        "--rows", nargs="*", choices=(*UNTRAINED, *TRAINED), help="rows to measure; all others stay as recorded"
    )
    args = options.parse_args()
    steps, most = (2, 1) if args.quick else (args.steps, WINDOWS)
    able = [name for name in (*UNTRAINED, *TRAINED) if name != MASKS or find_spec("transformers") is not None]
    chosen = tuple(args.rows or able)
    with data_of(args) as data:
        places = load_scenes(data, read_task(find_recipe("citymap.toml")).recipe.data)
        cities = {name: [p for p in places if p.name == name] for name in HEAD}
        at = {name: windows(dates)[:most] for name, dates in cities.items()}
        record: dict[str, Any] = {"steps": steps, "batch": PATCHES.batch, "rows": {}}
        record |= {"patch_m": 10 * PATCHES.size, "window_m": 10 * INNER, "windows": {n: len(w) for n, w in at.items()}}
        if args.rows:
            record = recorded(record)
        record["machine"] = machine()
        for name, found in measured(chosen, places, cities, at, steps):
            record["rows"][name] = found
            print(name, found, flush=True)
        publish(record, destination(args, "real_map_chain", complete=True))
    return 0


def recorded(record: Mapping[str, Any]) -> dict[str, Any]:
    """The published record, whose rows stay; it must be of the same budget and windows."""
    earlier: dict[str, Any] = json.loads((RESULTS / "real_map_chain.json").read_text())
    other = [key for key, value in record.items() if key != "rows" and earlier.get(key) != value]
    if other:
        raise SystemExit(f"--rows: {', '.join(other)} differ from the published record; measure all rows")
    return earlier


def measured(
    chosen: Sequence[str],
    places: Sequence[DatedScene],
    cities: Mapping[str, Sequence[DatedScene]],
    at: Mapping[str, list[Window]],
    steps: int,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and measures of each row."""
    spec, tensors = load(find_weights("jointseg"))
    images = {(n, d): p.image for n, dates in cities.items() for d, p in enumerate(dates, 1)}

    def windowed(of: Callable[[F32, int], F32]) -> Scores:
        whole = {key: of(image, HEAD[key[0]]) for key, image in images.items()}
        return {key: [_inside(found, w) for w in at[key[0]]] for key, found in whole.items()}

    def shipped() -> JointSeg:
        network = JointSeg(**spec.network)
        network.load_state_dict(tensors)
        return network.eval()

    base = windowed(lambda image, head: enlarged(-ndvi(image)))
    weights = find_weights("citymap")
    for name in chosen:
        more: dict[str, float] = {}
        if name == "-NDVI":
            scores = base
        elif name == "citymap":
            scores = windowed(lambda image, head: network_scores(weights, image)[head])
        elif name in CLASSIFIERS:
            scores = windowed(Trees(places, CLASSIFIERS[name]).scores)
        elif name == SHIPPED:
            old = shipped()
            scores, more["km2_per_s"] = of_windows(lambda x, head: _impervious(old(x[:, :3])), cities, at)  # noqa: B023
        else:
            torch.manual_seed(1)
            network = made(name, lambda: shipped().images)
            more["seconds"] = trained(network, places, steps * (LONG if name == DIRECT_LONG else 1))
            scores, more["km2_per_s"] = of_windows(lambda x, head: network(x)[:, head], cities, at)  # noqa: B023
        yield name, {"cities": row(scores, base, cities, at), **more}


def _impervious(logits: Tensor) -> Tensor:
    """Log odds of impervious at 2.5 m of logits of two classes at 1 m."""
    return _quarters(logits[:, 1:] - logits[:, :1])[:, 0]


if __name__ == "__main__":
    raise SystemExit(main())
