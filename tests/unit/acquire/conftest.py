"""A STAC API on loopback with real Sentinel-2 crops of two dates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.scenes import TRUTH
from tests.support.stac_server import Server, serve

pytest.importorskip("stac_fastapi.api")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("stac")) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """The server without items; skipped where the real scenes are absent."""
    if not TRUTH.is_dir():
        pytest.skip("the Sentinel-2 scenes are not there: set TERRAFINE_DATA")
    running.clear()
    return running


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "made" / "composite.tif"
