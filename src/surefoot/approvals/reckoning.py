"""What follows from attested numbers and dates by what the user asked to be reckoned: a share, a sum, the largest of several.

Nothing is read into the user's words: a comparison counts only where every word that the user said is accounted for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

from surefoot.approvals.words import Text, norm, number

__all__ = ["Row", "compared", "extreme", "reckoned"]

_SHARES = {"half": Decimal("0.5"), "third": Decimal(1) / 3, "quarter": Decimal("0.25"), "double": Decimal(2), "twice": Decimal(2)}
_SUMS = frozenset({"sum", "total", "together", "all", "altogether"})
#: Words that ask for one of several: whether it is the greatest, and whether of dates.
_SUPERLATIVES = {
    "largest": (True, False), "biggest": (True, False), "highest": (True, False), "longest": (True, False),
    "smallest": (False, False), "lowest": (False, False), "cheapest": (False, False), "shortest": (False, False),
    "newest": (True, True), "latest": (True, True), "oldest": (False, True), "earliest": (False, True),
}  # fmt: skip
_PARTS = re.compile(r"[\W_]+")

Compared: TypeAlias = Decimal | datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One of several records of a result: its names, and its attested fields that can be compared."""

    names: tuple[str, ...]
    facts: dict[str, Compared]


def compared(value: object) -> Compared | None:
    """A value as it is compared with others of its field; None for what is neither a number nor a date."""
    made = number(value)
    if made is not None or not isinstance(value, str):
        return made
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def reckoned(said: Text, facts: Sequence[Decimal], made: Decimal) -> bool:
    """Whether a number is the share of a fact that the user asked for, or the sum of all facts."""
    shares = [share for word, share in _SHARES.items() if word in said.words]
    if any(abs(fact * share - made) < Decimal("0.005") for fact in facts for share in shares):
        return True
    return bool(said.words & _SUMS) and bool(facts) and sum(facts) == made


def extreme(said: Text, rows: Sequence[Row], known: Iterable[str]) -> int | None:
    """Which of several records is the one that the user asked for by a superlative; None where that is not certain.

    Only the rows whose names hold all the other words that the user said are compared, since any of them may narrow what is
    meant; ``known`` are words that need no place there: those that the tools are asked for by.
    """
    superlatives = _SUPERLATIVES.keys() & said.words
    if len(superlatives) != 1:
        return None
    wanted = {_singular(word) for word in said.meaning - superlatives} - {_singular(norm(word)) for word in known}
    greatest, dated = _SUPERLATIVES[superlatives.pop()]
    kind = datetime if dated else Decimal
    meant = [at for at, row in enumerate(rows) if wanted <= _parts(row.names)]
    fields = {name for at in meant for name, fact in rows[at].facts.items() if isinstance(fact, kind)}
    if len(fields) != 1:
        return None
    (name,) = fields
    values = [rows[at].facts.get(name) for at in meant]
    alike = [value for value in values if isinstance(value, kind)]
    if len(alike) < len(values):
        return None
    best = max(alike) if greatest else min(alike)
    return meant[alike.index(best)] if alike.count(best) == 1 else None


def _parts(names: Iterable[str]) -> set[str]:
    return {_singular(part) for name in names for part in _PARTS.split(norm(name))}


def _singular(word: str) -> str:
    return word.removesuffix("s")
