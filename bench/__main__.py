"""Run benchmarks by name, or all: ``python -m bench [NAME …] [--record]``."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from bench import report


def main() -> None:
    known = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\ndef figures(" in path.read_text())
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", default=known, metavar="NAME", help=f"one of: {', '.join(known)}")
    parser.add_argument("--record", action="store_true", help="write the figures into bench/RESULTS.md")
    options = parser.parse_args()
    for name in options.names:
        if name not in known:
            parser.error(f"no benchmark {name!r}; known are {', '.join(known)}")
    for name in options.names:
        module = importlib.import_module(f"bench.{name}")
        title = (module.__doc__ or name).splitlines()[0].rstrip(".")
        print(f"\n{title}\n", flush=True)
        figures = module.figures()
        print(report.table(figures), flush=True)
        if options.record:
            report.record(name, title, figures)


if __name__ == "__main__":
    main()
