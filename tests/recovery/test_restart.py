"""A toolset whose server died is started again before the next call; its tools may share a breaker."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Any

import pytest

from surefoot.approvals import allow
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError
from surefoot.core.ports import Tool
from surefoot.core.tool import NotDone
from surefoot.recovery.breaker import Rules
from surefoot.recovery.options import Recovery
from surefoot.recovery.restart import RevivedTool, Server
from surefoot.settings import Settings
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from surefoot.tools.toolset import Tools
from tests.flows.kit import of_kind, opened

ECHO = "import sys\nfor line in sys.stdin: print('echo', line.strip(), flush=True)"


class Piped:
    """A toolset whose tools ask a process through its pipes."""

    def __init__(self) -> None:
        self.process: Process
        self.pids: list[int] = []
        self.known = True

    def tools(self) -> Sequence[Tool]:
        """Give the tools, of the process that runs now."""

        @tool(effect="read")
        async def echo(text: str) -> str:
            """Say it again."""
            return await self.ask(text)

        @tool(effect="unsafe", rules=[allow()])
        async def send(text: str) -> str:
            """Send it."""
            return await self.ask(text)

        return [echo, send] if self.known else [send]

    async def ask(self, text: str) -> str:
        """Write a line, and read one."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{text}\n".encode())
        await self.process.stdin.drain()
        line = await self.process.stdout.readline()
        if not line:
            raise EOFError("the server is gone")
        return line.decode().strip()

    async def open(self) -> None:
        """Start the process."""
        self.process = await asyncio.create_subprocess_exec(sys.executable, "-c", ECHO, stdin=PIPE, stdout=PIPE)
        self.pids.append(self.process.pid)

    async def close(self) -> None:
        """End it."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        self.process._transport.close()  # type: ignore[attr-defined]

    async def die(self) -> None:
        """Let it be killed by somebody else."""
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()


async def test_a_server_that_died_is_started_again() -> None:
    toolset = Piped()

    async def died(request: Any) -> Any:
        await toolset.die()
        return ("echo", {"text": "two"})

    agent = Agent("a", model=ScriptedModel(("echo", {"text": "one"}), died, ("echo", {"text": "three"}), "done"), tools=[toolset])
    async with opened("memory:") as app:
        run = await app.run(agent, "go")
        assert run.output == "done"
        returned = [event.result for event in await of_kind(app, run, ev.ToolReturned)]
        assert returned == ["echo one", "echo two", "echo three"]
        assert len(await of_kind(app, run, ev.ToolFailed)) == 1
        assert [event.note for event in await of_kind(app, run, ev.ToolProgressed)] == ["its toolset was restarted"]
        assert len(toolset.pids) == 2


async def test_an_unsafe_call_that_met_the_death_is_not_run_again() -> None:
    toolset = Piped()

    async def died(request: Any) -> Any:
        await toolset.die()
        return ("send", {"text": "two"})

    script = ScriptedModel(("echo", {"text": "one"}), died, ("echo", {"text": "three"}), "done")
    async with opened("memory:") as app:
        run = await app.run(Agent("a", model=script, tools=[Tools([toolset], name="pipe")]), "go")
        [question] = run.waiting
        assert question.kind == "outcome"
        await app.settle(question, "give_up")
        run = await app.wait(run)
        assert run.output == "done"
        assert [event.result for event in await of_kind(app, run, ev.ToolReturned)] == ["echo one", "echo three"]


async def test_a_restart_of_ones_own_is_used_and_tools_may_be_gone_after_it() -> None:
    class Restarting(Piped):
        restarts = 0

        async def restart(self) -> None:
            self.restarts += 1
            self.known = False
            await self.open()

    toolset = Restarting()

    async def died(request: Any) -> Any:
        await toolset.die()
        toolset.process._transport.close()  # type: ignore[attr-defined]
        return ("echo", {"text": "two"})

    async with opened("memory:") as app:
        run = await app.run(Agent("a", model=ScriptedModel(("echo", {"text": "one"}), died, "done"), tools=[toolset]), "go")
        assert (run.output, toolset.restarts) == ("done", 1)
        last = (await of_kind(app, run, ev.ToolFailed))[-1]
        assert "not among its toolset's tools" in last.error.message


async def test_the_tools_of_a_set_share_a_breaker() -> None:
    asked: list[str] = []

    @tool(effect="read", retries=0)
    async def broken() -> str:
        asked.append("broken")
        raise TimeoutError("no")

    @tool(effect="read", retries=0)
    async def other() -> str:
        asked.append("other")
        return "fine"

    crm = Tools([broken, other], name="crm", breaker=True).prefixed("crm_")
    agents = [Agent(name, model=ScriptedModel(("crm_broken", {}), ("crm_other", {}), "done"), tools=[crm]) for name in "ab"]
    async with opened("memory:", recovery=Recovery(breaker=Rules(least=1)), settings=Settings(backoff=0, grace=0)) as app:
        for agent in agents:
            assert (await app.run(agent, "go")).output == "done"
        assert asked == ["broken"]
        changed = [record.event for record in await app.store.read("app")]
        assert [event.subject for event in changed if isinstance(event, ev.BreakerChanged)][:1] == ["toolset:crm"]


async def test_policies_speak_of_a_set_by_its_name() -> None:
    @tool(effect="read")
    async def look() -> str:
        return "seen"

    agent = Agent("a", model=ScriptedModel(("look", {}), "done"), tools=[Tools([look], name="crm")])
    rule = '@reason("crm is closed") forbid (principal, action in Action::"toolset:crm", resource);'
    async with opened("memory:", policy=rule) as app:
        run = await app.run(agent, "go")
        [denied] = await of_kind(app, run, ev.ToolFailed) or await of_kind(app, run, ev.ToolDenied)
        assert "crm" in str(denied)


def test_a_shared_breaker_needs_a_name() -> None:
    with pytest.raises(ConfigurationError, match="need a name"):
        Tools([], breaker=True)


async def test_many_calls_at_once_restart_a_server_once_and_a_probe_does_as_well() -> None:
    class Slow(Piped):
        async def open(self) -> None:
            await asyncio.sleep(0)
            self.pids.append(len(self.pids))

        async def close(self) -> None:
            raise ConnectionError("it is gone already")

        def tools(self) -> Sequence[Tool]:
            """Give one tool that says whether it did anything."""

            @tool(effect="reconcilable", probe=lambda key: NotDone())
            async def book() -> str:
                return "booked"

            return [book]

    toolset = Slow()
    server = Server(toolset)
    one = RevivedTool(toolset.tools()[0], server)
    server.died(0)
    assert sorted(await asyncio.gather(*[server.revive() for _ in range(5)])) == [False, False, False, False, True]
    server.died(1)
    assert isinstance(await one.probe("k"), NotDone)
    assert toolset.pids == [0, 1]
    assert (one.spec.name, one.validate("{}")) == ("book", "{}")
