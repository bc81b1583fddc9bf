"""Recorded runs against changed code: no difference where there is none, and the first one where there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError
from surefoot.testing.models import ScriptedModel
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
