"""Runs of `dem`, `map`, `train`, `evaluate`, `campaign` and `fetch`, killed at random moments and given again.

Python, torch and GDAL are loaded once; each run is the command in a process forked from there, so that kills fall into
the work and not into imports. SIGKILL comes when the run has used a random share of the processor time of a calm run.
After one to three kills the command is given again and must end with the files of the calm run, byte for byte, and
nothing else beside them; the entries of a safetensors file's metadata may stand in another order. After each kill, a
file under a final name must be the calm one or be absent.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np

from benchmarks.reliability import Record

__all__ = ["FAMILIES", "killed", "load"]

KILLS = 50  # that come in time, of each verb
SEED = 2026

Scene = tuple[list[str], set[str]]
"""The arguments, with OUT for the name of the output, and the final names that must be whole at any time."""
Make = Callable[[Path, ExitStack], Scene]
"""Writes the inputs to a folder; what must be stopped after the attack goes on the stack."""


def _dem(folder: Path, stack: ExitStack) -> Scene:
    from tests.support.fakes import write_dem_with_gaps

    coarse = write_dem_with_gaps(folder / "coarse.tif", (200, 180))
    words = ["dem", str(coarse), "OUT/o.tif", "--model", "bicubic", "--tile", "32", "--preview", "OUT/o.png"]
    return [*words, "--threads", "1", "--quiet"], {"o.tif", "o.png"}


def _map(folder: Path, stack: ExitStack) -> Scene:
    import torch
    from tests.support.rasters import write_raster

    from terrafine.nn.weights import save
    from terrafine.systems import find_system

    size = {"blocks": 1, "features": 4, "growth": 2}
    network = {"first": size, "second": size, "width": 4, "depth": 2, "bands": 3}
    system = find_system("jointseg")
    torch.manual_seed(0)
    net = system.build(network, 10)  # type: ignore[misc]
    save(folder / "tiny.safetensors", net.state_dict(), system.describe(net, network, 10))
    numbers = np.random.default_rng(0).uniform(300, 3000, (3, 30, 36)).astype(np.uint16)
    at = {"crs": "EPSG:32631", "origin": (4.5e5, 5.4e6), "nodata": None, "cell": 10.0}
    image = write_raster(folder / "image.tif", numbers, names=("red", "green", "blue"), **at)
    words = ["map", str(image), "OUT/o.tif", "--model", str(folder / "tiny.safetensors"), "--tile", "16"]
    return [*words, "--threads", "1", "--quiet"], {"o.tif", "o.qml"}


def _train(folder: Path, stack: ExitStack) -> Scene:
    from tests.support.rasters import write_raster
    from tests.support.recipes import write_recipe

    (folder / "ground").mkdir()
    for i, name in enumerate("ab"):
        z = np.random.default_rng(i).normal(size=(300, 260)).cumsum(0).cumsum(1) / 3 + 400
        whole = z.round().clip(-400, 8000).astype(np.int16)
        write_raster(folder / "ground" / f"{name}.tif", whole, nodata=-32768)
    recipe = write_recipe(folder / "r.toml", steps=8)
    words = ["train", str(recipe), "--data", str(folder), "--out", "OUT", "--threads", "1", "--device", "cpu"]
    return [*words, "--quiet"], {"tiny-x2.safetensors"}


def _evaluate(folder: Path, stack: ExitStack) -> Scene:
    from tests.support.rasters import write_surface
    from tests.support.surfaces import terrain

    truth, noise = terrain(128), np.random.default_rng(1).normal(0, 2, (2, 128, 128))
    write_surface(folder / "truth.tif", truth)
    for i, name in enumerate("ab"):
        write_surface(folder / f"{name}.tif", truth + noise[i])
    words = ["evaluate", str(folder / "a.tif"), str(folder / "b.tif"), "--reference", str(folder / "truth.tif")]
    return [*words, "-o", "OUT", "--quiet"], {"results.json"}


def _campaign(folder: Path, stack: ExitStack) -> Scene:
    from tests.support.campaigns import write_campaign

    (folder / "given").mkdir()
    write_campaign(folder / "given", tile_m="tile_m = 2040.0")
    return ["campaign", "run", "OUT/hills.toml", "--quiet"], set()


def _fetch(folder: Path, stack: ExitStack) -> Scene:
    """Two dates of real Sentinel-2 from a STAC API on loopback, in six blocks."""
    from tests.support.scenes import PISA, add_scene, preset, real_numbers
    from tests.support.stac_server import serve

    server = stack.enter_context(serve(folder / "stac"))
    for number, when in enumerate(("2023-05-01T10:10:00Z", "2023-06-01T10:10:00Z"), start=1):
        numbers, georeference = real_numbers("pisa", number, PISA)
        old = {"s2:processing_baseline": "02.04"}
        add_scene(server, f"scene{number}", numbers, georeference, when, properties=old)
    words = ["fetch", "sentinel-2", "-o", "OUT/o.tif", "--service", str(preset(server, folder)), "--cell", "1"]
    words += ["--aoi", "10.381,43.7222,10.396,43.731", "--dates", "2023-04/2023-10", "--memory", "50MB"]
    return [*words, "--quiet"], {"o.tif", "o.lineage.json"}


def killed(make: Make, kills: int, seed: int) -> Record:
    """Kill a verb so often, in time; each calm, killed and finished run counts on its own."""
    rng = random.Random(seed)
    in_time, late, rounds, moments = 0, 0, 0, []
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        root = Path(name)
        words, whole = make(root, stack)
        _end(_start(words, root / "warm", root))  # caches of compiled code
        code, calm_seconds = _end(_start(words, root / "calm", root))
        if code:
            raise SystemExit(f"the calm run ended with {code}: {(root / 'said').read_text()}")
        calm = _content(root / "calm")
        varies = {n for n, data in _content(root / "warm").items() if data != calm.get(n)}
        whole = whole or {n for n in calm if n.endswith(".tif")}
        if not whole <= set(calm) - varies:
            raise SystemExit(f"{whole - set(calm) | varies}: not written, or two calm runs differ")
        while in_time < kills:
            out = root / f"out{rounds}"
            rounds += 1
            for _ in range(rng.randint(1, 3)):
                share = rng.random()
                if _kill(_start(words, out, root), share * calm_seconds):
                    in_time += 1
                    moments.append(round(share, 3))
                else:
                    late += 1
                found = _content(out)
                failures += [f"round {rounds}: {n} is not whole" for n in whole if found.get(n, calm[n]) != calm[n]]
            code, _ = _end(_start(words, out, root))
            found = _content(out)
            if code:
                failures.append(f"round {rounds}: ended with {code}: {(root / 'said').read_text()[-200:]}")
            elif set(found) != set(calm):
                failures.append(f"round {rounds}: other files: {', '.join(sorted(set(found) ^ set(calm)))}")
            else:
                failures += [f"round {rounds}: {n} differs" for n in calm if n not in varies and found[n] != calm[n]]
    return {"tried": in_time, "failures": failures, "late": late, "finished": rounds, "seed": seed, "moments": moments}


def _start(words: list[str], out: Path, root: Path) -> int:
    """The command in a forked process; what it is given in its own folder lies in `given`."""
    if (root / "given").is_dir() and not out.exists():
        shutil.copytree(root / "given", out)
    out.mkdir(exist_ok=True)
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        said = os.open(root / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        from terrafine.cli import main

        try:
            main([word.replace("OUT", str(out)) for word in words], prog_name="terrafine")
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end(process: int) -> tuple[int, float]:
    """(exit code, processor seconds) of a run that is let be."""
    _, status, used = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def _kill(process: int, seconds: float) -> bool:
    """SIGKILL once the run has used so much processor time; False where it ended before."""
    clock = (~process << 3) | 2  # the clock of a process, as clock_getcpuclockid(3) makes it
    used = 0.0
    while used < seconds:
        if os.waitpid(process, os.WNOHANG)[0]:
            return False
        with suppress(OSError):
            used = time.clock_gettime(clock)
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def _content(folder: Path) -> dict[str, bytes]:
    """Each file below a folder, but for folders of unfinished jobs, which a later run uses or removes."""
    return {str(path.relative_to(folder)): _bytes(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _bytes(path: Path) -> bytes:
    """The content of a file; safetensors writes the entries of its metadata in any order, here they are sorted."""
    data = path.read_bytes()
    if path.suffix != ".safetensors":
        return data
    start = 8 + int.from_bytes(data[:8], "little")
    return json.dumps(json.loads(data[8:start]), sort_keys=True).encode() + data[start:]


def load() -> None:
    """What every verb imports, before the first fork."""
    import importlib
    import pkgutil

    import terrafine

    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(terrafine.__path__, "terrafine."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _family(make: Make) -> Callable[[], Record]:
    def attack() -> Record:
        load()
        return killed(make, KILLS, SEED)

    return attack


FAMILIES: dict[str, Callable[[], Record]] = {
    "kills_dem": _family(_dem),
    "kills_map": _family(_map),
    "kills_train": _family(_train),
    "kills_evaluate": _family(_evaluate),
    "kills_campaign": _family(_campaign),
    "kills_fetch": _family(_fetch),
}
