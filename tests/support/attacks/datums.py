"""Vertical datums: compound and three-dimensional CRSs, placeholders, and rasters on two datums."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import rasterio
from pyproj import CRS

from tests.support.attacks.model import Attack, Z, command, put, sharpened
from tests.support.attacks.units import FEET, evaluated
from tests.support.cases import FOOT, SURVEY_FOOT

KIND = "vertical datum"
COMPOUND = (
    "EPSG:32633+5773", "EPSG:32633+3855", "EPSG:32633+5621", "EPSG:25832+7837", "EPSG:26910+5703", "EPSG:32633+5714",
    "EPSG:9707", "EPSG:9518", "EPSG:5973", "EPSG:7415", "EPSG:25833+5783", "EPSG:2056+5728",
)  # fmt: skip
GEOGRAPHIC_3D = ("EPSG:4979", "EPSG:7912", "EPSG:4937", "EPSG:6319", "EPSG:7843")
PROJECTED_3D = ("EPSG:32633", "EPSG:25832", "EPSG:3035", "EPSG:2193", "EPSG:3031", "EPSG:2154", "EPSG:3857")
PLACEHOLDERS = (
    "Unknown", "UNKNOWN", "not set", "undefined", "N/A", "null", "None", "0", "unspecified", "unnamed", "-", "?",
)  # fmt: skip


def _crs(name: str) -> rasterio.crs.CRS:
    """A CRS by code; `3D` is UTM 33 N with ellipsoidal heights."""
    return (
        rasterio.crs.CRS.from_wkt(CRS("EPSG:32633").to_3d().to_wkt())
        if name == "3D"
        else rasterio.crs.CRS.from_string(name)
    )


def _place(crs: CRS) -> dict[str, Any]:
    """Where a raster of that CRS may lie."""
    first = crs.sub_crs_list[0] if crs.is_compound else crs
    if first.is_geographic:
        return {"cell": 0.0003, "origin": (10, 50)}
    area = {"EPSG:7415": (160_000, 400_000), "EPSG:2056+5728": (2_600_000, 1_200_000)}
    return {"origin": area.get(crs.to_string(), (500_000, 5_000_000))}


def _vertical(path: Path) -> str:
    """What a file states on its heights: the vertical CRS, the tag, or both."""
    with rasterio.open(path) as file:
        crs, tag = CRS(file.crs.to_wkt()), file.tags(ns="TERRAFINE").get("VERTICAL_DATUM", "")
    axes = " ".join(axis.name for axis in crs.axis_info)
    return f"{crs.sub_crs_list[1].name if crs.is_compound else ''} {axes} {tag}"


def _kept(folder: Path, crs: CRS, words: str) -> str:
    fault = sharpened(put(folder / "a.tif", crs=rasterio.crs.CRS.from_wkt(crs.to_wkt()), **_place(crs)))
    stated = _vertical(folder / "o.tif")
    return fault or ("" if words.lower() in stated.lower() else f"the output states {stated!r}, expected {words}")


def attacks() -> Iterator[Attack]:
    """All inputs of this kind."""
    for name in COMPOUND:
        crs = CRS(name)
        yield Attack(KIND, f"compound {name}", partial(_kept, crs=crs, words=crs.sub_crs_list[1].name))
    for name in GEOGRAPHIC_3D:
        yield Attack("3D CRS", f"geographic {name}", partial(_kept, crs=CRS(name), words="ellips"))
    for name in PROJECTED_3D:
        yield Attack("3D CRS", f"projected {name}", partial(_kept, crs=CRS(name).to_3d(), words="ellips"))
    for name in ("EPSG:4978", "EPSG:5773", "EPSG:3855"):
        run = partial(lambda d, c: sharpened(put(d / "a.tif", crs=c)), c=name)
        yield Attack("3D CRS", f"{name}, geocentric or vertical alone", run, "refused")
    for name, factor in (
        ("EPSG:2272+6360", SURVEY_FOOT), ("EPSG:26910+6360", SURVEY_FOOT), ("EPSG:6539+8228", FOOT),
        ("EPSG:32610+8228", FOOT), ("EPSG:2272+5703", 1.0), ("EPSG:2926+5703", 1.0),
    ):  # fmt: skip
        place = {"cell": 50, "origin": FEET.get(name.split("+")[0], (500_000, 5_000_000))}
        run = partial(lambda d, c, f, p: sharpened(put(d / "a.tif", Z / f, crs=c, **p)), c=name, f=factor, p=place)
        yield Attack(KIND, f"unit of the vertical axis, {name}", run)
    for tag in PLACEHOLDERS:
        run = partial(
            lambda d, t: sharpened(put(d / "a.tif", tags={"VERTICAL_DATUM": t}), "--vertical-datum", "EGM2008"), t=tag
        )
        yield Attack("placeholder as datum", f"tag {tag}, then --vertical-datum", run)
    for word in ("unknown", "unnamed", "not specified", "N/A", "None", "undefined", "?"):
        yield Attack("placeholder as datum", f"vertical CRS {word}, then --vertical-datum", partial(_named, word=word))
    for name in ("unknown", "none", "n/a", "-", "?", "EGM", "EGM2009", "sea level", "EPSG:4326", "EPSG:32633", ""):
        run = partial(lambda d, n: sharpened(put(d / "a.tif"), "--vertical-datum", n), n=name)
        yield Attack(KIND, f"--vertical-datum {name!r}", run, "refused")
    for name in ("5773", "EPSG:3855", "EGM96", "WGS84", "ellipsoid", "MSL", "egm2008"):
        run = partial(lambda d, n: sharpened(put(d / "a.tif"), "--vertical-datum", n), n=name)
        yield Attack(KIND, f"--vertical-datum {name!r}", run, "either")
    yield from _two_datums()


def _named(folder: Path, word: str) -> str:
    vertical = f'VERT_CS["{word}",VERT_DATUM["{word}",2005],UNIT["metre",1],AXIS["Up",UP]]'
    wkt = f'COMPD_CS["x",{CRS("EPSG:32633").to_wkt("WKT1_GDAL")},{vertical}]'
    fault = sharpened(put(folder / "a.tif", crs=rasterio.crs.CRS.from_wkt(wkt)), "--vertical-datum", "EGM2008")
    return fault or ("" if "EGM2008" in _vertical(folder / "o.tif") else "the datum is not stated")


def _two_datums() -> Iterator[Attack]:
    kind = "two datums together"
    pairs = (
        ("EPSG:32633+5773", "EPSG:32633+3855"), ("EPSG:32633+3855", "EPSG:32633+5621"), ("3D", "EPSG:32633+3855"),
        ("3D", "EPSG:32633+5773"), ("EPSG:32633+7837", "EPSG:32633+5783"),
    )  # fmt: skip

    def compare(folder: Path, pair: tuple[str, str], coarse: bool) -> str:
        a, b = (put(folder / f"{n}.tif", crs=_crs(c)) for n, c in zip("ab", pair, strict=True))
        return evaluated(folder, a, a if coarse else b, coarse=b if coarse else None)

    def mosaic(folder: Path, pair: tuple[str, str]) -> str:
        a = put(folder / "a.tif", crs=_crs(pair[0]))
        b = put(folder / "b.tif", crs=_crs(pair[1]), origin=(500_000 + 24 * 30, 5_000_000))
        command("dem", a, b, folder / "o.tif", "--scale", 2, "--model", "nearest")
        return ""

    for pair in pairs:
        name = " with ".join(pair)
        yield Attack(kind, f"evaluate {name}", partial(compare, pair=pair, coarse=False), "refused")
        yield Attack(kind, f"mosaic of {name}", partial(mosaic, pair=pair), "refused")
    for pair in pairs[:3]:
        name = " with a coarse input on ".join(pair)
        yield Attack(kind, f"evaluate {name}", partial(compare, pair=pair, coarse=True), "refused")
