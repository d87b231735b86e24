"""Well-known elevation products: how their files are called, their datum, and whether they see canopy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from terrafine.raster.vertical import DATUMS, VerticalDatum

__all__ = ["PRODUCTS", "Product", "identify_product", "product_datum"]

Surface = Literal["DSM", "DTM"]


@dataclass(frozen=True, slots=True)
class Product:
    """A DEM that many people use: how its files are called, what its heights stand on, and if it sees canopy."""

    name: str
    pattern: str
    datum: str
    surface: Surface
    url: str


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


def identify_product(filename: str) -> Product | None:
    """The well-known DEM whose naming rule the base name of a file follows, or None."""
    return next((p for p in PRODUCTS if re.search(p.pattern, filename, flags=re.IGNORECASE)), None)


def product_datum(product: Product) -> VerticalDatum:
    """The datum a product's guide states; `known` states the product and its source."""
    return VerticalDatum(product.datum, DATUMS[product.datum], f"the product {product.name} ({product.url})")
