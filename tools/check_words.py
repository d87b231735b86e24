"""Find retired words and long prose lines in the sources and docs: `python tools/check_words.py [FILE...]`.

Each rule is a regular expression and the words to use instead; `docs/glossary.md` explains the terms. A rule that
matches correct English is a defect of the rule. Without arguments all tracked files are checked.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKED = (
    "src/",
    "docs/",
    "benchmarks/",
    "demo/",
    "integrations/",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "Makefile",
)
SUFFIXES = {".py", ".md", ".toml", ".css", ".js", ""}
EXEMPT = {"docs/glossary.md"}  # the page that lists the words
LONGEST = 120

# (pattern, use instead); matched without regard to case unless the pattern begins with (?-i:
RULES: tuple[tuple[str, str], ...] = (
    (r"(?<![-\"`])\bsealed\b(?!\"?:)", "impervious"),
    (r"\b(go|goes|going|gone|went) on (with|where|after|from|only)\b", "resume"),
    (
        r"\bway to go on\b|\b(it|run) (then )?goes on\b(?! (the|a|to) )|\bthrow(s|n)? away an unfinished",
        "resume, restart",
    ),
    (r"\btold\b", "reported, stated, detected, identifiable"),
    (r"\btells\b", "reports, states, shows"),
    (r"\b(file|files|message|tag|tags|index|note|card|output|option|command) says?\b", "states, shows"),
    (
        r"\b(its|new|old|their|and|with) company\b|\bits chief\b|\b(the|old|new|a) chief\b",
        "sidecar files, primary file",
    ),
    (r"\banew\b", "again; weighted again: re-weighted"),
    (r"\blisten(s|ed|ing)? to\b|\bhears\b", "guided by, uses"),
    (
        r"(?<!there )\b(is|are) no (resolution|rasters?|safetensors|multiples?|sliver|plan|network)\b",
        "not a",
    ),
    (r"\b(taught|learnt)\b", "trained, learned"),
    (r"\b(asked what|is asked of|are asked of)\b", "required of, checked"),
    (r"\bseen (on another grid|by the sensor again)\b", "resampled to another grid, back-projected"),
    (r"\bcoarser sisters?\b|\bsister\b", "coarse grid"),
    (r"\bcannot be meant\b", "invalid"),
    (r"\bsee to (the|it|that)\b", "check"),
    (r"\b(the|this) house\b|\bhouse rules?\b", "package, project"),
    (r"\b(whence|thence|hitherto|thereof|whereof|whilst|lest|naught|nought|betwixt|ere)\b", "plain words"),
    (r"\bmend(s|ed|ing)?\b", "fix, correct"),
    (r"\bbears? (it|the image|them) out\b", "agrees with"),
    (r"\bhow far (it|they|the \w+( \w+)?) lies? beside\b", "shift"),
    (r"\bone piece of code\b|\bin one's hand\b|\brows in hand\b", "plain words"),
    (r"\bpimsr-begin\b", "pimsr-pretrain"),
    (r"(?-i:\bclass _?(Tally|Silent|Ran|Hidden|Sight|Besides|Place|Water)\b)", "docs/glossary.md"),
    (r"(?-i:\b(turning_error|tone_curve|learn_tones|toned|trace_water)\b)", "docs/glossary.md"),
)
_COMPILED = [(re.compile(p if p.startswith("(?-i:") else f"(?i:{p})"), say) for p, say in RULES]


@dataclass(frozen=True)
class Finding:
    """One line of a file that breaks a rule."""

    path: str
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r}; use {self.instead}"


def retired_words(path: str, text: str) -> Iterator[Finding]:
    """Every match of a rule, line by line."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, instead in _COMPILED:
            for match in pattern.finditer(line):
                yield Finding(path, number, match.group(), instead)


def long_lines(path: str, text: str) -> Iterator[Finding]:
    """Prose lines of Markdown above 120 characters; tables, code blocks, comments, headings and links are exempt."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if match := re.match(r"(`{3,}|~{3,})", bare):
            fence = "" if fence and bare.startswith(fence) else fence or match.group(1)
            continue
        exempt = fence or bare.startswith(("|", "<", "#", "![")) or line.startswith("    ")
        if not exempt and len(_without_link(line)) > LONGEST:
            yield Finding(path, number, f"{len(line)} characters", f"at most {LONGEST}")


def _without_link(line: str) -> str:
    """The line without the targets of its links, which cannot be wrapped."""
    return re.sub(r"\]\([^)]*\)|https?://\S+", "]", line)


def findings(files: Iterable[tuple[str, str]]) -> list[Finding]:
    """Everything found in (path relative to the root, text) pairs."""
    found: list[Finding] = []
    for path, text in files:
        found += retired_words(path, text)
        if path.endswith(".md"):
            found += long_lines(path, text)
    return found


def is_checked(path: str) -> bool:
    """Whether that tracked file is part of the sources or docs that are checked."""
    return path.startswith(CHECKED) and Path(path).suffix in SUFFIXES and path not in EXEMPT


def tracked() -> list[str]:
    """Tracked files that are checked, relative to the root."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in listed.splitlines() if is_checked(path) and (ROOT / path).is_file()]


def main(arguments: list[str]) -> int:
    """Print what is found; 1 where there is anything."""
    paths = [Path(a).resolve().relative_to(ROOT).as_posix() for a in arguments] if arguments else tracked()
    found = findings((p, (ROOT / p).read_text(encoding="utf-8")) for p in paths if is_checked(p))
    for finding in found:
        sys.stdout.write(f"{finding}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
