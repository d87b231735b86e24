"""The server of the map: it listens on this computer alone, and answers with the page, tiles and values of its layers.

It serves the files that the user named and the files of the page, nothing else: no name in an address becomes a path.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from terrafine.errors import OutputError, SourceError
from terrafine.viewer.layers import Layer

__all__ = ["HOST", "Viewer"]

HOST = "127.0.0.1"
_LOCAL = {"127.0.0.1", "localhost", "[::1]"}
_TILE = re.compile(r"/(tiles|heights)/([0-9]+-[0-9a-z]+)/(\d{1,2})/(\d{1,8})/(\d{1,8})\.png")
_DEEPEST = 24
_PAGE: Mapping[str, tuple[str, str]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/viewer.css": ("viewer.css", "text/css; charset=utf-8"),
    "/viewer.js": ("viewer.js", "text/javascript; charset=utf-8"),
    "/maplibre-gl.css": ("maplibre-gl.css", "text/css; charset=utf-8"),
    "/maplibre-gl.mjs": ("maplibre-gl.mjs", "text/javascript; charset=utf-8"),
    "/maplibre-gl-worker.mjs": ("maplibre-gl-worker.mjs", "text/javascript; charset=utf-8"),
}
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self' blob: data:; object-src 'none'; frame-ancestors 'none'"
)


class Viewer:
    """A running map server, and a context manager that stops it.

    Parameters
    ----------
    layers
        Layers in the order of the page's lists.
    port
        Port to listen on; 0 for a free one.
    opened
        Called once when the server stops: it closes the files.

    Raises
    ------
    OutputError
        Where the port is in use.
    """

    def __init__(self, layers: Sequence[Layer], port: int = 0, opened: Callable[[], None] | None = None) -> None:
        self._layers = {layer.key: layer for layer in layers}
        self._close = opened
        handler = type("Handler", (_Handler,), {"layers": self._layers})
        try:
            self._server = _Server((HOST, port), handler)
        except OSError as error:
            raise OutputError(
                f"port {port} of this computer cannot be used ({error.strerror}); leave port out for a free one"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="terrafine-viewer", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address of the map."""
        return f"http://{HOST}:{self._server.server_address[1]}/"

    def wait(self) -> None:
        """Wait until the server is stopped."""
        self._thread.join()

    def close(self) -> None:
        """Stop the server and close the files."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._close is not None:
            self._close()
            self._close = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing for a browser that went away; anything else as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    layers: Mapping[str, Layer] = {}
    timeout = 60
    protocol_version = "HTTP/1.1"
    server_version = "terrafine"
    sys_version = ""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if (self.headers.get("Host") or "").rpartition(":")[0] not in _LOCAL:
            self._text(HTTPStatus.FORBIDDEN, "this server answers to its own computer alone")
        elif asked.path in _PAGE:
            name, kind = _PAGE[asked.path]
            self._send(files("terrafine.viewer").joinpath("page", name).read_bytes(), kind)
        elif asked.path == "/layers.json":
            self._json([layer.describe() for layer in self.layers.values()])
        elif asked.path == "/values.json":
            self._values(parse_qs(asked.query))
        elif match := _TILE.fullmatch(asked.path):
            self._tile(match[1], match[2], *(int(n) for n in match.groups()[2:]))
        else:
            self._text(HTTPStatus.NOT_FOUND, "no such page")

    def _tile(self, what: str, key: str, zoom: int, column: int, row: int) -> None:
        layer = self.layers.get(key)
        if layer is None or zoom > _DEEPEST or not (column < 2**zoom and row < 2**zoom):
            self._text(HTTPStatus.NOT_FOUND, "no such tile")
            return
        draw = layer.picture if what == "tiles" else layer.heights
        try:
            picture = draw(zoom, column, row)
        except SourceError as error:
            self._text(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            return
        self._send(picture, "image/png")

    def _values(self, query: Mapping[str, list[str]]) -> None:
        try:
            longitude, latitude = (float(query[name][0]) for name in ("lng", "lat"))
        except (KeyError, ValueError):
            self._text(HTTPStatus.BAD_REQUEST, "expected lng and lat in degrees")
            return
        asked = [self.layers[key] for key in dict.fromkeys(query.get("layer", [])) if key in self.layers]
        try:
            found = [{"label": layer.label, "value": layer.value(longitude, latitude)} for layer in asked]
        except SourceError as error:
            self._text(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            return
        self._json(found)

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value).encode(), "application/json")

    def _text(self, status: HTTPStatus, text: str) -> None:
        self._send(text.encode(), "text/plain; charset=utf-8", status)

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        try:
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:  # the page has gone, or no longer shows that part
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing for a request."""
