"""Vertical datums: read, kept, written, and never mixed in silence.

No datum is converted here: a geoid grid is needed for that, and PROJ or `gdalwarp` do it well. What is held here is
that nobody subtracts a height above EGM96 from a height above EGM2008 (they differ by up to some metres) unawares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pyproj import CRS
from pyproj.crs import CompoundCRS
from pyproj.exceptions import CRSError

from terrafine.errors import DatumError

__all__ = [
    "DATUMS",
    "PRODUCTS",
    "Product",
    "VerticalDatum",
    "compound",
    "from_crs",
    "from_name",
    "from_tags",
    "horizontal",
    "identify_product",
    "same_or_raise",
]

Surface = Literal["DSM", "DTM"]

TAG = "VERTICAL_DATUM"
SURFACE_TAG = "SURFACE"


@dataclass(frozen=True, slots=True)
class VerticalDatum:
    """A height reference: its `name`, the EPSG code of its metric CRS if any, and `known`, how it was known.

    Two datums are equal when their names are; `known` is history and not compared.
    """

    name: str
    epsg: int | None
    known: str

    def same(self, other: VerticalDatum) -> bool:
        """Whether both are the same height reference, however each was known."""
        return self.name == other.name

    def __str__(self) -> str:
        code = f" (EPSG:{self.epsg})" if self.epsg else ""
        return f"{self.name}{code}, known from {self.known}"


@dataclass(frozen=True, slots=True)
class Product:
    """A DEM that many people use: how its files are called, what its heights stand on, and if it sees canopy."""

    name: str
    pattern: str
    datum: str
    surface: Surface
    url: str


# name -> EPSG code of the metric vertical CRS (https://epsg.org); the ellipsoid is the third axis of EPSG:4979.
DATUMS: dict[str, int | None] = {
    "EGM84": 5798,
    "EGM96": 5773,
    "EGM2008": 3855,
    "WGS84 ellipsoid": 4979,
    "NAVD88": 5703,
    "NGVD29": 7968,
    "CGVD2013": 6647,
    "CGVD28": 5713,
    "EVRF2000": 5730,
    "EVRF2007": 5621,
    "EVRF2019": 9389,
    "DHHN92": 5783,
    "DHHN2016": 7837,
    "NAP": 5709,
    "ODN": 5701,
    "LN02": 5728,
    "LHN95": 5729,
    "IGN69": 5720,
    "AHD": 5711,
    "NZVD2016": 7839,
    "TWVD2001": 8904,
    "MSL": 5714,
}

# EPSG codes of the same reference in feet.
_SAME_CODE = {
    6360: "NAVD88",  # NAVD88 height (ftUS)
    8228: "NAVD88",  # NAVD88 height (ft)
    5702: "NGVD29",  # NGVD29 height (ftUS)
    8050: "MSL",
    8052: "MSL",
}

# Checked in order; the pattern is sought in the file name, without regard to case.
PRODUCTS: tuple[Product, ...] = (
    Product(
        "FABDEM",
        r"FABDEM",
        "EGM2008",
        "DTM",
        "https://doi.org/10.1088/1748-9326/ac4d4f",
    ),
    Product(
        "Copernicus GLO-30",
        r"Copernicus_DSM_(COG_)?10_|GLO-?30|COP-?30",
        "EGM2008",
        "DSM",
        "https://dataspace.copernicus.eu/explore-data/data-collections/copernicus-contributing-missions/collections-description/COP-DEM",
    ),
    Product(
        "Copernicus GLO-90",
        r"Copernicus_DSM_(COG_)?30_|GLO-?90|COP-?90",
        "EGM2008",
        "DSM",
        "https://dataspace.copernicus.eu/explore-data/data-collections/copernicus-contributing-missions/collections-description/COP-DEM",
    ),
    Product(
        "NASADEM",
        r"NASADEM",
        "EGM96",
        "DSM",
        "https://lpdaac.usgs.gov/documents/592/NASADEM_User_Guide_V1.pdf",
    ),
    Product(
        "AW3D30",
        r"ALPSMLC30|AW3D30",
        "EGM96",
        "DSM",
        "https://www.eorc.jaxa.jp/ALOS/en/dataset/aw3d30/data/aw3d30v4.1_product_e_1.0.pdf",
    ),
    Product(
        "ASTER GDEM",
        r"ASTGTM|ASTER.?GDEM",
        "EGM96",
        "DSM",
        "https://lpdaac.usgs.gov/documents/434/ASTGTM_User_Guide_V3.pdf",
    ),
    Product(
        "TanDEM-X",
        r"TDM1_DEM|TanDEM-?X",
        "WGS84 ellipsoid",
        "DSM",
        "https://geoservice.dlr.de/web/dataguide/tdm90/",
    ),
    Product(
        "3DEP",
        r"USGS_(1|13|19|NED|Seamless|one_meter|1M|OPR)_|USGS_3DEP|\b3DEP\b",
        "NAVD88",
        "DTM",
        "https://www.usgs.gov/faqs/what-vertical-datum-used-3d-elevation-program-3dep-products",
    ),
    Product(
        "MERIT DEM",
        r"MERIT_?(DEM|Hydro)|_elv\.tif|MERIT.?_dem",
        "EGM96",
        "DTM",
        "https://hydro.iis.u-tokyo.ac.jp/~yamadai/MERIT_DEM/",
    ),
    Product(
        "ArcticDEM / REMA",
        r"arcticdem|REMA_|SETSM_",
        "WGS84 ellipsoid",
        "DSM",
        "https://www.pgc.umn.edu/guides/stereo-derived-elevation-models/pgc-dem-products-arcticdem-rema-and-earthdem/",
    ),
    Product(
        "SRTM",
        r"SRTM|^[NS]\d{2}[EW]\d{3}(\.SRTMGL[13]|_1arc_v3|_3arc_v[12])?\.(hgt|hgt\.zip|hgt\.gz|dt[12])$|^n\d{2}_[ew]\d{3}_[13]arc_v\d",
        "EGM96",
        "DSM",
        "https://lpdaac.usgs.gov/documents/179/SRTM_User_Guide_V3.pdf",
    ),
)


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("height", "").replace("geoid", ""))


_ALIASES = {
    "wgs84": "WGS84 ellipsoid",
    "ellipsoid": "WGS84 ellipsoid",
    "ellipsoidal": "WGS84 ellipsoid",
    "wgs84ellipsoidal": "WGS84 ellipsoid",
    "egm08": "EGM2008",
    "egm9615": "EGM96",
    "meansealevel": "MSL",
}


def _by_code(code: int, known: str) -> VerticalDatum | None:
    for name, epsg in DATUMS.items():
        if epsg == code:
            return VerticalDatum(name, epsg, known)
    if code in _SAME_CODE:
        name = _SAME_CODE[code]
        return VerticalDatum(name, DATUMS[name], known)
    return None


def from_name(text: str, known: str = "the option") -> VerticalDatum:
    """The datum that a user or a tag names: `EGM96`, `egm2008 height`, `EPSG:5703`, `NAVD88`; raises DatumError."""
    code = re.fullmatch(r"(?:EPSG:)?(\d{4,5})", text.strip(), flags=re.IGNORECASE)
    if code:
        found = _by_code(int(code.group(1)), known)
        if found is not None:
            return found
        try:
            crs = CRS.from_epsg(int(code.group(1)))
        except CRSError:
            crs = None
        if crs is not None and crs.is_vertical and not crs.is_compound:
            return VerticalDatum(crs.name.replace(" height", ""), crs.to_epsg(), known)
        if crs is not None and crs.is_compound:
            inner = from_crs(crs, known)
            if inner is not None:
                return inner
    key = _key(text)
    for name, epsg in DATUMS.items():
        if key == _key(name):
            return VerticalDatum(name, epsg, known)
    if key in _ALIASES:
        name = _ALIASES[key]
        return VerticalDatum(name, DATUMS[name], known)
    raise DatumError(
        f"{text!r} names no vertical datum that is known here; use one of {', '.join(DATUMS)}, "
        "or the EPSG code of a vertical CRS such as EPSG:5773"
    )


def horizontal(crs: CRS) -> CRS:
    """The two-dimensional part of a CRS: a compound loses its vertical half, a 3D geographic CRS its height."""
    if crs.is_compound:
        return horizontal(crs.sub_crs_list[0])
    if len(crs.axis_info) == 3:
        return crs.to_2d()
    return crs


def vertical_unit(crs: CRS) -> float | None:
    """Metres per unit of the vertical axis of a compound or 3D CRS, or None where there is no such axis."""
    if crs.is_compound:
        return float(crs.sub_crs_list[1].axis_info[0].unit_conversion_factor)
    if len(crs.axis_info) == 3:
        return float(crs.axis_info[2].unit_conversion_factor)
    return None


def from_crs(crs: CRS, known: str = "its compound CRS") -> VerticalDatum | None:
    """The vertical half of a compound CRS, the ellipsoid of a 3D geographic CRS, or None for a horizontal one."""
    if crs.is_compound:
        vertical = crs.sub_crs_list[1]
        code = vertical.to_epsg()
        found = _by_code(code, known) if code else None
        if found is not None:
            return found
        name = re.sub(r"\s*height.*$", "", vertical.name, flags=re.IGNORECASE)
        try:
            return from_name(name, known)
        except DatumError:
            return VerticalDatum(vertical.name, code, known)
    if crs.is_geographic and len(crs.axis_info) == 3:
        ellipsoid = "WGS84 ellipsoid" if "WGS 84" in crs.name else f"ellipsoid of {crs.name}"
        return VerticalDatum(ellipsoid, DATUMS.get(ellipsoid), known)
    return None


def from_tags(tags: Mapping[str, str]) -> VerticalDatum | None:
    """The datum that a file's own tags state (`VERTICAL_DATUM`), or None; a tag that cannot be read is None too."""
    for key, value in tags.items():
        if key.upper() in {TAG, "TERRAFINE_VERTICAL_DATUM", "VERTICAL_CRS"}:
            try:
                return from_name(value, f"its tag {key}")
            except DatumError:
                return None
    return None


def identify_product(filename: str) -> Product | None:
    """The well-known DEM whose naming rule the base name of a file follows, or None."""
    return next((p for p in PRODUCTS if re.search(p.pattern, filename, flags=re.IGNORECASE)), None)


def product_datum(product: Product) -> VerticalDatum:
    """The datum a product's guide states; `known` tells which product and where it is written."""
    return VerticalDatum(product.datum, DATUMS[product.datum], f"the product {product.name} ({product.url})")


def same_or_raise(a: VerticalDatum | None, b: VerticalDatum | None, what_a: str = "one", what_b: str = "other") -> None:
    """Two surfaces may be compared or joined only above one datum; unknown (None) may meet anything.

    Raises DatumError that names both, how each was known, and what to do.
    """
    if a is None or b is None or a.same(b):
        return
    raise DatumError(
        f"the heights of {what_a} stand on {a}, those of {what_b} on {b}; expected one vertical datum. Convert one of "
        "them (gdalwarp -s_srs and -t_srs with compound CRSs), or state the datum with vertical_datum=NAME if misread"
    )


def compound(crs: CRS, vertical: VerticalDatum | None) -> CRS:
    """The CRS to write: horizontal and vertical joined where the datum has a vertical CRS, else the horizontal one."""
    flat = horizontal(crs)
    if vertical is None or vertical.epsg is None:
        return flat
    try:
        upright = CRS.from_epsg(vertical.epsg)
        if not upright.is_vertical or not (flat.is_geographic or flat.is_projected):
            return flat
        if flat.to_epsg() is not None:
            return CRS.from_user_input(f"EPSG:{flat.to_epsg()}+{vertical.epsg}")
        return CompoundCRS(name=f"{flat.name} + {upright.name}", components=[flat, upright])
    except CRSError:
        return flat
