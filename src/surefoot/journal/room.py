"""Room on the disk: a tool whose outcome could not be written down is better not started."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from surefoot.core.errors import DiskFull

__all__ = ["Room"]

#: Seconds for which a look at the disk holds.
_FRESH = 1.0


class Room:
    """Free space beside a database."""

    def __init__(self, path: str, least: int) -> None:
        self._folder = Path(path).absolute().parent
        self._least = least
        self._looked = float("-inf")
        self._free = 0

    def check(self) -> None:
        """Raises DiskFull when there is less than the least."""
        now = time.monotonic()
        if now - self._looked > _FRESH:
            self._looked, self._free = now, shutil.disk_usage(self._folder).free
        if self._free < self._least:
            self._looked = float("-inf")
            raise DiskFull(
                f"only {self._free / 1e6:.0f} MB are free beside the journal, and a tool is not started below "
                f"{self._least / 1e6:.0f} MB; free some space, and the run goes on by itself"
            )
