"""Commands in the documentation: found in code blocks, and parsed by the real command line without running them."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import click

from terrafine.cli import main
from tests.support.paths import ROOT

SHELL_LANGUAGES = {"", "bash", "sh", "shell", "console", "text"}
INLINE = re.compile(r"`(terrafine(?: [^`]+)?)`")
WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s"'])+""")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
LOOSE_FLAG = re.compile(r"`(--[a-z][a-z0-9-]*)[^`]*`")


@dataclass(frozen=True)
class Command:
    """One command of a page: `page:line` and its text, with continued lines joined."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def pages() -> tuple[str, ...]:
    """Every tracked Markdown page and notebook, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return tuple(sorted(p for p in listed.splitlines() if p.endswith(".md") and (ROOT / p).is_file()))


def code_blocks(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """(line of its first line, language, lines) of each fenced block, indented ones included."""
    fence, language, start, lines = "", "", 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*(`{3,}|~{3,})\s*([\w+-]*)", line)
        if match and not fence:
            fence, language, start, lines = match.group(1), match.group(2), number + 1, []
        elif match and fence and match.group(1).startswith(fence) and not match.group(2):
            yield start, language, lines
            fence = ""
        elif fence:
            lines.append(line)


def commands(page: str, text: str) -> Iterator[Command]:
    """Each `terrafine ...` of the shell blocks of a page; one in a loop or behind a pipe counts too."""
    for start, language, lines in code_blocks(text):
        if language not in SHELL_LANGUAGES:
            continue
        number = start
        for joined, count in _joined(lines):
            for part in _simple_commands(joined):
                if re.match(r"terrafine( |$)", part):
                    yield Command(page, number, part)
            number += count


def _joined(lines: list[str]) -> Iterator[tuple[str, int]]:
    """Logical lines, and how many lines each of them takes."""
    held, count = "", 0
    for line in lines:
        held, count = held + line.strip(), count + 1
        if held.endswith("\\"):
            held = held[:-1]
            continue
        yield held, count
        held, count = "", 0
    if held:
        yield held, count


def _simple_commands(line: str) -> Iterator[str]:
    """The commands of a line of shell: split at pipes, `;`, `&&`, without prompt, comment, loop words, assignments."""
    words = list[str]()
    for word in (*WORD.findall(re.sub(r"^\$ ", "", line.strip())), ";"):
        if word.startswith("#"):
            break
        if word in {"|", "&&", ";", "||"}:
            yield " ".join(words)
            words = []
        elif words or not re.fullmatch(r"do|then|time|[A-Z_]+=\S*", word):
            words.append(word.removesuffix(";"))
            if word.endswith(";"):
                yield " ".join(words)
                words = []
    yield " ".join(words)


def problem(text: str) -> str:
    """What the real command line has against a command, or nothing; the command does not run."""
    words = shlex.split(text)[1:]
    group = main
    context = click.Context(main, info_name="terrafine", **main.context_settings)
    while words and words[0] in {"--debug"}:
        words = words[1:]
    if not words or words in (["--help"], ["--version"], ["-h"]):
        return ""
    while words and words[0] in group.commands:
        name, words = words[0], words[1:]
        found = group.commands[name]
        if "--help" in words or "-h" in words:
            return ""
        if not isinstance(found, click.Group):
            return _parse(found, name, words, context)
        group = found
    return f"no such verb: {words[0] if words else text}"


def _parse(command: click.Command, name: str, words: list[str], parent: click.Context) -> str:
    try:
        with command.make_context(name, list(words), parent=parent):
            return ""
    except click.exceptions.ClickException as e:
        return e.format_message()


def flags(command: click.Command) -> set[str]:
    """Long options of a command and, for a group, of everything below it."""
    own = {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")} | {"--help"}
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*(flags(c) for c in below))


def inline_problem(text: str) -> str:
    """The same for a command in running text, which may leave arguments out: verbs and options must exist."""
    words = text.split()[1:]
    command: click.Command = main
    while words and isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        if words[0] not in command.commands:
            return f"no such verb: {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    unknown = sorted(set(FLAG.findall(" ".join(words))) - flags(command))
    return f"no such option: {' '.join(unknown)}" if unknown else ""
