"""The notebook runs from top to bottom, cell by cell on one running loop, as in a kernel: scripted, and on the embedded model."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "howto" / "notebook.ipynb"

#: What a kernel does: each cell is compiled so that it may await, and evaluated where the cells before it were.
KERNEL = """
import ast, asyncio, inspect, json, pathlib, sys

async def main():
    names = {"__name__": "__main__"}
    for cell in json.loads(pathlib.Path(sys.argv[1]).read_text())["cells"]:
        if cell["cell_type"] == "code":
            code = compile("".join(cell["source"]), cell["id"], "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, names)
            if inspect.iscoroutine(result):
                await result

asyncio.run(main())
"""

#: A provider of another package, whose model does what the notebook's text says it does.
PROVIDER = """
from surefoot.testing import FunctionModel

def play(request):
    last = request.messages[-1]
    if last.role == "tool":
        return f"So: {last.parts[-1].text}"
    for word, call in (("weeks", ("days", {"weeks": 6})), ("Book", ("book", {"name": "Ana"}))):
        if word in last.text:
            return call
    return "Good morning to you."

def make(name):
    return FunctionModel(play)
"""


def run(folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the notebook in a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUREFOOT_") and "API_KEY" not in name}
    path = os.pathsep.join([str(folder), str(ROOT / "src")])
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", KERNEL, str(NOTEBOOK)],
        cwd=folder, env={**kept, "PYTHONPATH": path, **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_notebook_runs(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text(PROVIDER)
    package = tmp_path / "elsewhere-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[surefoot.models]\nelsewhere = elsewhere:make\n")
    done = run(tmp_path, {"SUREFOOT_MODEL": "elsewhere:model"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "done | So: 42.0 | 2 | 1\n" in done.stdout
    assert "ToolReturned\n" in done.stdout
    assert 'Run book({"name":"Ana"})?' in done.stdout
    assert "So: the room is booked for Ana\n" in done.stdout
    assert "Good morning to you." in done.stdout
    again = run(tmp_path, {"SUREFOOT_MODEL": "elsewhere:model"})
    assert "done | So: 42.0 | 2 | 1\n" in again.stdout
    assert "Run book" not in again.stdout


@pytest.mark.needs("weights", "xllamacpp", "embeddings")
def test_the_notebook_runs_on_the_embedded_model(tmp_path: Path) -> None:
    done = run(tmp_path, {})
    assert (done.returncode, done.stderr) == (0, "")
    assert "done | 42" in done.stdout
    assert "the room is booked for Ana\n" in done.stdout
