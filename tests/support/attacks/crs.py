"""CRSs that are easily damaged: bound to a shift of datum, derived, local, engineering, in odd units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import rasterio
from rasterio.crs import CRS
from rasterio.warp import transform

from tests.support.attacks.model import Attack, put, sharpened
from tests.support.crs import ROTATED

KIND = "bound CRS"
SHIFTS = {
    "3 parameters": "+towgs84=582,105,414",
    "7 parameters, OSGB": "+towgs84=446.448,-125.157,542.06,0.15,0.247,0.842,-20.489",
    "7 parameters, RD": "+towgs84=565.417,50.3319,465.552,-0.398957,0.343988,-1.8774,4.0725",
    "S-42": "+towgs84=26,-121,-78",
    "zeros": "+towgs84=0,0,0",
    "null grid": "+nadgrids=@null",
}
PROJECTIONS: dict[str, tuple[str, tuple[float, float]]] = {
    "tmerc": ("+proj=tmerc +lat_0=0 +lon_0=12 +k=1 +x_0=4500000 +y_0=0 +ellps=bessel +units=m", (4_500_000, 5_300_000)),
    "lcc": (
        "+proj=lcc +lat_1=46 +lat_2=49 +lat_0=47.5 +lon_0=13 +x_0=400000 +y_0=400000 +ellps=bessel +units=m",
        (400_000, 400_000),
    ),
    "longlat": ("+proj=longlat +ellps=bessel", (12, 48)),
    "merc": ("+proj=merc +lon_0=0 +k=1 +x_0=0 +y_0=0 +ellps=bessel +units=m", (1_300_000, 6_000_000)),
    "laea": (
        "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=bessel +units=m",
        (4_321_000, 3_210_000),
    ),
}
LOCAL = (
    'LOCAL_CS["local grid",UNIT["metre",1]]',
    'LOCAL_CS["local grid",UNIT["foot",0.3048]]',
    'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]',
)


def lies_there(folder: Path, crs: Any, place: tuple[float, float], *options: object, cell: float = 30.0) -> str:
    """The output has the heights of the input, and lies where the input lies."""
    wanted = CRS.from_user_input(crs)
    fault = sharpened(put(folder / "a.tif", crs=wanted, cell=cell, origin=place), *options)
    with rasterio.open(folder / "o.tif") as file:
        found, corner = file.crs, (file.transform.c, file.transform.f)
    (x, y), (east, north) = _on_earth(wanted, place), _on_earth(found, corner)
    off = math.hypot((x - east) * 111_000 * math.cos(math.radians(y)), (y - north) * 111_000)
    return fault or (f"lies {off:.1f} m elsewhere" if off > 0.5 else "")


def _on_earth(crs: CRS, place: tuple[float, float]) -> tuple[float, float]:
    (x,), (y,) = transform(crs, "EPSG:4326", [place[0]], [place[1]])
    return x, y


def attacks() -> Iterator[Attack]:
    """All inputs of this kind."""
    for shift, terms in SHIFTS.items():
        for name, (projection, place) in PROJECTIONS.items():
            if shift == "zeros" and name in ("laea", "merc"):
                continue
            text = f"{projection} {terms} +no_defs"
            cell = 3e-4 if name == "longlat" else 30.0
            run = partial(lies_there, crs=text, place=place, cell=cell)
            yield Attack(KIND, f"{name}, {shift}", run)
            if name != "laea":
                stated = partial(
                    lambda d, c, p, s: lies_there(d, c, p, "--vertical-datum", "EGM2008", cell=s),
                    c=text,
                    p=place,
                    s=cell,
                )
                yield Attack(KIND, f"{name}, {shift}, --vertical-datum", stated, "either")
    for place_name in ("SRTM", "COP30"):
        text, place = f"{PROJECTIONS['tmerc'][0]} {SHIFTS['3 parameters']} +no_defs", PROJECTIONS["tmerc"][1]
        yield Attack(
            KIND,
            f"tmerc of a file named {place_name}",
            partial(_named, crs=text, place=place, name=place_name),
            "either",
        )
    yield from _others()


def _named(folder: Path, crs: str, place: tuple[float, float], name: str) -> str:
    inner = folder / f"{name}_N48E012"
    inner.mkdir()
    return lies_there(inner, crs, place)


def _others() -> Iterator[Attack]:
    kind = "local, engineering and derived CRS"
    for i, wkt in enumerate(LOCAL):
        run = partial(lambda d, w: sharpened(put(d / "a.tif", crs=CRS.from_wkt(w))), w=wkt)
        yield Attack(kind, f"{wkt[:20]}… {i}", run, "either" if "metre" in wkt else "refused")
    rotated = partial(lambda d: lies_there(d, ROTATED.to_wkt(), (1.0, 2.0), cell=3e-4))
    yield Attack(kind, "rotated pole", rotated, "either")
    for name, text, place, cell in (
        ("ob_tran", "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39 +lon_0=18 +ellps=WGS84", (1.0, 2.0), 3e-4),
        ("km units", "+proj=utm +zone=33 +datum=WGS84 +units=km", (500.0, 5000.0), 0.03),
        ("Clarke's links", "+proj=utm +zone=33 +datum=WGS84 +to_meter=0.201166195164", (2_485_467, 24_854_670), 150.0),
        ("south-up axes", "EPSG:2053", (90_000, 3_200_000), 30.0),
        ("polar", "EPSG:3413", (0.0, -2_000_000), 30.0),
        ("omerc", "EPSG:3168", (500_000, 400_000), 30.0),
    ):
        yield Attack(kind, name, partial(lies_there, crs=text, place=place, cell=cell), "either")
