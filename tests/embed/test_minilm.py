"""The packaged embedder on its real model, and its twin for tests."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from pathlib import Path

import pytest

from surefoot.core.errors import ConfigurationError, MissingExtra
from surefoot.core.ports import Embedder
from surefoot.embed.files import DataFile, locate
from surefoot.embed.minilm import MiniLM
from surefoot.testing.contracts.embedder import Contract
from surefoot.testing.embed import HashEmbedder
from tests.components import require


class TestHashEmbedder(Contract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return HashEmbedder()

    async def test_vectors_are_the_same_everywhere(self, embedder: Embedder) -> None:
        (vector,) = await embedder.embed(["the same on every machine"])
        assert [round(number, 6) for number in vector[:4]] == [0.085356, 0.23436, 0.08348, -0.156977]


@pytest.fixture(scope="session")
def minilm() -> MiniLM:
    require("embeddings")
    return MiniLM()


class TestMiniLM(Contract):
    @pytest.fixture
    def embedder(self, minilm: MiniLM) -> Embedder:
        return minilm


def cosine(one: list[float], other: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


async def test_meaning_counts_and_not_words(minilm: MiniLM) -> None:
    question, same, other = await minilm.embed(
        ["How do I bake bread?", "instructions for making a loaf in the oven", "How do I reset a router?"]
    )
    assert cosine(question, same) > cosine(question, other) + 0.2


async def test_tokens_come_from_the_same_pass(minilm: MiniLM) -> None:
    text = "Zürich's rowboats run late"
    (vector,) = await minilm.embed([text])
    encoding, short = await minilm.encode([text, "late"])
    assert encoding.vector.tolist() == pytest.approx(vector, abs=1e-5)
    assert encoding.pieces == ("zurich", "'", "s", "row", "##boats", "run", "late")
    assert [text[start:end] for start, end in encoding.spans] == ["Zürich", "'", "s", "row", "boats", "run", "late"]
    assert encoding.tokens.shape == (7, 384)
    assert short.tokens.shape == (1, 384)


async def test_a_long_text_is_cut_at_what_the_model_can_read(minilm: MiniLM) -> None:
    (encoding,) = await minilm.encode(["word " * 5_000])
    assert encoding.tokens.shape == (254, 384)  # 256 less the marks at start and end


async def test_the_loop_runs_on_while_vectors_are_made(minilm: MiniLM) -> None:
    texts = [f"sentence number {index} about something else entirely" for index in range(200)]
    work = asyncio.ensure_future(minilm.embed(texts))
    turns = 0
    while not work.done():
        turns += 1
        await asyncio.wait([work], timeout=0.005)
    assert len(work.result()) == 200
    assert turns > 5


async def test_texts_seen_lately_cost_nothing(minilm: MiniLM) -> None:
    texts = [f"a text to be seen again, number {index}" for index in range(40)]
    began = time.perf_counter()
    first = await minilm.embed(texts)
    once = time.perf_counter() - began
    began = time.perf_counter()
    assert await minilm.embed(texts) == first
    assert time.perf_counter() - began < once / 3


async def test_a_full_cache_forgets_and_still_answers() -> None:
    require("embeddings")
    small = MiniLM(cache=2)
    texts = ["one", "two", "three", "one", "four"]
    first = await small.embed(texts)
    for vector, again in zip(first, await small.embed(texts), strict=True):
        assert vector == pytest.approx(again, abs=1e-4)


async def test_a_caller_who_is_cancelled_leaves_and_the_next_is_served(minilm: MiniLM) -> None:
    work = asyncio.ensure_future(minilm.embed([f"never to be read {index} " * 40 for index in range(300)]))
    await asyncio.wait([work], timeout=0.05)
    work.cancel()
    began = time.perf_counter()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert time.perf_counter() - began < 0.5
    assert len(await minilm.embed(["still here"])) == 1


def test_absent_data_names_the_line_that_installs_it() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'surefoot\[embeddings\]'"):
        locate(DataFile("surefoot-no-such-data", "1.0", "x", "0"))


def test_wrong_data_is_refused() -> None:
    # Any installed package will do: a file it does not have, and one with other bytes.
    with pytest.raises(ConfigurationError, match="force-reinstall"):
        locate(DataFile("pytest", "1.0", "pytest/no-such-file", "0"))
    with pytest.raises(ConfigurationError, match=r"damaged or of another version.*pytest==1\.0"):
        locate(DataFile("pytest", "1.0", "pytest/__init__.py", "0"))


async def test_without_the_extra_the_first_text_says_what_to_install(tmp_path: Path) -> None:
    # A process of its own, in which the packages cannot be found.
    script = tmp_path / "absent.py"
    script.write_text(
        "import asyncio, sys\n"
        "sys.modules.update(dict.fromkeys(['onnxruntime', 'tokenizers', 'numpy']))\n"
        "from surefoot.embed.minilm import MiniLM\n"
        "print(MiniLM().name)\n"
        "asyncio.run(MiniLM().embed(['x']))\n",
        encoding="utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert out.decode().strip() == "all-MiniLM-L6-v2-int8"
    assert "pip install 'surefoot[embeddings]'" in err.decode()
