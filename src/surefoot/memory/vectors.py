"""The full tier's numbers: what is kept of an entry's vectors, and how near a question is to it. The one file with NumPy.

Of a text's vector the sign bits (mean subtracted) and half precision are kept, of its content tokens' vectors the sign
bits. Up to `EXACT` vectors are scanned as they are; of more, the sign bits are, and the best `_RESCORED` again in half
precision. Tokens are compared by late interaction (Khattab and Zaharia 2020, ColBERT): each token of the question, in
full precision, takes its best squared similarity.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from surefoot.memory.statements import statements
from surefoot.memory.words import ENGLISH, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Near", "Shelf", "Stored", "code", "mean_of", "measure", "stored", "weighed"]

#: Up to so many vectors are compared in half precision, without sign bits.
EXACT = 20_000
_RESCORED = 400
#: Vectors from which a mean is taken.
ENOUGH = 1_000
_CHUNK = 50_000
#: Content tokens that are kept of one entry.
_MOST_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Stored:
    """What is kept of one entry: half-precision vector, and sign bits of its content tokens, as bytes."""

    half: bytes
    words: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """A question as the vectors see it: its vector, its content tokens' vectors (unit length), and what each weighs."""

    vector: NDArray[np.float32]
    tokens: NDArray[np.float32]
    weights: NDArray[np.float32]


def code(half: bytes, mean: NDArray[np.float32] | None) -> bytes:
    """The sign bits of a stored vector, the mean subtracted once there is one."""
    import numpy as np

    vector = np.frombuffer(half, np.float16).astype(np.float32)
    return bytes(np.packbits((vector if mean is None else vector - mean) > 0).tobytes())


def measure(connection: sqlite3.Connection, name: str) -> None:
    """Take the mean of the vectors there are, once they are enough to tell, and make all codes anew with it."""
    import numpy as np

    sql = statements()
    (*_, measured) = connection.execute(sql["vector_state"], {"name": name}).fetchone()
    if measured or connection.execute(sql["vector_count"], (name, ENOUGH)).fetchone()[0] < ENOUGH:
        return
    rows = connection.execute(sql["vectors_after"], (name, 0)).fetchall()
    halves = np.frombuffer(b"".join(half for _, half in rows), np.float16).reshape(len(rows), -1).astype(np.float32)
    mean = halves.mean(axis=0)
    connection.execute(sql["put_mean"], (name, mean.astype(np.float16).tobytes()))
    codes = np.packbits(halves - mean > 0, axis=1)
    connection.executemany(sql["put_code"], [(row.tobytes(), key, name) for row, (key, _) in zip(codes, rows, strict=True)])


def mean_of(connection: sqlite3.Connection, name: str) -> NDArray[np.float32] | None:
    """The mean that codes were made with; None before there is one."""
    import numpy as np

    found = connection.execute(statements()["vector_mean"], (name,)).fetchone()
    return None if found is None else np.frombuffer(found[0], np.float16).astype(np.float32)


def stored(encoding: Any) -> Stored:  # noqa: ANN401  `embed.minilm.Encoding`, or a plain vector
    """What to keep of an encoded text."""
    import numpy as np

    if not hasattr(encoding, "tokens"):
        return Stored(np.asarray(encoding, np.float16).tobytes(), b"")
    kept = [at for at, piece in enumerate(encoding.pieces) if _tells(piece)] or list(range(len(encoding.pieces)))
    signs = np.packbits(encoding.tokens[kept[:_MOST_TOKENS]] > 0, axis=1)
    return Stored(encoding.vector.astype(np.float16).tobytes(), signs.tobytes())


def weighed(text: str, encoding: Any, idf: Mapping[str, float]) -> Near:  # noqa: ANN401  as `stored`
    """A question with the weight of each of its content tokens: the idf of its word, to the power of 0.75."""
    import numpy as np

    if not hasattr(encoding, "tokens"):
        vector = np.asarray(encoding, np.float32)
        return Near(vector, vector[None, :], np.ones(1, np.float32))
    chosen, weights = [], []
    for at, (start, end) in enumerate(encoding.spans):
        word = next((one for one in words(_around(text, start, end)) if one in idf), "")
        if word:
            chosen.append(at)
            weights.append(max(idf[word], 0.05) ** 0.75)
    tokens = encoding.tokens[chosen] if chosen else encoding.vector[None, :]
    tokens = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    return Near(encoding.vector, tokens.astype(np.float32), np.asarray(weights or [1.0], np.float32))


class Shelf:
    """The vectors of one table, by one embedder. Not for two threads at once."""

    def __init__(self, connection: sqlite3.Connection, name: str, dimensions: int, exact: int = EXACT) -> None:
        import numpy as np

        self._connection, self._name, self._dimensions, self._most = connection, name, dimensions, exact
        self._sql = statements()
        self._keys = np.empty(0, np.int64)
        self._halves: NDArray[Any] | None = np.empty((0, dimensions), np.float16)
        self._codes: NDArray[Any] = np.empty((0, 0), np.uint64)
        self._mean: Any = None
        self._seen = (-1, -1, 0)

    def nearest(self, near: Near, limit: int, among: Iterable[int] | None = None) -> dict[int, float]:
        """Keys and cosines of the nearest entries; ``among`` bounds them to these keys."""
        import numpy as np

        self._refresh()
        if not len(self._keys):
            return {}
        allowed = None if among is None else np.isin(self._keys, np.fromiter(among, np.int64))
        if self._halves is not None:
            cosines = self._halves.astype(np.float32) @ near.vector
            if allowed is not None:
                cosines[~allowed] = -2
            best = _best(np, cosines, limit)
            return {int(self._keys[at]): float(cosines[at]) for at in best if cosines[at] > -2}
        bits = np.packbits((near.vector if self._mean is None else near.vector - self._mean) > 0)
        asked = np.pad(bits, (0, -len(bits) % 8)).view(np.uint64)
        apart = np.zeros(len(self._keys), np.int32)
        for word, column in zip(
            asked, self._codes, strict=True
        ):  # a word of all rows at a time: what lies together is read together
            apart += np.bitwise_count(column ^ word)
        if allowed is not None:
            apart[~allowed] = 10**6
        keys = self._keys[_best(np, -apart, max(_RESCORED, limit))]
        exact = self._exact(keys.tolist(), near)
        return dict(sorted(exact.items(), key=lambda item: -item[1])[:limit])

    def words(self, keys: Sequence[int], near: Near) -> dict[int, NDArray[np.float32]]:
        """For each entry, the best squared similarity of each of the question's tokens to any of its tokens."""
        import numpy as np

        rows = self._connection.execute(self._sql["vector_words"], (json.dumps(list(keys)), self._name)).fetchall()
        width = (self._dimensions + 7) // 8
        plain = [(key, half) for key, signs, half in rows if not signs]
        tokens = [(key, np.frombuffer(signs, np.uint8).reshape(-1, width)) for key, signs, _ in rows if signs]
        found: dict[int, NDArray[np.float32]] = {}
        if tokens:
            flat = np.unpackbits(np.concatenate([signs for _, signs in tokens]), axis=1, count=self._dimensions)
            similar = (2.0 * (flat.astype(np.float32) @ near.tokens.T) - near.tokens.sum(axis=1)) / np.sqrt(self._dimensions)
            similar = np.square(np.maximum(similar, 0))
            starts = np.cumsum([0, *(len(signs) for _, signs in tokens[:-1])])
            best = np.maximum.reduceat(similar, starts, axis=0)
            found = {key: best[at] for at, (key, _) in enumerate(tokens)}
        for key, half in plain:
            cosine = max(0.0, float(np.frombuffer(half, np.float16).astype(np.float32) @ near.vector))
            found[key] = np.full(len(near.weights), cosine * cosine, np.float32)
        return found

    def _exact(self, keys: list[int], near: Near) -> dict[int, float]:
        import numpy as np

        rows = self._connection.execute(self._sql["vector_halves"], (json.dumps(keys), self._name)).fetchall()
        halves = np.frombuffer(b"".join(half for _, half in rows), np.float16).reshape(len(rows), -1)
        return dict(zip([key for key, _ in rows], (halves.astype(np.float32) @ near.vector).tolist(), strict=True))

    def _refresh(self) -> None:
        """Read what is new; everything, when something went or the scan changes its kind."""
        import numpy as np

        state = self._connection.execute(self._sql["vector_state"], {"name": self._name}).fetchone()
        if state == self._seen:
            return
        last, gone, measured = state
        # What went is no longer in the table of entries either, so that old rows here cost a little room and harm nobody.
        fresh = gone != self._seen[1] or measured != self._seen[2]
        (count,) = self._connection.execute(self._sql["vector_count"], (self._name, self._most + 1)).fetchone()
        exact = count <= self._most
        after = 0 if fresh or exact != (self._halves is not None) or not len(self._keys) else int(self._keys[-1])
        if measured:
            self._mean = mean_of(self._connection, self._name)
        keys = [self._keys] if after else []
        halves: list[NDArray[Any]] = [self._halves] if after and self._halves is not None else []
        codes: list[NDArray[Any]] = [self._codes] if after and self._halves is None else []
        cursor = self._connection.execute(self._sql["vectors_after" if exact else "codes_after"], (self._name, after))
        while chunk := cursor.fetchmany(_CHUNK):
            keys.append(np.fromiter((key for key, _ in chunk), np.int64, len(chunk)))
            data = np.frombuffer(b"".join([value for _, value in chunk]), np.float16 if exact else np.uint8)
            rows = data.reshape(len(chunk), -1)
            if exact:
                halves.append(rows)
            else:
                codes.append(_columns(rows))
        self._keys = np.concatenate(keys) if keys else np.empty(0, np.int64)
        self._halves = (np.concatenate(halves) if halves else np.empty((0, self._dimensions), np.float16)) if exact else None
        self._codes = np.concatenate(codes, axis=1) if codes else np.empty((0, 0), np.uint64)
        self._seen = last, gone, measured


def _columns(codes: NDArray[Any]) -> NDArray[Any]:
    """Sign bits as words of 64 bits, the first words of all rows first."""
    import numpy as np

    words = np.ascontiguousarray(np.pad(codes, ((0, 0), (0, -codes.shape[1] % 8)))).view(np.uint64)
    return np.ascontiguousarray(words.T)


def _best(np: Any, values: Any, limit: int) -> Any:  # noqa: ANN401  NumPy, an array of it
    """Places of the largest values, the largest first."""
    if limit < len(values):
        some = np.argpartition(-values, limit - 1)[:limit]
        return some[np.argsort(-values[some], kind="stable")]
    return np.argsort(-values, kind="stable")


def _tells(piece: str) -> bool:
    bare = piece.removeprefix("##")
    return bare.isalnum() and piece not in ENGLISH.stop


def _around(text: str, start: int, end: int) -> str:
    """The whole word that a piece of it stands in."""
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "'’"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] in "'’"):
        end += 1
    return text[start:end]
