"""Spellings of attributes, packed integers, nodata as text, quality codes, and runs that fail before they read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from tests.support.attacks.arrays import array, attack
from tests.support.attacks.images import NAMES, cells, colours
from tests.support.attacks.links import base, link, vrt
from tests.support.attacks.model import Attack, Expected, RefusedError, Z, command, compared, put, sharpened
from tests.support.cases import FOOT, SURVEY_FOOT
from tests.support.rasters import read_band, write_raster

SPELLED = {"Feet": FOOT, "FEET": FOOT, "ftUS": SURVEY_FOOT, "us_ft": SURVEY_FOOT, "foot_us": SURVEY_FOOT, "Metre": 1.0}
LONG = (
    "metre above msl", "m above sea level", "meters above mean sea level", "masl", "m a.s.l.", "metres (EGM96)", "1",
    "-",
)  # fmt: skip
KEEP = np.s_[10:12, 10:12]


def attacks() -> Iterator[Attack]:
    """All inputs of this kind."""
    for unit, factor in SPELLED.items():
        yield attack(f"units {unit}", lambda u=unit, f=factor: array(Z / f, units=u))
    for unit in LONG:
        yield attack(f"units {unit}", lambda u=unit: array(units=u), expected="either")
    for key in ("unit", "Units", "UNITS"):
        yield attack(f"{key}=ft instead of units", lambda k=key: array(Z / FOOT, **{k: "ft"}), expected="either")
    yield from _packed()
    yield from _nodata_as_text()
    yield from _quality()
    yield from _links()
    yield from _environment()
    yield from _early()
    yield from _again()


def _packed() -> Iterator[Attack]:
    kind = "scale and offset"

    def packed(folder: Path, dtype: str, scale: float, offset: float, nodata: float, *options: object) -> str:
        factor = 0.01 if "cm" in options else 1.0
        stored, truth = np.round((Z / factor - offset) / scale), Z.copy()
        stored[3:6, 4:9], truth[3:6, 4:9] = nodata, np.nan
        path = put(folder / "a.tif", stored.astype(dtype), nodata=nodata)
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (scale,), (offset,)
        return sharpened(
            path, *options, truth=np.round((truth / factor - offset) / scale) * scale * factor + offset * factor
        )

    for dtype, scale, offset, nodata in (
        ("int16", 0.1, 400.0, -32768), ("int16", 0.05, 500.0, 32767), ("uint16", 0.01, 300.0, 0),
        ("uint16", 0.1, 0.0, 65535), ("int32", 0.001, 0.0, -2147483648), ("uint8", 2.0, 300.0, 255),
    ):  # fmt: skip
        run = partial(packed, dtype=dtype, scale=scale, offset=offset, nodata=nodata)
        yield Attack(kind, f"{dtype} × {scale:g} + {offset:g}, nodata {nodata}", run)
    yield Attack(
        kind,
        "int32 × 0.5 in cm",
        lambda d: packed(d, "int32", 0.5, 0.0, -9999, "--elevation-unit", "cm"),
    )


def _nodata_as_text() -> Iterator[Attack]:
    kind = "nodata"

    def virtual(folder: Path, word: str, holes: bool) -> str:
        values = Z.copy()
        values[3:6, 4:9] = np.nan if holes else values[3:6, 4:9]
        put(folder / "a.tif", values)
        path = vrt(folder / "v.vrt", "a.tif")
        text = path.read_text(encoding="utf-8").replace(
            "<SimpleSource>", f"<NoDataValue>{word}</NoDataValue><SimpleSource>"
        )
        path.write_text(text, encoding="utf-8")
        return sharpened(path, truth=values)

    for word in ("nan", "NaN", "NAN", "-nan", "1.#QNAN", "nan(ind)"):
        for holes in (True, False):
            run = partial(virtual, word=word, holes=holes)
            where = "with holes" if holes else "without holes"
            yield Attack(kind, f"VRT with nodata {word}, {where}", run, "right" if word.lower() == "nan" else "either")
    for word in ("none", "", "nodata", "1e999", "--"):
        yield Attack(
            kind,
            f"--nodata {word!r}",
            partial(lambda d, w: sharpened(base(d), "--nodata", w), w=word),
            "refused" if word != "1e999" else "either",
        )


def _quality() -> Iterator[Attack]:
    kind = "quality bands"

    def read(folder: Path, name: str, code: int, sensor: str, factor: float, offset: float) -> str:
        values = np.random.default_rng(3).uniform(0.03, 0.25, (3, 48, 48))
        codes = np.full((1, 48, 48), 4 if name == "SCL" else 21824 if name == "QA_PIXEL" else 0)
        codes[0][KEEP] = code
        image = np.concatenate([(values - offset) / factor, codes]).astype("uint16")
        path = write_raster(folder / "i.tif", image, cell=30, names=(*NAMES, name), nodata=None)
        command("height", path, folder / "o.tif", "--sensor", sensor)
        unmeasured = code <= 1 if name == "SCL" else bool(code & (1 if name == "QA_PIXEL" else 0b1110))
        expected = cells(KEEP) if unmeasured else np.zeros((48, 48), bool)
        missing = np.isnan(read_band(folder / "o.tif"))
        return "" if (missing == expected).all() else f"{int(missing.sum())} cells of nodata, expected {expected.sum()}"

    for code in range(12):
        run = partial(read, name="SCL", code=code, sensor="sentinel2", factor=1e-4, offset=0.0)
        yield Attack(kind, f"SCL {code}", run)
    for name, codes in (("QA_PIXEL", (1, 21824, 22280, 55052)), ("QA_RADSAT", (0, 2, 4, 8, 14, 64, 2048))):
        for code in codes:
            run = partial(read, name=name, code=code, sensor="landsat-l2", factor=2.75e-5, offset=-0.2)
            yield Attack(kind, f"{name} {code}", run)
    kind = "bright land"
    for name, low, high in (("sea", 0.004, 0.03), ("salt", 0.55, 0.75), ("dunes", 0.33, 0.5), ("snow", 0.7, 0.95)):
        seen = partial(_seen, low=low, high=high)
        yield Attack(kind, f"height of {name}, sensor stated", seen)
    eight = partial(_seen, low=0.001, high=0.02, dtype="uint8")
    yield Attack(kind, "8-bit image, sensor stated", eight, "refused")


def _seen(folder: Path, **image: Any) -> str:
    command("height", colours(folder / "i.tif", **image), folder / "o.tif", "--sensor", "sentinel2")
    return ""


def _links() -> Iterator[Attack]:
    kind = "virtual rasters and links"

    def inside(d: Path) -> str:
        base(d / "store/tiles")
        (d / "store/vrt").mkdir()
        link(d / "store/vrt/t", "../tiles")
        return sharpened(vrt(d / "store/vrt/v.vrt", "t/a.tif"), "--allow-folder", d / "store", out=d / "o.tif")

    def folder_twice(d: Path) -> str:
        base(d / "real")
        link(d / "one", "real")
        (d / "deep").mkdir()
        link(d / "deep/two", "../one")
        vrt(d / "real/v.vrt", "a.tif")
        return sharpened(d / "deep/two/v.vrt", out=d / "o.tif")

    def linked_vrt_in_linked_folder(d: Path) -> str:
        base(d / "real")
        vrt(d / "real/v.vrt", "./a.tif")
        link(d / "dir", "real")
        link(d / "w.vrt", "dir/v.vrt")
        return sharpened(d / "w.vrt")

    def outside(d: Path) -> str:
        base(d / "other")
        (d / "mine").mkdir()
        link(d / "mine/a.tif", "../other/a.tif")
        return sharpened(vrt(d / "mine/v.vrt", "a.tif"), out=d / "o.tif")

    runs: tuple[tuple[str, Callable[[Path], str], Expected], ...] = (
        ("linked folder beside the VRT, allowed", inside, "right"),
        ("folder through two relative links", folder_twice, "right"),
        ("linked VRT in a linked folder", linked_vrt_in_linked_folder, "right"),
        ("source linked to another folder", outside, "either"),
    )
    for name, run, expected in runs:
        yield Attack(kind, name, run, expected)


def _environment() -> Iterator[Attack]:
    def foreign(folder: Path, name: str, value: str) -> str:
        source = put(folder / "a.tif", crs="EPSG:32633+3855")
        (folder / "empty").mkdir()
        words = [sys.executable, "-m", "terrafine.cli", "dem", source, folder / "o.tif", "--scale", "2", "--model"]
        paths = os.pathsep.join(p for p in sys.path if p)
        done = subprocess.run(
            [*map(str, words), "nearest", "--quiet"],
            env=os.environ | {name: value.replace("EMPTY", str(folder / "empty")), "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 1 or done.returncode < 0:
            raise RuntimeError(done.stderr[-300:])
        if done.returncode:
            raise RefusedError(done.stderr)
        with rasterio.open(folder / "o.tif") as file:
            kept = "EGM2008" in file.crs.to_wkt()
        return compared(read_band(folder / "o.tif"), Z) or ("" if kept else "the datum is lost")

    for name in ("GDAL_DATA", "PROJ_DATA", "PROJ_LIB"):
        for value in ("EMPTY", "/nonexistent"):
            run = partial(foreign, name=name, value=value)
            yield Attack("foreign installation", f"{name}={value}", run, "either")


def _early() -> Iterator[Attack]:
    """What is wrong with an option is found before the file, which is no raster, is read."""
    kind = "options before reading"

    def named(folder: Path, verb: str, words: tuple[object, ...]) -> str:
        (folder / "a.tif").write_text("no raster", encoding="utf-8")
        try:
            command(verb, folder / "a.tif", folder / "o.tif", *words)
        except RefusedError as error:
            return f"reads first: {error}" if "a.tif" in str(error) else ""
        return "accepted"

    for verb, words in (
        ("dem", ("--t-srs", "banana")), ("dem", ("--t-srs", "EPSG:999999")), ("dem", ("--t-srs", "EPSG:5773")),
        ("dem", ("--scale", 7)), ("dem", ("--scale", 0)), ("dem", ("--scale", -2)), ("dem", ("-co", "COMPRESS=LZMA9")),
        ("dem", ("-co", "FOO=1")), ("dem", ("-co", "LEVEL=99")), ("dem", ("--device", "tpu")),
        ("dem", ("--device", "cuda:99")), ("dem", ("--model", "nosuch")), ("dem", ("--tr", 0, 0)),
        ("dem", ("--tr", -5, 5)), ("dem", ("--tr", "nan", 5)), ("dem", ("--memory", "4XB")), ("dem", ("--threads", 0)),
        ("dem", ("--tile", 0)), ("dem", ("--consistency", "soft", "--tolerance", -1)), ("dem", ("--nodata", "x")),
        ("dem", ("--pixel-size", -3)), ("dem", ("--vertical-datum", "sea")), ("dem", ("--elevation-unit", "furlong")),
        ("dem", ("--assume-crs", "banana")), ("dem", ("--dask", "no address")), ("dem", ("--product", "nosuch")),
        ("map", ("--threshold", 2)), ("map", ("--device", "tpu")), ("map", ("-co", "BAD=1")),
        ("map", ("--max-bright", 3)), ("height", ("--max-bright", -1)),
        ("image", ("--scale", 3)), ("image", ("--sensor", "modis")), ("height", ("--device", "tpu")),
        ("height", ("--model", "nosuch")), ("radar", ("--orbit", "ascending", "--incidence", 95)),
        ("radar", ("--orbit", "ascending", "--heading", "nan")), ("radar", ("--orbit", "ascending", "--latitude", 100)),
    ):  # fmt: skip
        yield Attack(kind, f"{verb} {' '.join(map(str, words))}", partial(named, verb=verb, words=words))


@contextmanager
def without(absent: Sequence[str]) -> Iterator[None]:
    """Packages that cannot be imported; every other module that is imported meanwhile stays."""
    before = {name: sys.modules[name] for name in absent if name in sys.modules}
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
        sys.modules.update(before)


def _again() -> Iterator[Attack]:
    """A run that failed for a missing package or scheduler is run again with what is there."""
    kind = "run again after a failure"

    def again(folder: Path, absent: tuple[str, ...], words: tuple[object, ...]) -> str:
        source = put(folder / "a.tif")
        with without(absent):
            try:
                command("dem", source, folder / "o.tif", "--scale", 2, "--model", "srcnn", *words)
            except RefusedError:
                left = sorted(p.name for p in folder.iterdir() if p != source)
                if left:
                    return f"left {left}"
            else:
                return "accepted"
        command("dem", source, folder / "o.tif", "--scale", 2, "--model", "srcnn", "--consistency", "hard")
        return compared(read_band(folder / "o.tif"), Z)

    cases: tuple[tuple[str, tuple[str, ...], tuple[Any, ...]], ...] = (
        ("openvino is absent", ("openvino",), ("--engine", "openvino")),
        ("onnxruntime is absent", ("onnxruntime",), ("--engine", "onnx")),
        ("distributed is absent", ("distributed", "dask", "dask.distributed"), ("--dask", "tcp://127.0.0.1:9")),
        ("no scheduler answers", (), ("--dask", "tcp://127.0.0.1:9")),
    )
    for name, absent, words in cases:
        yield Attack(kind, name, partial(again, absent=absent, words=words))
