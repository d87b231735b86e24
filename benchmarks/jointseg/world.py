"""JointSeg beside public weights, its speed by stage, and a real Sentinel-2 city."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.warp import Resampling, calculate_default_transform, reproject
from torch import Tensor
from torch.nn import functional

from benchmarks.jointseg.cost import multiply_adds
from benchmarks.jointseg.picture import draw_city
from benchmarks.jointseg.score import network_of
from terrafine.evaluation.images.measures import psnr
from terrafine.physics.sensor_model import back_project
from terrafine.systems.jointseg.pretrained import load_exactly, real_esrgan_x4
from terrafine.systems.jointseg.rrdb import COMPACT, FULL, SLIM, RrdbNet
from terrafine.training.segmentation.data import Sample, SampleSampler

__all__ = ["map_city", "public_stage", "public_start", "speeds"]

CITY, ZONE = "rennes_2", 32630
WHITE = 0.35  # reflectance that a picture network takes for white
_AT, _SIDE = (120, 100), 128  # cells of the window that is mapped


@torch.inference_mode()
def public_stage(samples: Sequence[Sample], ours: Path | None = None) -> dict[str, Any]:
    """PSNR (peak 1) at 2.5 m of ×4 images of the held-out samples against the area mean of the truth."""
    network = RrdbNet(3, 3, 4, **FULL, skip=False).eval()
    load_exactly(network, real_esrgan_x4())
    mine = None if ours is None else network_of(ours)
    squared: dict[str, list[float]] = {}
    for sample in samples:
        x, fine = (torch.from_numpy(v * np.float32(sample.unit))[None] for v in (sample.coarse, sample.fine))
        truth = _truth(fine, x)
        cubic = functional.interpolate(x, scale_factor=4, mode="bicubic")
        public = network((x / WHITE).clamp(0, 1)) * WHITE
        made: dict[str, Tensor] = {
            "bicubic": cubic,
            "bicubic, agreeing with the input": back_project(cubic, x, 4, mtf=0.2),
            "Real-ESRGAN's weights": public,
            "Real-ESRGAN's weights, agreeing with the input": back_project(public, x, 4, mtf=0.2),
        }
        if mine is not None:
            made["stage 1, compact, trained here"] = mine.generate_images(x).quarter
        for name, image in made.items():
            squared.setdefault(name, []).append(float((image - truth).square().mean()))
    return {"samples": len(samples), "psnr": {n: psnr(float(np.mean(v))) for n, v in squared.items()}}


def public_start(seen: Sequence[Sample], held: Sequence[Sample], steps: int = 120) -> dict[str, Any]:
    """Stage 1 at full size from Real-ESRGAN's weights and from chance, and the compact one from chance: equal steps.

    L1 at 2.5 m on the same patches, 12 cells wide, four a step; Adam whose rate warms up and falls to nothing.
    """
    rates = {"full, from Real-ESRGAN's weights": 1e-4, "full, from chance": 2e-4, "compact, from chance": 1e-3}
    draws = SampleSampler(seen, size=12, batch=4, seed=5, light=0.05, phase=lambda step: {})
    rows = {}
    for name, rate in rates.items():
        torch.manual_seed(1)
        size = COMPACT if name.startswith("compact") else FULL
        network = RrdbNet(3, 3, 4, **size, skip=False)
        if "Real-ESRGAN" in name:
            load_exactly(network, real_esrgan_x4())
        optimiser = torch.optim.Adam(network.parameters(), lr=rate)
        begun = time.process_time()
        for step in range(steps):
            batch = draws(step)
            for group in optimiser.param_groups:
                group["lr"] = rate * min((step + 1) / 10, 0.5 + 0.5 * math.cos(math.pi * step / steps))
            made, truth = _quarter(network, batch.coarse), _truth(batch.fine, batch.coarse)
            loss = (made - truth).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        taken, squared = time.process_time() - begun, []
        with torch.inference_mode():
            for sample in held:
                x, fine = (torch.from_numpy(v * np.float32(sample.unit))[None] for v in (sample.coarse, sample.fine))
                squared.append(float((_quarter(network.eval(), x) - _truth(fine, x)).square().mean()))
        rows[name] = {"psnr": psnr(float(np.mean(squared))), "rate": rate, "core_s": taken}
        print(f"public, {name}: {rows[name]}", flush=True)
    return {"steps": steps, "rows": rows}


def _quarter(network: torch.nn.Module, x: Tensor) -> Tensor:
    """Reflectance at 2.5 m that agrees with the input."""
    return back_project(network(x / WHITE) * WHITE, x, 4, mtf=0.2)


def _truth(fine: Tensor, x: Tensor) -> Tensor:
    return functional.interpolate(fine, size=[4 * n for n in x.shape[-2:]], mode="area")


@torch.inference_mode()
def speeds(weights: Path | None, times: int = 5) -> dict[str, Any]:
    """km² per core-second by stage (a busy machine does not change it much), and multiply-adds per cell of 1 m."""
    found: dict[str, Any] = {
        "multiply_adds": {"compact": multiply_adds(3, COMPACT, SLIM), "full": multiply_adds(3, FULL)},
    }
    if weights is None:
        return found
    network, x = network_of(weights), torch.rand(1, 3, 64, 64) * 0.3
    seen = network.generate_images(x)
    images = network.images
    up = functional.interpolate(x, scale_factor=4.0, mode="bilinear", align_corners=False)
    found["km2_per_core_s"] = {
        name: 0.64**2 / _seconds(call, times)
        for name, call in {
            "stage 1": lambda: images.to_quarter(x),
            "stage 2": lambda: back_project(images.second(torch.cat((up, seen.quarter), dim=1)), x, 10, mtf=images.mtf),
            "segmenter": lambda: network.segment(x, seen),
            "all": lambda: network(x),
        }.items()
    }
    return found


def _seconds(call: Callable[[], Any], times: int) -> float:
    call()
    taken = []
    for _ in range(times):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return float(np.median(taken))


@torch.inference_mode()
def map_city(data: Path, weights: Path | None, picture: Path) -> dict[str, Any]:
    """A window of a city in its UTM zone, 10 m cells: the share classified as impervious; and a picture of it."""
    if weights is None:
        return {}
    whole = _warped(data / "s2_cities" / f"{CITY}.tif")
    window = whole[:, _AT[0] : _AT[0] + _SIDE, _AT[1] : _AT[1] + _SIDE]
    x = torch.from_numpy(np.ascontiguousarray(window))[None]
    network = network_of(weights)
    seen = network.generate_images(x)
    chance = network.segment(x, seen).softmax(dim=1)[0, 1]
    draw_city(window, seen.fine[0].numpy(), chance.numpy(), picture)
    label = chance > 0.5
    return {
        "city": CITY,
        "km2": (_SIDE * 10 / 1000) ** 2,
        "impervious": float(label.float().mean()),
        "mean_probability": float(chance.mean()),
    }


def _warped(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Reflectance of red, green, blue on 10 m cells of the UTM zone."""
    with rasterio.open(path) as src:
        names = [d.lower() if d else "" for d in src.descriptions]
        order = [names.index(n) + 1 for n in ("red", "green", "blue")] if "red" in names else [1, 2, 3]
        crs = rasterio.crs.CRS.from_epsg(ZONE)
        transform, width, height = calculate_default_transform(
            src.crs, crs, src.width, src.height, *src.bounds, resolution=10
        )
        out = np.zeros((3, height, width), np.float32)
        for band, number in zip(out, order, strict=True):
            reproject(
                src.read(number).astype(np.float32),
                band,
                src_transform=src.transform,
                src_crs=src.crs,
                dst_transform=transform,
                dst_crs=crs,
                resampling=Resampling.cubic,
            )
    return out / 10_000
