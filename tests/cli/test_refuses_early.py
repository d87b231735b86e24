"""What cannot be done is refused before anything is read or written, and leaves nothing in the way."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from tests.support.cli import Run
from tests.support.rasters import write_dem
from tests.support.surfaces import hills

ENGINES = ("openvino", "onnx", "onnxscript", "onnxruntime")
BICUBIC = ("--model", "bicubic", "--scale", 2)


@pytest.fixture
def dem(tmp_path: Path) -> Path:
    return write_dem(tmp_path / "dem.tif", hills(32, 32))


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize(
    ("package", "options", "words"),
    [
        ("openvino", ("--engine", "openvino"), "the engine openvino needs openvino, not installed"),
        ("onnx", ("--engine", "openvino"), "or choose --engine torch"),
        ("onnxruntime", ("--engine", "onnx"), "pip install 'terrafine[onnx]'"),
        ("onnxscript", ("--engine", "onnx"), "the engine onnx needs onnxscript"),
        ("distributed", ("--dask", "tcp://localhost:1"), "install terrafine[dask]"),
    ],
)
def test_a_missing_extra_leaves_no_job_and_the_next_run_goes(
    package: str,
    options: tuple[str, ...],
    words: str,
    dem: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "fine.tif"
    with monkeypatch.context() as without:
        without.setitem(sys.modules, package, None)
        if package != "distributed":
            known = importlib.util.find_spec
            without.setattr(
                importlib.util,
                "find_spec",
                lambda n: None if n == package else known("numpy") if n in ENGINES else known(n),
            )
        result = run("dem", dem, out, "--model", "ridgeline", *options)
        assert result.exit_code == 16, result.output
        assert words in result.stderr
        assert left(tmp_path) == ["dem.tif"]
    assert run("dem", dem, out, *BICUBIC).exit_code == 0


@pytest.mark.parametrize("verb", ["map", "image", "height"])
def test_a_missing_scheduler_package_is_found_by_every_verb(
    verb: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = run(verb, tmp_path / "absent.tif", tmp_path / "o.tif", "--dask", "tcp://localhost:1")
    assert result.exit_code == 16, result.output
    assert left(tmp_path) == []


@pytest.mark.parametrize("crs", ["EPSG:99999", "nowhere", "EPSG:5773", "EPSG:32633+5773", "EPSG:4978"])
def test_a_target_crs_that_cannot_serve_is_found_before_the_input(crs: str, tmp_path: Path, run: Run) -> None:
    result = run("dem", tmp_path / "absent.tif", tmp_path / "o.tif", "--t-srs", crs)
    assert result.exit_code == 5
    assert "--t-srs" in result.stderr
    assert "expected for example EPSG:32633" in result.stderr


@pytest.mark.parametrize("scale", [0, 1, 5, -2])
def test_a_scale_that_no_model_serves_is_found_before_the_input(scale: int, tmp_path: Path, run: Run) -> None:
    result = run("dem", tmp_path / "absent.tif", tmp_path / "o.tif", "--scale", scale)
    assert result.exit_code in (2, 9), result.output
    assert "absent.tif" not in result.stderr


@pytest.mark.parametrize("verb", ["dem", "height", "map", "image", "radar"])
@pytest.mark.parametrize("name", ["o.png", "o.jpg", "o.nc", "o.TIFF.zip", "dem.v2"])
def test_an_output_named_as_another_format_is_refused(
    verb: str, name: str, dem: Path, tmp_path: Path, run: Run
) -> None:
    out = ("-o", tmp_path / name, "--orbit", "ascending") if verb == "radar" else (tmp_path / name,)
    result = run(verb, dem, *out)
    assert result.exit_code == 12, result.output
    assert f"is written as GeoTIFF; expected a name that ends in .tif, as {Path(name).stem}.tif" in result.stderr
    assert left(tmp_path) == ["dem.tif"]


@pytest.mark.parametrize("name", ["o.jpg", "o.tif", "o.jpeg"])
def test_a_preview_named_as_another_format_is_refused(name: str, dem: Path, tmp_path: Path, run: Run) -> None:
    result = run("dem", dem, tmp_path / "fine.tif", *BICUBIC, "--preview", tmp_path / name)
    assert result.exit_code == 12
    assert "is written as PNG" in result.stderr


@pytest.mark.parametrize("name", ["o.tif", "o.TIF", "o.tiff", "o"])
def test_names_of_geotiffs_and_without_suffix_are_taken(name: str, dem: Path, tmp_path: Path, run: Run) -> None:
    assert run("dem", dem, tmp_path / name, *BICUBIC).exit_code == 0
    with rasterio.open(tmp_path / name) as file:
        assert file.driver == "GTiff"


@pytest.mark.parametrize("name", ["jointseg", "relief", "pimsr", "pimsr-x4", "pimsr-published", "bicubic"])
def test_a_model_without_onnx_form_is_refused_at_once(
    name: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # it is not even looked for
    result = run("export", name, tmp_path / "o.onnx")
    assert result.exit_code == 2, result.output
    assert "so it has no ONNX form; expected a model such as ridgeline" in result.stderr
    assert left(tmp_path) == []


def test_an_export_needs_its_extra_and_its_name(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run("export", "ridgeline", tmp_path / "o.onnx").exit_code == 16
    assert run("export", "ridgeline", tmp_path / "o.tif").exit_code == 12
    assert run("export", "nothing", tmp_path / "o.onnx").exit_code == 9
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("ridgeline-x4", "ridgeline 1.1 ×4"),
        ("ridgeline", "ridgeline 1.1 ×2"),
        ("pimsr-x4", "pimsr "),
        ("srcnn-x3", "srcnn 1.0"),
        ("relief", "relief "),
        ("bicubic", "bicubic 1 ×2"),
        ("bicubic-x3", "bicubic 1 ×3"),
    ],
)
def test_info_describes_a_model_by_its_name(name: str, first: str, run: Run) -> None:
    result = run("info", name)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(first)
    assert "sha256" in result.output


def test_info_of_an_unknown_name_says_that_it_is_neither(run: Run) -> None:
    result = run("info", "ridgeline-x9")
    assert result.exit_code == 3
    assert "there is no such file, and no model is called 'ridgeline-x9'; known are" in result.stderr


def test_every_model_that_models_lists_can_be_described(run: Run) -> None:
    for line in run("models").output.splitlines()[1:]:
        assert run("info", line.split()[0]).exit_code == 0


def test_radar_writes_where_a_link_leads_and_leaves_the_link(dem: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "radar.tif", tmp_path / "link.tif"
    link.symlink_to(real)
    result = run("radar", dem, "-o", link, "--orbit", "ascending")
    assert result.exit_code == 0, result.output
    assert link.is_symlink()
    with rasterio.open(real) as file:
        assert file.count == 4


@pytest.mark.parametrize(("verb", "model"), [("image", "ridgeline"), ("map", "relief"), ("dem", "jointseg")])
def test_a_model_of_another_command_is_refused_with_those_that_serve(
    verb: str, model: str, dem: Path, tmp_path: Path, run: Run
) -> None:
    scale = ("--scale", 4) if verb != "map" else ()
    result = run(verb, dem, tmp_path / "o.tif", "--model", model, *scale)
    assert result.exit_code == 9, result.output
    assert "not of map" not in result.stderr


def test_it_runs_where_the_system_has_no_affinity(dem: Path, tmp_path: Path) -> None:
    code = (
        "import os\n"
        "del os.sched_getaffinity\n"
        "import terrafine\n"
        f"terrafine.sharpen_dem({str(dem)!r}, {str(tmp_path / 'o.tif')!r}, model='bicubic', scale=2)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with rasterio.open(tmp_path / "o.tif") as file:
        assert np.isfinite(file.read(1)).all()
