"""Vendors' embedders, by the vendors' packages over HTTP against a server not written here, and against odd answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from surefoot import Agent, App
from surefoot.core.errors import ConfigurationError, MissingKey, ModelError
from surefoot.core.memory import Memory
from surefoot.core.ports import Embedder
from surefoot.models.embedders import embedder
from surefoot.testing import forbid_real_models
from surefoot.testing.models import ScriptedModel
from tests.components import require
from tests.flows.kit import QUICK

require("openai", "gemini")

KEYS = {"OPENAI_API_KEY": "sk-not-a-key", "GEMINI_API_KEY": "not-a-key"}


class Server(ThreadingHTTPServer):
    """Gives what it is told to, in the order in which it was asked, and keeps the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Any] = []
        self.answer: Any = None
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, body))
        told = self.server.answer(body)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's own name
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def length(text: str) -> list[float]:
    """A vector of a text: how long it is, and what it begins with."""
    return [float(len(text)), float(ord(text[0])), 1.0]


def spoken(body: Any) -> Any:
    """As OpenAI's reference has it, the last first, for the order is said by ``index``."""
    data = [{"object": "embedding", "index": at, "embedding": length(text)} for at, text in enumerate(body["input"])]
    return {"object": "list", "data": data[::-1], "model": body["model"], "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def batched(body: Any) -> Any:
    """As Google's reference has it."""
    return {"embeddings": [{"values": length(one["content"]["parts"][0]["text"])} for one in body["requests"]]}


def made(server: Server, vendor: str, size: int = 3) -> Embedder:
    """Give an embedder that asks the server."""
    server.answer = spoken if vendor == "openai" else batched
    env = {**KEYS, "OPENAI_BASE_URL": f"{server.url}/v1", "GOOGLE_GEMINI_BASE_URL": server.url}
    return embedder(f"{vendor}:tiny@{size}", env)


@pytest.mark.parametrize("vendor", ["openai", "gemini"])
async def test_vectors_come_in_order_in_batches_once(server: Server, vendor: str) -> None:
    one = made(server, vendor)
    texts = [f"{'x' * number}" for number in range(1, 131)]
    vectors = await one.embed([*texts, *texts])
    assert len(server.asked) == 3
    assert [round(vector[0] / vector[2]) for vector in vectors] == [*range(1, 131)] * 2
    assert all(abs(sum(number * number for number in vector) - 1) < 1e-9 for vector in vectors)
    assert await one.embed(["x" * 7]) == [vectors[6]]
    assert len(server.asked) == 3, "it is kept"
    assert (one.name, one.dimensions) == (f"{vendor}:tiny@3", 3)


@pytest.mark.parametrize("vendor", ["openai", "gemini"])
async def test_odd_texts_are_sent_as_vendors_take_them(server: Server, vendor: str) -> None:
    await made(server, vendor).embed(["", "lone \ud800 surrogate", "é" * 20_000])
    [(path, body)] = server.asked
    sent = body["input"] if vendor == "openai" else [one["content"]["parts"][0]["text"] for one in body["requests"]]
    assert sent == [" ", "lone ? surrogate", "é" * 6_000]
    assert path.endswith("/v1/embeddings" if vendor == "openai" else "/models/tiny:batchEmbedContents")
    if vendor == "gemini":
        assert {one["outputDimensionality"] for one in body["requests"]} == {3}


@pytest.mark.parametrize("vendor", ["openai", "gemini"])
@pytest.mark.parametrize(
    "answer", [{}, {"data": [], "embeddings": []}, {"data": 1, "embeddings": 1}, [], {"data": [{}], "embeddings": [{}]}]
)
async def test_what_holds_no_vectors_is_an_error(server: Server, vendor: str, answer: Any) -> None:
    one = made(server, vendor)
    server.answer = lambda body: answer
    with pytest.raises(ModelError):
        await one.embed(["a"])


async def test_a_size_that_is_another_is_told(server: Server) -> None:
    with pytest.raises(ModelError, match=r"vector of 3 numbers; name it openai:tiny@3"):
        await made(server, "openai", size=9).embed(["a"])


async def test_a_server_not_written_here_gives_vectors(aimock: str) -> None:
    """Those of aimock have a size of their own, which the error names."""
    env = {**KEYS, "OPENAI_BASE_URL": aimock}
    with pytest.raises(ModelError, match="name it openai:text-embedding-3-small@") as told:
        await embedder("openai:text-embedding-3-small@7", env).embed(["a"])
    size = str(told.value).rpartition("@")[2].split()[0]
    one = embedder(f"openai:text-embedding-3-small@{size}", env)
    [first, second, again] = await one.embed(["a boat", "a proof", "a boat"])
    assert first == again != second


async def test_a_memory_finds_by_a_vendors_vectors_and_by_words_without_them(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(server, "openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-key")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    settings = Memory(embedder="openai:tiny@3")
    agent = Agent("a", model=ScriptedModel("The lighthouse is red.", "Red.", "Red again."), memory=settings)
    async with App("memory:", agents=[agent], settings=QUICK) as app:
        await app.run(agent, "What colour is the lighthouse?", session="one")
        memory = app.memory(settings)
        await memory.settle()  # type: ignore[attr-defined]
        assert server.asked
        assert (await app.run(agent, "The lighthouse?", session="two")).output == "Red."
        server.answer = lambda body: {"error": "none"}
        assert (await app.run(agent, "And which colour had the lighthouse again?", session="three")).output == "Red again."


def test_names_that_cannot_work_say_so() -> None:
    for name in ("openai:a@b", "nobody:x", "cohere:"):
        with pytest.raises(ConfigurationError, match="there is no embedder"):
            embedder(name, KEYS)
    with pytest.raises(MissingKey):
        embedder("openai:", {})
    with pytest.raises(ConfigurationError, match="'provider:name'"):
        Memory(embedder="openai")
    assert embedder("openai:", KEYS).name == "openai:text-embedding-3-small@512"
    assert embedder("gemini:", KEYS).name == "gemini:gemini-embedding-001@768"


async def test_real_embedders_can_be_forbidden(server: Server) -> None:
    with forbid_real_models(), pytest.raises(ConfigurationError, match="forbidden"):
        await made(server, "openai").embed(["a"])
