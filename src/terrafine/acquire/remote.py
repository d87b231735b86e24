"""Read a window of a scene's asset on a grid, in an environment that can open this one file and nothing else.

Attempts are repeated with growing waits where the network or the server may recover, an expired signature is renewed,
and what the archive does not hold, or holds damaged, is a separate error.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from terrafine.acquire.catalogue import Scene
from terrafine.acquire.options import FetchOptions
from terrafine.acquire.signing import Signer, bare
from terrafine.errors import GridError, MissingExtraError, NetworkError, SourceError
from terrafine.raster import gdal

__all__ = ["AssetError", "AssetReader", "Resampling"]

F32 = NDArray[np.float32]
T = TypeVar("T")
Resampling = Literal["nearest", "bilinear", "cubic", "average"]
_LONGEST_WAIT = 60.0
_CODE = re.compile(r"(?:HTTP|response) (?:response )?code:? ?(?:on [^:]*: )?(\d{3})", re.IGNORECASE)
_REFUSED = (401, 403)
_ABSENT = (404, 410)
_WELL = (200, 206, 416)
_RENEWALS = 3  # of a signature during one read
_DAMAGED_ATTEMPTS = 2  # for what reads as damaged: a cut transfer looks the same once
logging.getLogger("odc.loader").setLevel(logging.CRITICAL)


class AssetError(SourceError):
    """An asset that the archive does not hold, or holds damaged."""


class AssetReader:
    """Reads assets of scenes on grids; safe to call from several threads.

    Parameters
    ----------
    signer
        Turns addresses into names to open.
    options
        Timeouts and attempts.
    pause
        Waits for some seconds.
    whole
        Whether files must hold whole numbers: those of Sentinel-2 and Landsat do, and others would be scaled wrongly.
    """

    def __init__(
        self,
        signer: Signer,
        options: FetchOptions,
        pause: Callable[[float], None] = time.sleep,
        *,
        whole: bool = False,
    ) -> None:
        self._signer, self._options, self._pause, self._numbers = signer, options, pause, whole

    def read(self, scene: Scene, asset: str, geobox: Any, resampling: Resampling, nodata: float | None) -> F32:
        """Read an asset on a grid.

        Parameters
        ----------
        scene, asset
            The scene, and the name of the asset.
        geobox
            The grid.
        resampling
            Where the grids differ; cells of equal grids are copied.
        nodata
            Number that means no data in a file that does not state one.

        Returns
        -------
        ndarray of float32, (y, x)
            The stored numbers, NaN where there are none.

        Raises
        ------
        AssetError
            If the asset is missing, damaged, or not where the item states.
        NetworkError
            If the server does not answer, or refuses.
        """
        return self._tried(
            scene, asset, lambda address: self._on_grid(scene, asset, address, geobox, resampling, nodata)
        )

    def small(
        self, scene: Scene, asset: str, side: int, nodata: float | None
    ) -> tuple[F32, tuple[float, float, float, float]]:
        """Read an asset whole, in few cells of its own grid: the same for every area of which the scene is a part.

        Parameters
        ----------
        scene, asset
            The scene, and the name of the asset.
        side
            Cells along its longer side at most.
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
        AssetError, NetworkError
            As `read`.
        """
        return self._tried(scene, asset, lambda address: gdal.RemoteFile().small(address, side, nodata))

    def grid(self, scene: Scene, asset: str) -> tuple[tuple[float, ...], str]:
        """Read the grid of an asset from its file; the item may state another one.

        Parameters
        ----------
        scene, asset
            The scene, and the name of the asset.

        Returns
        -------
        transform : tuple of float
            The six numbers of its geotransform.
        crs : str
            `EPSG:n`, or WKT.

        Raises
        ------
        AssetError, NetworkError
            As `read`.
        """
        return self._tried(scene, asset, gdal.RemoteFile().grid)

    def _tried(self, scene: Scene, asset: str, once: Callable[[str], T]) -> T:
        """What `once` returns for the address of an asset, with attempts, waits and renewals."""
        found = scene.asset(asset)
        if found is None or not isinstance(found.get("href"), str):
            raise AssetError(f"{scene.id}: has no asset {asset!r}; expected one")
        attempt, renewed, damaged = 0, 0, 0
        while True:
            attempt += 1
            try:
                return self._once(scene, asset, str(found["href"]), once)
            except _AttemptError as failure:
                where = f"{scene.id}, {asset}, {bare(str(found['href']))}"
                if failure.code in _REFUSED and renewed < _RENEWALS and self._signer.renew(failure.address):
                    renewed += 1
                    continue
                if failure.code in _ABSENT:
                    raise AssetError(f"{where}: is not there (HTTP {failure.code})") from None
                if failure.code in _REFUSED:
                    raise NetworkError(
                        f"{where}: the server refused it (HTTP {failure.code}); check the service's keys or "
                        "signature, and run again"
                    ) from None
                damaged += failure.damaged
                if damaged >= _DAMAGED_ATTEMPTS:
                    raise AssetError(f"{where}: is damaged ({failure.text})") from None
                if attempt >= self._options.attempts:
                    raise NetworkError(
                        f"{where}: could not be read in {attempt} attempts ({failure.text}); run the same "
                        "again later, and it resumes"
                    ) from None
                self._pause(min(_LONGEST_WAIT, self._options.backoff_s * 2 ** (attempt - 1)))

    def _code(self, address: str, text: str) -> int:
        """The status behind a failure: as GDAL states it, else as the server answers a request for one byte.

        GDAL reports a refused range as a damaged tile, so that its message alone does not tell the two apart.
        """
        stated = _CODE.search(text)
        if stated:
            return int(stated[1])
        if address.startswith("s3:"):
            return 0 if "CURL error" in text or "timed out" in text.lower() else 200
        import requests

        try:
            with requests.get(
                address, headers={"Range": "bytes=0-0"}, timeout=self._options.timeout_s, stream=True
            ) as answer:
                return int(answer.status_code)
        except requests.RequestException:
            return 0

    def _once(self, scene: Scene, asset: str, href: str, once: Callable[[str], T]) -> T:
        address = self._signer.address(href)
        with gdal.remote_environment(address, self._options.timeout_s, **self._signer.gdal_options()) as probe:
            try:
                stated = scene.properties.get("proj:code") or scene.properties.get("proj:epsg")
                probe.check(address, stated, self._numbers)
                return once(address)
            except gdal.REMOTE_ERRORS as error:
                text = gdal.chain_text(error)
                probe.forget(address)
                raise _AttemptError(text, address, self._code(address, text)) from None
            except GridError as error:
                raise AssetError(f"{scene.id}, {asset}: {error}") from None

    def _on_grid(
        self, scene: Scene, asset: str, address: str, geobox: Any, resampling: Resampling, nodata: float | None
    ) -> F32:
        try:
            import odc.stac
            import pystac
        except ImportError:
            raise MissingExtraError("fetching scenes needs odc-stac: pip install 'terrafine[acquire]'") from None
        item = pystac.Item.from_dict(_only(scene, asset, address), preserve_dict=False)
        config = {"*": {"assets": {"*": {"nodata": nodata}} if nodata is not None else {}}}
        loaded = odc.stac.load(
            [item],
            bands=[asset],
            geobox=geobox,
            resampling=resampling,
            dtype="float32",
            stac_cfg=config,
            fail_on_error=True,
        )
        return np.asarray(loaded[asset].values[0], np.float32)


class _AttemptError(Exception):
    """One attempt that failed: the address, and the HTTP status; 0 where no server answered, 200 where one did well."""

    def __init__(self, text: str, address: str, code: int) -> None:
        super().__init__(text)
        self.text, self.address, self.code = bare_text(text), address, code
        self.damaged = code in _WELL


def bare_text(text: str) -> str:
    """A message without what follows `?` in its addresses, on one line."""
    return " ".join(re.sub(r"\?\S+", "", text).split())[:200]


def _only(scene: Scene, asset: str, address: str) -> dict[str, Any]:
    """The item with that asset alone, at the address: data, whatever the archive states of its media type or roles.

    Of its grid nothing is kept: the file states that, and where an item states another one, cells would be left out.
    """
    found = _without_grid(scene.asset(asset) or {}) | {"href": address, "roles": ["data"]}
    found.pop("type", None)
    properties = _without_grid(scene.properties)
    return {**scene.item, "properties": properties, "assets": {asset: found}, "links": []}


def _without_grid(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if not key.startswith("proj:")}
