"""Sessions as things: listed, shown, renamed, forked, exported, and deleted with every byte of them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, RunError, RunNotFound, SessionNotFound
from surefoot.core.messages import Image, Message
from surefoot.core.tool import ToolContext
from surefoot.testing.faults import Faults, FaultyStore, Stopped
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened, tags
from tests.journal.files import bytes_of

SECRET = "the-unmistakable-word"


@tool
def refund(order: str = "81") -> str:
    return f"refunded {order}"


def texts(messages: list[Message]) -> list[str]:
    return [message.text for message in messages]


def counting() -> FunctionModel:
    """A model that says how many messages it was given."""
    return FunctionModel(lambda request: f"{len(request.messages)} messages")


async def test_sessions_are_listed_shown_and_named(store: str) -> None:
    agent = Agent("a", model=counting())
    async with opened(store, agent) as app:
        for user, session in (("dana", "s"), ("eli", "t"), ("dana", "s")):
            await app.run(agent, f"hello from {user}", session=session, user=user)
        await app.run(agent, "no session")
        first = await app.sessions.rename("t", "  Order\n 81  ", by="eli")
        assert (first.title, first.user) == ("Order 81", "eli")
        assert [(row.id, row.title, row.runs, row.open) for row in await app.sessions.list()] == [
            ("s", "", 2, 0),
            ("t", "Order 81", 1, 0),
        ]
        assert [row.id for row in await app.sessions.list(user="eli", text="HELLO")] == ["t"]
        assert texts(await app.sessions.show("s")) == ["hello from dana", "1 messages", "hello from dana", "3 messages"]
        assert (await app.sessions.rename("t", "")).title == ""
        assert "session.renamed" in await tags(app, (await app.sessions.get("t")).last)


async def test_a_session_that_could_be_anybodys_is_asked_about(store: str) -> None:
    agent = Agent("a", model=counting())
    async with opened(store, agent) as app:
        for user, tenant in (("dana", ""), ("eli", ""), ("eli", "acme")):
            await app.run(agent, "hi", session="s", user=user, tenant=tenant)
        for whose in ({}, {"user": "eli"}):
            with pytest.raises(ConfigurationError, match="say whose is meant"):
                await app.sessions.show("s", **whose)
        assert (await app.sessions.get("s", user="eli", tenant="acme")).tenant == "acme"
        assert await app.sessions.delete("s", user="eli", tenant="") == 1
        assert {(row.user, row.tenant) for row in await app.sessions.list()} == {("dana", ""), ("eli", "acme")}
        for name in ("absent", ""):
            with pytest.raises(SessionNotFound):
                await app.sessions.get(name)
        with pytest.raises(ConfigurationError, match="200 characters"):
            await app.sessions.rename("s", "x" * 201, user="dana")


async def test_a_fork_goes_on_by_itself(store: str) -> None:
    agent = Agent("a", model=counting())
    async with opened(store, agent) as app:
        first = await app.run(agent, "one", session="s", user="dana", tags=["vip"])
        await app.run(agent, "two", session="s", user="dana")
        whole = await app.sessions.fork("s", "copy")
        assert (whole.user, whole.runs, whole.open) == ("dana", 1, 0)
        copied = await app.get(whole.first)
        assert (copied.status, copied.output, copied.steps, copied.cost) == ("done", "3 messages", 0, 0.0)
        await app.sessions.fork("s", "early", at=first.id)
        assert (await app.get((await app.sessions.get("early")).last)).tags == ("vip",)
        assert (await app.run(agent, "three", session="copy", user="dana")).output == "5 messages"
        assert (await app.run(agent, "three", session="early", user="dana")).output == "3 messages"
        assert (await app.run(agent, "three", session="s", user="dana")).output == "5 messages"
        assert await app.sessions.delete("s") == 3
        assert texts(await app.sessions.show("copy")) == ["one", "1 messages", "two", "3 messages", "three", "5 messages"]
        again = await app.sessions.fork("copy", "s")
        assert texts(await app.sessions.show("s")) == texts(await app.sessions.show("copy"))
        started = (await app.events(again.first))[0].event
        assert isinstance(started, ev.RunStarted)
        assert started.forked_from == (await app.sessions.get("copy")).last


async def test_what_cannot_be_forked(store: str) -> None:
    agent = Agent("a", model=counting())
    async with opened(store, agent) as app:
        await app.run(agent, "one", session="s")
        other = await app.run(agent, "one", session="t")
        for name in ("t", "s", ""):
            with pytest.raises(RunError, match="already"):
                await app.sessions.fork("s", name)
        with pytest.raises(RunNotFound):
            await app.sessions.fork("s", "new", at=other.id)
        run = (await app.sessions.fork("s", "new")).first
        await app.store.redact(run, 1)  # only its key remains to be seen, by nobody
        await app.sessions.fork("s", "new")
        await app.store.redact((await app.sessions.get("t")).first, 1)
        with pytest.raises(SessionNotFound):
            await app.sessions.fork("t", "newer")


async def test_of_two_that_fork_at_once_one_is_told(store: str) -> None:
    agent = Agent("a", model=counting())
    async with opened(store, agent) as app:
        await app.run(agent, "one", session="s")
        await app.store.add("taken", ev.RunStarted("a", key="fork:new", forked_from="x"))
        with pytest.raises(RunError, match="already"):
            await app.sessions.fork("s", "new")


async def test_a_session_without_a_word_cannot_be_forked(store: str) -> None:
    agent = Agent("a", model=counting())
    async with opened(store, agent) as app:
        run = await app.run(agent, "one", session="s")
        for record in await app.events(run):
            if isinstance(record.event, ev.ModelReplied):
                await app.store.redact(run.id, record.seq)
        await app.store.add("mute", ev.RunStarted("nobody", session="mute"))
        with pytest.raises(RunError, match="no conversation"):
            await app.sessions.fork("mute", "new")


async def test_a_fork_that_was_cut_off_is_ended_by_whoever_takes_it_up(store: str) -> None:
    agent = Agent("a", model=counting())
    async with opened(store, agent) as app:
        await app.run(agent, "one", session="s")
        inside = app.store
    stopping = FaultyStore(inside, Faults(stop_at=1, committed=True))
    with pytest.raises(Stopped):
        async with opened(stopping) as app:
            await app.sessions.fork("s", "copy")
    async with opened(inside, agent) as app:
        assert (await app.run(agent, "two", session="copy")).output == "3 messages"
        copied = await app.get((await app.sessions.get("copy")).first)
        assert (copied.status, copied.output, copied.steps) == ("done", "1 messages", 0)


async def test_an_export_has_every_event_and_blob(store: str) -> None:
    child = Agent("child", model=ScriptedModel("child's answer"))

    @tool(effect="read")
    async def ask(context: ToolContext[Any]) -> str:
        return str((await context.run(child, "sub-question")).output)

    agent = Agent("a", model=ScriptedModel(("ask", {}), "done"), tools=[ask], instructions="Be brief.")
    async with opened(store, agent) as app:
        await app.run(agent, ["look", Image(b"\x89PNG")], session="s")
        found = [item async for item in app.sessions.export("s")]
        gone = (await app.sessions.get("s")).first
    assert found[0] == {"session": "s", "user": "", "tenant": "", "title": "", "runs": 1}
    events = [item for item in found if "tag" in item]
    assert {event["run"] for event in events} > {gone}
    assert [event["tag"] for event in events].count("run.finished") == 2, "the child's, too"
    blobs = [base64.b64decode(item["data"]) for item in found if "blob" in item]
    assert b"\x89PNG" in blobs
    assert b"Be brief." in blobs


async def test_what_was_redacted_is_exported_as_gone(store: str) -> None:
    agent = Agent("a", model=ScriptedModel("fine"))
    async with opened(store, agent) as app:
        run = await app.run(agent, f"see {'0' * 64}", session="s")
        replied = next(record.seq for record in await app.events(run) if isinstance(record.event, ev.ModelReplied))
        await app.store.redact(run.id, replied)
        found = [item async for item in app.sessions.export("s")]
    assert not [item for item in found if "blob" in item], "what only looks like a digest is none"
    assert [list(item["body"]) for item in found if item.get("tag") == "model.replied"] == [["$redacted"]]


async def test_a_deleted_session_leaves_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    child = Agent("child", model=ScriptedModel(f"child {SECRET}"))

    @tool(effect="read")
    async def ask(context: ToolContext[Any]) -> str:
        return f"{(await context.run(child, f'sub {SECRET}')).output} " + f"{SECRET} " * 20_000

    agent = Agent("a", model=ScriptedModel(("ask", {}), f"answer {SECRET}", "kept answer"), tools=[ask])
    async with opened(f"sqlite:{path}", agent) as app:
        await app.run(agent, f"prompt {SECRET}", session="s", user="u", tags=[SECRET])
        await app.run(agent, "kept", session="t", user="u")
        await app.sessions.rename("s", f"title {SECRET}")
        await app.sessions.fork("t", "u")
        assert SECRET.encode() in bytes_of(path)
        assert await app.sessions.delete("s") == 2
        assert SECRET.encode() not in bytes_of(path)
        assert await app.store.check() == []
        assert [row.id for row in await app.sessions.list()] == ["u", "t"]
        with pytest.raises(SessionNotFound):
            await app.sessions.show("s")
    assert SECRET.encode() not in bytes_of(path)


async def test_nothing_is_deleted_while_a_run_goes_on(store: str) -> None:
    agent = Agent("a", model=ScriptedModel("hello", ("refund", {}), "later"), tools=[refund])
    async with opened(store, agent) as app:
        await app.run(agent, "one", session="s")
        waiting = await app.run(agent, "two", session="s")
        with pytest.raises(RunError, match="is waiting"):
            await app.sessions.delete("s")
        assert (await app.sessions.get("s")).runs == 2
        await app.cancel(waiting)
        assert await app.sessions.delete("s") == 2


async def test_a_long_session_is_found_page_by_page() -> None:
    agent = Agent("a", model=counting())
    async with opened("memory:", agent) as app:
        for number in range(501):
            await app.store.add(f"{number:04}", ev.RunStarted("nobody", session="s"))
            claim = await app.store.claim(f"{number:04}", "w", 60)
            assert claim is not None
            await app.store.append(f"{number:04}", [ev.RunFinished("so")], head=2, epoch=1)
        assert await app.sessions.delete("s") == 501
