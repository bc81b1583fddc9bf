"""A model reads conversations once, within a budget, and leaves facts and summaries; what was said stays."""

from __future__ import annotations

import json

from surefoot import App
from surefoot.cli.consolidation import SUMMARY, consolidate, consolidator
from surefoot.core.errors import ModelError
from surefoot.core.memory import Entry, Scope, Selection
from surefoot.core.messages import Usage
from surefoot.testing.models import ScriptedModel

MINE = Scope(user="ann", agent="clerk")


def said(number: int, session: str, text: str, author: str = "user") -> Entry:
    return Entry(f"e{number}", text, MINE, "episode", author, session, 1_700_000_000_000_000 + number, untrusted=number == 3)


def digest(summary: str, *facts: tuple[str, str, str]) -> str:
    return json.dumps(
        {"summary": summary, "facts": [dict(zip(("subject", "predicate", "object"), fact, strict=True)) for fact in facts]}
    )


async def test_conversations_are_read_once() -> None:
    entries = [
        said(1, "a", "I moved to Porto last month."), said(2, "a", "How nice.", "assistant"), said(3, "b", "I live in Faro now."),
        said(4, "c", "The mill burnt down."),
    ]  # fmt: skip
    model = ScriptedModel(
        digest("The user moved to Porto.", ("user", "lives in", "Porto")), digest("Faro it is.", ("user", "lives in", "Faro")),
        ModelError("auth", "no key"), usage=Usage(100, 20),
    )  # fmt: skip
    agent = consolidator(model)
    async with App("memory:") as app:
        memory = app.memory()
        for entry in entries:
            await memory.keep([entry])
        told = await consolidate(app, agent, await memory.find(Selection(limit=0)), 1_000)
        assert told == {"conversations": 2, "summaries": 2, "facts": 2, "failed": 1}
        again = await consolidate(app, agent, await memory.find(Selection(limit=0)), 1_000)
        assert again == {"conversations": 2, "failed": 1}
        assert len(model.requests) == 3, "nothing is asked for twice"
        facts = await memory.find(Selection(MINE, kinds=("fact",), closed=True))
        assert [(fact.object, bool(fact.valid_to), fact.untrusted) for fact in facts] == [
            ("Faro", False, True),
            ("Porto", True, False),
        ]
        assert len([one for one in await memory.find(Selection(limit=0)) if one.author == SUMMARY]) == 2
        assert {entry.id for entry in entries} <= {one.id for one in await memory.find(Selection(limit=0))}


async def test_the_budget_holds() -> None:
    agent = consolidator(ScriptedModel(digest("One."), usage=Usage(100, 20)))
    async with App("memory:") as app:
        for number, session in ((1, "a"), (2, "b")):
            await app.memory().keep([said(number, session, f"The lock of door {number} sticks.")])
        told = await consolidate(app, agent, await app.memory().find(Selection(limit=0)), 100)
        assert told == {"conversations": 1, "summaries": 1, "left": 1}
