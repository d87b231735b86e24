"""The exception tree: one root, an exit code of its own for each kind, and a drawing that is true."""

import inspect
import re

import pytest

from terrafine import errors
from terrafine.errors import TerrafineError

KINDS = [k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, TerrafineError)]
RESERVED = {0, 1, 2, 130}


def drawn_tree() -> dict[str, tuple[int, int]]:
    """name -> (depth, exit code) as the module's docstring draws it."""
    lines = re.findall(r"^    ([│ ]*)[├└]── (\w+) +(\d+) ", errors.__doc__ or "", re.MULTILINE)
    return {name: (1 + len(bars) // 4, int(code)) for bars, name, code in lines}


def test_every_kind_is_public() -> None:
    assert sorted(k.__name__ for k in KINDS) == sorted(errors.__all__)


def test_exit_codes_differ_from_each_other() -> None:
    codes = [k.exit_code for k in KINDS]
    assert len(set(codes)) == len(codes)


def test_only_usage_error_takes_the_exit_code_of_a_wrong_command_line() -> None:
    taken = {k.__name__ for k in KINDS if k is not TerrafineError and k.exit_code in RESERVED}
    assert taken == {"UsageError"}


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not TerrafineError], ids=lambda k: k.__name__)
def test_the_drawing_shows_the_kind_at_its_place_with_its_code(kind: type[TerrafineError]) -> None:
    depth = len(kind.__mro__) - len(TerrafineError.__mro__)
    assert drawn_tree()[kind.__name__] == (depth, kind.exit_code)


def test_the_drawing_shows_nothing_else() -> None:
    assert set(drawn_tree()) == set(errors.__all__) - {"TerrafineError"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_a_message_survives_as_it_is(kind: type[TerrafineError]) -> None:
    assert str(kind("a.tif: found 3, expected 4")) == "a.tif: found 3, expected 4"
