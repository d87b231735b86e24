"""The map's server answers with the layers that were named and with nothing else."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.browser import Page
from tests.support.rasters import write_dem

import terrafine
from terrafine.cli import main
from terrafine.errors import OutputError, SourceError, UsageError
from terrafine.viewer.server import Viewer


@pytest.fixture
def viewer(tmp_path: Path) -> Iterator[Viewer]:
    (tmp_path / "secret.txt").write_text("secret")
    with terrafine.view(write_dem(tmp_path / "a.tif"), write_dem(tmp_path / "b.tif")) as running:
        yield running


def ask(viewer: Viewer, path: str, host: str | None = None) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    place = viewer.url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(place, timeout=30)
    connection.request("GET", path, headers={"Host": host or place})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.getheader("Content-Type", ""), body


def test_the_page_and_its_parts_are_served(viewer: Viewer) -> None:
    for path in ("/", "/viewer.js", "/viewer.css", "/maplibre-gl.mjs", "/maplibre-gl-worker.mjs", "/maplibre-gl.css"):
        status, _, body = ask(viewer, path)
        assert status == 200
        assert len(body) > 500
    layers = json.loads(ask(viewer, "/layers.json")[2])
    assert [layer["label"] for layer in layers] == ["a.tif", "b.tif"]
    west, south, east, north = layers[0]["bounds"]
    query = f"/values.json?lng={(west + east) / 2}&lat={(south + north) / 2}&layer={layers[0]['key']}"
    assert json.loads(ask(viewer, query)[2])[0]["label"] == "a.tif"
    status, kind, body = ask(viewer, f"/tiles/{layers[0]['key']}/5/17/11.png")
    assert (status, kind, body[:4]) == (200, "image/png", b"\x89PNG")


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/page/index.html",
        "/tiles/9-1/3/1/1.png",
        "/tiles/0-1/3/8/1.png",
        "/tiles/0-1/99/1/1.png",
        "/tiles/0-1/-1/1/1.png",
        "//etc/passwd",
    ],
)
def test_nothing_else_is_served(viewer: Viewer, path: str) -> None:
    assert ask(viewer, path)[0] == 404


def test_other_hosts_and_bad_places_are_refused(viewer: Viewer) -> None:
    assert ask(viewer, "/layers.json", host="attacker.example:80")[0] == 403
    assert ask(viewer, "/values.json?lng=a&lat=1")[0] == 400
    assert viewer.url.startswith("http://127.0.0.1:")


def test_after_the_end_nothing_listens(tmp_path: Path) -> None:
    viewer = terrafine.view(write_dem(tmp_path / "a.tif"))
    viewer.close()
    with pytest.raises(OSError, match="refused"):
        ask(viewer, "/")


def test_a_folder_stands_for_its_rasters(tmp_path: Path) -> None:
    write_dem(tmp_path / "b.tif")
    write_dem(tmp_path / "a.tif")
    with terrafine.view(tmp_path) as viewer:
        assert [layer["label"] for layer in json.loads(ask(viewer, "/layers.json")[2])] == ["a.tif", "b.tif"]


def test_bad_input_is_refused(tmp_path: Path, viewer: Viewer) -> None:
    with pytest.raises(UsageError, match="no file is given"):
        terrafine.view()
    with pytest.raises(UsageError, match="port 70000"):
        terrafine.view(tmp_path / "a.tif", port=70_000)
    with pytest.raises(UsageError, match="paths=3; expected a path"):
        terrafine.view(tmp_path / "a.tif", 3)  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="cannot be used"):
        terrafine.view(tmp_path / "a.tif", port=int(viewer.url.rstrip("/").rpartition(":")[2]))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SourceError, match="holds no VRT and no GeoTIFF"):
        terrafine.view(empty)
    result = CliRunner().invoke(main, ["view", str(tmp_path / "absent.tif"), "--no-browser"])
    assert result.exit_code == 3
    assert "absent.tif" in result.stderr


@pytest.mark.long
def test_the_page_works_in_a_browser(viewer: Viewer, tmp_path: Path) -> None:
    with Page(tmp_path / "profile") as page:
        page.visit(viewer.url)
        page.wait("document.body.dataset.drawn === 'yes'", 120)
        panel = page.box("aside")
        left, top, width, height = page.box("#swipe")
        assert "0" in page.value("document.getElementById('legends').textContent")
        # Nothing of the map lies under the panel, and the swipe begins in the middle of what is shown.
        begin = page.value("Number(document.getElementById('swipe').value)")
        assert begin == pytest.approx(50 * (1 + (panel[0] + panel[2]) / width), abs=1.0)
        page.drag_mouse((left + width * begin / 100, top + height / 2), (left + width * 0.8, top + height / 2))
        seam = page.value("Number(document.getElementById('swipe').value)")
        assert 70 < seam < 90
        assert page.value("document.getElementById('right').style.clipPath") == f"inset(0px 0px 0px {seam:g}%)"
        page.key("v", 86)
        page.wait("document.getElementById('values').textContent.includes('a.tif: ')", 60)
        assert "b.tif: " in page.value("document.getElementById('values').textContent")
        page.value("document.getElementById('relief').click()")
        page.wait("location.hash.includes('3d=1')", 60)
        shared = page.value("location.href")
        page.visit("about:blank")
        page.visit(shared)
        page.wait("document.body.dataset.ready === 'yes'", 120)
        assert page.value("document.getElementById('relief').checked")
        assert 70 < page.value("Number(document.getElementById('swipe').value)") < 90
        page.resize(390, 800, touch=True)
        assert page.value("document.documentElement.scrollWidth") <= 390
        assert not [m for m in page.messages if "rror" in m]


def test_a_page_that_leaves_before_the_answer_disturbs_nothing(
    viewer: Viewer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError

    with monkeypatch.context() as patched:
        patched.setattr("socketserver._SocketWriter.write", gone)
        with pytest.raises(http.client.HTTPException):
            ask(viewer, "/layers.json")
    assert ask(viewer, "/layers.json")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_damaged_file_is_an_answer_and_no_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_dem(tmp_path / "a.tif")
    with terrafine.view(path) as viewer:
        layer = json.loads(ask(viewer, "/layers.json")[2])[0]
        west, south, east, north = layer["bounds"]
        with open(path, "r+b") as file:
            file.truncate(600)
        query = f"/values.json?lng={(west + east) / 2}&lat={(south + north) / 2}&layer={layer['key']}"
        statuses = {ask(viewer, query)[0], ask(viewer, f"/tiles/{layer['key']}/5/17/11.png")[0]}
    assert statuses <= {200, 500}
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "host", ["", "127.0.0.1", "evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example:80", "0.0.0.0:80"]
)
def test_only_a_name_of_this_computer_is_answered(viewer: Viewer, host: str) -> None:
    for path in ("/", "/layers.json", "/values.json?lng=1&lat=1", "/tiles/0-1/5/17/11.png"):
        assert ask(viewer, path, host=host or " ")[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_nothing_can_be_changed(viewer: Viewer, method: str) -> None:
    connection = http.client.HTTPConnection(viewer.url.removeprefix("http://").rstrip("/"), timeout=30)
    connection.request(method, "/layers.json")
    assert connection.getresponse().status == 501
    connection.close()


@pytest.mark.parametrize("place", ["nan&lat=nan", "inf&lat=1", "1e400&lat=1", "1&lat=1e300", "²&lat=1", "1"])
def test_no_place_is_no_value(viewer: Viewer, place: str) -> None:
    from urllib.parse import quote

    key = json.loads(ask(viewer, "/layers.json")[2])[0]["key"]
    status, _, body = ask(viewer, f"/values.json?lng={quote(place, safe='=&')}&layer={key}&layer={key}")
    assert status == 400 or [v["value"] for v in json.loads(body)] == ["no data"]


def test_other_pages_may_not_embed_what_is_served(viewer: Viewer) -> None:
    connection = http.client.HTTPConnection(viewer.url.removeprefix("http://").rstrip("/"), timeout=30)
    connection.request("GET", "/layers.json")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.getheader("Cross-Origin-Resource-Policy") == "same-origin"
    assert answer.getheader("Access-Control-Allow-Origin") is None
    assert "frame-ancestors 'none'" in (answer.getheader("Content-Security-Policy") or "")
