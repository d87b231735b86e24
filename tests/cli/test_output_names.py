"""Every verb names its output last, or with -o; twice or not at all is an error, and what is replaced is stated."""

import shutil
from pathlib import Path

import click
import pytest
from tests.support.cli import Run
from tests.support.rasters import write_dem
from tests.support.surfaces import hills
from tests.support.verbs import NEAREST, verbs_of

from terrafine.cli import main
from terrafine.cli.output import FLAGS
from terrafine.errors import OutputError, UsageError

OF_A_FOLDER = {
    f"campaign {name}" for name in ("plan", "run", "status", "retry", "publish", "stats", "sample")
}  # they work in a campaign's own
WITHOUT = {"models", "info", "doctor", "view"} | OF_A_FOLDER


WRITING = [(name, command) for name, command in verbs_of(main) if name not in WITHOUT]


@pytest.mark.parametrize(("name", "command"), WRITING, ids=[name for name, _ in WRITING])
def test_every_verb_that_writes_takes_o(name: str, command: click.Command) -> None:
    options = {flag for p in command.params for flag in p.opts}
    assert set(FLAGS) <= options, f"{name}: use terrafine.cli.output"


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("first", [True, False])
def test_o_is_the_last_argument(dem: Path, tmp_path: Path, run: Run, flag: str, first: bool) -> None:
    named = (flag, tmp_path / "o.tif")
    words = (*named, dem) if first else (dem, *named)
    assert run("dem", dem, tmp_path / "last.tif", *NEAREST).exit_code == 0
    assert run("dem", *words, *NEAREST).exit_code == 0
    assert (tmp_path / "o.tif").read_bytes() == (tmp_path / "last.tif").read_bytes()


RADAR = ("radar", "--orbit", "ascending", "--quiet")


@pytest.mark.parametrize("verb", [("dem", *NEAREST), RADAR, ("height",), ("map",), ("image",)], ids=lambda v: v[0])
def test_an_output_named_twice_or_not_at_all_is_refused(
    dem: Path, tmp_path: Path, run: Run, verb: tuple[object, ...]
) -> None:
    out = tmp_path / "a.tif"
    for words in (("-o", out, dem, tmp_path / "b.tif"), ("-o", out, dem, out)):
        result = run(*verb, *words)
        assert result.exit_code == UsageError.exit_code
        assert "named twice" in result.output
    for words in ((dem,), (), ("-o", out)):
        result = run(*verb, *words)
        assert result.exit_code == UsageError.exit_code
        assert "named" in result.output
    assert sorted(tmp_path.iterdir()) == [dem]


@pytest.mark.parametrize(
    ("verb", "inputs"),
    [("export", ("ridgeline-x2",)), ("train", ("ridgeline-x4.toml",)), ("measure", ("a.tif", "b.tif"))],
)
def test_verbs_of_a_fixed_number_of_inputs_do_the_same(run: Run, verb: str, inputs: tuple[str, ...]) -> None:
    result = run(verb, *inputs, "last", "-o", "named")
    assert result.exit_code == UsageError.exit_code
    assert "named twice, last and -o named" in result.output


def test_several_inputs_and_o_are_a_mosaic(tmp_path: Path, run: Run) -> None:
    a, b = write_dem(tmp_path / "a.tif"), write_dem(tmp_path / "b.tif")
    assert run("dem", a, b, "-o", tmp_path / "o.tif", *NEAREST).exit_code == 0


def test_a_forgotten_output_does_not_cost_an_input(tmp_path: Path, run: Run) -> None:
    a, b = write_dem(tmp_path / "a.tif"), write_dem(tmp_path / "b.tif")
    before = b.read_bytes()
    result = run("dem", a, b, *NEAREST)
    assert result.exit_code == OutputError.exit_code
    assert "--overwrite" in result.output
    assert b.read_bytes() == before
    assert run("dem", a, b, *NEAREST, "--overwrite").exit_code == 0
    assert b.read_bytes() != before


def test_what_terrafine_wrote_is_replaced_unless_that_is_forbidden(dem: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "o.tif"
    assert run("dem", dem, out, *NEAREST).exit_code == 0
    assert run("dem", dem, out, *NEAREST).exit_code == 0
    before = out.read_bytes()
    result = run("dem", dem, out, "--model", "bilinear", "--no-overwrite")
    assert result.exit_code == OutputError.exit_code
    assert "exists and is not replaced" in result.output
    assert out.read_bytes() == before


def test_an_input_is_never_replaced(dem: Path, run: Run) -> None:
    before = dem.read_bytes()
    result = run("dem", dem, dem, *NEAREST, "--overwrite")
    assert result.exit_code == OutputError.exit_code
    assert "never overwritten" in result.output
    assert dem.read_bytes() == before


def test_evaluate_takes_its_folder_last(tmp_path: Path, run: Run) -> None:
    a, b = write_dem(tmp_path / "a.tif"), write_dem(tmp_path / "b.tif", hills() + 1)
    quick = ("--no-hydrology", "--no-coregistration", "--quiet")
    assert run("evaluate", a, b, f"{tmp_path / 'r'}/", *quick).exit_code == 0
    first = (tmp_path / "r" / "results.json").read_bytes()
    assert run("evaluate", a, b, tmp_path / "r", *quick).exit_code == 0  # it holds a report
    assert run("evaluate", a, b, "-o", tmp_path / "s", *quick).exit_code == 0
    assert (tmp_path / "s" / "results.json").read_bytes() == first
    twice = run("evaluate", a, b, tmp_path / "r", "-o", tmp_path / "t", *quick)
    assert twice.exit_code == UsageError.exit_code and "named twice" in twice.output
    shutil.rmtree(tmp_path / "r")
    unclear = run("evaluate", a, b, tmp_path / "r", *quick)
    assert unclear.exit_code == UsageError.exit_code and "r/ or" in unclear.output
