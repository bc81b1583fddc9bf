"""The packaged embedder: all-MiniLM-L6-v2 with 8-bit weights, on the CPU, without a key or a network.

`MiniLM` turns texts into unit vectors of 384 numbers (`embed`), and, from the same forward pass, into the vectors of
their single tokens (`encode`). A text is cut after 256 tokens, the length the model was trained for. Work is done in a
thread, in batches of texts of like length; vectors are cached. Nothing is loaded before the first text comes.

Format of the model: Sentence-Transformers' all-MiniLM-L6-v2, that is WordPiece tokens, a BERT encoder of 6 layers, the
mean of the token vectors over the attention mask, scaled to length 1 (Reimers and Gurevych 2019, arXiv 1908.10084).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from surefoot.core.errors import ConfigurationError, MissingExtra
from surefoot.embed.files import MODEL, TOKENIZER, locate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Encoding", "MiniLM"]

_MAX_TOKENS = 256
#: Padded tokens in one forward pass. Attention needs memory for every pair of tokens: 2,048 keep the peak near 100 MB.
_BATCH_TOKENS = 2048
_BATCH_TEXTS = 32
#: Characters that may matter: 256 tokens of the longest words there are. And characters in one turn of the thread,
#: about a second's work.
_MAX_CHARACTERS = 2_000
_SLICE_CHARACTERS = 32_000


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """A text as the model saw it.

    ``vector`` has shape (384,) and length 1. ``tokens`` has shape (n, 384): the last layer's vector of each piece, not
    scaled, without the model's own two marks at start and end. ``pieces`` are the n WordPieces (``##`` continues a
    word), ``spans`` where each stands in the text, as (start, end) in characters.
    """

    vector: NDArray[np.float32]
    tokens: NDArray[np.float32]
    pieces: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


class MiniLM:
    """The `Embedder` that needs nothing but the ``embeddings`` extra.

    Args:
        threads: threads of one forward pass.
        cache: how many vectors are kept, the least recently used go first (1.5 kB each).

    Raises (on first use, never when made): MissingExtra, or ConfigurationError for a damaged data file.
    """

    def __init__(self, *, threads: int = 1, cache: int = 4096) -> None:
        self._threads = threads
        self._size = cache
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()
        self._engine: _Engine | None = None

    @property
    def name(self) -> str:
        """Names the vectors."""
        return "all-MiniLM-L6-v2-int8"

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return 384

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit-length vector a text, in order. Texts that were seen lately cost nothing."""
        known = {text: self._recall(text) for text in texts}
        missing = [text for text, vector in known.items() if vector is None]
        if missing:
            known.update(zip(missing, await self._run(_Engine.vectors, missing), strict=True))
        return [vector.tolist() for text in texts if (vector := known[text]) is not None]

    async def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Vector and token vectors of each text, in order, from one forward pass."""
        unique = list(dict.fromkeys(texts))
        encodings = dict(zip(unique, await self._run(_Engine.encodings, unique), strict=True))
        return [encodings[text] for text in texts]

    async def _run(self, work: Any, texts: list[str]) -> list[Any]:  # noqa: ANN401  one of the engine's two methods
        # In slices, so that another caller's one text does not wait for thousands, and a cancelled caller leaves
        # at once (the slice that runs is left to end by itself).
        done: dict[int, Any] = {}
        for part in _slices([min(len(text), _MAX_CHARACTERS) for text in texts]):
            chosen = [texts[index] for index in part]
            found = await anyio.to_thread.run_sync(self._work, work, chosen, abandon_on_cancel=True)
            done.update(zip(part, found, strict=True))
        return [done[index] for index in range(len(texts))]

    def _work(self, work: Any, texts: list[str]) -> list[Any]:  # noqa: ANN401  one of the engine's two methods
        with self._lock:
            if self._engine is None:
                self._engine = _Engine(self._threads)
            done: list[Any] = work(self._engine, texts)
            for text, item in zip(texts, done, strict=True):
                self._keep(text, item.vector if isinstance(item, Encoding) else item)
        return done

    def _recall(self, text: str) -> NDArray[np.float32] | None:
        # Without the lock: it is held through a forward pass, and single operations on the dictionary are atomic.
        vector = self._vectors.pop(text, None)
        if vector is not None:
            self._vectors[text] = vector
        return vector

    def _keep(self, text: str, vector: NDArray[np.float32]) -> None:
        self._vectors[text] = vector
        while len(self._vectors) > self._size:
            try:
                self._vectors.popitem(last=False)
            except KeyError:  # emptied by `_recall` meanwhile
                return


class _Engine:
    """Tokenizer and network, loaded. Not for two threads at once."""

    def __init__(self, threads: int) -> None:
        try:
            import numpy as np
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError:
            raise MissingExtra("the packaged embedder", "embeddings") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Spinning threads make a busy machine ten times slower; an arena keeps the peak of the largest batch for good.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        model, vocabulary = locate(MODEL), locate(TOKENIZER)
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            self._tokenizer = Tokenizer.from_file(str(vocabulary))
        except Exception as error:  # both raise bare or private types
            raise ConfigurationError(f"the packaged embedder cannot be loaded: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self._numpy = np

    def vectors(self, texts: list[str]) -> list[NDArray[np.float32]]:
        """Unit vectors of the texts, in order."""
        return [vector for vector, _, _ in self._passes(texts)]

    def encodings(self, texts: list[str]) -> list[Encoding]:
        """Vectors, token vectors and pieces of the texts, in order."""
        return [
            # A copy: the slice alone would keep the padded output of the whole batch alive.
            Encoding(vector, hidden[1:-1].copy(), tuple(seen.tokens[1:-1]), tuple(seen.offsets[1:-1]))
            for vector, hidden, seen in self._passes(texts)
        ]

    def _passes(self, texts: list[str]) -> list[tuple[Any, Any, Any]]:
        seen = self._tokenizer.encode_batch([_clean(text) for text in texts])
        done: dict[int, tuple[Any, Any, Any]] = {}
        for batch in _batches([len(item.ids) for item in seen]):
            hidden, vectors = self._forward([seen[index].ids for index in batch])
            for row, index in enumerate(batch):
                done[index] = (vectors[row], hidden[row, : len(seen[index].ids)], seen[index])
        return [done[index] for index in range(len(texts))]

    def _forward(self, rows: list[list[int]]) -> tuple[Any, Any]:
        np = self._numpy
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, inputs)[0]
        weight = mask[..., None].astype(np.float32)
        mean = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
        return hidden, mean / np.linalg.norm(mean, axis=1, keepdims=True)


def _slices(lengths: list[int]) -> Iterator[list[int]]:
    """Indices in turns of about the same work, texts of like length together: what is padded away is paid for."""
    part: list[int] = []
    size = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if part and size + lengths[index] > _SLICE_CHARACTERS:
            yield part
            part, size = [], 0
        part.append(index)
        size += lengths[index]
    if part:
        yield part


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Indices of texts of like length in tokens, few enough for one pass."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and ((len(batch) + 1) * lengths[index] > _BATCH_TOKENS or len(batch) == _BATCH_TEXTS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _clean(text: str) -> str:
    """Text the tokenizer takes: lone surrogates, which no UTF-8 can say, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
