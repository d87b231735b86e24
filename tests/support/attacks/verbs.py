"""Units, datums and CRSs that reach Terrafine by another way: vertical axes, anchors, radar, guides, evaluate."""

from __future__ import annotations

import html
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import CRS

from tests.support.attacks.crs import PROJECTIONS
from tests.support.attacks.links import vrt
from tests.support.attacks.model import Attack, Expected, Z, command, put, sharpened
from tests.support.attacks.units import anchored, evaluated
from tests.support.cases import FOOT, SURVEY_FOOT
from tests.support.rasters import read_band

UTM_FEET = "+proj=utm +zone=33 +datum=WGS84 +units=ft +no_defs"
IN_FEET: dict[str, Any] = {"crs": UTM_FEET, "cell": 30 / FOOT, "origin": (500_000 / FOOT, 5_000_000 / FOOT)}
USFT = "EPSG:32633+6360"  # heights of NAVD88 in US survey feet
AXES = {
    "US survey foot": SURVEY_FOOT, "foot": FOOT, "Clarke's foot": 0.3047972654, "fathom": 1.8288, "decimetre": 0.1,
    "kilometre": 1000.0,
}  # fmt: skip
NOTHING = (
    "unknown height", "Unknown vertical datum", "unspecified datum", "not available", "n/a", "TBD", "no datum", "NaN",
    "nil", "undefined vertical datum", "not known", "(none)", "<unknown>", "unknown (assumed)",
)  # fmt: skip
VAGUE = ("local", "arbitrary", "assumed", "see metadata", "sea level", "local height", "project datum", "various")


def vertical(name: str = "some height", unit: str = "metre", factor: float = 1.0) -> rasterio.crs.CRS:
    """UTM 33 N joined to a vertical CRS without a code."""
    axis = f'VERT_CS["{name}",VERT_DATUM["{name}",2005],UNIT["{unit}",{factor!r}],AXIS["Up",UP]]'
    return rasterio.crs.CRS.from_wkt(f'COMPD_CS["x",{CRS("EPSG:32633").to_wkt("WKT1_GDAL")},{axis}]')


def up(name: str) -> rasterio.crs.CRS:
    """A CRS by code or PROJ string, with ellipsoidal heights as its third axis."""
    return rasterio.crs.CRS.from_wkt(CRS(name).to_3d().to_wkt())


def _axis(path: Path, unit: str, factor: float) -> Path:
    """Heights in a VRT that holds the CRS as text; a GeoTIFF would keep no unit of a vertical CRS without a code."""
    put(path.with_name("s.tif"), Z / factor)
    text = vrt(path, "s.tif").read_text(encoding="utf-8")
    wkt = vertical("h", unit, factor).to_wkt()
    path.write_text(text.replace("<SRS>EPSG:32633", f"<SRS>{html.escape(wkt)}"), encoding="utf-8")
    return path


def _radar(folder: Path, factor: float, *options: object) -> str:
    """Radar of heights in feet sees what it sees of the same heights in metres."""
    metres, feet = put(folder / "m.tif", unit="m", **IN_FEET), put(folder / "a.tif", Z / factor, **IN_FEET)
    command("radar", metres, folder / "t.tif", "--orbit", "ascending")
    command("radar", feet, folder / "o.tif", "--orbit", "ascending", *options)
    off = float(np.nanmax(np.abs(read_band(folder / "o.tif") - read_band(folder / "t.tif"))))
    return "" if off < 0.01 else f"incidence off by {off:.3g} degrees"


def _compared(folder: Path, which: str, *options: object) -> str:
    metres, feet = put(folder / "m.tif", unit="m", **IN_FEET), put(folder / "a.tif", Z / FOOT, **IN_FEET)
    pair = (feet, metres) if which == "candidate" else (metres, feet) if which == "reference" else (metres, metres)
    return evaluated(folder, *pair, *options, coarse=feet if which == "coarse" else None)


def _guided(folder: Path, *options: object, **dem: Any) -> str:
    """A DEM with radar guides keeps its block means in metres."""
    fine = np.random.default_rng(2).normal(-10, 2, (Z.shape[0] * 4,) * 2).astype(np.float32)
    factor = dem.pop("factor", 1.0)
    grid = {"crs": "EPSG:32633", "cell": 30.0, "origin": (500_000, 5_000_000)} | dem
    guides = [put(folder / f"{n}.tif", fine, names=(n,), **(grid | {"cell": grid["cell"] / 4})) for n in ("vv", "vh")]
    words = [w for g in guides for w in ("--guide", f"{g.stem}={g}")]
    source, out = put(folder / "a.tif", Z / factor, **grid), folder / "o.tif"
    command("dem", source, out, *words, "--guide", "incidence=39", "--orbit", "ascending", *options)
    with rasterio.open(out) as file:
        found = file.read(1).astype(np.float64).reshape(Z.shape[0], 4, Z.shape[1], 4).mean((1, 3))
    off = float(np.abs(found - Z).max())
    return "" if off < 1 else f"heights off by {off:.3g} m"


def attacks() -> Iterator[Attack]:
    """All inputs of this kind."""
    kind = "unit of the vertical axis"
    for unit, factor in AXES.items():
        run = partial(lambda d, u, f: sharpened(_axis(d / "a.vrt", u, f)), u=unit, f=factor)
        yield Attack(kind, f"without a code, {unit}", run)
    clash = partial(lambda d: sharpened(put(d / "a.tif", crs=vertical(), unit="ft")))
    yield Attack(kind, "metre, band in ft", clash, "refused")
    axis = CRS("EPSG:2272").to_3d().axis_info[2].unit_conversion_factor
    yield Attack(
        kind,
        "3D of EPSG:2272",
        lambda d: sharpened(put(d / "a.tif", Z / axis, crs=up("EPSG:2272"), cell=50, origin=(2_700_000, 250_000))),
    )
    yield from _units()
    yield from _datums()


def _units() -> Iterator[Attack]:
    kind = "unit through other verbs"
    yield Attack(kind, "radar, not stated", lambda d: _radar(d, FOOT), "refused")
    yield Attack(kind, "radar, --elevation-unit ft", lambda d: _radar(d, FOOT, "--elevation-unit", "ft"))
    for which in ("candidate", "reference", "coarse"):
        yield Attack(kind, f"evaluate, {which} not stated", partial(_compared, which=which), "refused")
    yield Attack(kind, "evaluate, --elevation-unit ft", lambda d: _compared(d, "candidate", "--elevation-unit", "ft"))
    anchor = IN_FEET | {"cell": 240 / FOOT}
    yield Attack(kind, "anchor in feet, not stated", lambda d: anchored(d, factor=FOOT, **anchor), "refused")
    stated = partial(lambda d: anchored(d, "--elevation-unit", "ft", factor=FOOT, **anchor))
    yield Attack(kind, "anchor in feet, --elevation-unit ft", stated)
    yield Attack(kind, "anchor with a vertical axis in feet", lambda d: anchored(d, factor=SURVEY_FOOT, crs=USFT))
    yield Attack(kind, "guided, not stated", lambda d: _guided(d, factor=FOOT, **IN_FEET), "refused")
    in_feet = partial(lambda d: _guided(d, "--elevation-unit", "ft", factor=FOOT, **IN_FEET))
    yield Attack(kind, "guided, --elevation-unit ft", in_feet)


def _datums() -> Iterator[Attack]:
    kind = "datum through other verbs"
    bound = "+proj=utm +zone=33 +ellps=bessel +towgs84=582,105,414 +units=m +no_defs"
    for name, code in (("UTM", "EPSG:32633"), ("bound UTM", bound)):
        for other in ("EPSG:32633+3855", "EPSG:32633+5773"):
            pair = partial(
                lambda d, c, o: evaluated(d, put(d / "a.tif", crs=up(c)), put(d / "b.tif", crs=o)), c=code, o=other
            )
            yield Attack(kind, f"evaluate 3D of {name} with {other}", pair, "refused")
    clash = partial(lambda d: anchored(d, "--vertical-datum", "EGM96", crs=up("EPSG:32633")))
    yield Attack(kind, "3D anchor, --vertical-datum EGM96", clash, "refused")
    yield Attack(kind, "3D anchor", lambda d: anchored(d, crs=up("EPSG:32633")))
    clash = partial(lambda d: sharpened(put(d / "a.tif", crs=up("EPSG:32633")), "--vertical-datum", "EGM96"))
    yield Attack(kind, "3D, --vertical-datum EGM96", clash, "refused")
    yield Attack(kind, "guided DEM of a 3D CRS", lambda d: _guided(d, crs=up("EPSG:32633")))
    words = [(word, "right") for word in NOTHING] + [(word, "either") for word in VAGUE]
    for word, expected in words:
        run = partial(
            lambda d, w: sharpened(put(d / "a.tif", tags={"VERTICAL_DATUM": w}), "--vertical-datum", "EGM2008"), w=word
        )
        yield Attack("placeholder as datum", f"tag {word}, then --vertical-datum", run, _as(expected))
        if not set(word) & set("<>()"):
            named = partial(
                lambda d, w: sharpened(put(d / "a.tif", crs=vertical(w)), "--vertical-datum", "EGM2008"), w=word
            )
            yield Attack("placeholder as datum", f"vertical CRS {word}, then --vertical-datum", named, _as(expected))
    for grid in ("BETA2007.gsb", "@BETA2007.gsb", "absent.gsb"):
        text, place = f"{PROJECTIONS['tmerc'][0]} +nadgrids={grid} +no_defs", PROJECTIONS["tmerc"][1]
        for more in ((), ("--vertical-datum", "EGM2008")):
            run = partial(_shifted, crs=text, grid=grid, place=place, options=more)
            yield Attack("bound CRS", f"grid of shifts {grid} {' '.join(more)}".strip(), run, "either")


def _shifted(folder: Path, crs: str, grid: str, place: tuple[float, float], options: tuple[str, ...]) -> str:
    """A grid of shifts that is not installed stays in the CRS of the output, at the same corner."""
    fault = sharpened(put(folder / "a.tif", crs=rasterio.crs.CRS.from_string(crs), origin=place), *options)
    with rasterio.open(folder / "o.tif") as file:
        kept, corner = grid.strip("@") in file.crs.to_wkt(), (file.transform.c, file.transform.f)
    return fault or ("" if kept and corner == place else f"the output has {file.crs.to_string()[:80]} at {corner}")


def _as(word: str) -> Expected:
    return "right" if word == "right" else "either"
