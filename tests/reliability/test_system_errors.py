"""What the operating system refuses becomes an error of ours, leaves no part behind, and a later run is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.cli import terrafine
from tests.support.rasters import write_dem

import terrafine as library
from terrafine.errors import DiskError, OutputError, ResourceError, SourceError, TerrafineError
from terrafine.host import of_system

resource = pytest.importorskip("resource")

OPTIONS = {"model": "nearest", "scale": 2}
SIZES = [0, 1, 7, 100, 511, 4096, 5000, 7000, 9000, 10_000, 12_000, 14_000, 16_000, 18_000, 19_000, 20_000, 22_000]
SIZES += [24_000, 26_000, 28_000, 40_000]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond that size, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def dem(tmp_path: Path) -> Path:
    return write_dem(tmp_path / "in" / "dem.tif") if (tmp_path / "in").mkdir() is None else tmp_path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "o.tif"


def left(out: Path) -> set[str]:
    """Names beside the output, but for the job folder that a later run resumes."""
    return {path.name for path in out.parent.iterdir()} - {out.name + ".job"}


@pytest.mark.parametrize("size", SIZES)
def test_a_disk_that_is_full_at_any_size_costs_nothing_but_the_run(size: int, dem: Path, out: Path) -> None:
    whole = library.sharpen_dem(dem, out.with_name("whole.tif"), **OPTIONS).read_bytes()
    out.with_name("whole.tif").unlink()
    try:
        with largest_file(size):
            library.sharpen_dem(dem, out, **OPTIONS)
    except DiskError:
        assert left(out) == set()
    library.sharpen_dem(dem, out, **OPTIONS)
    assert out.read_bytes() == whole and left(out) == {"o.tif"} and not out.with_name("o.tif.job").exists()


def test_the_smallest_disks_are_too_small(dem: Path, out: Path) -> None:
    with largest_file(4096), pytest.raises(DiskError):
        library.sharpen_dem(dem, out, **OPTIONS)


@pytest.mark.parametrize("length", [211, 240, 255, 256, 300, 5000])
def test_a_name_that_is_too_long_is_refused(length: int, dem: Path, out: Path) -> None:
    target = out.with_name("o" * (length - 4) + ".tif")
    with pytest.raises(OutputError):
        library.sharpen_dem(dem, target, **OPTIONS)
    result = terrafine("dem", dem, target, "--model", "nearest")
    assert result.exit_code == 12 and "unexpected" not in result.output and left(out) == set()


def test_the_longest_name_is_written(dem: Path, out: Path) -> None:
    target = out.with_name("o" * 206 + ".tif")
    library.sharpen_dem(dem, target, **OPTIONS, preview=target.with_suffix(".png"))
    assert left(out) == {target.name, target.with_suffix(".png").name}


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_not_text_is_refused(dem: Path, out: Path) -> None:
    strange = os.fsdecode(b"o\xff\xfe.tif")
    with pytest.raises(OutputError, match="not UTF-8"):
        library.sharpen_dem(dem, out.with_name(strange), **OPTIONS)
    dem.rename(dem.with_name(strange))
    with pytest.raises(SourceError, match="not UTF-8"):
        library.sharpen_dem(dem.with_name(strange), out, **OPTIONS)
    assert left(out) == set()


@pytest.mark.parametrize("verb", ["info", "dem", "radar", "evaluate", "map", "height", "image"])
def test_an_input_that_leads_nowhere_is_refused(verb: str, out: Path) -> None:
    link = out.with_name("link.tif")
    link.symlink_to("nowhere.tif")
    more = {"info": [], "radar": ["-o", out, "--orbit", "ascending"], "evaluate": [link]}.get(verb, [out])
    result = terrafine(verb, link, *more)
    assert result.exit_code == 3 and "leads nowhere" in result.output, result.output
    assert left(out) == {"link.tif"}


def test_an_output_that_leads_nowhere_is_made_where_the_link_leads(dem: Path, out: Path) -> None:
    out.symlink_to("real.tif")
    library.sharpen_dem(dem, out, **OPTIONS)
    assert out.is_symlink() and left(out) == {"o.tif", "real.tif"}


@pytest.mark.parametrize("threads", [1025, 10**6, 10**18])
def test_threads_without_end_are_refused(threads: int, dem: Path, out: Path) -> None:
    result = terrafine("dem", dem, out, "--threads", threads, "--model", "nearest")
    assert result.exit_code == 2 and "at most 1,024" in result.output


@pytest.mark.parametrize(
    ("number", "kind"),
    [("ENOSPC", DiskError), ("EDQUOT", DiskError), ("EMFILE", ResourceError), ("EACCES", OutputError)],
)
def test_an_error_that_nothing_foresaw_has_a_kind(number: str, kind: type[TerrafineError]) -> None:
    import errno

    error = of_system(OSError(getattr(errno, number), "said", "/a/b"))
    assert type(error) is kind and "/a/b: said" in str(error)


def test_memory_that_is_used_up_has_a_kind() -> None:
    assert type(of_system(MemoryError())) is ResourceError


@pytest.mark.parametrize("verb", ["dem", "radar"])
def test_no_verb_calls_an_error_of_the_system_unexpected(verb: str, dem: Path, out: Path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr("terrafine.raster.read.checks.integrity.check_whole", full)
    more = ["-o", out, "--orbit", "ascending"] if verb == "radar" else [out]
    result = terrafine(verb, dem, *more)
    assert result.exit_code == 12 and "/somewhere: Permission denied" in result.output, result.output
