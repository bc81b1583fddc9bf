"""A sync tool that does not stop is left behind, and what is recorded says so."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from surefoot.core.agent import Agent
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened, results

LEFT = "its thread cannot be stopped: it was left behind, and may still be at work"


@pytest.mark.parametrize("effect", ["read", "unsafe"])
async def test_a_thread_that_is_left_behind_is_reported_as_such(store: str, effect: Any) -> None:
    end = threading.Event()

    @tool(effect=effect, timeout=0.05, retries=0)
    def stuck() -> str:
        end.wait(5)
        return "at last"

    model = ScriptedModel(("stuck", {}), "done")
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=model, tools=[stuck]), "go")
        end.set()
    said = results(model.requests[1])[0].text if effect == "read" else run.waiting[0].reason
    assert said.endswith(f"no answer within 0.05 s; {LEFT}")


async def test_a_cancelled_run_says_what_it_left_behind(store: str) -> None:
    begun, end = threading.Event(), threading.Event()

    @tool
    def stuck() -> str:
        begun.set()
        end.wait(5)
        return "at last"

    async with opened(store, approve=lambda request: True) as app:
        run = await app.start(Agent("a", model=ScriptedModel(("stuck", {})), tools=[stuck]), "go")
        async for record in app.follow(run, until="end"):
            if type(record.event).__name__ == "ToolStarted":
                await app.store.get(run.id)
                while not begun.is_set():
                    await app.get(run)
                break
        run = await app.cancel(run)
        end.set()
    assert run.status == "cancelled"
    assert run.waiting[0].reason == f"the run was cancelled while it ran; {LEFT}"
