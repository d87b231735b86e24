"""Addresses of a scene's files as GDAL reads them: signed where the service wants that, and only of known hosts."""

from __future__ import annotations

import datetime as dt
import fnmatch
import os
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from terrafine.acquire.options import FetchOptions
from terrafine.acquire.service import Service
from terrafine.errors import NetworkError, UsageError

__all__ = ["Signer", "bare"]

_EARLY = dt.timedelta(seconds=60)  # before its expiry that a token is renewed


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    expires: dt.datetime


class Signer:
    """Turns the addresses of a service's assets into names that GDAL may open.

    Parameters
    ----------
    service
        The service.
    collection
        Id of the collection, for tokens.
    options
        Timeout.

    Raises
    ------
    UsageError
        If the service needs keys that the environment does not hold.
    """

    def __init__(self, service: Service, collection: str, options: FetchOptions) -> None:
        self._service, self._collection, self._options = service, collection, options
        self._token: _Token | None = None
        self._lock = threading.Lock()
        self._hosts = (urlsplit(service.url).netloc, *service.hosts)
        self._s3 = self._s3_options()

    def _s3_options(self) -> dict[str, Any]:
        service = self._service
        if not service.s3_endpoint:
            return {}
        options: dict[str, Any] = {
            "AWS_S3_ENDPOINT": service.s3_endpoint,
            "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_HTTPS": "YES" if service.s3_https else "NO",
            "AWS_NO_SIGN_REQUEST": "YES" if service.s3_unsigned else "NO",
        }
        names = (service.s3_key_variable, service.s3_secret_variable)
        if not service.s3_unsigned and all(names):
            values = [os.environ.get(name, "") for name in names]
            if not all(values):
                hint = f"; {service.s3_help}" if service.s3_help else ""
                raise UsageError(
                    f"{service.key}: its files need keys in the environment variables {names[0]} and {names[1]}, which "
                    f"are not set{hint}"
                )
            options |= {"AWS_ACCESS_KEY_ID": values[0], "AWS_SECRET_ACCESS_KEY": values[1]}
        return options

    def gdal_options(self) -> dict[str, Any]:
        """Return the GDAL options that reading this service's files needs."""
        return dict(self._s3)

    def address(self, href: str) -> str:
        """Return the address to open, signed where needed.

        Parameters
        ----------
        href
            As the item states it; relative ones are relative to the service.

        Returns
        -------
        str
            An http, https or s3 address.

        Raises
        ------
        NetworkError
            For another kind of address, or a host that the service does not list.
        """
        parts = urlsplit(href)
        if parts.scheme == "s3":
            if not self._service.s3_endpoint:
                raise NetworkError(
                    f"{href[:120]}: an address in S3, and the service {self._service.key} states no s3_endpoint"
                )
            return href
        if not parts.scheme and not parts.netloc:
            href = urljoin(self._service.url.rstrip("/") + "/", href)
            parts = urlsplit(href)
        if parts.scheme not in ("http", "https") or not any(
            fnmatch.fnmatch(parts.netloc, host) for host in self._hosts
        ):
            raise NetworkError(
                f"{href[:120]}: is not an address on {', '.join(self._hosts)}; files of {self._service.key} are "
                "read from there only. List the host in the service's file if you trust it"
            )
        if self._service.signing == "sas" and not parts.query:
            return f"{href}?{self._current().text}"
        return href

    def renew(self, address: str) -> bool:
        """Forget the token of an address that a server refused, unless another thread has renewed it since.

        Parameters
        ----------
        address
            The signed address.

        Returns
        -------
        bool
            Whether the service has tokens.
        """
        with self._lock:
            if self._token is not None and address.endswith(f"?{self._token.text}"):
                self._token = None
        return self._service.signing == "sas"

    def _current(self) -> _Token:
        with self._lock:
            if self._token is None or dt.datetime.now(dt.UTC) + _EARLY > self._token.expires:
                self._token = self._fetch()
            return self._token

    def _fetch(self) -> _Token:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        url = self._service.token_url.replace("{collection}", self._collection)
        options = self._options
        again = Retry(
            total=options.attempts - 1, backoff_factor=options.backoff_s, status_forcelist=(429, 500, 502, 503, 504)
        )
        try:
            with requests.Session() as session:
                session.mount(url, HTTPAdapter(max_retries=again))
                answer = session.get(url, timeout=options.timeout_s)
                answer.raise_for_status()
                record = answer.json()
            expires = dt.datetime.fromisoformat(str(record["msft:expiry"]).replace("Z", "+00:00"))
            return _Token(str(record["token"]), expires if expires.tzinfo else expires.replace(tzinfo=dt.UTC))
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise NetworkError(
                f"{url}: no token to read files with ({str(error)[:160]}); check the service, run again"
            ) from None


def bare(address: str) -> str:
    """Return an address without its query, which may hold a signature.

    Parameters
    ----------
    address
        The address.

    Returns
    -------
    str
        What comes before `?`.
    """
    return address.partition("?")[0]
