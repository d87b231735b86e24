"""Coordinate reference systems that are easily damaged: bound, and one with a rotated pole."""

from __future__ import annotations

from pyproj import CRS

SHIFT = "+towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7"
GAUSS = f"+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=3500000 +y_0=0 +ellps=bessel {SHIFT} +units=m +no_defs"
ROTATED = CRS.from_wkt(
    'GEOGCRS["rotated",BASEGEOGCRS["WGS 84",DATUM["World Geodetic System 1984",ELLIPSOID["WGS 84",6378137,'
    '298.257223563]]],DERIVINGCONVERSION["pole",METHOD["Pole rotation (GRIB convention)"],PARAMETER["Latitude of the '
    'southern pole (GRIB convention)",-30,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Longitude of the southern '
    'pole (GRIB convention)",10,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Axis rotation (GRIB convention)",0,'
    'ANGLEUNIT["degree",0.0174532925199433]]],CS[ellipsoidal,2],AXIS["lon",east],AXIS["lat",north],'
    'ANGLEUNIT["degree",0.0174532925199433]]'
)
