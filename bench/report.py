"""How a figure is said: a name, a value, a unit, a goal; as a table on the screen and in ``bench/RESULTS.md``."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True)
class Figure:
    """One measured number; ``goal`` says in words what it is held to, ``met`` whether it meets it (None: no goal)."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None

    def row(self) -> tuple[str, str, str, str]:
        verdict = "" if self.met is None else "met" if self.met else "missed"
        return self.name, f"{self.value:,.4g} {self.unit}".strip(), self.goal, verdict


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(name, value, unit, f"≤ {limit:g} {unit}".strip(), value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(name, value, unit, f"≥ {limit:g} {unit}", value >= limit)


def table(figures: Sequence[Figure]) -> str:
    rows = [("figure", "measured", "goal", ""), ("---", "---", "---", "---"), *[figure.row() for figure in figures]]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def _load() -> str:
    """Said where other work on the machine makes what is measured by the clock look worse than it is."""
    busy = os.getloadavg()[0]
    return f" · beside other work, load {busy:.1f}" if busy > (os.cpu_count() or 1) else ""


def record(name: str, title: str, figures: Sequence[Figure]) -> None:
    """Put a benchmark's section into the results, in place of its last one."""
    text = RESULTS.read_text() if RESULTS.exists() else "# Measured\n"
    told = f"`python -m bench {name}` · {machine()} · {dt.datetime.now(dt.UTC):%Y-%m-%d}{_load()}"
    section = f"## {title}\n\n{told}\n\n{table(figures)}\n"
    found = re.compile(rf"## {re.escape(title)}\n.*?(?=\n## |\Z)", re.DOTALL)
    text = found.sub(lambda _: section, text) if found.search(text) else f"{text.rstrip()}\n\n{section}"
    RESULTS.write_text(text.rstrip() + "\n")
