"""The shape of the code: sizes, names, seams, and where things may be said. CONTRIBUTING.md gives the reasons."""

from __future__ import annotations

import ast
import re

from tests.package.source import PACKAGE, ROOT, Function, calls, dotted, files, functions, imports, strings

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_METHODS = 5
VAGUE = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
PROVIDERS = re.compile(
    r"(?i)(?<![a-z])(openai|anthropic|claude|gemini|mistral|ollama|bedrock|groq|cohere|deepseek|vertex)(?![a-z])"
)
#: The last has the names of OpenTelemetry's conventions, providers among them.
WHERE_PROVIDERS_MAY_BE_NAMED = ("src/surefoot/models/", "src/surefoot/embed/", "src/surefoot/telemetry/names.py")
SQL = re.compile(
    r"^\s*(SELECT\b.+\bFROM\b|INSERT\s+(OR\s+\w+\s+)?INTO\b|REPLACE\s+INTO\b|UPDATE\s+\w+\s+SET\b|DELETE\s+FROM\b"
    r"|WITH\s+(RECURSIVE\s+)?\w+.*\bAS\s*\(|(CREATE|DROP|ALTER)\s+(UNIQUE\s+|VIRTUAL\s+|TEMP\s+)?(TABLE|INDEX|TRIGGER|VIEW)\b)",
    re.DOTALL,
)
CLOCKS = re.compile(
    r"datetime\.(datetime\.)?(now|utcnow|today)|datetime\.date\.today|asyncio\.(sleep|get_event_loop)|anyio\.(sleep|current_time)"
)
SLEEPS = ("time.sleep", "asyncio.sleep", "anyio.sleep", "anyio.sleep_until", "trio.sleep")
PATCHES = {"monkeypatch.setattr", "monkeypatch.delattr", "monkeypatch.setitem", "monkeypatch.delitem"}
MOCKS = ("unittest.mock", "mock", "pytest_mock", "responses", "respx")


def own_lines(node: Function, lines: tuple[str, ...]) -> int:
    """Count a function's lines of code: no docstring, blank line or comment."""
    skipped: set[int] = set()
    for inner in functions(node):
        first = inner.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            skipped.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    numbers = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    texts = (lines[number - 1].strip() for number in numbers if number not in skipped)
    return sum(1 for text in texts if text and not text.startswith("#"))


def test_a_file_fits_in_a_head() -> None:
    long = {file.name: len(file.lines) for folder in ("src", "tests", "bench") for file in files(folder)}
    assert {name: count for name, count in long.items() if count > MAX_FILE_LINES} == {}


def test_a_function_fits_on_a_screen() -> None:
    long = {
        f"{file.at(node)} {node.name}": count
        for folder in ("src", "tests")
        for file in files(folder)
        for node in functions(file.tree)
        if (count := own_lines(node, file.lines)) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_modules_have_names_that_say_something() -> None:
    vague = [path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.stem.strip("_") in VAGUE]
    assert vague == []


def test_a_seam_has_at_most_five_methods() -> None:
    ports = [file for file in files("src/surefoot/core") if file.path.stem.startswith("ports")]
    wide = {}
    for node in [node for file in ports for node in ast.walk(file.tree)]:
        if isinstance(node, ast.ClassDef) and any(_is_protocol(base) for base in node.bases):
            methods = [item.name for item in node.body if isinstance(item, Function)]
            if len(methods) > MAX_METHODS:
                wide[node.name] = methods
    assert wide == {}


def _is_protocol(base: ast.expr) -> bool:
    inner = base.value if isinstance(base, ast.Subscript) else base
    return dotted(inner).rpartition(".")[2] == "Protocol"


def test_seams_are_declared_in_one_place() -> None:
    # A protocol with private use inside one file is fine; its name says so.
    elsewhere = [
        f"{file.at(node)} {node.name}"
        for file in files("src")
        if not file.name.startswith("src/surefoot/core/ports")
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ClassDef) and any(_is_protocol(base) for base in node.bases)
        if not node.name.startswith("_")
    ]
    assert elsewhere == []


def test_only_adapters_name_a_provider() -> None:
    named = []
    for file in files("src"):
        if file.name.startswith(WHERE_PROVIDERS_MAY_BE_NAMED):
            continue
        named += [f"{file.at(node)} {node.value!r}" for node in strings(file.tree) if PROVIDERS.search(str(node.value))]
        named += [f"{file.at(node)} {name}" for node, name in imports(file.tree) if PROVIDERS.search(name)]
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Name | ast.Attribute) and PROVIDERS.search(ast.unparse(node).rpartition(".")[2]):
                named.append(f"{file.at(node)} {ast.unparse(node)}")
    assert named == []


def test_sql_lives_in_sql_files() -> None:
    # Pragmas and the words around a transaction belong to the connection, not to the schema.
    inline = [
        f"{file.at(node)} {str(node.value)[:60]!r}"
        for file in files("src")
        for node in strings(file.tree)
        if SQL.match(str(node.value))
    ]
    assert inline == []


def test_the_pure_layers_never_read_a_clock() -> None:
    # import-linter keeps the clock's modules out; this catches what hides in modules that are otherwise pure.
    read = [
        f"{file.at(node)} {name}"
        for folder in ("src/surefoot/core", "src/surefoot/engine")
        for file in files(folder)
        for node, name in calls(file.tree)
        if CLOCKS.fullmatch(name) or name in {"open", "input", "print"}
    ]
    assert read == []


def test_nothing_inside_imports_from_the_root() -> None:
    # The root re-exports what users need; an import of it from inside is a cycle that no layer would show.
    cyclic = [
        f"{file.at(node)} {name}"
        for file in files("src")
        if file.path != PACKAGE / "__init__.py"
        for node, name in imports(file.tree)
        if name == "surefoot" or (isinstance(node, ast.ImportFrom) and node.module == "surefoot" and not _is_module(name))
    ]
    assert cyclic == []


def _is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def test_tests_mock_nothing_of_ours() -> None:
    mocked = []
    for file in files("tests"):
        mocked += [f"{file.at(node)} {name}" for node, name in imports(file.tree) if name.startswith(MOCKS)]
        ours = {"surefoot"} | {name.rpartition(".")[2] for _, name in imports(file.tree) if name.startswith("surefoot")}
        for node, name in calls(file.tree):
            if name in PATCHES and node.args and _patched(node.args[0]).partition(".")[0] in ours:
                mocked.append(f"{file.at(node)} {_patched(node.args[0])}")
    assert mocked == [], "move the seam instead: give the thing under test what it needs"


def _patched(target: ast.expr) -> str:
    return target.value if isinstance(target, ast.Constant) and isinstance(target.value, str) else dotted(target)


def test_tests_do_not_sleep() -> None:
    slept = [
        f"{file.at(node)} {name}"
        for folder in ("tests", "src/surefoot/testing")
        for file in files(folder)
        for node, name in calls(file.tree)
        if name in SLEEPS and not _yields(node) and "# wait:" not in file.line(node)
    ]
    assert slept == [], "wait for the fact itself, with a bound; where only time will do, say why with `# wait: …`"


def _yields(node: ast.Call) -> bool:
    return bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
