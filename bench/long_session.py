"""The cost of a turn in a session of 2,000 turns: tokens, processor time and reading, early and late.

A model that costs nothing answers with some 500 characters; every turn is a run of its own, on SQLite. A budget of 8,000
tokens is full after some 40 turns, and then the prompt is made to fit again and again. What counts is that a turn near the
end costs what one near the beginning did.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bench.report import Figure, at_most
from surefoot import Agent, App, Settings
from surefoot.core.messages import Usage
from surefoot.core.model import ModelReply, ModelRequest
from surefoot.engine.context import SUMMARY, estimate
from surefoot.testing.models import FunctionModel

TURNS, BUDGET = 2_000, 8_500


async def _talk(path: Path) -> tuple[list[int], list[float], int]:
    """The tokens of each prompt, the processor time of each turn in ms, and how many summaries were asked for."""
    prompts: list[int] = []
    summaries = 0

    def answer(request: ModelRequest) -> ModelReply:
        nonlocal summaries
        tokens = sum(map(estimate, request.messages))
        if request.instructions.startswith("You summarise"):
            summaries += 1
            return ModelReply.say("They spoke of this and that. " * 40, usage=Usage(tokens, 300))
        prompts.append(tokens)
        assert len(prompts) < 100 or request.messages[0].text.startswith(SUMMARY)
        return ModelReply.say(f"answer {len(prompts)} " + "and so on " * 50, usage=Usage(tokens, 150))

    agent = Agent("clerk", model=FunctionModel(answer))
    taken: list[float] = []
    async with App(f"sqlite:{path}", agents=[agent], settings=Settings(context_budget=BUDGET)) as app:
        for number in range(TURNS):
            began = time.process_time()
            run = await app.run(agent, f"question {number}: what is next?", session="s")
            taken.append((time.process_time() - began) * 1e3)
            assert run.status == "done", run.error
        assert len(await app.sessions.show("s")) == 2 * TURNS
    return prompts, taken, summaries


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        prompts, taken, summaries = asyncio.run(_talk(Path(folder) / "session.db"))
    early, late = statistics.median(taken[100:400]), statistics.median(taken[-300:])
    tokens = statistics.fmean(prompts[-300:]) / statistics.fmean(prompts[100:400])
    return [
        at_most("longest prompt", max(prompts), "tokens", BUDGET),
        Figure("processor time of a turn, turns 100 to 400", early, "ms"),
        Figure("processor time of a turn, the last 300", late, "ms"),
        at_most("last turns by early ones, processor time", late / early, "times", 1.25),
        at_most("last turns by early ones, tokens", tokens, "times", 1.05),
        Figure("summaries asked for", summaries, ""),
        Figure("turns between two summaries", TURNS / max(1, summaries), ""),
    ]
