"""Input that cannot serve: a clear message, an exit code of its own kind, and no file under the output's name."""

from __future__ import annotations

import pickle
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import dask
import numpy as np
import pytest
import rasterio
import torch
from click.testing import Result
from tests.support.cli import Run
from tests.support.rasters import write_dem
from tests.support.surfaces import hills

from terrafine.errors import (
    BandError,
    DatumError,
    DiskError,
    EmptyError,
    GridError,
    JobError,
    NoModelError,
    OutputError,
    ResourceError,
    SourceError,
    TerrafineError,
    UsageError,
    WeightsError,
)
from terrafine.inference.job import Job, job_folder
from terrafine.inference.planner import make_plan
from terrafine.nn import weights
from terrafine.nn.spec import ModelSpec
from terrafine.systems import find_model

Make = Callable[[Path], Path]


def refused(result: Result, kind: type[TerrafineError], named: object, destination: Path) -> None:
    """The exit code is the kind's, the message is one block that names the culprit, and nothing is left behind."""
    assert result.exit_code == kind.exit_code, result.output
    assert result.stderr.startswith("error: ")
    assert str(named) in result.stderr
    assert "Traceback" not in result.output
    left = [
        p.name for p in destination.parent.iterdir() if p.name.startswith((destination.name, f".{destination.name}"))
    ]
    assert left == []


def missing(folder: Path) -> Path:
    return folder / "absent.tif"


def text(folder: Path) -> Path:
    (folder / "text.tif").write_text("these are no heights\n" * 50)
    return folder / "text.tif"


def empty_file(folder: Path) -> Path:
    (folder / "empty.tif").write_bytes(b"")
    return folder / "empty.tif"


def truncated(folder: Path) -> Path:
    path = write_dem(folder / "cut.tif", np.tile(hills(), (8, 8)), tiled=True, blockxsize=64, blockysize=64)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def all_nodata(folder: Path) -> Path:
    return write_dem(folder / "void.tif", np.full((20, 20), -32768, np.float32))


def all_nan(folder: Path) -> Path:
    return write_dem(folder / "nan.tif", np.full((20, 20), np.nan, np.float32), nodata=None)


def too_high(folder: Path) -> Path:
    return write_dem(folder / "high.tif", hills() + 20_000)


def undeclared_void(folder: Path) -> Path:
    heights = hills()
    heights[3, 4] = -32768
    return write_dem(folder / "undeclared.tif", heights, nodata=None)


def no_crs(folder: Path) -> Path:
    return write_dem(folder / "plain.tif", crs=None)


def no_geotransform(folder: Path) -> Path:
    return write_dem(folder / "bare.tif", crs=None, transform=rasterio.Affine.identity())


def crs_without_metres(folder: Path) -> Path:
    wkt = 'LOCAL_CS["pixels on a map sheet",UNIT["furlong",201.168],AXIS["x",EAST],AXIS["y",NORTH]]'
    return write_dem(folder / "local.tif", crs=wkt)


def unknown_unit(folder: Path) -> Path:
    return write_dem(folder / "fathoms.tif", unit="fathom")


BAD: list[tuple[Make, type[TerrafineError]]] = [
    (missing, SourceError),
    (text, SourceError),
    (empty_file, SourceError),
    (truncated, SourceError),
    (Path, SourceError),  # the folder itself
    (all_nodata, EmptyError),
    (all_nan, EmptyError),
    (too_high, BandError),
    (undeclared_void, BandError),
    (no_crs, GridError),
    (no_geotransform, GridError),
    (crs_without_metres, GridError),
    (unknown_unit, GridError),
]


@pytest.mark.parametrize(("make", "kind"), BAD, ids=lambda x: getattr(x, "__name__", None))
def test_bad_input_is_refused(make: Make, kind: type[TerrafineError], tmp_path: Path, run: Run) -> None:
    source, destination = make(tmp_path), tmp_path / "out" / "fine.tif"
    destination.parent.mkdir()
    refused(run("dem", source, destination, "--model", "bicubic"), kind, source, destination)


@pytest.mark.parametrize("make", [hills], ids=["good"])
def test_the_check_rejects_a_run_that_was_not_refused(make: Callable[[], np.ndarray], tmp_path: Path, run: Run) -> None:
    source, destination = write_dem(tmp_path / "good.tif", make()), tmp_path / "fine.tif"
    result = run("dem", source, destination, "--model", "bicubic")
    assert result.exit_code == 0, result.stderr
    with pytest.raises(AssertionError):
        refused(result, SourceError, source, destination)


@pytest.mark.parametrize(
    ("options", "kind", "named"),
    [
        (("--model", "bicubic", "--scale", 7), NoModelError, "×7"),
        (("--model", "bicubic", "--scale", 1), UsageError, "expected 2, 3 or 4"),
        (("--model", "bicubic", "--scale", 0), UsageError, "expected 2, 3 or 4"),
        (("--model", "bicubic", "--band", "height=1"), UsageError, "expected only elevation"),
        (("--model", "no-such-model"), NoModelError, "no-such-model"),
        (("--model", "absent.safetensors"), WeightsError, "absent.safetensors"),
        (("--model", "bicubic", "--uncertainty"), NoModelError, "bicubic"),
        (("--model", "bicubic", "--memory", "1MB"), ResourceError, "MB"),
        (("--model", "bicubic", "--band", "elevation=3"), BandError, "elevation=3"),
        (("--model", "bicubic", "--t-srs", "EPSG:nonsense"), GridError, "EPSG:nonsense"),
        (("--model", "bicubic", "--vertical-datum", "nonsense"), DatumError, "nonsense"),
    ],
    ids=lambda x: " ".join(map(str, x[2:])) or "model" if isinstance(x, tuple) else None,
)
def test_an_option_that_cannot_be_met_is_refused(
    options: tuple[object, ...], kind: type[TerrafineError], named: str, dem: Path, tmp_path: Path, run: Run
) -> None:
    destination = tmp_path / "out" / "fine.tif"
    destination.parent.mkdir()
    refused(run("dem", dem, destination, *options), kind, named, destination)


def test_a_scheduler_that_does_not_answer_is_refused_and_the_job_kept(dem: Path, tmp_path: Path, run: Run) -> None:
    with dask.config.set({"distributed.comm.timeouts.connect": "200ms"}):
        result = run("dem", dem, tmp_path / "fine.tif", "--model", "bicubic", "--dask", "tcp://127.0.0.1:1")
    assert result.exit_code == JobError.exit_code
    assert "127.0.0.1:1" in result.stderr
    assert not (tmp_path / "fine.tif").exists()


def test_an_output_that_is_the_input_is_refused_and_the_input_stays(dem: Path, tmp_path: Path, run: Run) -> None:
    before = dem.read_bytes()
    (tmp_path / "link.tif").symlink_to(dem)
    for other in (dem, tmp_path / "link.tif", tmp_path / "." / "coarse.tif"):
        result = run("dem", dem, other, "--model", "bicubic")
        assert result.exit_code == OutputError.exit_code
        assert "is the input itself" in result.stderr
    assert dem.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["coarse.tif", "link.tif"]


@pytest.mark.parametrize("where", [".", "no/such/folder/fine.tif"])
def test_an_output_that_cannot_be_written_is_refused(where: str, dem: Path, tmp_path: Path, run: Run) -> None:
    result = run("dem", dem, tmp_path / where, "--model", "bicubic")
    assert result.exit_code == OutputError.exit_code
    assert [p.name for p in tmp_path.iterdir()] == ["coarse.tif"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
def test_an_output_where_no_file_can_be_is_refused(dem: Path, run: Run) -> None:
    result = run("dem", dem, "/proc/fine.tif", "--model", "bicubic")
    assert result.exit_code == OutputError.exit_code
    assert "is not on a disk" in result.stderr


def test_advice_on_a_crs_names_the_option_that_was_given(dem: Path, tmp_path: Path, run: Run) -> None:
    for option, other in (("--t-srs", "--assume-crs"), ("--assume-crs", "--t-srs")):
        result = run("dem", dem, tmp_path / "fine.tif", "--model", "bicubic", option, "EPSG:99999999")
        assert result.exit_code == GridError.exit_code
        assert option in result.stderr and other not in result.stderr


def test_files_on_two_datums_are_refused(tmp_path: Path, run: Run) -> None:
    a = write_dem(tmp_path / "a.tif", crs="EPSG:32633+5773")
    b = write_dem(
        tmp_path / "b.tif", crs="EPSG:32633+3855", transform=rasterio.transform.from_origin(500_960, 5_200_000, 30, 30)
    )
    result = run("dem", a, b, tmp_path / "fine.tif", "--model", "bicubic")
    refused(result, DatumError, "EGM", tmp_path / "fine.tif")


SPEC = ModelSpec("srcnn", "mine", "1.0", ("elevation",), ("elevation",), scale=4, halo=8)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"conv.weight": [1.0]}))


def torch_file(path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, path)


def cut_short(path: Path) -> None:
    weights.save(path, {"w": torch.zeros(1000)}, SPEC)
    path.write_bytes(path.read_bytes()[:-100])


def not_finite(path: Path) -> None:
    ref = find_model("bicubic", 4)
    weights.save(
        path, {"w": torch.tensor([1.0, float("nan")])}, ModelSpec("srcnn", "nan", "1", *_bands(ref.spec), 4, 8)
    )


def other_network(path: Path) -> None:
    weights.save(path, {"no.such.layer": torch.zeros(3)}, SPEC)


def other_system(path: Path) -> None:
    weights.save(path, {"w": torch.zeros(3)}, ModelSpec("../evil", "mine", "1", *_bands(SPEC), 4, 8))


def _bands(spec: ModelSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return spec.inputs, spec.outputs


@pytest.mark.parametrize("damage", [pickled, torch_file, cut_short, not_finite, other_network, other_system])
def test_weights_that_cannot_be_trusted_are_refused(
    damage: Callable[[Path], None], dem: Path, tmp_path: Path, run: Run
) -> None:
    file, destination = tmp_path / "mine.safetensors", tmp_path / "out" / "fine.tif"
    destination.parent.mkdir()
    damage(file)
    refused(run("dem", dem, destination, "--model", file), WeightsError, file, destination)


def test_a_job_of_another_run_is_refused_with_the_difference_and_kept(dem: Path, tmp_path: Path, run: Run) -> None:
    destination = tmp_path / "fine.tif"
    plan = make_plan((24, 32), find_model("bicubic", 4).spec)
    Job.claim(destination, {"model": {"weights_sha256": "of yesterday"}}, plan).release()
    result = run("dem", dem, destination, "--model", "bicubic")
    assert result.exit_code == JobError.exit_code
    assert "of yesterday" in result.stderr
    assert "--restart" in result.stderr
    assert job_folder(destination).is_dir()
    assert not destination.exists()

    again = run("dem", dem, destination, "--model", "bicubic", "--restart")
    assert again.exit_code == 0, again.stderr
    assert not job_folder(destination).exists()
    assert destination.exists()


def test_a_job_in_use_is_refused(dem: Path, tmp_path: Path, run: Run) -> None:
    destination = tmp_path / "fine.tif"
    with Job.claim(destination, {}, make_plan((24, 32), find_model("bicubic", 4).spec)):
        result = run("dem", dem, destination, "--model", "bicubic", "--restart")
    assert result.exit_code == JobError.exit_code
    assert "in use" in result.stderr
    assert not destination.exists()


def test_a_folder_that_is_no_job_is_refused_and_kept(dem: Path, tmp_path: Path, run: Run) -> None:
    folder = job_folder(tmp_path / "fine.tif")
    folder.mkdir()
    (folder / "my notes.txt").write_text("keep")
    result = run("dem", dem, tmp_path / "fine.tif", "--model", "bicubic", "--restart")
    assert result.exit_code == JobError.exit_code
    assert (folder / "my notes.txt").read_text() == "keep"


def test_a_disk_too_small_is_refused_before_the_run(
    dem: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    destination = tmp_path / "out" / "fine.tif"
    destination.parent.mkdir()
    refused(run("dem", dem, destination, "--model", "bicubic"), DiskError, destination.parent, destination)


def test_an_old_output_survives_a_refused_run(dem: Path, tmp_path: Path, run: Run) -> None:
    destination = tmp_path / "fine.tif"
    destination.write_bytes(b"of last week")
    result = run("dem", dem, destination, "--model", "no-such-model")
    assert result.exit_code == NoModelError.exit_code
    assert destination.read_bytes() == b"of last week"
