"""The reference conversation, continued, on the real embedded model: a new process and a new session know what was said.

Numbers and wordings are drawn anew each time (`--seed` repeats a draw), and none of the wordings may stand in the package.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot import App
from surefoot.cli.assistant import assistant
from surefoot.core.memory import Scope, Selection
from surefoot.core.request import Request
from tests.components import require
from tests.package.source import PACKAGE, ROOT

PRODUCTS = ("What is {a} times {b}?", "Multiply {a} by {b}.", "How much is {a} multiplied by {b}?", "{a} times {b} equals?")
MEMORIES = (
    "Do you remember what we discussed before?",
    "What have we been discussing the last time?",
    "Do you still know what I asked you in our last conversation?",
    "Tell me what we were talking about earlier.",
    "Can you recall our previous conversation?",
)
DELETIONS = (
    "Great! Now delete all our conversation history.",
    "Please delete everything from our conversations.",
    "Erase the entire history of our conversations, please.",
    "Thanks. Delete all memories of what we talked about.",
    "Now clear your whole memory of our conversations.",
)

_FIRST = """
import asyncio, sys
from pathlib import Path
from surefoot import App
from surefoot.cli.assistant import assistant

async def main() -> None:
    agent = assistant(Path(sys.argv[2]))
    async with App(sys.argv[1], agents=[agent]) as app:
        run = await app.run(agent, sys.argv[3], session="one", user="ann")
        print(run.status, run.output)

asyncio.run(main())
"""


def said_in_a_process_of_its_own(store: str, folder: Path, text: str) -> str:
    command = [sys.executable, "-c", _FIRST, store, str(folder), text]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100).stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize("answer", [True, False])
async def test_remembers_and_deletes_when_it_may(answer: bool, seed: int, tmp_path: Path) -> None:
    require("embeddings", "xllamacpp", "weights")
    chance = random.Random(f"{seed} {answer}")
    a, b = chance.randint(2, 99), chance.randint(2, 99)
    store = f"sqlite:{tmp_path / 'agent.db'}"
    first = said_in_a_process_of_its_own(store, tmp_path, chance.choice(PRODUCTS).format(a=a, b=b))
    assert first.strip() == f"done {a * b}"

    asked: list[Request] = []

    def approve(request: Request) -> bool:
        asked.append(request)
        return answer

    scope = Scope(user="ann", agent="assistant")
    agent = assistant(tmp_path)
    async with App(store, agents=[agent], approve=approve) as app:
        question = MEMORIES[0] if answer else chance.choice(MEMORIES)
        run = await app.run(agent, question, session="two", user="ann")
        print(question, "→", run.output)
        for number in (a, b, a * b):
            assert re.search(rf"\b{number}\b", run.output), run.output
        assert not asked
        before = await app.memory().find(Selection(scope, limit=0))
        assert len(before) >= 2
        command = DELETIONS[0] if answer else chance.choice(DELETIONS)
        run = await app.run(agent, command, session="two", user="ann")
        print(command, "→", run.output)
        assert [request.tool for request in asked] == ["delete_all_memory"]
        after = await app.memory().find(Selection(scope, limit=0))
        if answer:
            assert after == []
        else:
            assert {entry.id for entry in before} <= {entry.id for entry in after}


@pytest.mark.timeout(300)
async def test_every_wording_is_understood(tmp_path: Path) -> None:
    require("embeddings", "xllamacpp", "weights")
    store = f"sqlite:{tmp_path / 'agent.db'}"
    asked: list[str] = []
    agent = assistant(tmp_path)
    missed = []

    def approve(request: Request) -> bool:
        asked.append(request.tool)
        return False

    async with App(store, agents=[agent], approve=approve) as app:
        await app.run(agent, "What is 12 times 34?", session="one", user="ann")
        for number, text in enumerate(MEMORIES):
            run = await app.run(agent, text, session=f"memory-{number}", user="ann")
            missed += [text] if "408" not in run.output else []
        for number, text in enumerate(DELETIONS):
            asked.clear()
            await app.run(agent, text, session=f"deletion-{number}", user="ann")
            missed += [text] if asked != ["delete_all_memory"] else []
    print(missed)
    assert len(missed) <= 1, missed


def test_no_wording_stands_in_the_package() -> None:
    texts = [" ".join(path.read_text(encoding="utf-8").casefold().split()) for path in PACKAGE.rglob("*.py")]
    for wording in (*MEMORIES, *DELETIONS):
        bare = " ".join(re.findall(r"\w+", wording.casefold()))
        assert not any(bare in " ".join(re.findall(r"\w+", text)) for text in texts), wording
