"""The tools with which a model uses its memory: what they keep, find and remove, and whose it is."""

from __future__ import annotations

from typing import Any

from surefoot import Agent, App, Memory
from surefoot.core.memory import Scope, Selection
from surefoot.core.messages import ToolResult
from surefoot.core.state import fold
from surefoot.testing.models import ScriptedModel

WORDS = Memory(embedder="none")
MINE = Scope(user="ann", agent="clerk")


async def told(app: App, run: Any) -> list[str]:
    """What the run's calls returned."""
    messages = fold(await app.events(run)).messages
    return [part.text for message in messages for part in message.parts if isinstance(part, ToolResult)]


def clerk(*said: Any, memory: Memory = WORDS) -> Agent[Any, str]:
    return Agent("clerk", model=ScriptedModel(*said), memory=memory)


async def test_a_model_remembers_recalls_and_corrects() -> None:
    agent = clerk(
        ("remember", {"text": "The archive is in room 12.", "subject": "archive", "predicate": "is in", "value": "room 12"}),
        "Noted.",
        ("remember", {"text": "The archive is in room 12!", "subject": "archive", "predicate": "is in"}), "Known.",
        ("recall", {"query": "Where is the archive?"}), "Room 12.",
        ("revise", {"what": "the archive's room", "text": "The archive is in room 31."}), "Corrected.",
        ("list_memories", {}), "There.",
        ("revise", {"what": "volcanoes in Iceland", "text": "None."}), "No.",
        ("recall", {"query": "volcanoes in Iceland"}), "No.",
    )  # fmt: skip
    async with App("memory:", agents=[agent]) as app:
        said = []
        for number, prompt in enumerate(("Keep this.", "Keep it.", "Look.", "Mend.", "List.", "Mend that.", "Look there.")):
            run = await app.run(agent, prompt, user="ann", session=f"s{number}")
            assert run.status == "done"
            said.append((await told(app, run))[0])
        assert said[0] == "Remembered: The archive is in room 12."
        assert said[1] == "Not remembered: it repeats."
        assert "fact: The archive is in room 12." in said[2]
        assert said[3] == "Remembered: The archive is in room 31."
        assert "room 31" in said[4]
        assert "fact: The archive is in room 12." not in said[4]
        assert "nothing in memory fits" in said[5]
        assert said[6] == "Nothing is remembered about that."
        facts = await app.memory(WORDS).find(Selection(MINE, kinds=("fact",), closed=True))
        assert [(fact.text, bool(fact.valid_to)) for fact in facts] == [
            ("The archive is in room 31.", False),
            ("The archive is in room 12.", True),
        ]
        assert all(fact.run and fact.call for fact in facts)


async def test_a_block_is_pinned_and_versioned() -> None:
    agent = clerk(
        ("remember", {"text": "Answer in Welsh.", "block": "style"}), "Yes.",
        ("remember", {"text": "Answer in Breton.", "block": "style"}), "Yes.",
        "Demat.",
    )  # fmt: skip
    async with App("memory:", agents=[agent]) as app:
        await app.run(agent, "From now on, Welsh, all of it.", user="ann", session="one")
        await app.run(agent, "No, rather the other language.", user="ann", session="two")
        run = await app.run(agent, "Greetings to the house!", user="ann", session="three")
        (recalled, *_) = fold(await app.events(run)).messages
        assert "core: Answer in Breton." in recalled.text
        assert "Welsh." not in recalled.text


async def test_forgetting_asks_first_and_is_for_one_or_for_all() -> None:
    agent = clerk(
        "Noted.", "Noted.",
        ("forget", {"what": "the gate code"}), "Gone.",
        ("delete_all_memory", {"confirm": "true"}), "All gone.",
        ("list_memories", {"limit": 5}), "Nothing.",
        ("recall", {"query": "what was said before"}), "Nothing.",
    )  # fmt: skip
    asked: list[str] = []

    def approve(request: Any) -> bool:
        asked.append(request.tool)
        return True

    async with App("memory:", agents=[agent], approve=approve) as app:
        await app.run(agent, "The gate code is four seven one one.", user="ann", session="one")
        await app.run(agent, "My bicycle stands in the cellar.", user="ann", session="two")
        run = await app.run(agent, "Forget the code, please.", user="ann", session="three")
        assert "gate code is four" in (await told(app, run))[0]
        texts = [entry.text for entry in await app.memory(WORDS).find(Selection(MINE))]
        assert "The gate code is four seven one one." not in texts
        assert "My bicycle stands in the cellar." in texts
        run = await app.run(agent, "Now the rest of it.", user="ann", session="four")
        assert (await told(app, run))[0].startswith("Memory is empty: ")
        assert await app.memory(WORDS).find(Selection(MINE, closed=True)) == []
        assert asked == ["forget", "delete_all_memory"]
        for number, prompt in enumerate(("Show it.", "Show what there is.")):
            run = await app.run(agent, prompt, user="bob", session=f"bob-{number}")
            assert (await told(app, run))[0] == "Memory is empty." or number


async def test_in_the_first_conversation_recall_tells_what_was_said_in_it() -> None:
    agent = clerk("Noted.", ("recall", {"query": "do you remember what we discussed before"}), "That.")
    async with App("memory:", agents=[agent]) as app:
        await app.run(agent, "My bicycle stands in the cellar.", user="ann", session="one")
        run = await app.run(agent, "Do you remember what we discussed before?", user="ann", session="one")
        (said,) = await told(app, run)
    assert said.startswith("Nothing is remembered from before this conversation. In it:\n")
    assert "user: My bicycle stands in the cellar." in said


async def test_a_model_is_given_the_tools_that_were_chosen() -> None:
    model = ScriptedModel("Yes.")
    agent = Agent("clerk", model=model, memory=Memory(embedder="none", tools=("recall",)))
    async with App("memory:", agents=[agent]) as app:
        await app.run(agent, "Which tools have you got?")
    names = {spec.name for spec in model.requests[0].tools}
    assert "recall" in names
    assert not names & {"remember", "forget", "delete_all_memory"}


async def test_what_stands_beside_a_hit_is_told_with_it() -> None:
    agent = clerk("It is 6020.", ("recall", {"query": "the sum of seventy and eighty"}), "That.")
    async with App("memory:", agents=[agent]) as app:
        await app.run(agent, "What is the sum of seventy and eighty six, of the plums?", user="ann", session="one")
        run = await app.run(agent, "Tell me again.", user="ann", session="two")
        (said,) = await told(app, run)
    assert "user: What is the sum" in said
    assert "assistant: It is 6020." in said


async def test_the_memory_of_one_conversation_is_looked_up_in_that_conversation_alone() -> None:
    agent = clerk(
        "Noted.", ("recall", {"query": "Where is the archive?"}), "There.", ("recall", {"query": "Where is the archive?"}), "?",
        memory=Memory(embedder="none", share=("tenant", "user", "agent", "session")),
    )  # fmt: skip
    async with App("memory:", agents=[agent]) as app:
        await app.run(agent, "The archive is in room 12.", user="ann", session="s1")
        (here,) = await told(app, await app.run(agent, "Look.", user="ann", session="s1"))
        (elsewhere,) = await told(app, await app.run(agent, "Look.", user="ann", session="s2"))
    assert "The archive is in room 12." in here
    assert elsewhere == "Nothing is remembered about that."
