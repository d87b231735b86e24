"""The process of `tests.support.stac_server`: stac-fastapi with items in memory, and files with faults."""

from __future__ import annotations

import datetime as dt
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import attr
import shapely
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from shapely.geometry import box, shape
from stac_fastapi.api.app import StacApi
from stac_fastapi.api.models import create_get_request_model, create_post_request_model
from stac_fastapi.extensions.pagination import TokenPaginationExtension
from stac_fastapi.types.config import ApiSettings
from stac_fastapi.types.core import BaseCoreClient
from stac_fastapi.types.errors import NotFoundError

PAGE = 3  # items of a page, so that searches have several


@dataclass
class Fault:
    """What goes wrong with one address: a status, or a wait, for the first requests."""

    status: int
    times: int
    wait_s: float
    hit: int = 0

    def strikes(self) -> bool:
        """Whether it still does."""
        self.hit += 1
        if self.hit > self.times:
            return False
        time.sleep(self.wait_s)
        return bool(self.status)


@dataclass
class State:
    """What the server holds."""

    folder: Path
    url: str
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    token: int = 1
    needed: bool = False
    life_s: float = 3600.0

    def do(self, order: dict[str, Any]) -> Any:
        """Follow an order of the tests."""
        what = order.pop("what")
        if what == "add":
            item = order["item"]
            self.collections.setdefault(item["collection"], collection(item["collection"]))
            self.items[item["id"]] = item
        elif what == "fault":
            path = order.pop("path")
            self.faults[path] = Fault(**order)
        elif what == "clear":
            self.items, self.faults, self.counts, self.needed = {}, {}, Counter(), False
        elif what == "sign":
            self.needed, self.life_s = order["needed"], order["life_s"]
        elif what == "expire":
            self.token += 1
        return dict(self.counts)


def collection(name: str) -> dict[str, Any]:
    """A STAC collection of that name, as JSON."""
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": name,
        "description": "scenes for tests",
        "license": "proprietary",
        "links": [],
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2015-01-01T00:00:00Z", None]]},
        },
    }


@attr.s
class _Client(BaseCoreClient):
    state: State = attr.ib(default=None)

    def all_collections(self, **kwargs: Any) -> Any:
        return {"collections": list(self.state.collections.values()), "links": []}

    def get_collection(self, collection_id: str, **kwargs: Any) -> Any:
        if collection_id not in self.state.collections:
            raise NotFoundError(collection_id)
        return self.state.collections[collection_id]

    def get_item(self, item_id: str, collection_id: str, **kwargs: Any) -> Any:
        return self.state.items[item_id]

    def item_collection(self, collection_id: str, *args: Any, **kwargs: Any) -> Any:
        return self._page([i for i in self.state.items.values() if i["collection"] == collection_id], 100, None)

    def get_search(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def post_search(self, search_request: Any, **kwargs: Any) -> Any:
        found = list(self.state.items.values())
        if search_request.collections:
            found = [i for i in found if i["collection"] in search_request.collections]
        if search_request.intersects is not None:
            wanted = shape(search_request.intersects.model_dump())
            found = [i for i in found if shapely.intersects(shape(i["geometry"]), wanted)]
        if search_request.bbox:
            found = [i for i in found if shapely.intersects(shape(i["geometry"]), box(*search_request.bbox))]
        first, last = search_request.start_date, search_request.end_date
        found = [i for i in found if _within(i["properties"]["datetime"], first, last)]
        return self._page(found, search_request.limit or 10, getattr(search_request, "token", None))

    def _page(self, found: list[Any], limit: int, token: str | None) -> Any:
        start = int((token or "next:0").partition(":")[2])
        limit = min(limit, PAGE)
        page = {"type": "FeatureCollection", "features": found[start : start + limit], "links": []}
        if start + limit < len(found):
            link = {"rel": "next", "method": "POST", "href": f"{self.state.url}/search", "merge": True}
            page["links"] = [{**link, "body": {"token": f"next:{start + limit}"}}]
        return page


def _within(text: str, first: Any, last: Any) -> bool:
    when = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (first is None or when >= first) and (last is None or when <= last)


def application(state: State) -> FastAPI:
    """The API and the files of a state."""
    paging = TokenPaginationExtension()
    api = StacApi(
        settings=ApiSettings(
            stac_fastapi_title="tests",
            stac_fastapi_description="tests",
            stac_fastapi_landing_id="tests",
            stac_fastapi_version="1",
            enable_direct_response=True,
        ),
        client=_Client(state=state, extensions=[paging]),
        extensions=[paging],
        search_get_request_model=create_get_request_model([paging]),
        search_post_request_model=create_post_request_model([paging]),
    )
    app: FastAPI = api.app

    @app.get("/token/{name}")
    def token(name: str) -> JSONResponse:
        expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=state.life_s)
        return JSONResponse({"msft:expiry": expires.isoformat().replace("+00:00", "Z"), "token": f"sig={state.token}"})

    @app.get("/files/{path:path}")
    def file(path: str, request: Request) -> Response:
        if state.needed and request.query_params.get("sig") != str(state.token):
            return Response(status_code=403)
        fault = state.faults.get(path)
        if fault is not None and fault.strikes():
            return Response(status_code=fault.status)
        target = state.folder / path
        return FileResponse(target) if target.is_file() else Response(status_code=404)

    @app.post("/control")
    async def control(request: Request) -> JSONResponse:
        return JSONResponse(state.do(await request.json()))

    return app


class Counted:
    """The application behind a counter of requests, and faults of the search."""

    def __init__(self, app: FastAPI, state: State) -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path != "/control":
            self._state.counts[path] += 1
        fault = self._state.faults.get("search") if path == "/search" else None
        if fault is not None and fault.strikes():
            await Response(status_code=fault.status)(scope, receive, send)
            return
        await self._app(scope, receive, send)


if __name__ == "__main__":
    held = State(Path(sys.argv[1]), sys.argv[2])
    config = uvicorn.Config(Counted(application(held), held), log_level="critical", lifespan="off", access_log=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[3]))])
