"""The full tier of recall: what the words miss, by the vectors of words in their sentences.

Candidates come from the lexical tier and from the vectors of whole texts, and up to `ALL` entries are all looked at. A
turn's own tokens count whole, those of the turns beside it 0.7 and of the next ones 0.5; the better of them counts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from surefoot.memory.search import Asked, Row, Scored, Searcher, length, scaled
from surefoot.memory.statements import statements
from surefoot.memory.times import fit
from surefoot.memory.vectors import Near, Shelf

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ALL", "Meaning"]

#: Up to so many entries of a scope are all scored.
ALL = 2_000
_NEAREST = 100
_BESIDE = (1.0, 0.7, 0.5)
#: How near the best must be for a question to count as answered in full: the mean squared similarity of its words.
_CLEAR = 0.3


class Meaning:
    """The full tier over one connection. Not for two threads at once."""

    def __init__(self, connection: sqlite3.Connection, searcher: Searcher, shelf: Shelf) -> None:
        self._connection, self._searcher, self.shelf = connection, searcher, shelf
        self._sql = statements()

    def search(self, asked: Asked, near: Near) -> list[Scored]:
        """Candidates with the parts of their scores, best first."""
        lexical = {one.row.key: one for one in self._searcher.search(asked)}
        rows = {key: one.row for key, one in lexical.items()}
        more = [key for key in self._candidates(asked, near) if key not in rows]
        rows |= self._searcher.by_keys(more, asked.question)
        if not rows:
            return []
        around = self._around(asked, list(rows.values()))
        similar = self.shelf.words(sorted({key for keys in around.values() for key in keys if key}), near)
        weights = near.weights / near.weights.sum()
        window = {key: self._window(keys, similar, weights) for key, keys in around.items()}
        own = {key: float(similar[key] @ weights) if key in similar else 0.0 for key in rows}
        scored = self._scored(asked, rows, window, own)
        most = max(window.values())
        strength = max(_strength(lexical.values()), min(1.0, most / _CLEAR))
        return scaled(scored, strength)

    def _scored(self, asked: Asked, rows: dict[int, Row], window: dict[int, float], own: dict[int, float]) -> list[Scored]:
        best = max(window.values()) or 1.0
        threads: dict[str, float] = {}
        for key, row in rows.items():
            name = row.entry.session or str(key)
            threads[name] = max(threads.get(name, 0.0), window[key] / best)
        words = self._searcher.matches(asked)
        most = max(words.values(), default=0.0) or 1.0
        texts = self._searcher.threads(asked, list(rows))
        weights, scored = self._searcher.weights, []
        for key, row in rows.items():
            parts = {
                "window": weights.window * window[key] / best,
                "own": weights.own * own[key] / best,
                "best": weights.best * threads[row.entry.session or str(key)],
                "words": weights.lexical * words.get(key, 0.0) / most,
                "thread": weights.thread_text * texts.get(key, 0.0),
                "type": weights.type * self._searcher.answers(asked, row.entry),
                "length": weights.size * length(row.entry),
                "date": weights.date * fit(row.entry.time, asked.when) if asked.when else 0.0,
            }
            scored.append(Scored(row, parts | self._searcher.neutral(asked, row.entry)))
        return scored

    def _candidates(self, asked: Asked, near: Near) -> list[int]:
        """Entries that share no word with the question, perhaps."""
        scope = asked.question.scope
        place = (scope.tenant, scope.user, scope.agent)
        several = self._connection.execute(self._sql["several"]).fetchone()[0] > 0
        if asked.count <= ALL or several:
            keys = [key for (key,) in self._connection.execute(self._sql["scope_keys"], place)]
            return keys if len(keys) <= ALL else list(self.shelf.nearest(near, _NEAREST, keys))
        return list(self.shelf.nearest(near, _NEAREST))

    def _around(self, asked: Asked, rows: Sequence[Row]) -> dict[int, tuple[int, ...]]:
        """For each entry: itself, the turns beside it, and the next ones; 0 where there is none."""
        scope = asked.question.scope
        names = json.dumps(sorted({row.entry.session for row in rows if row.entry.session}))
        threads: dict[str, list[int]] = {}
        for session, key in self._connection.execute(self._sql["thread_keys"], (scope.tenant, scope.user, scope.agent, names)):
            threads.setdefault(session, []).append(key)
        places = {key: (keys, at) for keys in threads.values() for at, key in enumerate(keys)}
        found = {}
        for row in rows:
            keys, at = places.get(row.key, ([row.key], 0))
            found[row.key] = tuple(keys[at + step] if 0 <= at + step < len(keys) else 0 for step in (0, -1, 1, -2, 2))
        return found

    @staticmethod
    def _window(keys: tuple[int, ...], similar: dict[int, NDArray[Any]], weights: NDArray[Any]) -> float:
        best: Any = None
        for step, key in zip((0, 1, 1, 2, 2), keys, strict=True):
            if key in similar:
                part = similar[key] * _BESIDE[step]
                best = part if best is None else best.clip(min=part)
        return 0.0 if best is None else float(best @ weights)


def _strength(scored: Any) -> float:  # noqa: ANN401  any lexical results
    """How much of the question the lexical tier found: its best row's share of words is 1 before it is scaled."""
    return max((one.parts.get("words", 0.0) for one in scored), default=0.0)
