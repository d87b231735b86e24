"""The one module that configures GDAL and PROJ: block cache, checks of raw rasters, and the PROJ database in use."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Iterator
from typing import Any

# GDAL's own block cache is 5 % of memory, however large that is. It reads this once, at its first use; a user's own
# setting wins. Not through rasterio.Env, which would set it for the duration of the Env only.
os.environ.setdefault("GDAL_CACHEMAX", "64")  # MB

import numpy as np
import pyproj
import rasterio
import rasterio.crs
from numpy.typing import NDArray
from pyproj.exceptions import CRSError
from rasterio import _env
from rasterio._err import CPLE_BaseError
from rasterio.errors import CRSError as RasterioCRSError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from terrafine.errors import GridError
from terrafine.host import ALLOWED_REMOTE, NO_FILE

__all__ = [
    "REMOTE_ERRORS",
    "RemoteFile",
    "chain_text",
    "environment",
    "foreign_proj",
    "go_online",
    "quiet_threads",
    "remote_environment",
]

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


REMOTE_ERRORS = (RasterioError, CPLE_BaseError)
"""What GDAL's failures to open or read a remote file are raised as."""
_REMOTE_FORMATS = ("GTiff", "JP2OpenJPEG")


class RemoteFile:
    """Checks a remote file before it is read, and makes GDAL forget what it knows of one."""

    def check(self, address: str, stated: object, whole: bool = False) -> None:
        """Open the file as a GeoTIFF or JPEG 2000, and as no other format, and compare its CRS with what is stated.

        Parameters
        ----------
        address
            The file, http, https or s3.
        stated
            EPSG code as a number or as `EPSG:n`; None if there is none.
        whole
            Whether it must hold whole numbers.

        Raises
        ------
        GridError
            If the file has no map grid, another CRS than is stated, or numbers of another kind.
        RasterioError
            If it cannot be opened.
        """
        with DatasetReader(_vsi(address), driver=list(_REMOTE_FORMATS)) as file:
            code = int(str(stated).rpartition(":")[2]) if str(stated).rpartition(":")[2].isdigit() else None
            if file.gcps[0] and file.transform.is_identity:
                raise GridError(
                    "is in the geometry of the sensor (ground control points, no map grid) and is not warped, since "
                    "that needs heights: Sentinel-1 GRD is geocoded from its SAFE folder by `terrafine geocode`"
                )
            if file.crs is None:
                raise GridError("is not on a map grid (it states no CRS)")
            if file.transform.is_identity:
                raise GridError("is not on a map grid (it states a CRS, and no place of its cells)")
            if whole and not np.issubdtype(np.dtype(file.dtypes[0]), np.integer):
                raise GridError(
                    f"holds {file.dtypes[0]}; expected whole numbers, as the product has. A service of other numbers "
                    'states kind = "reflectance" with their scale'
                )
            found = file.crs.to_epsg()
            if code is not None and found is not None and found != code:
                raise GridError(f"lies in EPSG:{found}, and its catalogue entry states EPSG:{code}: the wrong zone")

    def grid(self, address: str) -> tuple[tuple[float, ...], str]:
        """Read the grid of the file.

        Parameters
        ----------
        address
            The file, http, https or s3.

        Returns
        -------
        transform : tuple of float
            The six numbers of its geotransform, as `Affine` has them.
        crs : str
            `EPSG:n`, or WKT where it has no such code.

        Raises
        ------
        RasterioError
            If it cannot be opened.
        """
        with DatasetReader(_vsi(address), driver=list(_REMOTE_FORMATS)) as file:
            code = file.crs.to_epsg()
            return tuple(file.transform)[:6], f"EPSG:{code}" if code else file.crs.to_wkt()

    def small(
        self, address: str, side: int, nodata: float | None
    ) -> tuple[NDArray[np.float32], tuple[float, float, float, float]]:
        """Read the whole first band in few cells, from the overviews where the file has some.

        Parameters
        ----------
        address
            The file, http, https or s3.
        side
            Cells along its longer side at most; a smaller file is read as it is.
        nodata
            Number that means no data in a file that does not state one.

        Returns
        -------
        values : ndarray of float32, (y, x)
            The stored numbers, NaN where there are none.
        bounds : tuple of float
            Left, bottom, right and top in the CRS of the file.

        Raises
        ------
        RasterioError
            If it cannot be read.
        """
        with DatasetReader(_vsi(address), driver=list(_REMOTE_FORMATS)) as file:
            step = max(1.0, max(file.shape) / side)
            shape = tuple(max(1, round(n / step)) for n in file.shape)
            values = np.asarray(file.read(1, out_shape=shape), np.float32)
            fill = nodata if file.nodata is None else file.nodata
            if fill is not None:
                values[values == np.float32(fill)] = np.nan
            return values, tuple(file.bounds)

    def forget(self, address: str) -> None:
        """Make the next attempt ask the server again; GDAL remembers failures too.

        Parameters
        ----------
        address
            The file.
        """
        with contextlib.suppress(*REMOTE_ERRORS), environment(CPL_VSIL_CURL_NON_CACHED=_vsi(address)):
            DatasetReader(_vsi(address), driver=list(_REMOTE_FORMATS)).close()


@contextlib.contextmanager
def remote_environment(address: str, timeout_s: float, **more: Any) -> Iterator[RemoteFile]:
    """Give an environment in which GDAL may read one remote file; everywhere else the network stays forbidden.

    Parameters
    ----------
    address
        The file, http, https or s3.
    timeout_s
        Longest wait for an answer.
    more
        Further GDAL configuration options.

    Yields
    ------
    RemoteFile
        Checks of the file.

    References
    ----------
    https://gdal.org/en/stable/user/virtual_file_systems.html#network-based-file-systems
    """
    options = {
        ALLOWED_REMOTE: _vsi(address),
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_TIMEOUT": max(1, round(timeout_s)),
        "GDAL_HTTP_CONNECTTIMEOUT": max(1, round(timeout_s)),
        "GDAL_HTTP_MAX_RETRY": 0,
        "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
        "GDAL_PAM_ENABLED": "NO",
        "CPL_VSIL_CURL_USE_HEAD": "NO",
        "GDAL_MAX_DATASET_POOL_SIZE": 20,
        **more,
    }
    with environment(**options):
        yield RemoteFile()


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """Silence rasterio's warning of grids in memory while threads read.

    rasterio silences it around each call, by filters of the whole process; threads that end in another order restore
    each other's filters, and the warning comes through.

    Yields
    ------
    None
        Nothing; the block runs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _vsi(address: str) -> str:
    return f"/vsis3/{address.removeprefix('s3://')}" if address.startswith("s3://") else f"/vsicurl/{address}"


def chain_text(error: BaseException) -> str:
    """Return the messages of an error and of all that it was raised from, as one text.

    Parameters
    ----------
    error
        The error.

    Returns
    -------
    str
        Messages, outermost first.
    """
    texts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(texts) < 8:
        texts.append(str(seen))
        seen = seen.__cause__ or seen.__context__
    return "; ".join(dict.fromkeys(texts))
