"""Every kind of error leaves with its own exit code and one message on stderr."""

import inspect
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from terrafine import errors
from terrafine.cli import main
from terrafine.errors import TerrafineError

KINDS = [k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, TerrafineError)]


class Raised:
    """What the planted verb raises."""

    error: BaseException = TerrafineError("")


@pytest.fixture
def verb() -> Iterator[type[Raised]]:
    """A verb `fail` that raises what the test planted."""

    @click.command("fail")
    def fail() -> None:
        raise Raised.error

    main.add_command(fail)
    yield Raised
    del main.commands["fail"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_an_error_on_purpose_is_its_exit_code_and_its_message_alone(
    kind: type[TerrafineError], verb: type[Raised]
) -> None:
    verb.error = kind("a.tif: found feet, expected metres; convert it")
    result = CliRunner().invoke(main, ["fail"])
    assert result.exit_code == kind.exit_code
    assert result.stderr == "error: a.tif: found feet, expected metres; convert it\n"
    assert result.stdout == ""


def test_an_interrupt_is_130(verb: type[Raised]) -> None:
    verb.error = KeyboardInterrupt()
    result = CliRunner().invoke(main, ["fail"])
    assert result.exit_code == 130
    assert result.stderr.strip() == "interrupted"


@pytest.mark.parametrize(("name", "hint"), [("dem", "same command again"), ("train", "last checkpoint")])
def test_an_interrupt_of_a_long_verb_says_how_to_go_on(name: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main.commands[name], "callback", interrupted)
    monkeypatch.setattr(main.commands[name], "params", [])
    result = CliRunner().invoke(main, [name])
    assert result.exit_code == 130
    assert hint in result.stderr


def test_a_defect_is_1_with_a_short_message(verb: type[Raised]) -> None:
    verb.error = ZeroDivisionError("division by zero")
    result = CliRunner().invoke(main, ["fail"])
    assert result.exit_code == 1
    assert "unexpected ZeroDivisionError: division by zero" in result.stderr
    assert "--debug" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), errors.GridError("x")])
def test_debug_shows_the_traceback_and_keeps_the_exit_code(error: Exception, verb: type[Raised]) -> None:
    verb.error = error
    plain, debug = (CliRunner().invoke(main, [*option, "fail"]) for option in ([], ["--debug"]))
    assert debug.exit_code == plain.exit_code
    assert "Traceback" in debug.stderr
    assert "Traceback" not in plain.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["dem"],
        ["dem", "only-one.tif"],
        ["dem", "a.tif", "b.tif", "--scale", "four"],
        ["dem", "a.tif", "b.tif", "--memory", "much"],
        ["dem", "a.tif", "b.tif", "--band", "elevation"],
        ["dem", "a.tif", "b.tif", "--consistency", "firm"],
        ["dem", "a.tif", "b.tif", "--tr", "10"],
        ["dem", "a.tif", "b.tif", "--tile", "0"],
        ["dem", "a.tif", "b.tif", "--no-such-option"],
        ["no-such-verb"],
        ["info"],
    ],
)
def test_a_command_line_that_cannot_be_read_is_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
