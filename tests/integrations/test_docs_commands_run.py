"""Every command of the documentation runs, page by page and in its order, on small inputs of the names that it gives.

Blocks that `test_docs_run` runs as they stand are left to it. What differs from the page: trainings have two steps
(`recipes.shorten`), services are on loopback (`services.redirected`), tiles of campaigns are small, cluster and port
are those of the test, and `MORE` shortens a few commands.
"""

from __future__ import annotations

import re
import shlex
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import pages
from tests.support.cli import terrafine
from tests.support.clusters import Cluster, free_port
from tests.support.docs.inputs import prepare
from tests.support.docs.services import on_loopback
from tests.support.paths import ROOT

HISTORY = {"docs/decisions.md", "docs/experiments.md", "CHANGELOG.md"}
MARK = "<!-- run -->"
CLUSTER = "tcp://scheduler:8786"
MORE = {  # words of a command -> options that shorten it
    "N46E010.hgt": ("--model", "bicubic"),  # two tiles of a degree
    "campaign run": ("--quiet",),
    "fetch sentinel-1-grd": ("--bands", "vv"),  # the only polarisation of the product
}
QUICK = {"docs/guides/fetch.md", "docs/guides/view.md", "docs/guides/radar.md"}


def marked_lines(text: str) -> set[int]:
    """Numbers of the lines inside blocks that run as they stand."""
    found = set[int]()
    for match in re.finditer(rf"{MARK}\n```bash\n.*?```", text, re.S):
        first = text.count("\n", 0, match.start()) + 1
        found |= set(range(first, first + match.group().count("\n") + 1))
    return found


def commands() -> dict[str, list[str]]:
    """The commands of each page that are run here, in its order."""
    found: dict[str, list[str]] = {}
    for page in pages.pages():
        text = (ROOT / page).read_text(encoding="utf-8")
        elsewhere = marked_lines(text)
        texts = [c.text for c in pages.commands(page, text) if c.line not in elsewhere]
        if texts and page not in HISTORY:
            found[page] = texts
    return found


COMMANDS = commands()


@pytest.fixture
def services(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`earth-search` and the other shipped services answer on loopback."""
    pytest.importorskip("stac_fastapi.api")
    with on_loopback(tmp_path, products="sentinel-1-grd" in "\n".join(COMMANDS[page])) as folder:
        monkeypatch.setattr("terrafine.acquire.service._folder", lambda: folder)
        yield


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A Dask cluster of one worker."""
    (tmp_path / "cluster").mkdir()
    found = Cluster(tmp_path / "cluster", workers=1)
    found.wait(1)
    yield found
    found.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses of viewers: each is asked for its page in place of waiting for Ctrl-C, and no browser opens."""
    found: list[str] = []

    def wait(viewer: object) -> None:
        url = viewer.url  # type: ignore[attr-defined]
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert b"maplibre" in answer.read()
        found.append(url)

    monkeypatch.setattr("terrafine.viewer.server.Viewer.wait", wait)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    return found


def test_no_command_is_left_out() -> None:
    """Each command of a page runs here, or stands in a block that runs as it is."""
    elsewhere = 0
    for page in pages.pages():
        text = (ROOT / page).read_text(encoding="utf-8")
        blocks = "\n".join(re.findall(rf"{MARK}\n```bash\n(.*?)```", text, re.S))
        for command in pages.commands(page, text) if page not in HISTORY else ():
            here = command.text in COMMANDS.get(page, [])
            assert here or command.text in re.sub(r"\\\n\s*", "", blocks), command
            elsewhere += not here
    assert sum(map(len, COMMANDS.values())) > 100
    assert elsewhere < 20
    assert set(COMMANDS) > QUICK


def variants(text: str) -> list[str]:
    """A command of a loop over years, for two of them; others alone."""
    return [text.replace("$year", year) for year in ("2019", "2023")] if "$year" in text else [text]


def expanded(text: str, home: Path) -> list[str]:
    """The words of a command as a shell in the working folder passes them on."""
    words = [re.sub(r"^~(?=/)", str(home), word) for word in shlex.split(text)[1:]]
    return [found for word in words for found in (sorted(map(str, Path().glob(word))) if "*" in word else []) or [word]]


def page_of(page: str) -> object:
    """A page, marked as long where it is."""
    return pytest.param(page, id=page, marks=() if page in QUICK else pytest.mark.long)


@pytest.mark.parametrize("page", [page_of(page) for page in COMMANDS])
def test_the_commands_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "demo").symlink_to(ROOT / "demo")
    monkeypatch.chdir(folder)
    texts = [v for text in COMMANDS[page] for v in variants(text)]
    if re.search(r"terrafine (fetch|campaign)", "\n".join(texts)):
        request.getfixturevalue("services")
    asked = request.getfixturevalue("asked")
    for text in texts:
        prepare(text, folder)
        words = expanded(text, folder)
        if CLUSTER in words:
            words[words.index(CLUSTER)] = request.getfixturevalue("cluster").address
        if "8080" in words:
            words[words.index("8080")] = str(free_port())
        more = [w for key, added in MORE.items() if key in text for w in added]
        done = terrafine(*words, *more)
        assert done.exit_code == 0, f"{text}\n{done.output}"
    assert len(asked) == sum(text.startswith("terrafine view") for text in texts)
