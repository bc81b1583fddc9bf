"""What is wrong with a memory, as far as it can be told without a model: a pure look over its entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from surefoot.core.memory import Entry
from surefoot.memory.words import fingerprint

__all__ = ["findings"]

_OLD = 180 * 86_400_000_000


def findings(entries: Sequence[Entry], now: int) -> Iterator[tuple[str, Entry]]:
    """Each trouble, one word for it, with the entry: duplicate, contradiction, expired, stale, unused, untrusted.

    ``stale`` is a fact of half a year ago that was never recalled, ``unused`` any other entry of that age that was not.
    """
    said = Counter((entry.scope, entry.author, entry.kind, entry.session, fingerprint(entry.text)) for entry in entries)
    held = Counter((entry.scope, entry.subject.casefold(), entry.predicate.casefold()) for entry in entries if _holds(entry, now))
    for entry in entries:
        if said[entry.scope, entry.author, entry.kind, entry.session, fingerprint(entry.text)] > 1:
            yield "duplicate", entry
        if _holds(entry, now) and held[entry.scope, entry.subject.casefold(), entry.predicate.casefold()] > 1:
            yield "contradiction", entry
        if 0 < entry.expires_at <= now:
            yield "expired", entry
        if not entry.uses and entry.kind != "core" and now - entry.time > _OLD:
            yield "stale" if entry.kind == "fact" else "unused", entry
        if entry.untrusted:
            yield "untrusted", entry


def _holds(entry: Entry, now: int) -> bool:
    return entry.kind == "fact" and bool(entry.subject) and (not entry.valid_to or entry.valid_to > now)
