"""JSON and TOML from outside: plain files of bounded size and depth, finite numbers, each key once."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Iterable
from typing import Any, BinaryIO, NoReturn

from terrafine.errors import TerrafineError
from terrafine.schema.check import MAX_DEPTH
from terrafine.schema.types import shown

__all__ = ["open_without_waiting", "parse_json", "parse_toml", "read_bytes", "read_json", "read_toml"]

MAX_TOML = 200_000
MAX_JSON = 4_000_000
_DOTS = 400  # in one line of TOML: a key of thousands of parts takes minutes to parse

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")

PathLike = str | os.PathLike[str]
Refusal = type[TerrafineError]


def read_bytes(path: PathLike, error: Refusal, expected: str, most: int) -> bytes:
    """The content of a plain file.

    Parameters
    ----------
    path
        File.
    error
        Raised for what is not a plain file, cannot be read or is too large.
    expected
        What the file should be, for messages.
    most
        Bytes.

    Returns
    -------
    The bytes.

    Raises
    ------
    TerrafineError
        Of the type `error`; its cause is the OSError where the system refused.
    """
    try:
        with open_without_waiting(path) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a device is never read
                raise error(f"{path}: is not a plain file; expected {expected}")
            data = file.read(most + 1)
    except OSError as e:
        raise error(f"{path}: cannot be read ({e.strerror}); expected {expected}") from e
    except ValueError as e:
        raise error(f"{shown(os.fspath(path))}: cannot be read ({e}); expected {expected}") from e
    if len(data) > most:
        raise error(f"{path}: more than {most:,} bytes; expected {expected}")
    return data


def open_without_waiting(path: PathLike) -> BinaryIO:
    """Open a file to read it; a pipe without a writer does not block.

    Parameters
    ----------
    path
        File.

    Returns
    -------
    BinaryIO
        The open file, which need not be a plain one.

    Raises
    ------
    OSError
        Where it is a folder, or cannot be opened; nothing stays open then.
    """
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))


def read_toml(path: PathLike, error: Refusal, expected: str) -> dict[str, Any]:
    """The tables of a TOML file; raises what `read_bytes` and `parse_toml` raise."""
    return parse_toml(read_bytes(path, error, expected, MAX_TOML), str(path), error)


def read_json(path: PathLike, error: Refusal, expected: str, most: int = MAX_JSON) -> Any:
    """The value in a JSON file; raises what `read_bytes` and `parse_json` raise."""
    return parse_json(read_bytes(path, error, expected, most), str(path), error, expected)


def parse_toml(data: bytes, where: str, error: Refusal) -> dict[str, Any]:
    """The tables of a TOML text.

    Parameters
    ----------
    data
        UTF-8.
    where
        The file, for messages.
    error
        Raised for what is no TOML, is nested too deeply, or has a key of too many parts.

    Returns
    -------
    The tables.

    Raises
    ------
    TerrafineError
        Of the type `error`.
    """
    if any(line.count(b".") > _DOTS for line in data.splitlines()):
        raise error(f"{where}: a line with more than {_DOTS} dots; expected keys of a few parts")
    try:
        record = tomllib.loads(data.decode("utf-8"))
    except RecursionError as e:
        raise error(f"{where}: nested too deeply; expected tables and lists up to {MAX_DEPTH} deep") from e
    except ValueError as e:
        raise error(f"{where}: not TOML ({_escaped(e)})") from e
    _refuse_depth(record, where, error)
    return record


def parse_json(data: bytes | str, where: str, error: Refusal, expected: str) -> Any:
    """The value of a JSON text; NaN, Infinity, a key given twice, half a character and deep nesting are refused.

    Parameters
    ----------
    data
        UTF-8.
    where
        The file, for messages.
    error
        Raised for anything else.
    expected
        What the file should be, for messages.

    Returns
    -------
    The value.

    Raises
    ------
    TerrafineError
        Of the type `error`.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        record = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_each_once)
        if _SURROGATE.search(text):
            _refuse_half_characters(record)
    except RecursionError as e:
        raise error(f"{where}: nested too deeply; expected {expected}") from e
    except ValueError as e:
        raise error(f"{where}: not JSON ({_escaped(e)}); expected {expected}") from e
    _refuse_depth(record, where, error)
    return record


def _refuse_depth(record: Any, where: str, error: Refusal) -> None:
    level = [record] if isinstance(record, dict | list) else []
    for _ in range(MAX_DEPTH + 1):
        level = [v for value in level for v in _held(value) if isinstance(v, dict | list)]
        if not level:
            return
    raise error(f"{where}: nested more than {MAX_DEPTH} deep; expected plain tables and lists")


def _held(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _refuse_half_characters(record: Any) -> None:
    """JSON can state half of a pair that encodes one character; no file and no terminal takes it."""
    try:
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as e:
        raise ValueError(f"\\u{ord(e.object[e.start]):04x} is half of a character") from e


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no finite number")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {shown(twice, 40)} is given twice")
    return record


def _escaped(error: Exception) -> str:
    """The error's message on one line, without control characters."""
    return shown(str(error), 160)[1:-1]
