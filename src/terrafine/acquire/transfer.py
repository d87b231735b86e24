"""Download one file whole: attempts with growing waits, resumed where the server allows it, signatures renewed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from terrafine.acquire.options import FetchOptions
from terrafine.acquire.remote import AssetError
from terrafine.acquire.signing import Signer, bare
from terrafine.atomic import written
from terrafine.errors import NetworkError

__all__ = ["Transfer"]

_CHUNK = 1 << 20
_LONGEST_WAIT = 60.0
_REFUSED, _ABSENT = (401, 403), (404, 410)
_RENEWALS = 3


class Transfer:
    """Downloads files of one service.

    Parameters
    ----------
    signer
        Turns addresses into those to open, on hosts of the service alone.
    options
        Timeouts and attempts.
    pause
        Waits for some seconds.
    """

    def __init__(self, signer: Signer, options: FetchOptions, pause: Callable[[float], None] = time.sleep) -> None:
        self._signer, self._options, self._pause = signer, options, pause

    def size(self, href: str) -> int:
        """Bytes of a file as the server states them.

        Parameters
        ----------
        href
            Its address.

        Returns
        -------
        int
            0 where the server does not state it.

        Raises
        ------
        AssetError, NetworkError
            As `fetch`.
        """
        return self._tried(href, self._size)

    def fetch(self, href: str, target: Path) -> str:
        """Download a file.

        Parameters
        ----------
        href, target
            Its address, and where it goes.

        Returns
        -------
        str
            SHA-256 of its bytes.

        Raises
        ------
        AssetError
            If the archive does not hold it.
        NetworkError
            If the server does not answer or refuses, after all attempts.
        """
        with written(target) as part:
            self._tried(href, lambda address: self._append(address, part))
            with open(part, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

    def _size(self, address: str) -> int:
        import requests

        # A request for one byte, since signatures for reading do not always admit HEAD.
        options: dict[str, Any] = {"headers": {"Range": "bytes=0-0"}, "timeout": self._options.timeout_s}
        with requests.get(address, stream=True, allow_redirects=False, **options) as answer:
            _require(answer.status_code)
            stated = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if answer.status_code == 200:
                stated = answer.headers.get("Content-Length", "")
        return int(stated) if stated.isdigit() else 0

    def _append(self, address: str, part: Path) -> int:
        """Append what is missing of a file, and compare its length with the one that the server states."""
        import requests

        have = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        options: dict[str, Any] = {"headers": headers, "timeout": self._options.timeout_s, "allow_redirects": False}
        with requests.get(address, stream=True, **options) as answer:
            if answer.status_code == 416 and have:  # nothing is missing, or another file lies there now
                part.unlink()
                raise _StatusError(416)
            _require(answer.status_code)
            resumed = answer.status_code == 206
            expected = int(answer.headers.get("Content-Length") or -1)
            with open(part, "ab" if resumed else "wb") as file:
                got = 0
                for chunk in answer.iter_content(_CHUNK):
                    file.write(chunk)
                    got += len(chunk)
        if expected >= 0 and got != expected:
            raise _StatusError(0)
        return got

    def _tried(self, href: str, once: Callable[[str], int]) -> int:
        import requests

        attempt = renewed = 0
        while True:
            attempt += 1
            address = self._signer.address(href)
            if not address.startswith(("http://", "https://")):
                raise NetworkError(
                    f"{bare(href)}: whole products are downloaded over http alone; choose another service"
                )
            try:
                return once(address)
            except _StatusError as failure:
                code, text = failure.code, f"HTTP {failure.code}" if failure.code else "the transfer was cut off"
            except requests.RequestException as error:
                code, text = 0, type(error).__name__
            if code in _REFUSED and renewed < _RENEWALS and self._signer.renew(address):
                renewed += 1
                continue
            if code in _ABSENT:
                raise AssetError(f"{bare(href)}: is not there ({text})")
            if code in _REFUSED:
                raise NetworkError(
                    f"{bare(href)}: the server refused it ({text}); check the service's keys or signature, and run "
                    "again"
                )
            if attempt >= self._options.attempts:
                raise NetworkError(
                    f"{bare(href)}: could not be read in {attempt} attempts ({text}); run the same again later, and it "
                    "resumes"
                )
            self._pause(min(_LONGEST_WAIT, self._options.backoff_s * 2 ** (attempt - 1)))


class _StatusError(Exception):
    """An answer that is none: its HTTP status, or 0 for one that was cut off."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _require(code: int) -> None:
    if code not in (200, 206):
        raise _StatusError(code)
