"""The project's own Python files, parsed once, for the tests that judge their shape."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "surefoot"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class File:
    """One parsed file; `name` is its path from the root of the project."""

    path: Path
    name: str
    lines: tuple[str, ...]
    tree: ast.Module

    def at(self, node: ast.expr | ast.stmt) -> str:
        """Say where a node is, in the form that editors open."""
        return f"{self.name}:{node.lineno}"

    def line(self, node: ast.expr | ast.stmt) -> str:
        """Give the text of the line on which a node starts."""
        return self.lines[node.lineno - 1]


@cache
def parse(path: Path) -> File:
    """Read and parse one file."""
    text = path.read_text(encoding="utf-8")
    return File(path, path.relative_to(ROOT).as_posix(), tuple(text.splitlines()), ast.parse(text))


def files(folder: str) -> list[File]:
    """Give every Python file below a folder of the project."""
    return [parse(path) for path in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in path.parts]


def tracked() -> list[Path]:
    """Give every file that git tracks, or every file but caches where this is no git checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]
    skipped = {"__pycache__", "node_modules", "build", "dist"}
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not any(part in skipped or part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]


def functions(tree: ast.AST) -> Iterator[Function]:
    """Give every function and method, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Give every docstring, and every other string that stands alone as a statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def strings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Give every string that the program uses, so none of the docstrings."""
    skipped = {id(node) for node in docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node


def dotted(node: ast.expr) -> str:
    """Spell `a.b.c` out; anything that is not a chain of names is empty."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{head}.{attr}" if (head := dotted(value)) else ""
        case _:
            return ""


def imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Give every imported module or name in full, lazy and type-only ones too."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield node, alias.name
            case ast.ImportFrom(module=module, names=names):
                for alias in names:
                    yield node, f"{module or ''}.{alias.name}"
            case _:
                pass


def bindings(tree: ast.Module) -> dict[str, str]:
    """Map each imported name, as it is called in the file, to what it stands for."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                bound |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in names}
            case ast.ImportFrom(module=module, names=names):
                bound |= {alias.asname or alias.name: f"{module or ''}.{alias.name}" for alias in names}
            case _:
                pass
    return bound


def calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    """Give every call with the full name of what is called, imports resolved."""
    bound = bindings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            head, _, tail = name.partition(".")
            yield node, ".".join(part for part in (bound.get(head, head), tail) if part)
