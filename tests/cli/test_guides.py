"""`terrafine dem --guide`: radar and images are heard where they are given, and refused where they cannot be meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from tests.support.rasters import write_raster
from tests.support.weights import write_weights

from terrafine.cli import main
from terrafine.physics.backscatter import simulate_db
from terrafine.physics.radar import look_azimuth
from terrafine.physics.shading import shade_db

SIDE, K, CELL = 60, 4, 120.0
NETWORK = {
    "relief": {"channels": 8, "blocks": [1, 0], "deep_channels": 0, "deep_blocks": 0},
    "guides": ["vv", "vh", "optical"],
    "width": 8,
    "body": [8, 1],
}
SUN = 152.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A coarse DEM, the radar that a descending pass sees of its fine surface, in dB and power, and small weights."""
    folder = tmp_path_factory.mktemp("guides")
    y, x = np.mgrid[: SIDE * K, : SIDE * K] * (CELL / K)
    z = 900 + 120 * np.sin(x / 700) * np.cos(y / 900) + 60 * np.sin((x + 2 * y) / 500)
    write(folder / "coarse.tif", z.reshape(SIDE, K, SIDE, K).mean(axis=(1, 3)), CELL, "elevation")
    db = simulate_db(torch.from_numpy(z), CELL / K, 38.5, look_azimuth("descending", 45.1)).numpy()
    write(folder / "vv.tif", db, CELL / K, "vv")
    shade = shade_db(torch.from_numpy(z), CELL / K, SUN, 40.0).numpy()
    write(folder / "image.tif", 3000 * 10 ** (shade / 10), CELL / K, "red")
    write(folder / "noise.tif", np.random.default_rng(0).uniform(1, 2, db.shape), CELL / K, "red")
    write(folder / "black.tif", np.zeros_like(db), CELL / K, "red")
    write(folder / "vv_linear.tif", 10 ** (db / 10), CELL / K, "vv")
    write(folder / "elsewhere.tif", db, CELL / K, "vv", west=900_000)
    write(folder / "void.tif", np.full_like(db, np.nan), CELL / K, "vv")
    write(folder / "incidence.tif", np.full_like(db, 38.5), CELL / K, "incidence")
    write_weights(folder / "small.safetensors", "pimsr", NETWORK, K, spread=0.05)
    return folder


def write(path: Path, values: NDArray[np.floating], cell: float, band: str, west: float = 500_000) -> None:
    where = {"cell": cell, "origin": (west, 5_000_000), "nodata": np.nan}
    write_raster(path, values.astype(np.float32), names=(band,), **where)


def dem(place: Path, out: Path, *options: str) -> Result:
    weights = ("--model", str(place / "small.safetensors"), "--quiet", "--threads", "1")
    return CliRunner().invoke(main, ["dem", str(place / "coarse.tif"), str(out), *weights, *options])


def read(path: Path) -> tuple[NDArray[np.float32], dict[str, str]]:
    with rasterio.open(path) as f:
        return f.read(1), f.tags(ns="TERRAFINE")


def test_radar_is_heard_and_told_in_the_tags(place: Path, tmp_path: Path) -> None:
    vv = ("--guide", f"vv={place / 'vv.tif'}", "--orbit", "descending")
    assert dem(place, tmp_path / "plain.tif").exit_code == 0
    result = dem(place, tmp_path / "guided.tif", *vv)
    assert result.exit_code == 0, result.output
    (plain, _), (guided, tags) = read(tmp_path / "plain.tif"), read(tmp_path / "guided.tif")
    assert np.abs(guided - plain).max() > 0.01
    means = guided.astype(np.float64).reshape(SIDE, K, SIDE, K).mean(axis=(1, 3))
    assert np.abs(means - read(place / "coarse.tif")[0]).max() < 0.01
    assert tags["RADAR_ORBIT"] == "descending"
    assert tags["GUIDE_FILES"] == "vv=1"
    assert tags["RADAR_INCIDENCE"] == "assumed mid-swath 38.5"
    assert float(tags["RADAR_RELIEF_CORRELATION"]) > 0.5


def test_an_image_is_heard_and_its_sun_found_and_a_given_sun_taken(place: Path, tmp_path: Path) -> None:
    image = ("--guide", f"red={place / 'image.tif'}")
    assert dem(place, tmp_path / "plain.tif").exit_code == 0
    for name, options in (("found", ()), ("given", ("--sun", f"{SUN:g}")), ("wrong", ("--sun", f"{SUN - 90:g}"))):
        result = dem(place, tmp_path / f"{name}.tif", *image, *options)
        assert result.exit_code == 0, result.output
    (plain, _), (found, tags), (given, _), (wrong, _) = (
        read(tmp_path / f"{n}.tif") for n in ("plain", "found", "given", "wrong")
    )
    assert float(tags["OPTICAL_SUN_AZIMUTH"].split()[0]) == pytest.approx(SUN, abs=8)
    assert float(tags["OPTICAL_RELIEF_CORRELATION"]) > 0.5
    means = found.astype(np.float64).reshape(SIDE, K, SIDE, K).mean(axis=(1, 3))
    assert np.abs(means - read(place / "coarse.tif")[0]).max() < 0.01
    assert np.abs(found - plain).mean() > 0.01
    assert np.abs(found - given).mean() < 0.3 * np.abs(wrong - given).mean()


def test_radar_and_an_image_together_are_not_radar_alone(place: Path, tmp_path: Path) -> None:
    vv, red = ("--guide", f"vv={place / 'vv.tif'}", "--orbit", "descending"), ("--guide", f"red={place / 'image.tif'}")
    for name, options in (("radar", vv), ("both", (*vv, *red))):
        result = dem(place, tmp_path / f"{name}.tif", *options)
        assert result.exit_code == 0, result.output
    (radar, _), (both, tags) = read(tmp_path / "radar.tif"), read(tmp_path / "both.tif")
    assert np.abs(radar - both).max() > 0.01
    assert {"RADAR_ORBIT", "OPTICAL_SUN_AZIMUTH"} <= set(tags)


def test_what_was_assumed_and_found_is_told(place: Path, tmp_path: Path) -> None:
    guides = ("--guide", f"vv={place / 'vv.tif'}", "--orbit", "descending", "--guide", f"red={place / 'image.tif'}")
    weights = ("--model", str(place / "small.safetensors"), "--threads", "1")
    result = CliRunner().invoke(main, ["dem", str(place / "coarse.tif"), str(tmp_path / "o.tif"), *weights, *guides])
    assert result.exit_code == 0, result.output
    told = " ".join(result.stderr.split())
    assert "no incidence was given: mid-swath, 38.5 degrees" in told
    assert "the image's sun was estimated at" in told
    assert "radar against the DEM" in told


def test_power_says_what_decibels_say_and_an_incidence_raster_what_a_number_says(place: Path, tmp_path: Path) -> None:
    orbit = ("--orbit", "descending")
    vv, power = f"vv={place / 'vv.tif'}", f"vv={place / 'vv_linear.tif'}"
    runs = {
        "db": ("--guide", vv, "--guide", "incidence=38.5"),
        "power": ("--guide", power, "--guide-unit", "linear", "--guide", "incidence=38.5"),
        "raster": ("--guide", vv, "--guide", f"incidence={place / 'incidence.tif'}"),
        "twice": ("--guide", vv, "--guide", vv, "--guide", "incidence=38.5"),
    }
    for name, options in runs.items():
        result = dem(place, tmp_path / f"{name}.tif", *orbit, *options)
        assert result.exit_code == 0, result.output
    first = read(tmp_path / "db.tif")[0]
    for name in runs:
        np.testing.assert_allclose(read(tmp_path / f"{name}.tif")[0], first, atol=1e-3)


def test_tiles_are_guided_as_the_whole_is(place: Path, tmp_path: Path) -> None:
    vv = ("--guide", f"vv={place / 'vv.tif'}", "--orbit", "descending")
    for tile in ("16", "60"):
        assert dem(place, tmp_path / f"{tile}.tif", *vv, "--tile", tile).exit_code == 0
    np.testing.assert_allclose(read(tmp_path / "16.tif")[0], read(tmp_path / "60.tif")[0], atol=1e-4)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--guide", "vv={}/vv.tif"), "--orbit ascending or --orbit descending"),
        (("--guide", "vv={}/vv.tif", "--orbit", "ascending"), "state --orbit descending"),
        (("--guide", "vv={}/vv_linear.tif", "--orbit", "descending"), "--guide-unit linear"),
        (("--guide", "vv={}/vv.tif", "--orbit", "descending", "--guide-unit", "linear"), "never below 0"),
        (("--guide", "vv={}/elsewhere.tif", "--orbit", "descending"), "does not overlap"),
        (("--guide", "vv={}/void.tif", "--orbit", "descending"), "no valid cell"),
        (("--guide", "vv={}/missing.tif", "--orbit", "descending"), "missing.tif"),
        (("--guide", "vv={}/vv.tif", "--guide", "incidence=80", "--orbit", "descending"), "from 10 to 60"),
        (
            ("--guide", "vv={}/vv.tif", "--orbit", "descending", "--self-ensemble"),
            "--self-ensemble cannot be used with guides",
        ),
        (("--guide", "incidence=38.5", "--orbit", "descending"), "no guide is given"),
        (("--guide", "red={}/noise.tif"), "state --sun"),
        (("--guide", "red={}/black.tif"), "brightness above 0"),
        (("--guide", "swir={}/image.tif"), "does not use the guide swir"),
        (("--orbit", "descending"), "none is given"),
        (("--guide", "vv"), "names no guide"),
    ],
)
def test_what_cannot_be_meant_is_refused(place: Path, tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    result = dem(place, tmp_path / "out.tif", *(o.format(place) for o in options))
    assert result.exit_code not in (0, 1), result.output
    assert says in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())


def test_a_model_without_guides_refuses_one(place: Path, tmp_path: Path) -> None:
    vv = ("--guide", f"vv={place / 'vv.tif'}", "--orbit", "descending", "--model", "bicubic")
    result = CliRunner().invoke(main, ["dem", str(place / "coarse.tif"), str(tmp_path / "o.tif"), *vv])
    assert result.exit_code == 4
    assert "it uses no guide" in result.output


def test_radar_that_lies_beside_is_put_back_whatever_the_heading_and_without_crs(place: Path, tmp_path: Path) -> None:
    """Rolled by whole cells, radar gives what it gave in its place, but for a rim; the tags say by how much."""
    for name in ("coarse", "vv"):
        with rasterio.open(place / f"{name}.tif") as f:
            values = f.read(1)
            profile = f.profile | {"crs": None}
        rolled = np.roll(values, (2, -1), (0, 1)) if name == "vv" else values
        for file, array in ((name, values), (f"{name}_rolled", rolled)):
            with rasterio.open(tmp_path / f"{file}.tif", "w", **profile) as f:
                f.write(array, 1)
    outputs = []
    for file in ("vv", "vv_rolled"):
        arguments = [
            "dem",
            str(tmp_path / "coarse.tif"),
            str(tmp_path / f"{file}_out.tif"),
            "--quiet",
            "--threads",
            "1",
        ]
        arguments += ["--pixel-size", f"{CELL:g}", "--orbit", "descending", "--heading", "192"]
        arguments += ["--model", str(place / "small.safetensors"), "--guide", f"vv={tmp_path / file}.tif"]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        outputs.append(read(tmp_path / f"{file}_out.tif"))
    (straight, _), (back, tags) = outputs
    down, _, right, *_ = tags["RADAR_SHIFT_CELLS"].split()
    assert (float(down), float(right)) == pytest.approx((2, -1), abs=0.6)  # the relief is smooth
    assert tags["RADAR_SHIFT_CELLS"].endswith("taken out")
    inner = np.s_[80:160, 80:160]
    departs = np.abs(back - straight)[inner].mean()
    assert dem(place, tmp_path / "plain.tif").exit_code == 0
    assert departs < 0.3 * np.abs(read(tmp_path / "plain.tif")[0] - straight)[inner].mean()
