"""The full tier of recall: what the words miss, by the vectors of words in their sentences.

Candidates come from the lexical tier and from the vectors of whole texts, and up to `ALL` entries are all looked at. A
turn's own tokens count whole, those of the turns beside it 0.7 and of the next ones 0.5; the better of them counts. The
answer to a question means what the question means: "Fiat this time." is about a car, and about whom the turn before the
question spoke of, so that for it both count by `Weights.reply`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from surefoot.memory.search import Asked, Row, Scored, Searcher, is_narrow, length, scaled
from surefoot.memory.statements import place, statements
from surefoot.memory.times import fit
from surefoot.memory.vectors import Near, Shelf

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ALL", "Meaning"]

#: Up to so many entries of a scope are all scored.
ALL = 2_000
_NEAREST = 100
#: What the tokens of a turn count, those of the ones before and after it, and of the second before and after it.
_BESIDE = (1.0, 0.7, 0.7, 0.5, 0.5)
#: What the turn before a question counts for the answer, where the question itself counts 1.
_ASKED_OF = 0.9
#: How near the best turn must be for a question to count as answered in full: the squared similarity of the question's words,
#: as their geometric mean, and the cosine of the nearest text. No word is taken for less than `_FAINT`.
_CLEAR, _NEAR, _FAINT = 0.2, 0.7, 0.02


class Meaning:
    """The full tier over one connection. Not for two threads at once."""

    def __init__(self, connection: sqlite3.Connection, searcher: Searcher, shelf: Shelf) -> None:
        self._connection, self._searcher, self.shelf = connection, searcher, shelf
        self._sql = statements()

    def search(self, asked: Asked, near: Near) -> list[Scored]:
        """Candidates with the parts of their scores, best first."""
        lexical = {one.row.key: one for one in self._searcher.search(asked)}
        rows = {key: one.row for key, one in lexical.items()}
        keys, cosine = self._candidates(asked, near)
        rows |= self._searcher.by_keys([key for key in keys if key not in rows], asked.question)
        if not rows:
            return []
        around, questions = self._around(asked, list(rows.values()))
        similar = self.shelf.words(sorted({key for keys in around.values() for key in keys if key}), near)
        weights = near.weights / near.weights.sum()
        answers = {key for key, beside in around.items() if beside[1] in questions}
        carried = self._carried(around, answers, similar, len(weights))
        said = self._said(asked, around, answers)
        sums = carried @ weights
        most = float(sums.max()) or 1.0
        for at, key in enumerate(around):
            if key not in similar:  # it has no vector yet, so its words speak for it
                sums[at] = max(float(sums[at]), said[key] * most)
        own = {key: float(similar[key] @ weights) if key in similar else 0.0 for key in rows}
        scored = self._scored(asked, rows, dict(zip(around, sums.tolist(), strict=True)), own, said)
        return scaled(scored, max(_strength(lexical.values()), _clear(carried[sums.argmax()], weights, cosine)))

    def _scored(
        self, asked: Asked, rows: dict[int, Row], window: dict[int, float], own: dict[int, float], said: dict[int, float]
    ) -> list[Scored]:
        best = max(window.values()) or 1.0
        threads: dict[str, float] = {}
        for key, row in rows.items():
            name = row.entry.session or str(key)
            threads[name] = max(threads.get(name, 0.0), window[key] / best)
        texts = self._searcher.threads(asked, list(rows))
        weights, scored = self._searcher.weights, []
        for key, row in rows.items():
            parts = {
                "window": weights.window * window[key] / best,
                "own": weights.own * own[key] / best,
                "best": weights.best * threads[row.entry.session or str(key)],
                "words": weights.lexical * said[key],
                "thread": weights.thread_text * texts.get(key, 0.0),
                "type": weights.type * self._searcher.answers(asked, row.entry),
                "length": weights.size * length(row.entry),
                "date": weights.date * fit(row.entry.time, asked.when) if asked.when else 0.0,
            }
            scored.append(Scored(row, parts | self._searcher.neutral(asked, row.entry)))
        return scored

    def _said(self, asked: Asked, around: dict[int, tuple[int, ...]], answers: set[int]) -> dict[int, float]:
        """How well the words of each entry fit, from 0 to 1; the words of a question count for its answer."""
        found, reply = self._searcher.matches(asked), self._searcher.weights.reply
        most = max(found.values(), default=0.0) or 1.0
        return {
            key: max(found.get(key, 0.0), reply * found.get(beside[1], 0.0) if key in answers else 0.0) / most
            for key, beside in around.items()
        }

    def _candidates(self, asked: Asked, near: Near) -> tuple[list[int], float]:
        """Entries that share no word with the question, perhaps, and the cosine of the nearest."""
        among = None
        if asked.count <= ALL or self._searcher.several() or is_narrow(asked.question):
            among = self._searcher.keys(asked.question)
        few = among is not None and len(among) <= ALL
        nearest = self.shelf.nearest(near, 1 if few else _NEAREST, among)
        return (among or []) if few else list(nearest), max(nearest.values(), default=0.0)

    def _around(self, asked: Asked, rows: Sequence[Row]) -> tuple[dict[int, tuple[int, ...]], set[int]]:
        """For each entry: itself, the turns beside it, the next ones (0: there is none); and which of those before ask."""
        names = json.dumps(sorted({row.entry.session for row in rows if row.entry.session}))
        threads: dict[str, list[int]] = {}
        values = (*place(asked.question.scope), names)
        for session, key in self._connection.execute(self._sql["thread_keys"], values):
            threads.setdefault(session, []).append(key)
        places = {key: (keys, at) for keys in threads.values() for at, key in enumerate(keys)}
        found = {}
        for row in rows:
            keys, at = places.get(row.key, ([row.key], 0))
            found[row.key] = tuple(keys[at + step] if 0 <= at + step < len(keys) else 0 for step in (0, -1, 1, -2, 2))
        before = json.dumps([beside[1] for beside in found.values() if beside[1]])
        return found, {key for (key,) in self._connection.execute(self._sql["questions"], (before,))}

    def _carried(
        self, around: dict[int, tuple[int, ...]], answers: set[int], similar: dict[int, NDArray[Any]], tokens: int
    ) -> NDArray[Any]:
        """For each entry and each of the question's tokens, how well the entry or a turn around it carries the token."""
        import numpy as np

        places = {key: at for at, key in enumerate(similar, 1)}
        every = np.zeros((len(similar) + 1, tokens), np.float32)  # the first row is of turns that are not there
        for key, at in places.items():
            every[at] = similar[key]
        reply = self._searcher.weights.reply
        of_answer = [max(usual, reply * more) for usual, more in zip(_BESIDE, (1, 1, 0, _ASKED_OF, 0), strict=True)]
        counts = np.where([[key in answers] for key in around], of_answer, _BESIDE).astype(np.float32)
        chosen = every[[[places.get(key, 0) for key in keys] for keys in around.values()]]
        return np.asarray((chosen * counts[:, :, None]).max(axis=1))


def _clear(best: NDArray[Any], weights: NDArray[Any], cosine: float) -> float:
    """How surely the best turn answers, from 0 to 1: it must carry each part of the question, not some of it well."""
    import numpy as np

    each = float(np.exp(np.log(np.maximum(best, _FAINT)) @ weights))
    return float(np.sqrt(min(1.0, each / _CLEAR) * min(1.0, max(0.0, cosine) / _NEAR)))


def _strength(scored: Any) -> float:  # noqa: ANN401  any lexical results
    """How much of the question the lexical tier found: its best row's share of words is 1 before it is scaled."""
    return max((one.parts.get("words", 0.0) for one in scored), default=0.0)
