"""Advice of `fetch`, `train`, `dataset`, `measure` and `campaign` that is followed: the run gets further."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from tests.support.campaigns import write_campaign
from tests.support.cases import FOOT, ground
from tests.support.cli import terrafine
from tests.support.rasters import write_raster
from tests.support.recipes import write_recipe
from tests.support.surfaces import hills

from terrafine.cli import main

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
Words = tuple[object, ...]
Case = Callable[[Path], tuple[Words, str, Words]]
"""The words of a run that is refused, what its message advises, and the words of the run that follows it."""
FEET: dict[str, Any] = {"crs": "EPSG:2263", "origin": (980_000, 200_000), "cell": 40}
AOI: Words = ("--aoi", "11,45,11.01,45.01")
TIMES: Words = ("--dates", "2023-04/2023-05")


def dem(path: Path, factor: float = 1.0, **more: Any) -> Path:
    return write_raster(path, (ground() / factor).astype(np.float32), **more)


def picture(path: Path, dtype: str = "float32", names: tuple[str, ...] = ("red", "green", "blue"), **more: Any) -> Path:
    values = np.random.default_rng(0).uniform(0.02, 0.4, (3, 128, 128))
    kept = values * 10_000 if dtype == "uint16" else values * 500 if dtype == "uint8" else values
    return write_raster(path, kept.astype(dtype), names=names, nodata=None, **more)


def measure(name: str, advised: str, *follow: object, **made: Any) -> tuple[str, Case]:
    def case(d: Path) -> tuple[Words, str, Words]:
        words = ("measure", dem(d / "c.tif", **made), dem(d / "f.tif", **(made | {"cell": 10})), "--quiet")
        return words, advised, (*words, *follow)

    return f"measure: {name}", case


def measure_written(d: Path) -> tuple[Words, str, Words]:
    words = ("measure", dem(d / "c.tif"), dem(d / "f.tif", cell=10), "--quiet")
    return (*words, "-o", d / "p.tif"), ".toml", (*words, "-o", d / "p.toml")


def fetch(name: str, advised: str, wrong: Words, right: Words) -> tuple[str, Case]:
    def case(d: Path) -> tuple[Words, str, Words]:
        words = ("fetch", "sentinel-2", d / "o", *AOI, "--attempts", 1, "--timeout", 1, "--quiet")
        return (*words, *wrong), advised, (*words, *right)

    return f"fetch: {name}", case


def train_data(d: Path) -> tuple[Words, str, Words]:
    (d / "elsewhere/ground").mkdir(parents=True)
    for name in "ab":
        write_raster(d / f"elsewhere/ground/{name}.tif", hills(64, 64))
    words = ("train", write_recipe(d / "r.toml", steps=4), d / "run", "--quiet")
    return words, "--data", (*words, "--data", d / "elsewhere", "--device", "cuda:9")


def train_pack(d: Path) -> tuple[Words, str, Words]:
    words = ("train", write_recipe(d / "r.toml"), d / "run", "--quiet", "--pack-limit", "64MB")
    return words, "--pack", (*words, "--pack", d / "p.npz")


def train_device(d: Path) -> tuple[Words, str, Words]:
    words = ("train", write_recipe(d / "r.toml"), d / "run", "--quiet", "--device")
    return (*words, "cuda:9"), "--device cpu", (*words, "cpu")


def height_share(d: Path) -> tuple[Words, str, Words]:
    words = ("dataset", "height", picture(d / "i.tif"), "--heights", dem(d / "z.tif"), "-o", d / "ds", "--hold-out")
    return (*words, 0.9), "--hold-out", (*words, 0.25)


def height_rows(d: Path) -> tuple[Words, str, Words]:
    words = ("dataset", "height", picture(d / "i.tif"), "--heights", dem(d / "z.tif"), "-o", d / "ds", "--hold-out")
    return (*words, 0.5), "--hold-out SHARE from 0.25 to 0.25", (*words, 0.25)


def height_bands(d: Path) -> tuple[Words, str, Words]:
    def words(image: Path) -> Words:
        return ("dataset", "height", image, "--heights", dem(d / "z.tif"), "-o", d / "ds")

    return words(picture(d / "u.tif", names=())), "band description", words(picture(d / "i.tif"))


def height_unit(d: Path) -> tuple[Words, str, Words]:
    def words(unit: str) -> Words:
        heights = dem(d / f"z{unit}.tif", FOOT, unit=unit, **(FEET | {"cell": 200}))
        return ("dataset", "height", picture(d / "i.tif", **FEET), "--heights", heights, "-o", d / "ds")

    return words(""), "gdal_edit -units UNIT", words("ft")


def pairs_share(d: Path) -> tuple[Words, str, Words]:
    words = ("dataset", "pairs", dem(d / "c.tif"), dem(d / "f.tif", cell=10), "-o", d / "ds", "--hold-out")
    return (*words, 0.9), "--hold-out", (*words, 0.5)


def samples_side(d: Path) -> tuple[Words, str, Words]:
    labels = write_raster(d / "l.tif", np.ones((128, 128), np.uint8), nodata=None, cell=1)
    words = ("dataset", "impervious", picture(d / "u.tif", "uint8", cell=1), d / "ds", "--labels", labels)
    return words, "choose a smaller side", (*words, "--side", "100")


def settings(key: str, wrong: str, advised: str, right: str) -> tuple[str, Case]:
    def case(d: Path) -> tuple[Words, str, Words]:
        for name, value in (("a", wrong), ("b", right)):
            (d / name).mkdir()
            write_campaign(d / name, **{key: f"{key} = {value}"})
        return ("campaign", "plan", d / "a/hills.toml"), advised, ("campaign", "plan", d / "b/hills.toml")

    return f"campaign: {key}", case


CASES: list[tuple[str, Case]] = [
    measure("feet not stated", "--elevation-unit", "--elevation-unit", "ft", **FEET, factor=FOOT),
    measure("no CRS", "--assume-crs", "--assume-crs", "EPSG:32633", crs=None, cell=40),
    ("measure: no product file", measure_written),
    fetch("no dates", "dates, as 2023-04/2023-10", (), ("--dates", "2023-04/2023-10")),
    fetch("memory", "--memory", (*TIMES, "--memory", "1MB"), (*TIMES, "--memory", "64MB")),
    fetch("geographic grid", "EPSG:32632", (*TIMES, "--t-srs", "EPSG:4326"), (*TIMES, "--t-srs", "EPSG:32632")),
    fetch("bands", "red, green, blue", (*TIMES, "--bands", "violet"), (*TIMES, "--bands", "red,green")),
    ("train: data elsewhere", train_data),
    ("train: a limit of no pack", train_pack),
    ("train: a device that is not there", train_device),
    ("dataset height: share held out", height_share),
    ("dataset height: rows on either side", height_rows),
    ("dataset height: bands without names", height_bands),
    ("dataset height: feet not stated", height_unit),
    ("dataset pairs: share held out", pairs_share),
    ("dataset impervious: a side that nothing holds", samples_side),
    settings("resolution_m", "-3", "0.1 to 1000", "30.0"),
    settings("scale", "7", "2, 3, 4", "4"),
    settings("product", '"srtm"', "srtm1", '"srtm1"'),
    settings("files", '["nothing*.tif"]', "a raster, a folder or a pattern", '["*.tif"]'),
    settings("dates", '"2020-13"', "2023-04/2023-10", '"2023-04/2023-10"'),
    settings("device", '"tpu"', "cpu", '"cpu"'),
]


def options_of(words: Words) -> set[str]:
    command: click.Command = main.commands[str(words[0])]
    inner: dict[str, click.Command] = getattr(command, "commands", {})
    command = inner.get(str(words[1]), command)
    return {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help", "--debug"}


def reason(text: str) -> str:
    return re.sub(r"\d+", "#", re.sub(r"\S*/", "", text.strip()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_what_a_refusal_advises_gets_the_run_further(case: Case, tmp_path: Path) -> None:
    words, advised, follow = case(tmp_path)
    first = terrafine(*words)
    assert first.exit_code > 1, first.output
    assert advised in first.output
    assert set(FLAG.findall(first.output)) <= options_of(words)
    then = terrafine(*follow)
    assert then.exit_code != 1, then.output
    assert then.exit_code == 0 or reason(then.output) != reason(first.output), then.output
    assert advised not in then.output or then.exit_code == 0, then.output
