"""The one module that configures GDAL and PROJ: block cache, checks of raw rasters, and the PROJ database in use."""

from __future__ import annotations

import functools
import os
from typing import Any

# GDAL's own block cache is 5 % of memory, however large that is. It reads this once, at its first use; a user's own
# setting wins. Not through rasterio.Env, which would set it for the duration of the Env only.
os.environ.setdefault("GDAL_CACHEMAX", "64")  # MB

import pyproj
import rasterio
import rasterio.crs
from pyproj.exceptions import CRSError
from rasterio import _env
from rasterio.errors import CRSError as RasterioCRSError

from terrafine.errors import GridError
from terrafine.host import ALLOWED_REMOTE, NO_FILE

__all__ = ["environment", "foreign_proj", "go_online"]

_FETCHING = (
    *("WMS", "WCS", "WMTS", "HTTP", "EEDA", "EEDAI", "PLMOSAIC", "DAAS", "STACIT", "STACTA"),
    *("GTI", "MRF", "DERIVED", "Rasterlite", "PDF"),
)
_VARIABLES = ("PROJ_DATA", "PROJ_LIB")


_FOUND = {name: os.environ[name] for name in _VARIABLES if name in os.environ}


def foreign_proj() -> dict[str, str]:
    """Return the environment variables that pointed PROJ to another installation when this module was loaded.

    Returns
    -------
    dict
        Name of the variable to its value.
    """
    return dict(_FOUND)


def _use_own_proj() -> None:
    """Make GDAL use the PROJ database that came with it, whatever the environment states; pyproj does so by itself.

    PROJ refuses a database of another version, or lacks codes in it, and datums would be lost. The variables are
    removed from the environment of this process because rasterio reads them again whenever it sets up GDAL. An
    installation without a database of its own, such as Conda's, keeps the environment.
    """
    own = _env.PROJDataFinder().search_wheel()
    if own and _FOUND:
        for name in _FOUND:
            os.environ.pop(name, None)
        _env.set_proj_data_search_path(own)


_use_own_proj()


def _leave_out_fetching() -> None:
    """Register GDAL's formats without those that fetch, where `terrafine.host.go_offline` was called before.

    GDAL reads the list once, at the first environment.
    """
    if os.environ.get(ALLOWED_REMOTE) != NO_FILE:
        return
    before = os.environ.get("GDAL_SKIP")
    os.environ["GDAL_SKIP"] = ",".join([*([before] if before else []), *_FETCHING])
    try:
        with rasterio.Env():
            pass
    finally:
        del os.environ["GDAL_SKIP"]
        if before is not None:
            os.environ["GDAL_SKIP"] = before


_leave_out_fetching()


@functools.cache
def _check_proj() -> None:
    """Check that GDAL and pyproj know a common horizontal and vertical CRS, else raise GridError."""
    try:
        rasterio.crs.CRS.from_epsg(32632).to_wkt()
        pyproj.CRS.from_user_input("EPSG:32632+3855")
    except (RasterioCRSError, CRSError) as error:
        said = ", ".join(f"{name}={value}" for name, value in foreign_proj().items())
        raise GridError(
            f"{said or 'PROJ'}: no PROJ database that fits this installation ({error}); expected its own. Unset "
            "PROJ_DATA and PROJ_LIB, or install rasterio and pyproj again"
        ) from error


def environment(**more: Any) -> rasterio.Env:
    """Return a rasterio environment for opening, copying and creating files.

    `RAW_CHECK_FILE_SIZE` makes GDAL refuse raw rasters (BIL, ENVI) that are shorter than their header states;
    `GDAL_VRT_ENABLE_PYTHON` keeps code in a VRT from running.

    Parameters
    ----------
    more
        Further GDAL configuration options.

    Returns
    -------
    rasterio.Env
        A context manager.

    Raises
    ------
    GridError
        If the PROJ database does not fit the installation.

    References
    ----------
    https://gdal.org/en/stable/user/configoptions.html
    """
    _check_proj()
    options: dict[str, Any] = {"RAW_CHECK_FILE_SIZE": True, "GDAL_VRT_ENABLE_PYTHON": "NO"}
    return rasterio.Env(**{**options, **more})


def go_online() -> None:
    """Let GDAL fetch from the network, where `terrafine.host.go_offline` forbade it."""
    if os.environ.get(ALLOWED_REMOTE) == NO_FILE:
        del os.environ[ALLOWED_REMOTE]
