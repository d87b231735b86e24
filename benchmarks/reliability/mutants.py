"""Mutants of Python functions: one operator, number, comparison, condition or call changed at a time."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

__all__ = ["Mutant", "codes", "named", "noting", "sample"]

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change in one function.

    file       the source file
    function   its qualified name, of the outermost function that a test can call
    line       the line
    before, after   the changed part of the source
    tree       the module with the change
    """

    file: Path
    function: str
    line: int
    before: str
    after: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """What was changed where, on one line; independent of the line's number."""
        return f"{self.file.name} {self.function}: {self.before} -> {self.after}"


def sample(files: list[Path], count: int, seed: int) -> list[Mutant]:
    """So many mutants, drawn from all of the files."""
    places = [(file, nth) for file in files for nth in range(sum(1 for _ in _places(_parsed(file))))]
    chosen = random.Random(seed).sample(places, min(count, len(places)))
    return [_mutant(file, nth, random.Random(f"{seed} {file.name} {nth}")) for file, nth in chosen]


def named(files: list[Path], names: list[str], seed: int) -> list[Mutant]:
    """The mutants of those names, as `sample` draws them."""
    stems = {name.partition(" ")[0] for name in names}
    found = [
        _mutant(file, nth, random.Random(f"{seed} {file.name} {nth}"))
        for file in files
        if file.name in stems
        for nth in range(sum(1 for _ in _places(_parsed(file))))
    ]
    return [mutant for mutant in found if mutant.name in names]


def codes(tree: ast.Module, file: Path) -> dict[str, CodeType]:
    """The code of each function and method of a module, by qualified name."""
    found: dict[str, CodeType] = {}

    def walk(code: CodeType) -> None:
        for part in code.co_consts:
            if isinstance(part, CodeType):
                if not part.co_name.startswith("<"):
                    found[part.co_qualname] = part
                walk(part)

    walk(compile(tree, str(file), "exec"))
    return found


def noting(file: Path, function: str, name: str) -> ast.Module:
    """The module in which a function adds (file, function) to a set among Python's built-in names when it is called."""
    tree = _parsed(file)
    for found, node in _functions(tree, ""):
        if found == function:
            node.body[:0] = ast.parse(f"__import__('builtins').{name}.add(({str(file)!r}, {function!r}))").body
    return ast.fix_missing_locations(tree)


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _places(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """(function, node) for all that can be changed inside functions; annotations, defaults and messages are left."""

    for name, function in _functions(tree, ""):
        for statement in function.body:
            for node in _nodes(statement):
                if _can_change(node):
                    yield name, node


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Any]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + child.name, child


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, (ast.Raise, ast.Import, ast.ImportFrom, ast.JoinedStr)):
        return
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _nodes(child)


def _can_change(node: ast.AST) -> bool:
    if isinstance(node, (ast.BinOp, ast.BoolOp)):
        return type(node.op) in _OPERATORS
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in _OPERATORS
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (bool, int, float)) and not isinstance(node.value, complex)
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    return isinstance(node, (ast.If, ast.IfExp)) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))


def _mutant(file: Path, nth: int, rng: random.Random) -> Mutant:
    tree = _parsed(file)
    function, node = list(_places(tree))[nth]
    whole: Any = node.test if isinstance(node, (ast.If, ast.IfExp)) else node
    before, line = ast.unparse(whole), whole.lineno
    _change(node, rng)
    if isinstance(node, ast.Expr):
        after = "pass"
    elif isinstance(node, ast.UnaryOp):
        after = ast.unparse(node)
    else:
        after = ast.unparse(node.test if isinstance(node, (ast.If, ast.IfExp)) else node)
    return Mutant(file, function, line, before, after, ast.fix_missing_locations(tree))


def _change(node: Any, rng: random.Random) -> None:
    """Change a node in place."""
    if isinstance(node, (ast.BinOp, ast.BoolOp)):
        node.op = _OPERATORS[type(node.op)]()
    elif isinstance(node, ast.Compare):
        node.ops[0] = _OPERATORS[type(node.ops[0])]()
    elif isinstance(node, ast.Constant):
        node.value = (not node.value) if isinstance(node.value, bool) else node.value + rng.choice((1, -1))
    elif isinstance(node, ast.Expr):
        node.value = ast.copy_location(ast.Constant(None), node.value)
    elif isinstance(node, ast.UnaryOp):
        node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), copy.deepcopy(node.operand))
    else:
        node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
