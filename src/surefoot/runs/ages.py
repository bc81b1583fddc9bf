"""Lengths of time as people write them, and the run ids that lie within one."""

from __future__ import annotations

import re
import time
from datetime import timedelta

from surefoot.core.errors import ConfigurationError
from surefoot.core.request import visible

__all__ = ["first_id", "period"]

_PERIOD = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def period(text: str) -> timedelta:
    """A length of time: ``45s``, ``90m``, ``12h``, ``30d``, ``2w``. Raises ConfigurationError."""
    match = _PERIOD.fullmatch(text.strip().lower())
    if match is None:
        raise ConfigurationError(f"{visible(text)!r} is not a length of time; write a number and s, m, h, d or w: 30d")
    try:
        return timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError:
        raise ConfigurationError(f"{visible(text)!r} is longer than a calendar") from None


def first_id(age: str) -> str:
    """The smallest id that a run of this age can have: ids begin with the milliseconds of their time (RFC 9562)."""
    return f"{max(0, int((time.time() - period(age).total_seconds()) * 1000)):012x}" + "0" * 20
