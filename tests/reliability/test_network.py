"""No verb reaches a network: each runs in a process that the kernel kills at its first internet socket or lookup."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.campaigns import disc, opened, write_campaign, write_map_campaign
from tests.support.offline import DIED_OF_NETWORK, can_forbid, run_offline
from tests.support.paths import ROOT
from tests.support.rasters import write_dem, write_raster, write_surface
from tests.support.scenes import TRUTH
from tests.support.sensors import fractal, means, observed

from terrafine.campaign.execute import run_units

pytestmark = pytest.mark.skipif(not can_forbid(), reason="the kernel's filter is for Linux on x86-64 and ARM")

SCRIPT = """
import json, os, sys
from terrafine.cli import main
for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments, standalone_mode=False, prog_name="terrafine")
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        code = getattr(error, "exit_code", repr(error))
    print("VERB", arguments[0], code)
import onnxruntime, openvino
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inputs for each verb, in a folder that is the home folder too."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    (tmp_path / "home").mkdir()
    write_dem(tmp_path / "dem.tif")
    at = {"crs": "EPSG:32631", "origin": (4.5e5, 5.4e6), "nodata": None, "cell": 10.0}
    numbers = np.random.default_rng(0).uniform(300, 3000, (3, 24, 24)).astype(np.uint16)
    write_raster(tmp_path / "image.tif", numbers, names=("red", "green", "blue"), **at)
    write_raster(tmp_path / "later.tif", numbers + 40, names=("red", "green", "blue"), **at)
    ground = fractal(400, relief=100.0)
    write_surface(tmp_path / "before.tif", means(ground, 1), unit="m")
    made = observed(ground, 4, cell=40.0, psf=0.5, flat=2.0, correlation=0.5, rounding=1.0)
    write_campaign(tmp_path, tile_m="tile_m = 2040.0")
    write_surface(tmp_path / "coarse.tif", made, cell=40.0, unit="m")
    fine = {**at, "cell": 1.0}
    spots = np.random.default_rng(1).integers(20, 250, (3, 200, 200)).astype(np.uint8)
    write_raster(tmp_path / "fine.tif", spots, names=("red", "green", "blue"), **fine)
    write_raster(tmp_path / "labels.tif", (spots[0] > 120).astype(np.uint8), **fine)
    wide = {**at, "nodata": -9999.0}
    write_raster(
        tmp_path / "seen.tif", means(ground, 4)[None].repeat(3, 0) / 1e4, names=("red", "green", "blue"), **wide
    )
    write_raster(tmp_path / "heights.tif", means(ground, 4), **wide)
    return tmp_path


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """A map campaign whose tiles are done."""
    (tmp_path / "map").mkdir()
    settings = write_map_campaign(tmp_path / "map")
    plan, folder = opened(settings)
    assert run_units(plan, folder, list(plan.units()), work=disc).failed == []
    return settings


def verbs(folder: Path) -> list[list[str]]:
    dem, image = str(folder / "dem.tif"), str(folder / "image.tif")
    return [
        ["dem", dem, f"{folder}/torch.tif", "--model", "srcnn", "--quiet", "--preview", f"{folder}/p.png"],
        ["dem", dem, f"{folder}/onnx.tif", "--model", "srcnn", "--quiet", "--engine", "onnx"],
        ["dem", dem, f"{folder}/openvino.tif", "--model", "srcnn", "--quiet", "--engine", "openvino"],
        ["info", f"{folder}/torch.tif"],
        ["evaluate", f"{folder}/torch.tif", f"{folder}/onnx.tif", "--quiet", "-o", f"{folder}/report"],
        ["radar", dem, "-o", f"{folder}/radar.tif", "--orbit", "ascending"],
        ["map", image, f"{folder}/map.tif", "--quiet"],
        ["map", image, f"{folder}/later.tif", f"{folder}/stack.tif", "--stack", "--quiet"],
        [
            "measure",
            f"{folder}/coarse.tif",
            f"{folder}/before.tif",
            "-o",
            f"{folder}/p.toml",
            "--draws",
            "20",
            "--quiet",
        ],
        ["change", f"{folder}/before.tif", f"{folder}/before.tif", f"{folder}/change.tif", "--no-coregistration"],
        ["dataset", "pairs", f"{folder}/coarse.tif", f"{folder}/before.tif", "-o", f"{folder}/set", "--quiet"],
        [
            "dataset",
            "height",
            f"{folder}/seen.tif",
            "--heights",
            f"{folder}/heights.tif",
            "-o",
            f"{folder}/h",
            "--quiet",
        ],
        [
            "dataset",
            "impervious",
            f"{folder}/fine.tif",
            "--labels",
            f"{folder}/labels.tif",
            "--side",
            "160",
            "-o",
            f"{folder}/i",
            "--quiet",
        ],
        ["campaign", "plan", f"{folder}/hills.toml"],
        ["campaign", "run", f"{folder}/hills.toml", "--quiet"],
        ["campaign", "stats", f"{folder}/hills.toml"],
        ["campaign", "sample", f"{folder}/map/town.toml", "--points", "60", "--minimum", "10", "--quiet"],
        ["image", image, f"{folder}/fine.tif", "--quiet"],
        ["height", image, f"{folder}/height.tif", "--quiet", "--sensor", "sentinel2"],
        ["export", "srcnn", f"{folder}/srcnn.onnx", "--scale", "4"],
        ["models"],
        ["doctor"],
    ]


@pytest.mark.slow
def test_no_verb_reaches_a_network_or_writes_to_the_home_folder(folder: Path, town: Path) -> None:
    asked = verbs(folder)
    done = run_offline(json.dumps(asked), code=SCRIPT)
    assert done.returncode != DIED_OF_NETWORK, done.stdout[-300:]
    assert done.returncode == 0, done.stderr[-2000:]
    ends = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("VERB")]
    assert ends == [[arguments[0], "0"] for arguments in asked], done.stderr[-2000:]
    assert {path.name for path in (folder / "home").iterdir()} <= {".cache", ".config"}


@pytest.mark.parametrize("code", ["socket.socket(socket.AF_INET)", "socket.getaddrinfo('example.org', 80)"])
def test_the_filter_kills_what_reaches_for_a_network(code: str) -> None:
    assert run_offline(code=f"import socket; {code}").returncode == DIED_OF_NETWORK


def test_the_filter_lets_local_sockets_be() -> None:
    assert run_offline(code="import socket; socket.socket(socket.AF_UNIX).close()").returncode == 0


LOOPBACK = """
import pathlib, subprocess, sys, urllib.request
def unreachable():
    rows = [line.split() for line in pathlib.Path("/proc/self/net/snmp").read_text().splitlines() if line[:3] == "Ip:"]
    return int(dict(zip(*rows))["OutNoRoutes"])
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
"""

FETCHES = """
import numpy as np
from pathlib import Path
from tests.support.scenes import PISA, add_scene, preset, real_numbers
from tests.support.stac_server import serve
import terrafine
folder = Path(sys.argv[1])
numbers, georeference = real_numbers("pisa", 1, PISA)
with serve(folder / "stac") as server:
    old = {"s2:processing_baseline": "02.04"}
    add_scene(server, "a", numbers, georeference, "2023-05-01T10:10:00Z", properties=old)
    before = unreachable()
    given = {"aoi": (10.381, 43.7222, 10.396, 43.731), "dates": "2023-04/2023-10", "service": preset(server, folder)}
    terrafine.fetch("sentinel-2", folder / "fetched.tif", **given)
    assert server.requests() > 0
print("TRIED", unreachable() - before)
"""

VIEWS = """
from terrafine.workflows.view import view
before = unreachable()
with view(sys.argv[1] + "/dem.tif", sys.argv[1] + "/image.tif") as viewer:
    assert viewer.url.startswith("http://127.0.0.1:"), viewer.url
    page = urllib.request.urlopen(viewer.url, timeout=60).read()
assert page
print("TRIED", unreachable() - before)
"""

PUBLISHES = """
import terrafine
before = unreachable()
assert terrafine.publish_campaign(sys.argv[1] + "/map/town.toml").items
print("TRIED", unreachable() - before)
"""

REACHES = """
import socket
before = unreachable()
for address in ("8.8.8.8", "192.0.2.1"):
    try:
        socket.create_connection((address, 80), timeout=5)
    except OSError:
        pass
print("TRIED", unreachable() - before)
"""


def attempts(folder: Path, code: str) -> int:
    """How often the code tried to reach an address beyond this computer, where nothing but loopback is there."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    words = ["unshare", "--user", "--map-root-user", "--net"]
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("unshare and ip are not there")
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network of its own may be made here")
    words += [sys.executable, "-c", LOOPBACK + code, str(folder)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout.split("TRIED")[1])


@pytest.mark.slow
def test_a_view_listens_on_loopback_and_asks_nobody(folder: Path) -> None:
    assert attempts(folder, VIEWS) == 0


@pytest.mark.slow
def test_a_campaign_is_published_and_nobody_is_asked(town: Path) -> None:
    """Loopback alone: the library that checks STAC imports urllib3, which opens a socket of ::1 when it is imported."""
    pytest.importorskip("pystac")
    assert attempts(town.parent.parent, PUBLISHES) == 0


@pytest.mark.long
def test_a_fetch_from_loopback_asks_nobody_else(folder: Path) -> None:
    pytest.importorskip("stac_fastapi.api")
    if not TRUTH.is_dir():
        pytest.skip("the Sentinel-2 scenes are not there: set TERRAFINE_DATA")
    assert attempts(folder, FETCHES) == 0


def test_an_attempt_to_reach_another_computer_is_counted(tmp_path: Path) -> None:
    assert attempts(tmp_path, REACHES) >= 2
