"""Scores of JointSeg's rows on held-out samples: each sample is a block of the bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from terrafine.evaluation.bootstrap import interval, resample_weights
from terrafine.evaluation.classes.agreement import Boundaries, Confusion, measures
from terrafine.evaluation.classes.record import ClassMap, record
from terrafine.evaluation.elevation.spectrum import SpectrumStats
from terrafine.evaluation.images.measures import measure
from terrafine.evaluation.images.record import summary
from terrafine.evaluation.results import finite
from terrafine.physics.sensor_model import downsample
from terrafine.raster.warp.resample import back_project, upsample
from terrafine.training.segmentation.data import Sample

__all__ = ["DISTANCES", "chances", "compared", "images_of", "judged", "map_resolution", "network_of", "scored_image"]

K = 10
DISTANCES = (2.0, 5.0)
MTF = 0.2  # of the sensor that the samples were made with
DRAWS = 1000
_REGIONS = {"test-dense": 1, "test-sparse": 2}

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def network_of(weights: Path) -> Any:
    """The JointSeg in that file."""
    from terrafine.systems import find_model, load_network

    return load_network(find_model(weights, K, verb="map"))


@torch.inference_mode()
def chances(network: Any, samples: Sequence[Sample], *, truth: bool = False) -> list[F32]:
    """Probability of class 1 of each sample (10y, 10x), as 16-bit floats; read from the true 1 m image where asked."""
    from terrafine.systems.jointseg.net import StageImages

    out = []
    for sample in samples:
        x = torch.from_numpy(sample.coarse * np.float32(sample.unit))[None]
        seen = StageImages(None, torch.from_numpy(sample.fine * np.float32(sample.unit))[None], None)
        logits = network.segment(x, seen) if truth else network(x)
        out.append(logits.softmax(dim=1)[0, 1].numpy().astype(np.float16))
    return out


@torch.inference_mode()
def images_of(network: Any, samples: Sequence[Sample], stage: str = "fine") -> list[F64]:
    """The 1 m image of each sample; of stage 1 alone, bilinear from 2.5 m."""
    from terrafine.systems.jointseg.net import upsample_bilinear

    out = []
    for sample in samples:
        x = torch.from_numpy(sample.coarse * np.float32(sample.unit))[None]
        seen = network.generate_images(x)
        image = seen.fine if stage == "fine" else upsample_bilinear(seen.quarter, K / 4)
        out.append(image[0].numpy().astype(np.float64))
    return out


def interpolated(samples: Sequence[Sample], method: str) -> list[F64]:
    """Bilinear, or `cubic` back-projected onto the input by area means."""
    out = []
    for sample in samples:
        lr = sample.coarse.astype(np.float64) * sample.unit
        fine = upsample(lr, K, method)
        out.append(np.asarray(fine if method == "bilinear" else back_project(fine, lr, K), np.float64))
    return out


def judged(name: str, maps: Sequence[F32], samples: Sequence[Sample], weights: F64) -> ClassMap:
    """The maps against the labels; samples lie one below the other, each a block, and their split is the region."""
    side = samples[0].label.shape[0]
    confusion, rims = Confusion((side * len(samples), side), side), Boundaries(DISTANCES)
    for i, (chance, sample) in enumerate(zip(maps, samples, strict=True)):
        known = sample.label != 255
        said, true = (chance > 0.5).astype(np.int64), np.where(known, sample.label, 0).astype(np.int64)
        region = np.full(known.shape, _REGIONS.get(sample.split, 0))
        confusion.add(said, true, known, (i * side, 0), np.ones(side), region)
        rims.add(said, true, known, (slice(None), slice(None)), (1.0, 1.0))
    return ClassMap(name, confusion, rims, confusion.drawn([0, 1], weights))


def resampled(samples: Sequence[Sample], seed: int = 1) -> F64:
    """Bootstrap weights (draw, sample); the same for every row, so that differences are paired."""
    occupied = np.array([bool((s.label != 255).any()) for s in samples])
    return resample_weights(occupied, DRAWS, seed)


def compared(rows: Sequence[ClassMap]) -> dict[str, Any]:
    """The record of every row, and paired differences of F1 between the rows that the targets speak of."""
    records = {r["name"]: r for r in record(rows, [0, 1], {0: "other", 1: "impervious"}, DISTANCES)}
    by = {row.name: row for row in rows}
    f1 = {n: measures(r.confusion.matrix([0, 1]))["f1"][1] for n, r in by.items()}
    draws = {n: measures(r.drawn)["f1"][:, 1] for n, r in by.items()}
    pairs = {}
    for a in by:
        for b in by:
            if a != b:
                gap = {"value": float(f1[a] - f1[b]), "interval": interval(draws[a] - draws[b])}
                pairs[f"{a} − {b}"] = gap
    return {"rows": records, "differences": pairs}


def halfway(rows: Mapping[str, ClassMap], ours: str, fair: str, upper: str) -> dict[str, Any]:
    """How much of the way from the fair row to the upper bound ours goes, with its interval."""
    draws = {n: measures(rows[n].drawn)["f1"][:, 1] for n in (ours, fair, upper)}
    value = {n: measures(rows[n].confusion.matrix([0, 1]))["f1"][1] for n in (ours, fair, upper)}

    def share(of: Mapping[str, Any]) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.divide(of[ours] - of[fair], of[upper] - of[fair])

    drawn = share(draws)
    return {"value": finite(share(value)), "interval": interval(drawn) if np.isfinite(drawn).all() else None}


def scored_image(images: Sequence[F64], samples: Sequence[Sample]) -> dict[str, Any]:
    """opensr-test's measures and PSNR, and what the sensor would see of the image less what it saw, reflectance."""
    parts, seen, worst = [], 0.0, 0.0
    for image, sample in zip(images, samples, strict=True):
        lr, hr = sample.coarse.astype(np.float64) * sample.unit, sample.fine.astype(np.float64) * sample.unit
        parts.append(measure(lr, image, hr, K))
        again = downsample(torch.from_numpy(image)[None].float(), K, MTF)[0].numpy()
        gap = np.abs(again - lr)[:, 3:-3, 3:-3]  # beyond the sample the sensor saw what the image does not hold
        seen, worst = seen + float(gap.mean()), max(worst, float(gap.max()))
    truth = [s.fine.mean(axis=0) * s.unit for s in samples]
    sharp = resolution([image.mean(axis=0) for image in images], truth)
    return summary(parts, 1.0) | {
        "sensor_gap": seen / len(parts),
        "sensor_gap_max": worst,
        "effective_resolution_m": sharp,
    }


def resolution(made: Sequence[NDArray[Any]], truth: Sequence[NDArray[Any]]) -> float | None:
    """Wavelength in metres at which the coherence of sets of (y, x) first falls below a half; see `SpectrumStats`."""
    stats = SpectrumStats(truth[0].shape[-1], (1.0, 1.0))
    for a, b in zip(made, truth, strict=True):
        stats = stats.add(a.astype(np.float64), b.astype(np.float64))
    return stats.effective_resolution()


def map_resolution(maps: Sequence[F32], samples: Sequence[Sample]) -> float | None:
    """Of probabilities against labels, where the whole sample is labelled and holds both classes."""
    whole = [i for i, s in enumerate(samples) if (s.label != 255).all() and 0 < (s.label == 1).mean() < 1]
    return resolution([maps[i] for i in whole], [samples[i].label for i in whole]) if whole else None
