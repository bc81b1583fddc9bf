"""Starting: the import, and the size of a base install."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import NamedTuple

from bench.report import Figure, at_most

ROOT = Path(__file__).parent.parent


class Took(NamedTuple):
    """Seconds on the clock, and of the processor."""

    wall: float
    cpu: float


def _took(code: str, bytecode: str) -> Took:
    """What an interpreter takes that runs ``code``, with its bytecode kept in a folder, as an installation keeps it."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, began = _children(), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env={**env, "PYTHONPYCACHEPREFIX": bytecode})
    return Took(time.perf_counter() - began, _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def importing(times: int = 25) -> Took:
    """Milliseconds that ``import surefoot`` adds to the interpreter's own start: the median of pairs, the least CPU."""
    with tempfile.TemporaryDirectory() as bytecode:
        for code in ("pass", "import surefoot"):
            _took(code, bytecode)
        pairs = [(_took("import surefoot", bytecode), _took("pass", bytecode)) for _ in range(times)]
    wall = statistics.median(whole.wall - bare.wall for whole, bare in pairs)
    cpu = min(whole.cpu for whole, _ in pairs) - min(bare.cpu for _, bare in pairs)
    return Took(wall * 1_000, cpu * 1_000)


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
    took = importing()
    return [
        at_most("import surefoot", took.wall, "ms", 150),
        Figure("import surefoot, processor", took.cpu, "ms"),
        at_most("base install", installing(), "MB", 55),
    ]
