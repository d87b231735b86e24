"""The report: everything shown comes from the results, nothing comes from the network, and a browser can read it."""

from __future__ import annotations

import base64
import copy
import csv
import html.parser
import io
import json
import re
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support.browser import chromium
from tests.support.reports import NAME, figures, results

from terrafine.errors import DataError, OutputError
from terrafine.evaluation.report import FORMATS, Results, write_report
from terrafine.evaluation.report.charts import sample_line
from terrafine.evaluation.report.pictures import error_map, illumination, pack
from terrafine.evaluation.report.svg import Scale, nice_ticks, number, short


class Page(html.parser.HTMLParser):
    """Counts what an accessible, self-contained page must and must not hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV."""
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(results(), figures(), folder)
    return folder


@pytest.fixture(scope="module")
def text(written: Path) -> str:
    return (written / "index.html").read_text(encoding="utf-8")


def test_the_page_loads_nothing(text: str) -> None:
    page = Page(text)
    addresses = [a[key] for _, a in page.tags for key in ("src", "href", "data", "action", "poster") if a.get(key)]
    assert addresses
    assert all(str(address).startswith(("data:", "#")) for address in addresses)
    assert not page.all("link")
    assert "default-src 'none'" in text
    assert not re.search(r"(?:https?|wss?|ftp)://", re.sub(r"base64,[A-Za-z0-9+/=]+", "", text))
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|url\(", text)


def test_a_reader_without_eyes_finds_names_and_landmarks(text: str) -> None:
    page = Page(text)
    assert page.unbalanced == []
    assert page.open == []
    assert page.all("html")[0]["lang"] == "en"
    for landmark in ("header", "main", "footer", "h1"):
        assert len(page.all(landmark)) == 1, landmark
    plates = [image for image in page.all("img") if image.get("id")]
    assert len(plates) >= 10
    assert all(len(str(image["alt"])) > 10 for image in plates)
    assert len(page.all("caption")) == len(page.all("table")) >= 5
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    ids = {a["id"] for _, a in page.tags if a.get("id")}
    assert len(ids) == sum(1 for _, a in page.tags if a.get("id")), "an id stands twice"
    labelled = [a["aria-labelledby"] for _, a in page.tags if a.get("aria-labelledby")]
    assert labelled
    assert set(labelled) <= ids
    sliders = [a for a in page.all("input") if a.get("type") == "range"]
    assert sliders[0]["aria-label"]


def test_names_and_sentences_are_shown_but_never_run(text: str) -> None:
    assert "<b>&" not in text
    assert "fine &lt;b&gt;" in text
    assert "20 % less RMSE" in text
    assert "No &lt;mask&gt; was given." in text
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1))  # type: ignore[union-attr]
    assert data["plates"]["overview"][f"shade:{NAME}"]["name"] == NAME


def test_a_changed_number_changes_page_and_table(tmp_path: Path, text: str) -> None:
    changed = copy.deepcopy(results())
    changed["candidates"][0]["elevation"]["rmse"] = 0.7654
    write_report(changed, figures(), tmp_path)
    assert "0.765" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "0.765" not in text
    rows = table(tmp_path / "summary.csv")
    assert rows[0]["surface"] == NAME
    assert float(rows[0]["rmse"]) == 0.7654


def test_tables_hold_every_surface_and_leave_the_undefined_empty(written: Path) -> None:
    rows = table(written / "summary.csv")
    assert [row["surface"] for row in rows] == [NAME, "other", "back_projected", "bicubic"]
    spectrum = table(written / "spectrum.csv")
    assert spectrum[2]["coherence"] == ""
    streams = table(written / "streams.csv")
    assert [float(streams[0][key]) for key in ("f1_0", "f1_1", "f1_2")] == pytest.approx([0.5, 0.6, 0.7])
    assert json.loads((written / "results.json").read_text(encoding="utf-8")) == results()


def test_the_same_results_give_the_same_bytes(tmp_path: Path, written: Path) -> None:
    paths = write_report(results(), figures(), tmp_path)
    assert len(paths) > 8
    for path in paths:
        assert path.read_bytes() == (written / path.name).read_bytes(), path.name
    assert not list(tmp_path.glob(".*"))


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    bare: Results = {
        "format": FORMATS["elevation"],
        "reference": {"path": "r.tif"},
        "verdict": {"sentence": "No baseline was given."},
        "candidates": [{"name": "a", "elevation": {"n": 0, "rmse": None}}],
    }
    write_report(bare, None, tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "No baseline was given." in page
    assert "Not decided" in page
    for heading in ("What it looks like", "Where the water goes", "How much detail is real", "Along a line"):
        assert heading not in page
    assert Page(page).unbalanced == []


def test_what_cannot_be_reported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="format"):
        write_report({**results(), "format": "other/9"}, None, tmp_path)
    with pytest.raises(DataError, match="no candidate"):
        write_report({**results(), "candidates": []}, None, tmp_path)
    undefined = copy.deepcopy(results())
    undefined["candidates"][0]["elevation"]["bias"] = float("nan")
    with pytest.raises(DataError, match="None"):
        write_report(undefined, None, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="writable"):
        write_report(results(), None, tmp_path / "file")


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    """What the page's script does with a packed grid."""
    size = packed["rows"] * packed["cols"]
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), dtype=np.uint8).astype(np.uint32)
    change = (planes[:size] + 256 * planes[size:]).reshape(packed["rows"], packed["cols"])
    levels = np.cumsum(change, axis=1) & 65535
    return np.where(levels == 65535, np.nan, packed["base"] + levels * packed["step"])


def test_packed_heights_return_to_half_a_step_and_voids_stay_void() -> None:
    z = np.random.default_rng(0).normal(500, 300, size=(20, 31))
    z[3, 5:9] = np.nan
    packed = pack(z)
    back = unpacked(packed)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(z))
    assert np.nanmax(np.abs(back - z)) <= packed["step"] * 0.5001
    assert np.nanmax(np.abs(unpacked(pack(z + 1.0)) - z)) > 0.9
    assert np.isnan(unpacked(pack(np.full((4, 4), np.nan)))).all()


def test_light_comes_from_the_north_west() -> None:
    y, x = np.mgrid[:9, :9].astype(float)
    faces_north_west = illumination(x + y, (1.0, 1.0), 0.5)[4, 4]
    faces_south_east = illumination(-(x + y), (1.0, 1.0), 0.5)[4, 4]
    level = illumination(0 * x, (1.0, 1.0), 1.0)[4, 4]
    assert level == pytest.approx(np.sqrt(0.5))
    assert faces_south_east < level < faces_north_west
    assert np.isnan(illumination(np.where(x == 4, np.nan, x), (1.0, 1.0), 1.0)[4, 4])


def pixels(uri: str) -> np.ndarray:
    """RGBA of a data URI."""
    data = base64.b64decode(uri.split(",", 1)[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(int)


def test_low_ground_is_blue_high_ground_red_and_void_clear() -> None:
    colours = pixels(error_map(np.array([[-2.0, 0.0, 2.0, np.nan]]), 2.0))[0]
    assert colours[0][2] > colours[0][0]
    assert colours[2][0] > colours[2][2]
    assert colours[1][:3].min() > 240
    assert colours[3][3] == 0
    assert colours[:3, 3].min() == 255


def test_a_profile_samples_cell_centres_exactly() -> None:
    y, x = np.mgrid[:10, :20].astype(float)
    plane = 3 * x + 7 * y
    values = sample_line(plane, (0.5 / 20, 4.5 / 10, 19.5 / 20, 4.5 / 10), count=20)
    np.testing.assert_allclose(values, 3 * np.arange(20) + 28)
    assert not np.allclose(sample_line(plane + 1, (0.1, 0.1, 0.9, 0.9)), sample_line(plane, (0.1, 0.1, 0.9, 0.9)))


def test_numbers_read_as_a_surveyor_writes_them() -> None:
    assert number(None) == number(float("nan")) == "\u2013"
    assert number(-1.2345) == "\u22121.23"
    assert number(418656) == "418\u202f656"
    assert number(0.0123456) == "0.0123"
    assert number(1.33e-6) == "1.33e\u22126"
    assert [short(v) for v in (0.5, 20.0, 0.0001, 1000.0)] == ["0.5", "20", "0.0001", "1\u202f000"]
    assert nice_ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert Scale(1, 100, log=True).part(10) == pytest.approx(0.5)
    assert Scale(0, 4, reverse=True).part(1) == pytest.approx(0.75)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb; WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_every_text_colour_has_contrast(text: str) -> None:
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", text))
    ground = luminance(named["stock"])
    for name in ("ink", "soft", "relief", "water", "good", "bad"):
        ratio = (ground + 0.05) / (luminance(named[name]) + 0.05)
        assert ratio >= 4.5, f"{name} has {ratio:.1f}"


def run_browser(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """One headless run over a page, with a profile of its own and no network."""
    command = [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += ["--no-first-run", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=6000", "--enable-logging=stderr"]
    page = (folder / "index.html").as_uri()
    return subprocess.run([*command, *options, page], capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.slow
def test_a_real_browser_draws_swipe_and_profile(tmp_path: Path) -> None:
    write_report(results(), figures(), tmp_path)
    done = run_browser(tmp_path, "--dump-dom", "--window-size=1200,3000")
    assert "CONSOLE" not in done.stderr, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert 'class="js"' in done.stdout
    status = re.search(r'id="pf-status"[^>]*>([^<]*)<', done.stdout)
    assert status is not None
    assert "RMSE along it" in status.group(1)
    assert re.search(r'aria-valuetext="50 % [^"]+ hidden"', done.stdout)
    assert len(re.findall(r"<path d=\"M", done.stdout)) == 9, "five heights and four errors are drawn"


@pytest.mark.slow
def test_a_real_browser_paints_the_sheet(tmp_path: Path) -> None:
    write_report(results(), figures(), tmp_path)
    shot = tmp_path / "shot.png"
    run_browser(tmp_path, f"--screenshot={shot}", "--window-size=1200,2600", "--hide-scrollbars")
    image = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert image.shape == (2600, 1200, 3)
    assert image.std() > 20, "the page is blank"
    reds = (image[..., 0] - image[..., 2] > 90).sum()
    blues = (image[..., 2] - image[..., 0] > 60).sum()
    assert reds > 500
    assert blues > 500
