"""A picture of PIMSR's gates: the weight of the heights, of VV and of VH in each cell."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import F64, Dem, coarse_of, crop, read_dem
from benchmarks.pimsr.guides import POLARISATIONS, Guides, myanmar, only, simulated
from benchmarks.pimsr.world import write_coarse
from terrafine.physics.hillshade import hillshade

WINDOW = (slice(200, 520), slice(400, 880))  # fine cells of the mountains that are shown


def shares(net: Any, coarse: NDArray[Any], size: F64, guides: Guides) -> tuple[list[str], F64]:
    """Names and shares (name, y, x) on the coarse grid; the sides are cut to even numbers of cells."""
    import torch

    y, x = (n // 2 * 2 for n in coarse.shape)
    heights = torch.from_numpy(np.ascontiguousarray(coarse[None, None, :y, :x], dtype=np.float32))
    pixel = torch.from_numpy(size[None, :, :y, None].astype(np.float32))
    given = {n: torch.from_numpy(np.ascontiguousarray(g[None, :, : 4 * y, : 4 * x])) for n, g in guides.items()}
    with torch.inference_mode():
        found = net(heights, pixel, given).gates[0].double().numpy()
    names = ["dem", *net.guides]
    kept = [i for i, n in enumerate(names) if n in ("dem", *POLARISATIONS)]
    return [names[i] for i in kept], found[kept]


def draw_gates(data: Path, ref: Any, looks: float, path: Path) -> None:
    """Two rows: mountains with simulated radar, and the Myanmar hillside with all dates of real radar."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from terrafine.systems import load_network

    net = load_network(ref)
    rows = [mountains(data, net, looks), real(data, ref, net)]
    figure, axes = plt.subplots(2, 4, figsize=(11, 4.6), layout="constrained")
    for line, (title, lit, names, found) in zip(axes, rows, strict=True):
        line[0].imshow(lit, cmap="gray", vmin=0, vmax=1)
        line[0].set_ylabel(title)
        line[0].set_title("relief")
        for axis, name, share in zip(line[1:], names, found, strict=True):
            picture = axis.imshow(share, cmap="viridis", vmin=0, vmax=1)
            axis.set_title(f"{'heights' if name == 'dem' else name.upper()}, mean {share.mean():.2f}")
        for axis in line:
            axis.set_xticks([])
            axis.set_yticks([])
    figure.colorbar(picture, ax=axes, shrink=0.7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=75, metadata={"Software": None})
    plt.close(figure)


def mountains(data: Path, net: Any, looks: float) -> tuple[str, F64, list[str], F64]:
    """A window of the San Gabriel Mountains with simulated radar."""
    dem = crop(read_dem(data / "dem" / "test" / "bigtujunga_30m.tif"), 8)
    guides = only(simulated(dem, looks, 0), POLARISATIONS)
    coarse, size = coarse_of(dem, 4)
    names, found = shares(net, coarse, size, guides)
    cut = tuple(slice(s.start // 4, s.stop // 4) for s in WINDOW)
    return f"simulated, {looks:g} looks", shaded(dem, WINDOW), names, found[:, cut[0], cut[1]]


def real(data: Path, ref: Any, net: Any) -> tuple[str, F64, list[str], F64]:
    """The Myanmar hillside with every date, registered as a run does it."""
    from terrafine.raster.read.source import open_source
    from terrafine.workflows.inputs.guidance import Guidance, open_guided

    series = myanmar(data)
    dem = crop(read_dem(data / "radar" / "myanmar_dem.tif"), 8)
    with tempfile.TemporaryDirectory() as name:
        coarse_file = write_coarse(dem, series, Path(name) / "coarse.tif")
        files = series.write(Path(name), range(len(series.days)))
        guided = open_guided(open_source([str(coarse_file)]), ref, Guidance(files, orbit="descending"))
        whole = tuple(slice(0, n) for n in dem.z.shape)
        read = {n: guided.read_guide(n, *whole) for n in guided.guides}
    guides = {n: np.stack((np.where(seen, v, 0), seen)).astype(np.float32) for n, (v, seen) in read.items()}
    coarse, size = coarse_of(dem, 4)
    names, found = shares(net, coarse, size, only(guides, POLARISATIONS))
    return f"real, {len(series.days)} dates", shaded(dem, whole), names, found


def shaded(dem: Dem, window: Any) -> F64:
    """Brightness from 0 to 1 of terrain lit from the north-west at 45°."""
    down, right = np.gradient(dem.z, float(dem.pixel_size_m[0].mean()), float(dem.pixel_size_m[1].mean()))
    return np.asarray(hillshade(right, -down)[window])
