"""Starting: the import, and the size of a base install."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from bench.report import Figure, at_most

ROOT = Path(__file__).parent.parent


def _seconds(code: str, python: str = sys.executable) -> float:
    began = time.perf_counter()
    subprocess.run([python, "-c", code], check=True)
    return time.perf_counter() - began


def importing(times: int = 15) -> float:
    """Milliseconds that ``import surefoot`` adds to the interpreter's own start, the median of pairs."""
    for code in ("pass", "import surefoot"):
        _seconds(code)
    pairs = [_seconds("import surefoot") - _seconds("pass") for _ in range(times)]
    return statistics.median(pairs) * 1_000


def installing() -> float:
    """Megabytes (10^6 bytes) that ``pip install surefoot`` puts into a new environment, its bytecode not counted."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        before = _size(Path(folder))
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "install", "-q", "--no-compile", "-c"]
        subprocess.run([*pip, str(ROOT / "constraints.txt"), str(ROOT)], check=True)
        return (_size(Path(folder)) - before) / 1e6


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def figures() -> list[Figure]:
    return [
        at_most("import surefoot", importing(), "ms", 150),
        at_most("base install", installing(), "MB", 55),
    ]
