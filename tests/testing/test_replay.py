"""Recorded runs against changed code: no difference where there is none, and the first one where there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError
from surefoot.core.model import Emit, ModelReply, ModelRequest, ProposedCall
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.testing.replay import RecordedModel, assert_replays, recorded, replay
from surefoot.tools.function import tool
from tests.flows.kit import opened


def clerk(*replies: Any, cents: int = 6200) -> Agent[Any, str]:
    @tool(effect="read")
    def look(order: str) -> str:
        return f"{order} costs {cents}"

    @tool
    def pay(order: str) -> str:
        return f"paid {order}"

    return Agent("clerk", model=ScriptedModel(*replies), tools=[look, pay])


async def life(**options: Any) -> list[ev.Record]:
    agent = clerk(
        ModelError("overloaded", "busy"), ("look", {"order": "81"}), ("pay", {"order": "81"}), ("pay", {"order": "82"}), "Done."
    )
    async with opened("memory:", agent, approve=lambda request: "81" in request.arguments, **options) as app:
        run = await app.run(agent, "pay for 81", session="s")
        assert run.output == "Done."
        return await app.events(run)


async def test_unchanged_code_comes_to_the_same() -> None:
    records = await life()
    assert await replay(clerk(), records) is None
    await assert_replays(clerk(), records)


async def test_changed_code_is_told_by_its_first_difference() -> None:
    records = await life()
    found = await replay(clerk(cents=1), records)
    assert found is not None
    assert (found.recorded, found.now) == ("call 0.0 returns: 81 costs 6200", "call 0.0 returns: 81 costs 1")
    with pytest.raises(AssertionError, match="agent 'clerk' parts from the recorded run after 4 facts"):
        await assert_replays(clerk(cents=1), records)
    cut = await replay(clerk(), records[:-2])
    assert cut is not None
    assert cut.recorded == ""
    with pytest.raises(TypeError, match=r"no run\.started"):
        await replay(clerk(), records[1:])


async def test_what_humans_did_is_done_again() -> None:
    policy = '@ask("approver") @quorum("2") @reason("two must agree") forbid(principal, action == Action::"pay", resource);'
    roles = {"dana": ("approver",), "eli": ("approver",)}
    calls = [("pay", {"order": str(number)}) for number in range(81, 86)]
    agent = clerk(*calls, "Done.")
    async with opened("memory:", agent, policy=policy, roles=roles) as app:
        run = await app.run(agent, "pay", user="ann")
        await app.decide(run.waiting[0], approve=True, edit={"order": "90"}, by="dana")
        await app.send(run, "and be quick", by="ann")
        await app.decide(run.waiting[0], approve=True, edit={"order": "90"}, by="eli")
        run = await app.wait(run)
        await app.decide(run.waiting[0], approve=False, reason="not that one", by="eli")
        run = await app.wait(run)
        await app.decide(run.waiting[0], answer="paid by hand", by="dana")
        run = await app.wait(run)
        await app.decide(run.waiting[0], ask="why this one?", by="dana")
        run = await app.wait(run)
        await app.decide(run.waiting[0], approve=True, by="dana")
        await app.decide(run.waiting[0], approve=True, by="eli")
        run = await app.wait(run)
        assert run.output == "Done."
        records = await app.events(run)
    assert await replay(clerk(), records, policy=policy) is None
    lax = await replay(clerk(), records)
    assert lax is not None
    assert "two must agree" in lax.recorded
    # A rule that came later: the run waits where its record went on.
    strict = await replay(clerk(), records, policy=policy.replace('"2"', '"3"'))
    assert strict is not None
    assert (strict.recorded, strict.now) == ('a human decides: approve {"order":"90"}', "")


async def test_a_message_in_the_middle_is_read_before_the_same_answer() -> None:
    heard: list[list[str]] = []

    @tool(effect="read")
    def look(order: str) -> str:
        return order

    class Listening(RecordedModel):
        async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
            heard.append([message.text for message in request.messages if message.role == "user"])
            return await super().request(request, emit)

    async def reply(request: ModelRequest) -> ModelReply:
        if len(request.messages) == 1:
            await app.send("k", "hurry", by="ann")
            return ModelReply.call(ProposedCall("look", '{"order":"81"}'))
        return ModelReply.say("Done.")

    agent = Agent("clerk", model=FunctionModel(reply), tools=[look])
    async with opened("memory:", agent) as app:
        run = await app.run(agent, "go", id="k")
        records = await app.events(run)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("surefoot.testing.replay.RecordedModel", Listening)
        await assert_replays(agent, records)
    assert heard == [["go"], ["go", "hurry"]]


async def test_a_record_can_come_from_a_file(tmp_path: Path) -> None:
    agent = clerk(("look", {"order": "81"}), "Done.")
    async with opened("memory:", agent) as app:
        run = await app.run(agent, "look at 81", session="s")
        lines = [json.dumps(value) async for value in app.sessions.export("s")]
    path = tmp_path / "s.jsonl"
    path.write_text("\n".join(lines))
    assert next(record.stream for record in recorded(path)) == run.id
    await assert_replays(clerk(), recorded(path, run.id))
    with pytest.raises(ValueError, match="holds no run nothing"):
        recorded(path, "nothing")


def test_a_record_of_a_run_that_asked_nobody_has_a_model_all_the_same() -> None:
    assert RecordedModel([]).name == "scripted:recorded"
