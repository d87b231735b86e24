"""-co of the command line: checked before anything is read, and the same heights whatever is stated."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from tests.support.cli import Run
from tests.support.docs.inputs import prepare
from tests.support.docs.services import on_loopback
from tests.support.verbs import NEAREST, verbs_of

from terrafine.cli import main
from terrafine.errors import UsageError


def test_compression_is_as_stated_and_the_heights_are_the_same(dem: Path, tmp_path: Path, run: Run) -> None:
    assert run("dem", dem, tmp_path / "a.tif", *NEAREST).exit_code == 0
    assert run("dem", dem, tmp_path / "b.tif", *NEAREST, "-co", "compress=deflate", "-co", "LEVEL=9").exit_code == 0
    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.tif") as b:
        assert b.compression.value == "DEFLATE" and a.compression.value == "ZSTD"
        assert np.array_equal(a.read(1), b.read(1)) and a.tags(ns="TERRAFINE") == b.tags(ns="TERRAFINE")


@pytest.mark.parametrize("given", ["COMPRESS", "=ZSTD", "COMPRESS=JPEG", "TILED=NO", "LEVEL=99"])
def test_what_is_not_allowed_is_an_error_of_usage(tmp_path: Path, run: Run, given: str) -> None:
    result = run("dem", tmp_path / "none.tif", tmp_path / "b.tif", "-co", given)
    assert result.exit_code == UsageError.exit_code
    assert "expected" in result.output


def test_a_key_is_stated_once(tmp_path: Path, run: Run) -> None:
    result = run("radar", "a.tif", "b.tif", "--orbit", "ascending", "-co", "LEVEL=1", "-co", "level=2")
    assert result.exit_code == UsageError.exit_code
    assert "twice" in result.output


SCENE = ("--max-bright", "1", "--quiet")
WRITES = {  # verb -> its words before the output, and those after it
    "change": (("2000.tif", "2015.tif"), ("--no-coregistration",)),
    "dem": (("glo30.tif",), NEAREST),
    "fetch": (("copernicus-dem", "--aoi", "town.geojson"), ("--quiet",)),
    "height": (("scene.tif",), SCENE),
    "image": (("s2.tif",), ("--scale", "4", *SCENE)),
    "map": (("s2.tif",), SCENE),
    "radar": (("glo30.tif", "--orbit", "ascending"), ("--quiet",)),
}
LONG = {"height", "image", "map"}
ELSEWHERE = {"geocode": (("S1.SAFE", "--dem", "dem.tif"), ())}  # that they arrive: test_geocode.py


def test_every_verb_with_the_option_is_tested() -> None:
    with_option = {name for name, verb in verbs_of(main) if any("-co" in p.opts for p in verb.params)}
    assert with_option == {*WRITES, *ELSEWHERE}


@pytest.mark.parametrize("verb", [pytest.param(v, marks=pytest.mark.long if v in LONG else ()) for v in WRITES])
def test_the_options_arrive_in_the_file_of_each_verb(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, run: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    before, after = WRITES[verb]
    if verb == "fetch":
        request.getfixturevalue("services")
    prepare(f"terrafine {verb} {' '.join(before)}", tmp_path)
    result = run(verb, *before, "-o", "out.tif", *after, "-co", "COMPRESS=LZW", "-co", "STATISTICS=NO")
    assert result.exit_code == 0, result.output
    with rasterio.open("out.tif") as file:
        assert file.compression.value == "LZW"
        assert "STATISTICS_MEAN" not in file.tags(1)


@pytest.mark.parametrize("verb", [*WRITES, *ELSEWHERE])
def test_an_unknown_option_is_refused_by_each_verb_before_anything_is_read(verb: str, tmp_path: Path, run: Run) -> None:
    before, _ = (WRITES | ELSEWHERE)[verb]
    result = run(verb, *before, "-o", tmp_path / "out.tif", "-co", "TILED=YES")
    assert result.exit_code == UsageError.exit_code
    assert "creation option TILED: is not one; expected COMPRESS, LEVEL, OVERVIEWS, STATISTICS" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def services(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The shipped services answer on loopback."""
    pytest.importorskip("stac_fastapi.api")
    with on_loopback(tmp_path_factory.mktemp("services")) as found:
        monkeypatch.setattr("terrafine.acquire.service._folder", lambda: found)
        yield
