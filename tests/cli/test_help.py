"""Help is light and complete."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from terrafine import __version__
from terrafine.cli import main

VERBS = (
    "dem",
    "height",
    "map",
    "image",
    "radar",
    "models",
    "info",
    "doctor",
    "train",
    "evaluate",
    "measure",
    "fetch",
    "dataset",
    "export",
    "view",
    "campaign",
    "change",
    "geocode",
)
HEAVY = ("torch", "rasterio", "numpy", "scipy", "odc", "tqdm", "PIL", "matplotlib", "xarray", "distributed")


def modules_after(arguments: list[str]) -> set[str]:
    """Top-level modules that `terrafine ARGUMENTS` loads, in a fresh interpreter."""
    code = (
        "import sys\nfrom terrafine.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "print(' '.join(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_verbs_are_these() -> None:
    assert tuple(main.commands) == VERBS


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["dem", "--help"], ["train", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    loaded = modules_after(arguments)
    assert "click" in loaded
    assert not loaded.intersection(HEAVY)


def test_the_check_sees_a_heavy_module() -> None:
    assert "torch" in modules_after(["doctor"])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_every_option_is_explained(verb: str) -> None:
    result = CliRunner().invoke(main, [verb, "--help"])
    assert result.exit_code == 0
    assert main.commands[verb].help
    for option in main.commands[verb].params:
        if option.param_type_name == "option" and option.name not in {"device", "help"}:
            assert getattr(option, "help", None), f"--{option.name} has no help"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_verb_in_its_order(flag: str) -> None:
    result = CliRunner().invoke(main, [flag])
    places = [result.output.index(f"\n  {verb} ") for verb in VERBS]
    assert result.exit_code == 0
    assert places == sorted(places)


def test_version_is_the_package_s() -> None:
    assert CliRunner().invoke(main, ["--version"]).output.strip() == f"terrafine, version {__version__}"


def test_python_dash_m_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "terrafine.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"terrafine, version {__version__}"
