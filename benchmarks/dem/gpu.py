"""Speed of the models on a GPU against the CPU of the same machine, and how far their numbers differ.

    python -m benchmarks.dem.gpu [--repeats 5] [--cells 512]

Output Mpx/s of `ridgeline` (×4), of the shipped `jointseg` and of one of published size (random weights: only its time
counts), from arrays in memory to arrays in memory, transfers included; training steps per second of `ridgeline` on
random terrain. Each figure is the median of the repeats after one that is not counted. The outputs of both devices must
agree within the tolerance that is printed, or the exit code is 1.

Without a GPU it says so, writes nothing and exits with 0. With --quick the CPU stands in for the GPU.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.command import destination, parser, publish
from benchmarks.common import machine
from terrafine.nn.device import find_device, found_devices, full_float32, to_device
from terrafine.nn.model import Model, Tiles
from terrafine.nn.system import Options, TrainingBatch
from terrafine.systems import find_model, find_system, load_model
from terrafine.systems.jointseg.rrdb import FULL

TOLERANCE = {"elevation": 2e-3, "impervious": 2e-3}  # metres, probability
BATCH, SIDE = 8, 48  # of a training step, as the recipes of ridgeline


def tiles(bands: Mapping[str, tuple[float, float]], side: int, cell: float) -> Tiles:
    """One tile of smooth random ground, each band with a mean and a spread."""
    rng = np.random.default_rng(3)
    made = {}
    for name, (mean, spread) in bands.items():
        walk = rng.normal(size=(side, side)).cumsum(0).cumsum(1)
        made[name] = (mean + spread * (walk - walk.mean()) / walk.std()).astype(np.float32)[None]
    return Tiles(made, np.ones((1, side, side), bool), np.full((1, 2, side), cell))


def seconds(run: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Median time of a call that is complete when it returns, or when the device is idle."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def compared(build: Callable[[str], Model], given: Tiles, where: torch.device, repeats: int) -> dict[str, Any]:
    """Output Mpx/s of a model on the CPU and on the device, and the largest difference of each output."""
    models = {name: build(device) for name, device in (("cpu", "cpu"), ("device", str(where)))}
    outputs = {name: model(given) for name, model in models.items()}
    band = next(iter(outputs["cpu"]))
    pixels = outputs["cpu"][band].size / 1e6
    took = {name: seconds(lambda m=model: m(given), where, repeats) for name, model in models.items()}  # type: ignore[misc]
    differences = {n: float(np.abs(v - outputs["device"][n]).max()) for n, v in outputs["cpu"].items()}
    return {
        "output_mpx_per_second": {name: pixels / took[name] for name in models},
        "speed_up": took["cpu"] / took["device"],
        "largest_difference": differences,
    }


def training(where: torch.device, repeats: int, quick: bool) -> dict[str, float]:
    """Steps per second of ridgeline on a batch that lies on the device."""
    system = find_system("ridgeline")
    if system.build is None or system.training is None:
        raise SystemExit("ridgeline has no weights to train")
    network = {"channels": 8, "blocks": [1, 0]} if quick else {"channels": 48, "blocks": [8, 0]}
    rates = {}
    for name, device in (("cpu", torch.device("cpu")), ("device", where)):
        torch.manual_seed(1)
        net = system.build(network | {"deep_channels": 0, "deep_blocks": 0}, 4).to(device)
        fine = torch.randn(BATCH, 1, 4 * SIDE, 4 * SIDE).cumsum(-1).cumsum(-2)
        coarse = torch.nn.functional.avg_pool2d(fine, 4)
        batch = to_device(TrainingBatch(coarse, fine, torch.full((BATCH, 2, SIDE, 1), 30.0), 4), device)
        optimiser = torch.optim.AdamW(net.parameters(), 1e-4)

        def step(net: Any = net, batch: Any = batch, optimiser: Any = optimiser) -> None:
            optimiser.zero_grad(set_to_none=True)
            with full_float32():
                system.training.losses(net, batch, {"loss": {}})["total"].backward()
            optimiser.step()

        rates[name] = 1 / seconds(step, device, repeats)
    return rates


def measured(where: torch.device, args: argparse.Namespace) -> dict[str, Any]:
    """Every part of the benchmark."""
    segmenter, dem = find_model("jointseg", 10, verb="map"), find_model("ridgeline", 4)
    colours = dict.fromkeys(("red", "green", "blue"), (0.15, 0.04))
    scene, ground = (
        tiles(colours, max(24, args.cells // 5), 10.0),
        tiles({"elevation": (900.0, 120.0)}, args.cells, 30.0),
    )
    full = {"blocks": 1, "features": 8, "growth": 4} if args.quick else FULL

    def of_published_size(device: str) -> Model:
        system = find_system("jointseg")
        if system.build is None:
            raise SystemExit("jointseg has no network")
        torch.manual_seed(2)
        network = {"first": full, "second": full}
        net = system.build(network, 10)
        return system.adapt(system.describe(net, network, 10), net, Options(device=device))

    def shipped(ref: Any) -> Callable[[str], Model]:
        return lambda device: load_model(replace(ref, options=replace(ref.options, device=device)))

    return {
        "dem": compared(shipped(dem), ground, where, args.repeats),
        "map_compact": compared(shipped(segmenter), scene, where, args.repeats),
        "map_full": compared(of_published_size, scene, where, max(1, args.repeats // 2)),
        "training_steps_per_second": training(where, args.repeats, args.quick),
    }


def unequal(parts: Mapping[str, Any]) -> list[str]:
    """Outputs that differ by more than the tolerance, in words."""
    return [
        f"{part}: {band} differs by {found:g}, more than {TOLERANCE[band]:g}"
        for part, record in parts.items()
        for band, found in record.get("largest_difference", {}).items()
        if band in TOLERANCE and not found <= TOLERANCE[band]
    ]


def show(parts: Mapping[str, Any]) -> None:
    """Print the table."""
    print(f"{'':14}{'CPU':>12}{'device':>12}   largest difference")
    for name in ("dem", "map_compact", "map_full"):
        rate, differences = parts[name]["output_mpx_per_second"], parts[name]["largest_difference"]
        worst = ", ".join(f"{band} {value:.2g}" for band, value in differences.items())
        print(f"{name:14}{rate['cpu']:7.2f} Mpx/s{rate['device']:7.2f} Mpx/s   {worst}")
    steps = parts["training_steps_per_second"]
    print(f"{'training':14}{steps['cpu']:5.2f} steps/s{steps['device']:5.2f} steps/s")


def main() -> None:
    """Parse, run, print, write."""
    made = parser(__doc__, "gpu")
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--cells", type=int, default=512, help="input cells along a side for dem; a fifth for map")
    args = made.parse_args()
    if args.quick:
        args.repeats, args.cells = 1, 32
    where = find_device("cpu" if args.quick else "auto")
    if where.type == "cpu" and not args.quick:
        print("no GPU here: nothing is measured and nothing written")
        return
    parts = measured(where, args)
    show(parts)
    device = next(d for d in found_devices() if d.name == str(where))
    record = {"command": "python -m benchmarks.dem.gpu", "machine": machine(), "device": device.model or device.name}
    if problems := unequal(parts):
        print("\n".join(problems), file=sys.stderr)
        raise SystemExit(1)
    publish(record | parts, destination(args, "gpu", complete=True))


if __name__ == "__main__":
    main()
