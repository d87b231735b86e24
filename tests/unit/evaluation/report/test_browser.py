"""The report in a real browser: by mouse, by touch, by keyboard, on a telephone, and on paper."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.browser import Page
from tests.support.reports import figures, results

from terrafine.evaluation.report import write_report

pytestmark = pytest.mark.slow
SEAM = "+getComputedStyle(document.querySelector('#swipe')).getPropertyValue('--at').replace('%', '')"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(results(), figures(300, 260), folder)
    return folder / "index.html"


@pytest.fixture(scope="module")
def desk(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("desk"), 1200, 900) as page:
        yield page


@pytest.fixture(scope="module")
def phone(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("phone"), 390, 844, touch=True) as page:
        yield page


def spot(page: Page, across: float, down: float, of: str = "#swipe .ground") -> tuple[float, float]:
    """A place on an element, in shares of its sides."""
    left, top, width, height = page.box(of)
    return left + across * width, top + down * height


def test_a_mouse_drags_the_seam_all_the_way_and_back(desk: Page, report: Path) -> None:
    desk.open(report)
    assert desk.value(SEAM) == 50
    desk.drag_mouse(spot(desk, 0.5, 0.5), spot(desk, 0.9, 0.6))
    assert desk.value(SEAM) == pytest.approx(90, abs=1)
    desk.drag_mouse(spot(desk, 0.9, 0.2), spot(desk, 0.1, 0.3))
    assert desk.value(SEAM) == pytest.approx(10, abs=1)
    desk.drag_mouse(spot(desk, 0.1, 0.2), spot(desk, 1.5, 0.3))  # beyond the picture: held, and at its edge
    assert desk.value(SEAM) == 100
    assert desk.messages == []


def test_a_moving_mouse_without_a_button_leaves_the_seam(desk: Page, report: Path) -> None:
    desk.open(report)
    desk.drag_mouse(spot(desk, 0.5, 0.5), spot(desk, 0.7, 0.5))
    desk._mouse("mouseReleased", spot(desk, 0.2, 0.5))
    assert desk.value(SEAM) == pytest.approx(70, abs=1)


def test_a_finger_drags_the_seam_and_scrolls_the_page(phone: Page, report: Path) -> None:
    phone.open(report)
    phone.drag_touch(spot(phone, 0.5, 0.5), spot(phone, 0.9, 0.55))
    assert phone.value(SEAM) == pytest.approx(90, abs=1)
    start = spot(phone, 0.3, 0.8)
    before = phone.value("scrollY")
    phone.drag_touch(start, (start[0], start[1] - 250))
    phone.wait(f"scrollY > {before + 100}")
    assert phone.value(SEAM) == pytest.approx(90, abs=1), "scrolling over the map leaves the seam"
    assert phone.messages == []


def test_the_keyboard_moves_the_seam_as_a_slider(desk: Page, report: Path) -> None:
    desk.open(report)
    desk.value("document.querySelector('.seam').focus()")
    for _ in range(3):
        desk.key("ArrowRight", 39)
    assert desk.value(SEAM) == 53
    desk.key("ArrowLeft", 37)
    desk.key("PageUp", 33)
    assert desk.value(SEAM) == 62
    seam = "document.querySelector('.seam')"
    assert desk.value(f"{seam}.getAttribute('role')") == "slider"
    assert desk.value(f"{seam}.getAttribute('aria-valuenow')") == "62"
    assert str(desk.value(f"{seam}.getAttribute('aria-valuetext')")).startswith("62 % ")
    desk.key("Home", 36)
    assert desk.value(SEAM) == 0
    desk.key("End", 35)
    assert desk.value(SEAM) == 100
    assert desk.value("document.getElementById('sw-at').value") == "100"


def test_after_a_drag_the_arrow_keys_go_on_from_there(desk: Page, report: Path) -> None:
    desk.open(report)
    desk.drag_mouse(spot(desk, 0.5, 0.5), spot(desk, 0.8, 0.5))
    at = desk.value(SEAM)
    desk.key("ArrowLeft", 37)
    assert desk.value(SEAM) == at - 1


def test_the_seam_hides_what_it_says(desk: Page, report: Path, tmp_path: Path) -> None:
    """Left of the seam is one picture, right of it the other."""
    desk.open(report)
    desk.value(
        "(e => { e.value = 'reference'; e.dispatchEvent(new Event('change')); })(document.getElementById('sw-left'))"
    )
    select = "document.getElementById('sw-right')"
    desk.value(f"{select}.value = [...{select}.options].find(o => o.value.startsWith('error:')).value")
    desk.value(f"{select}.dispatchEvent(new Event('change'))")
    desk.drag_mouse(spot(desk, 0.5, 0.5), spot(desk, 0.7, 0.5))
    left, top, width, height = (round(v) for v in desk.box("#swipe .ground"))
    desk.screenshot(tmp_path / "shot.png")
    picture = np.asarray(Image.open(tmp_path / "shot.png").convert("RGB")).astype(int)
    ground = picture[top + height // 5 : top + height * 2 // 5, left : left + width]
    coloured = np.abs(ground[..., 0] - ground[..., 2]) > 15
    assert coloured[:, : int(width * 0.65)].mean() < 0.02, "a hillshade is grey"
    assert coloured[:, int(width * 0.75) :].mean() > 0.3, "an error map is red and blue"


def test_a_profile_is_drawn_by_mouse_and_by_finger(desk: Page, phone: Page, report: Path) -> None:
    line = "document.querySelector('.pick line').getAttribute('x2')"
    for page, drag in ((desk, desk.drag_mouse), (phone, phone.drag_touch)):
        page.open(report)
        page.wait("document.getElementById('pf-status').textContent")
        drag(spot(page, 0.3, 0.3, ".pick .ground"), spot(page, 0.8, 0.7, ".pick .ground"))
        page.wait("document.getElementById('pf-line').value === 'own'")
        assert float(str(page.value(line)).rstrip("%")) == pytest.approx(80, abs=1)


def test_on_a_telephone_nothing_is_cut_off_without_a_hint(phone: Page, report: Path) -> None:
    phone.open(report)
    phone.value("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert phone.value("document.documentElement.scrollWidth") <= 390
    wide = phone.value(
        "[...document.querySelectorAll('svg.chart')].filter(e => e.getBoundingClientRect().width > 1)"
        ".map(e => { const box = e.closest('.wide'), hint = box && box.nextElementSibling;"
        " return [e.getBoundingClientRect().right <= innerWidth,"
        " !!box && box.scrollWidth > box.clientWidth && hint.className === 'hint' && hint.offsetHeight > 0]; })"
    )
    assert len(wide) >= 6
    assert all(fits or hinted for fits, hinted in wide), wide
    tables = phone.value(
        "[...document.querySelectorAll('table')].map(e => { const box = e.closest('.scroll');"
        " return [!!box && box.getBoundingClientRect().right <= innerWidth, getComputedStyle(box).overflowX,"
        " box.tabIndex]; })"
    )
    assert len(tables) >= 8
    assert all(tuple(found) == (True, "auto", 0) for found in tables), tables
    captions = phone.value(
        "[...document.querySelectorAll('caption')].map(e => [e.closest('.scroll').clientWidth, e.scrollWidth])"
    )
    assert all(text <= box for box, text in captions), captions
    box = "[...document.querySelectorAll('.scroll')].find(e => e.scrollWidth > e.clientWidth)"
    phone.value(f"{box}.scrollLeft = 40")
    assert phone.value(f"{box}.scrollLeft") == 40
    small = phone.value(
        "[...document.querySelectorAll('figure > svg.chart text')].filter(e => e.getBoundingClientRect().width)"
        ".map(e => [e.getScreenCTM(), parseFloat(getComputedStyle(e).fontSize)])"
        ".map(([m, size]) => Math.hypot(m.a, m.b) * size).filter(size => size < 9)"
    )
    assert small == [], "text of charts is at least 9 pixels high"


def test_on_paper_no_table_head_stands_alone(desk: Page, report: Path, tmp_path: Path) -> None:
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("no pdftotext is installed")
    desk.open(report)
    for extra in range(0, 960, 40):  # what begins at other heights breaks in other places
        desk.value(f"document.querySelector('header').style.paddingBottom = '{extra}px'")
        desk.print(tmp_path / "page.pdf")
        text = subprocess.run(
            [reader, "-layout", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True
        )
        captions = desk.value(
            "[...document.querySelectorAll('table')].filter(e => !e.closest('details')).map(e =>"
            " [e.caption.textContent, e.tHead.rows[0].cells[0].textContent, e.tBodies[0].rows[0].cells[0].textContent])"
        )
        assert len(captions) >= 4
        pages = [" ".join(page.split()) for page in text.stdout.split("\f")]
        for caption, head, first in captions:
            found = [page for page in pages if caption in page]
            assert len(found) == 1, caption
            after = found[0].split(caption, 1)[1]
            assert head in after, f"{caption}: its head is on another page"
            assert first.split()[0] in after.split(head, 1)[1], f"{caption}: its first row is on another page"
