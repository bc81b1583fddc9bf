"""The command line: `surefoot run`, `show`, `decide` and the others, each a file of this folder.

``docs/reference/cli.md`` has every command, option and exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script: run one command, and exit with its code (see ``docs/reference/cli.md``)."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["--version"]:
        from surefoot.cli.version import version

        sys.stdout.write(f"surefoot {version()}\n")
        sys.exit(0)
    import logging

    from surefoot.cli.program import Log, perform

    logging.lastResort = Log(logging.WARNING)
    logging.getLogger("surefoot").addHandler(logging.lastResort)
    sys.exit(perform(given))
