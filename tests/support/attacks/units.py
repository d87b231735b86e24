"""Heights whose unit is not stated, stated in odd words, or no unit of length; also of anchors and in `evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.attacks.images import colours
from tests.support.attacks.model import Attack, Z, command, put, sharpened
from tests.support.cases import FOOT, SURVEY_FOOT
from tests.support.rasters import read_band

KIND = "unit of height"
FEET = {
    "EPSG:2272": (2_700_000, 250_000),
    "EPSG:3435": (1_150_000, 1_900_000),
    "EPSG:6539": (1_000_000, 200_000),
    "EPSG:2926": (1_200_000, 600_000),
    "EPSG:3424": (600_000, 500_000),
    "EPSG:2868": (600_000, 800_000),
    "EPSG:26729": (600_000, 1_000_000),
    "EPSG:3089": (5_000_000, 3_500_000),
}
NAMED = {
    "ft": FOOT, "feet": FOOT, "foot": FOOT, "US survey foot": SURVEY_FOOT, "us-ft": SURVEY_FOOT, "ftUS": SURVEY_FOOT,
    "m": 1.0, "metre": 1.0, "Meters": 1.0, "cm": 0.01, "dm": 0.1, "mm": 0.001, "km": 1000.0,
}  # fmt: skip
NO_LENGTH = ("furlong", "hPa", "degree", "%", "K", "dB", "m/s", "ft²", "m2", "mGal")


def feet(path: Path, factor: float = FOOT, crs: str = "EPSG:2272", **more: Any) -> Path:
    """Heights under a CRS that measures feet."""
    return put(path, Z / factor, crs=crs, cell=50, origin=FEET[crs], **more)


def with_unit(folder: Path, unit: str, factor: float) -> str:
    return sharpened(put(folder / "a.tif", Z / factor, unit=unit))


def evaluated(folder: Path, candidate: Path, reference: Path, *options: object, coarse: Path | None = None) -> str:
    """The root mean square error of two rasters of the same heights is 0."""
    out = folder / "report"
    more = () if coarse is None else ("--coarse", coarse)
    command("evaluate", candidate, reference, "--no-hydrology", "--no-coregistration", "-o", out, *more, *options)
    text = (out / "results.json").read_text(encoding="utf-8")
    found = [float(v) for v in _values(json.loads(text), "rmse")]
    return "" if found and max(found) < 0.01 else f"RMSE {found[:3]} m"


def _values(record: Any, name: str) -> Iterator[Any]:
    if isinstance(record, dict):
        for key, value in record.items():
            if key == name and isinstance(value, int | float):
                yield value
            yield from _values(value, name)
    elif isinstance(record, list):
        for value in record:
            yield from _values(value, name)


def anchored(folder: Path, *options: object, unit: str = "", factor: float = 1.0, **more: Any) -> str:
    """`terrafine height` on an anchor; its heights are those of the anchor."""
    image = colours(folder / "i.tif")
    anchor = put(folder / "a.tif", Z[:8, :8] / factor, **({"cell": 240, "unit": unit} | more))
    command("height", image, folder / "o.tif", "--anchor", anchor, "--sensor", "sentinel2", *options)
    off = abs(float(np.nanmean(read_band(folder / "o.tif"))) - float(Z[:6, :6].mean()))
    return "" if off < 1 else f"heights off by {off:.3g} m"


def attacks() -> Iterator[Attack]:
    """All inputs of this kind."""
    for crs in FEET:
        yield Attack(KIND, f"{crs}, not stated", lambda d, c=crs: sharpened(feet(d / "a.tif", crs=c)), "refused")
    for crs in ("EPSG:2272", "EPSG:6539", "EPSG:3089"):
        run = partial(lambda d, c: sharpened(feet(d / "a.tif", crs=c), "--elevation-unit", "ft"), c=crs)
        yield Attack(KIND, f"{crs}, stated as ft", run)
    yield Attack(KIND, "metres under a CRS in feet", lambda d: sharpened(feet(d / "a.tif", 1.0, unit="m")))
    yield Attack(
        KIND,
        "EPSG:32140, metres under a state plane in metres",
        lambda d: sharpened(put(d / "a.tif", crs="EPSG:32140", origin=(600_000, 4_000_000))),
    )
    for unit, factor in NAMED.items():
        yield Attack(KIND, f"band unit {unit}", partial(with_unit, unit=unit, factor=factor))
    for unit in NO_LENGTH:
        yield Attack(KIND, f"band unit {unit}", partial(with_unit, unit=unit, factor=1.0), "refused")
    for unit in ("1", "unknown unit"):
        yield Attack(KIND, f"band unit {unit}", partial(with_unit, unit=unit, factor=1.0), "either")
    for unit in ("FT", "Feet", "us-ft", "yd", "chain", "fathom", ""):
        factor = SURVEY_FOOT if unit == "us-ft" else FOOT
        run = partial(lambda d, u, f: sharpened(feet(d / "a.tif", f), "--elevation-unit", u), u=unit, f=factor)
        yield Attack(KIND, f"--elevation-unit {unit!r}", run, "either")
    yield from _anchors()
    yield from _evaluations()


def _anchors() -> Iterator[Attack]:
    kind = "unit of an anchor"
    yield Attack(kind, "metres", anchored)
    yield Attack(kind, "band unit ft", partial(anchored, unit="ft", factor=FOOT))
    yield Attack(kind, "--elevation-unit ft", lambda d: anchored(d, "--elevation-unit", "ft", factor=FOOT))
    yield Attack(kind, "furlong", partial(anchored, unit="furlong"), "refused")
    yield Attack(kind, "CRS in feet, not stated", _anchor_in_feet, "refused")
    yield Attack(kind, "out of range", partial(anchored, factor=0.001), "refused")
    yield Attack(kind, "ellipsoid beside --vertical-datum EGM2008", _anchor_of_two_datums, "refused")


def _anchor_in_feet(folder: Path) -> str:
    image = colours(folder / "i.tif", crs="EPSG:26918", origin=(480_000, 4_430_000))
    anchor = put(folder / "a.tif", Z / FOOT, crs="EPSG:2272", cell=800, origin=(2_600_000, 300_000))
    command("height", image, folder / "o.tif", "--anchor", anchor, "--sensor", "sentinel2")
    return ""


def _anchor_of_two_datums(folder: Path) -> str:
    return anchored(folder, "--vertical-datum", "EGM2008", crs="EPSG:32633+5773")


def _evaluations() -> Iterator[Attack]:
    kind = "unit in evaluate"

    def two(folder: Path, first: float, second: float, units: tuple[str, str] = ("", ""), *options: object) -> str:
        a = put(folder / "a.tif", Z / first, unit=units[0])
        return evaluated(folder, a, put(folder / "b.tif", Z / second, unit=units[1]), *options)

    yield Attack(kind, "ft against m, both stated", lambda d: two(d, FOOT, 1.0, ("ft", "m")))
    yield Attack(kind, "cm against km, both stated", lambda d: two(d, 0.01, 1000.0, ("cm", "km")))
    yield Attack(kind, "furlong against m", lambda d: two(d, 1.0, 1.0, ("furlong", "m")), "refused")
    yield Attack(kind, "m against K", lambda d: two(d, 1.0, 1.0, ("m", "K")), "refused")
    for where in ("candidate", "reference", "coarse"):

        def unstated(folder: Path, where: str = where) -> str:
            good, bad = feet(folder / "g.tif", 1.0, unit="m"), feet(folder / "a.tif")
            pair = {"candidate": (bad, good), "reference": (good, bad), "coarse": (good, good)}[where]
            return evaluated(folder, *pair, coarse=bad if where == "coarse" else None)

        yield Attack(kind, f"{where} under a CRS in feet, not stated", unstated, "refused")
