"""Advice about images that is followed helps, on the command line and in Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.awkward_images import IMAGES, of_no_sensor, scaled
from tests.support.cli import terrafine as command_line

import terrafine
from terrafine.cli import main
from terrafine.errors import TerrafineError
from terrafine.workflows.advice import INSTEAD

FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z-]*[a-z])(?: ([\w=.:-]+))?")
NAMED = re.compile(rf"(?<![\w./#=-])({'|'.join(INSTEAD)})=(\"[^\"]*\"|\{{[^}}]*\}}|[\w.+-]+)")
VERBS = {"map": "map_impervious", "image": "sharpen_image", "height": "estimate_height"}
PLACEHOLDERS: dict[str, Any] = {
    "assume_crs": "EPSG:32633",
    "bands": {"red": 1, "green": 2, "blue": 3},
    "max_bright": 1.0,
    "memory": "64GB",
    "pixel_size_m": 10.0,
}
FLAGS: dict[str, tuple[str, ...]] = {
    "--assume-crs": ("EPSG:32633",),
    "--band": ("red=1", "--band", "green=2", "--band", "blue=3", "--band", "nir=4"),
    "--max-bright": ("1",),
    "--memory": ("64GB",),
    "--pixel-size": ("10",),
}


def reason(text: str) -> str:
    """A refusal without numbers and the names of temporary files."""
    return re.sub(r"\d+", "#", text.strip().splitlines()[-1]) if text.strip() else ""


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", IMAGES, ids=lambda m: m.__name__)
@pytest.mark.parametrize("verb", VERBS)
def test_an_option_that_a_refusal_of_an_image_names_helps(
    make: Callable[[Path], Path], verb: str, tmp_path: Path
) -> None:
    arguments = (verb, make(tmp_path / "a.tif"), tmp_path / "o.tif", "--quiet")
    first = command_line(*arguments)
    assert first.exit_code != 1, first.output
    named = {flag: value for flag, value in FLAG.findall(first.output) if flag not in ("--help", "--debug")}
    known = {name for p in main.commands[verb].params for name in (*p.opts, *p.secondary_opts)}
    assert set(named) <= known, first.output
    outcomes = []
    for flag, value in named.items():
        stated = FLAGS.get(flag, (value,))
        done = command_line(*arguments, flag, *stated)
        assert done.exit_code != 1, done.output
        outcomes.append(done.exit_code == 0 or reason(done.output) != reason(first.output))
    assert not outcomes or any(outcomes), first.output


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", IMAGES, ids=lambda m: m.__name__)
@pytest.mark.parametrize("verb", VERBS)
def test_an_argument_that_a_refusal_of_an_image_names_helps(
    make: Callable[[Path], Path], verb: str, tmp_path: Path
) -> None:
    function: Any = getattr(terrafine, VERBS[verb])
    source = make(tmp_path / "a.tif")

    def run(**more: Any) -> str:
        try:
            function(source, tmp_path / "o.tif", **more)
        except TerrafineError as error:
            return str(error)
        return ""

    first = run()
    assert "--" not in first
    outcomes = [
        reason(run(**{name: PLACEHOLDERS[name] if name in PLACEHOLDERS else ast.literal_eval(value)})) != reason(first)
        for name, value in NAMED.findall(first)
    ]
    assert not outcomes or any(outcomes), first


@pytest.mark.parametrize("stated", [None, "sentinel2", "reflectance"])
def test_numbers_of_no_sensor_are_read_once_the_advice_is_followed(stated: str | None, tmp_path: Path) -> None:
    source = of_no_sensor(tmp_path / "a.tif")
    arguments = ("height", source, tmp_path / "o.tif", "--quiet")
    first = command_line(*arguments, *(() if stated is None else ("--sensor", stated)))
    assert first.exit_code == 4 and "gdal_edit -scale S -offset O FILE" in first.output, first.output
    assert "--sensor reflectance" in first.output
    scaled(source, 1e-6)
    followed = command_line(*arguments, "--sensor", "reflectance")
    assert "read" not in followed.output and "scale" not in followed.output, followed.output


def test_numbers_of_another_sensor_name_that_one(tmp_path: Path) -> None:
    source = scaled(of_no_sensor(tmp_path / "a.tif"), 1e-2)
    refused = command_line("image", source, tmp_path / "o.tif", "--sensor", "reflectance")
    assert refused.exit_code == 4 and "State --sensor sentinel2" in refused.output, refused.output
