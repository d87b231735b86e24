"""No verb reaches a network: each runs in a process that the kernel kills at its first internet socket or lookup."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.offline import DIED_OF_NETWORK, can_forbid, run_offline
from tests.support.rasters import write_dem, write_raster

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
    return tmp_path


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
        ["image", image, f"{folder}/fine.tif", "--quiet"],
        ["height", image, f"{folder}/height.tif", "--quiet", "--sensor", "sentinel2"],
        ["export", "srcnn", f"{folder}/srcnn.onnx", "--scale", "4"],
        ["models"],
        ["doctor"],
    ]


@pytest.mark.slow
def test_no_verb_reaches_a_network_or_writes_to_the_home_folder(folder: Path) -> None:
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
