"""Time expressions in a question: "yesterday", "last week", "in March", "two months ago", as spans of time (UTC).

English. A span is (start, end) in Unix microseconds, its end exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

__all__ = ["Span", "fit", "spans"]

Span = tuple[int, int]

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_COUNTS = {name: value for value, name in enumerate(_NUMBERS)}
_COUNTS |= {"a": 1, "an": 1, "couple of": 2, "a couple of": 2, "few": 3, "a few": 3}
_MONTH = "|".join(f"{name}|{name[:3]}" if name != "may" else name for name in _MONTHS)
_AGO = re.compile(rf"\b(\d+|{'|'.join(sorted(_COUNTS, key=len, reverse=True))}) (day|week|month|year)s? ago\b")
_UNIT = re.compile(r"\b(last|past|this|previous) (week|month|year|weekend)\b")
_WEEKDAY = re.compile(rf"\b(?:last |on |this )?({'|'.join(_DAYS)})\b")
_ISO = re.compile(r"\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b")
_DATED = re.compile(rf"\b({_MONTH})\.? (\d{{1,2}})(?:st|nd|rd|th)?(?:,? ((?:19|20)\d\d))?\b")
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})\.?(?:,? ((?:19|20)\d\d))?\b")
_IN_MONTH = re.compile(rf"\b(?:in|during|since|of|last|this) ({_MONTH})\b(?:,? (?:of )?((?:19|20)\d\d))?")
_MONTH_YEAR = re.compile(rf"\b({_MONTH}) ((?:19|20)\d\d)\b")
_YEAR = re.compile(r"\b(?:in|during|of) ((?:19|20)\d\d)\b")
_BACK = {"day before yesterday": 2, "yesterday": 1, "last night": 1, "today": 0, "this morning": 0}
_NEAR = re.compile(rf"\b(?:{'|'.join(_BACK)})\b")
_DAY = timedelta(days=1)


def spans(text: str, now: int) -> list[Span]:
    """The times a text speaks of, seen from ``now`` (Unix microseconds), without those that another one contains."""
    today = datetime.fromtimestamp(now / 1e6, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[Span] = []
    for start, end in _found(text.casefold(), today):
        span = (int(start.timestamp() * 1e6), int(end.timestamp() * 1e6))
        if span not in found and not any(span[0] <= one[0] and one[1] <= span[1] for one in found):
            found.append(span)
    return found


def fit(time: int, found: list[Span]) -> float:
    """How well a time fits the spans: 1 inside a short one, less inside a longer one or beside it, 0 far away."""
    best = 0.0
    for start, end in found:
        days = (end - start) / 86_400e6
        inside = 1.0 if days <= 8 else 0.8 if days <= 40 else 0.5
        if start <= time < end:
            best = max(best, inside)
        else:
            away = (start - time if time < start else time - end) / max(end - start, 86_400e6)
            best = max(best, inside * 0.5 * (1 - away)) if away < 1 else best
    return best


def _found(text: str, today: datetime) -> Iterator[tuple[datetime, datetime]]:
    yield from _dates(text, today)
    for match in _NEAR.finditer(text):
        back = _BACK[match[0]]
        yield today - back * _DAY, today - (back - 1) * _DAY
    for match in _AGO.finditer(text):
        count = int(match[1]) if match[1].isdigit() else _COUNTS[match[1]]
        if count < 1_000:
            yield _ago(today, count, match[2])
    for match in _UNIT.finditer(text):
        yield _unit(today, match[1], match[2])
    for match in _WEEKDAY.finditer(text):
        back = (today.weekday() - _DAYS.index(match[1])) % 7 or 7
        yield today - back * _DAY, today - (back - 1) * _DAY
    for match in _MONTH_YEAR.finditer(text):
        yield _month(int(match[2]), _number(match[1]))
    for match in _IN_MONTH.finditer(text):
        month = _number(match[1])
        year = int(match[2]) if match[2] else today.year - (month > today.month)
        yield _month(year, month)
    for match in _YEAR.finditer(text):
        yield datetime(int(match[1]), 1, 1, tzinfo=UTC), datetime(int(match[1]) + 1, 1, 1, tzinfo=UTC)


def _dates(text: str, today: datetime) -> Iterator[tuple[datetime, datetime]]:
    for match in _ISO.finditer(text):
        if match[3]:
            yield from _one_day(int(match[1]), int(match[2]), int(match[3]))
        elif 1 <= int(match[2]) <= 12:
            yield _month(int(match[1]), int(match[2]))
    parts = [(match[1], match[2], match[3]) for match in _DATED.finditer(text)]
    parts += [(match[2], match[1], match[3]) for match in _DAY_FIRST.finditer(text)]
    for name, day, year in parts:
        month = _number(name)
        passed = (month, int(day)) <= (today.month, today.day)
        yield from _one_day(int(year) if year else today.year - (not passed), month, int(day))


def _one_day(year: int, month: int, day: int) -> Iterator[tuple[datetime, datetime]]:
    try:
        start = datetime(year, month, day, tzinfo=UTC)
    except ValueError:  # the 31st of a month that has none
        return
    yield start, start + _DAY


def _ago(today: datetime, count: int, unit: str) -> tuple[datetime, datetime]:
    if unit == "day":
        return today - count * _DAY, today - (count - 1) * _DAY
    if unit == "week":
        start = today - timedelta(days=7 * count + 3)
        return start, start + 7 * _DAY
    if unit == "month":
        middle = today - timedelta(days=30.44 * count)
        return middle - 15 * _DAY, middle + 16 * _DAY
    middle = today - timedelta(days=min(365.25 * count, 700_000))
    return middle - 183 * _DAY, middle + 183 * _DAY


def _unit(today: datetime, which: str, unit: str) -> tuple[datetime, datetime]:
    before = which != "this"
    monday = today - today.weekday() * _DAY
    if unit == "week":
        return (monday - 7 * _DAY, monday) if before else (monday, monday + 7 * _DAY)
    if unit == "weekend":
        return monday - 2 * _DAY, monday
    if unit == "month":
        first = today.replace(day=1)
        last = (first - _DAY).replace(day=1)
        return (last, first) if before else _month(today.year, today.month)
    year = today.year - before
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)


def _month(year: int, month: int) -> tuple[datetime, datetime]:
    after = (year + 1, 1) if month == 12 else (year, month + 1)
    return datetime(year, month, 1, tzinfo=UTC), datetime(*after, 1, tzinfo=UTC)


def _number(name: str) -> int:
    return next(index for index, month in enumerate(_MONTHS, 1) if month.startswith(name[:3]))
