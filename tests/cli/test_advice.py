"""Advice in messages: the library names arguments, the command line options, and both exist."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from tests.support.cli import Run

import terrafine
from terrafine.cli import main
from terrafine.cli.advice import FLAGS, as_options
from terrafine.errors import GridError
from terrafine.workflows.advice import INSTEAD, adapted, advice_for, arguments_of, rewritten
from terrafine.workflows.fields import GUIDANCE_FIELDS

ROOT = Path(terrafine.__file__).parent
FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])\b(?!-)")
ASSIGNED = re.compile(r"(?<![\w./#=+-])([a-z][a-z_]*)=(?=$|[\"({A-Z]|-?\d|inf\b)")
MARKUP = re.compile(r'[<>]|="X"|class="')
NOT_ADVICE = {"sha256", "vv", "vh", "red", "green", "blue", "nir"}
OF_PIP = {"force-reinstall"}


def options_of(command: click.Command) -> set[str]:
    """Every long option of a command and of its commands."""
    inner: dict[str, click.Command] = getattr(command, "commands", {})
    own = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
    return own.union(*(options_of(c) for c in inner.values()))


def texts(source: str) -> Iterator[str]:
    """Every string and f-string of a module but its docstrings; a field of an f-string stands as an X."""
    tree = ast.parse(source)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {id(v) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for v in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docs | inside):
            yield node.value


def flags_in(source: str) -> set[str]:
    return {name for text in texts(source) for name in FLAG.findall(text)}


def arguments_in(text: str) -> list[str]:
    """The names of the arguments that a message names."""
    found: list[str] = []
    rewritten(text, lambda name, value: found.append(name) or value)
    return found


LIBRARY = [p for p in sorted(ROOT.rglob("*.py")) if "cli" not in p.parts]
COMMAND_LINE = sorted((ROOT / "cli").rglob("*.py"))
FUNCTIONS = tuple(name for name in terrafine.__all__ if hasattr(getattr(terrafine, name), "arguments"))
MESSAGES = sorted({t for p in LIBRARY for t in texts(p.read_text(encoding="utf-8")) if arguments_in(t)})


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_library_names_no_option_of_the_command_line(path: Path) -> None:
    assert flags_in(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", COMMAND_LINE, ids=lambda p: p.name)
def test_every_option_that_the_command_line_names_exists(path: Path) -> None:
    known = {name.lstrip("-") for name in options_of(main)}
    assert flags_in(path.read_text(encoding="utf-8")) - OF_PIP <= known


@pytest.mark.parametrize("path", [*LIBRARY, *COMMAND_LINE], ids=lambda p: str(p.relative_to(ROOT)))
def test_percentages_have_one_format(path: Path) -> None:
    assert percent_formats(path.read_text(encoding="utf-8")) == []


def test_the_check_sees_a_percentage_without_its_space() -> None:
    assert percent_formats("x = f'{share:.2%} of the cells'") == [".2%"]
    assert percent_formats("x = f'{100 * share:.1f} % of the cells'") == []


def percent_formats(source: str) -> list[str]:
    """Formats that print 31.21% where the house writes 31.2 %."""
    specs = [node.format_spec for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FormattedValue)]
    written = ["".join(str(v.value) for v in s.values if isinstance(v, ast.Constant)) for s in specs if s is not None]  # type: ignore[attr-defined]
    return [text for text in written if text.endswith("%")]


def test_the_check_sees_an_option_in_a_message() -> None:
    assert flags_in("raise ValueError(f'{x}: give it with --no-such-thing, or --tile')") == {"no-such-thing", "tile"}
    assert flags_in('"""Not --this."""') == set()


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_argument_that_a_message_names_is_in_the_table(path: Path) -> None:
    prose = [text for text in texts(path.read_text(encoding="utf-8")) if " " in text and not MARKUP.search(text)]
    named = {name for text in prose for name in ASSIGNED.findall(text)}
    assert named - NOT_ADVICE <= set(INSTEAD)


def test_the_check_sees_an_argument_that_is_not_in_the_table() -> None:
    found = [
        name for text in texts("f'{x}: give it with no_such=THING, or tile=64'") for name in ASSIGNED.findall(text)
    ]
    assert found == ["no_such", "tile"]


def test_both_tables_hold_the_same_arguments_and_every_flag_exists() -> None:
    assert set(FLAGS) == set(INSTEAD)
    assert set(FLAGS.values()) <= options_of(main)


def test_the_library_has_messages_to_check() -> None:
    assert len(MESSAGES) > 30


def leaves(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, by its words: `dataset height`."""
    inner: dict[str, click.Command] = getattr(command, "commands", {})
    if not inner:
        yield path.strip(), command
    for name, one in inner.items():
        yield from leaves(one, f"{path} {name}")


VERBS = dict(leaves(main))


def test_every_verb_and_function_is_held_to_its_own_advice() -> None:
    assert {"dem", "dataset height", "dataset impervious", "campaign run"} <= set(VERBS)
    callables = {n for n in terrafine.__all__ if n[0].islower() and n[0] != "_"}
    assert callables == set(FUNCTIONS)


def test_an_error_names_options_of_the_inner_command_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise GridError("a.tif: state it with elevation_unit=UNIT, or classes=FILE")

    monkeypatch.setattr("terrafine.workflows.dataset_terrain.build_height_dataset", fail)
    result = run("dataset", "height", tmp_path / "a.tif", "--heights", tmp_path / "b.tif", "-o", tmp_path / "out")
    assert result.exit_code == GridError.exit_code, result.output
    assert f"{INSTEAD['elevation_unit']}, or {INSTEAD['classes']}" in result.output


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_names_only_its_own_options(verb: str) -> None:
    command = VERBS[verb]
    for text in MESSAGES:
        shown = as_options(text, command)
        assert arguments_in(re.sub(r"--guide \S+", "--guide", shown)) == [], text
        assert {f"--{name}" for name in FLAG.findall(shown)} <= options_of(command), text


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_names_only_arguments_that_it_takes(name: str) -> None:
    verb: Any = getattr(terrafine, name)
    wrapped = verb.__wrapped__
    unpacked = re.search(r"Unpack\[(\w+)\]", wrapped.__annotations__.get("fields", ""))
    fields = set(wrapped.__globals__[unpacked[1]].__annotations__) if unpacked else set()
    inner = set(GUIDANCE_FIELDS) if name == "sharpen_dem" else set()
    takes = fields | set(inspect.signature(verb).parameters) | inner
    assert arguments_of(verb) == takes - {"fields"}
    for text in MESSAGES:
        assert set(arguments_in(adapted(text, arguments_of(verb)))) <= takes, text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("state it with elevation_unit=UNIT", "state it with --elevation-unit UNIT"),
        ('say which with bands={"elevation": N}', "say which with --band elevation=N"),
        ("target_resolution=(10, 20): too fine", "--tr 10 20: too fine"),
        ("start over with restart=True", "start over with --restart"),
        ('say unit="linear"', "say --guide-unit linear"),
        ('files={"red": "FILE#4"}', "--guide red=FILE#4"),
        ("incidence=DEGREES or a file", "--guide incidence=DEGREES or a file"),
        ("nodata=-9999.", "--nodata -9999."),
        ("/data/x_nodata=3.tif: no such file", "/data/x_nodata=3.tif: no such file"),
        ('sensor="sentinel2"', "band descriptions that say which sensor it is"),
    ],
)
def test_arguments_read_as_options_of_dem(text: str, shown: str) -> None:
    assert as_options(text, main.commands["dem"]) == shown


def test_a_sensor_is_one_of_several_and_no_is_a_flag_of_its_own() -> None:
    assert as_options('sensor="sentinel2" | "reflectance"', main.commands["map"]) == "--sensor sentinel2 | reflectance"
    assert as_options("coregister=False", main.commands["evaluate"]) == "--no-coregistration"


def test_an_argument_that_a_function_lacks_becomes_what_to_do_to_the_file() -> None:
    text = "state the CRS with assume_crs=CRS, or pixel_size_m=METRES"
    assert adapted(text, {"assume_crs"}) == f"state the CRS with assume_crs=CRS, or {INSTEAD['pixel_size_m']}"
    with pytest.raises(GridError) as error, advice_for({"pixel_size_m"}):
        raise GridError(text)
    assert str(error.value) == f"state the CRS with {INSTEAD['assume_crs']}, or pixel_size_m=METRES"
