"""Embedders of the vendors, by name: ``openai:text-embedding-3-small``, ``gemini:gemini-embedding-001``.

``@256`` after a name asks for so many numbers in a vector. Requests go through the adapters' own connections. Formats: OpenAI's
API reference, "Embeddings" (which compatible servers speak as well), and Google's, "models.batchEmbedContents".
"""

from __future__ import annotations

import asyncio
import math
import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from surefoot.core.errors import ConfigurationError, MissingExtra, ModelError
from surefoot.models import gemini, openai
from surefoot.models.pools import present
from surefoot.models.real import require_real_models

__all__ = ["GeminiEmbedder", "OpenAIEmbedder", "embedder"]

#: Numbers of a vector where the name does not say, and what is asked where it names no model.
_OPENAI, _OPENAI_SIZE = "text-embedding-3-small", 512
_GEMINI, _GEMINI_SIZE = "gemini-embedding-001", 768
#: Texts of one request, requests at once, texts whose vectors are kept, and seconds for an answer.
_BATCH, _AT_ONCE, _KEPT, _PATIENCE = 64, 4, 4_096, 60.0
#: Characters of a text that are sent; both vendors take some 8,000 tokens or less.
_LONGEST = 6_000


def embedder(name: str, environ: Mapping[str, str] | None = None) -> OpenAIEmbedder | GeminiEmbedder:
    """The embedder of a name. Raises ConfigurationError for one that there is not; MissingKey, MissingExtra."""
    env = os.environ if environ is None else environ
    provider, _, rest = name.partition(":")
    model, at, size = rest.partition("@")
    if provider not in ("openai", "gemini") or (at and not size.isdecimal()):
        raise ConfigurationError(f"there is no embedder {name!r}: write openai:model or gemini:model, perhaps with @256 after it")
    if provider == "openai":
        return OpenAIEmbedder(model or _OPENAI, int(size or _OPENAI_SIZE), openai.connected(env))
    return GeminiEmbedder(model or _GEMINI, int(size or _GEMINI_SIZE), gemini.connected(env))


class _Remote(ABC):
    """Asks a vendor for vectors, in batches, and keeps those it was asked for lately."""

    def __init__(self, provider: str, model: str, dimensions: int) -> None:
        self.model, self.dimensions = model, dimensions
        self.name = f"{provider}:{model}@{dimensions}"
        self._kept: OrderedDict[str, list[float]] = OrderedDict()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """See `Embedder.embed`. Raises ModelError; ConfigurationError where requests to real models are forbidden."""
        require_real_models(self.name)
        missing = list(dict.fromkeys(text for text in texts if text not in self._kept))
        batches = [missing[at : at + _BATCH] for at in range(0, len(missing), _BATCH)]
        room, found = asyncio.Semaphore(_AT_ONCE), dict[str, list[float]]()

        async def one(batch: list[str]) -> None:
            async with room:
                vectors = await self._ask([_sendable(text) for text in batch])
            found.update(zip(batch, [self._unit(vector) for vector in vectors], strict=True))

        await asyncio.gather(*[one(batch) for batch in batches])
        told = [found[text] if text in found else self._kept[text] for text in texts]
        self._kept.update(found)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return told

    def _unit(self, vector: list[float]) -> list[float]:
        if len(vector) != self.dimensions:
            said = f"{self.name} gave a vector of {len(vector)} numbers; name it {self.name.partition('@')[0]}@{len(vector)}"
            raise ModelError("malformed_output", said)
        length = math.sqrt(sum(number * number for number in vector))
        return [number / length for number in vector] if length else vector

    @abstractmethod
    async def _ask(self, texts: list[str]) -> list[list[float]]:
        """Vectors of a batch, as the vendor gives them."""


class OpenAIEmbedder(_Remote):
    """Vectors of OpenAI, or of a server that speaks its protocol."""

    def __init__(self, model: str, dimensions: int, connection: openai.Connection) -> None:
        if not present("openai", "aiohttp"):
            raise MissingExtra("the embedder openai:", "openai")
        super().__init__("openai", model, dimensions)
        self.connection = connection

    async def _ask(self, texts: list[str]) -> list[list[float]]:
        body: dict[str, Any] = {"model": self.model, "input": texts, "encoding_format": "float"}
        if not self.connection.base_url:
            body["dimensions"] = self.dimensions  # other servers have one size, and some refuse to be asked for it
        answer, _ = await (await self.connection.clients()).fetch("/embeddings", body, _PATIENCE, {})
        return _read(lambda: [one["embedding"] for one in sorted(answer["data"], key=lambda one: one["index"])], texts)


class GeminiEmbedder(_Remote):
    """Vectors of Google's AI Studio."""

    def __init__(self, model: str, dimensions: int, connection: gemini.Connection) -> None:
        if not present("google.genai", "aiohttp"):
            raise MissingExtra("the embedder gemini:", "gemini")
        super().__init__("gemini", model, dimensions)
        self.connection = connection

    async def _ask(self, texts: list[str]) -> list[list[float]]:
        name = f"models/{self.model}"
        requests = [
            {"model": name, "content": {"parts": [{"text": text}]}, "outputDimensionality": self.dimensions} for text in texts
        ]
        clients = await self.connection.clients()
        answer, _ = await clients.fetch(f"{name}:batchEmbedContents", {"requests": requests}, {})
        return _read(lambda: [one["values"] for one in answer["embeddings"]], texts)


def _sendable(text: str) -> str:
    """Text as a vendor takes it: some, not too long, and valid UTF-8."""
    return text[:_LONGEST].encode(errors="replace").decode() or " "


def _read(values: Callable[[], list[Any]], texts: list[str]) -> list[list[float]]:
    """The vectors of an answer, one for each text. Raises ModelError for anything else."""
    try:
        vectors = [[float(number) for number in vector] for vector in values()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError("malformed_output", f"the answer holds no vectors: {type(error).__name__}: {error}") from None
    if len(vectors) != len(texts):
        raise ModelError("malformed_output", f"there are {len(vectors)} vectors for {len(texts)} texts")
    return vectors
