"""Runs as their callers name, find and end them: ids, options, lists, pruning, streams."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, RunConflict, RunNotFound
from surefoot.core.messages import File, Image, Message, Text
from surefoot.core.tool import ToolContext
from surefoot.telemetry.spans import spans_of
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened, tags


@tool
def refund() -> str:
    return "refunded"


def echo(name: str = "echo") -> Agent[Any, str]:
    return Agent(name, model=FunctionModel(lambda request: f"echo {request.messages[-1].text}"))


async def test_the_same_id_is_the_same_run(store: str) -> None:
    model = ScriptedModel("once")
    agent = Agent("a", model=model)
    async with opened(store) as app:
        first = await app.run(agent, "go", id="order-81")
        second = await app.run(agent, "go", id="order-81")
        assert (first.id, first.output) == (second.id, second.output)
        assert (first.key, len(model.requests)) == ("order-81", 1)
        assert (await app.get("order-81")).id == first.id
        assert len(await app.list()) == 1


async def test_a_run_that_ended_is_not_started_again(store: str) -> None:
    model = ScriptedModel("once")
    agent = Agent("a", model=model)
    async with opened(store) as app:
        await app.run(agent, "go", id="x")
        assert (await app.start(agent, "go", id="x")).output == "once"


async def test_runs_that_begin_at_once_with_one_id_are_one(store: str) -> None:
    model = ScriptedModel("once", delay=0.01)
    agent = Agent("a", model=model)
    async with opened(store) as app:
        runs = await asyncio.gather(*[app.run(agent, "go", id="x") for _ in range(9)])
    assert {(run.id, run.output) for run in runs} == {(runs[0].id, "once")}
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("agent", "prompt", "session", "differs"),
    [("b", "go", "s", "agent"), ("a", "stop", "s", "input"), ("a", "go", "", "session"), ("a", ["go", "!"], "s", "input")],
)
async def test_another_run_under_the_same_id_is_a_conflict(
    store: str, agent: str, prompt: Any, session: str, differs: str
) -> None:
    async with opened(store, echo("a"), echo("b")) as app:
        run = await app.run("a", "go", session="s", id="x")
        with pytest.raises(RunConflict, match=f"another {differs}") as caught:
            await app.run(agent, prompt, session=session, id="x")
        assert (caught.value.key, caught.value.run, caught.value.differs) == ("x", run.id, differs)
        assert len(await app.list()) == 1


async def test_an_id_is_unique_per_user(store: str) -> None:
    async with opened(store) as app:
        agent = echo()
        runs = [await app.run(agent, "go", id="x", user=user, tenant=tenant) for user in "ab" for tenant in "tu"]
        assert len({run.id for run in runs}) == 4
        with pytest.raises(RunNotFound):
            await app.get("x")
        assert [run.id for run in await app.list(key="x", user="a", tenant="t")] == [runs[0].id]


async def test_an_id_may_be_used_again_with_an_image(store: str) -> None:
    async with opened(store) as app:
        agent = echo()
        parts: Sequence[str | Image] = ["look", Image(data=b"\x89PNG")]
        first = await app.run(agent, parts, id="x")
        assert (await app.run(agent, parts, id="x")).id == first.id
        with pytest.raises(RunConflict, match="input"):
            await app.run(agent, ["look", Image(data=b"GIF")], id="x")


async def test_parts_keep_their_bytes_in_blobs(store: str) -> None:
    model = ScriptedModel("seen")
    parts: Sequence[str | Image | File] = [
        "look:",
        Image(data=b"\x89PNG"),
        File(data=b"a,b", media_type="text/csv", name="t.csv"),
        Image(url="http://x/y.png"),
    ]
    old = Message("user", (Image(data=b"old"), Text("older")))
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), parts, history=[old])
        started = (await of_kind(app, run, ev.RunStarted))[0]
        load = model.requests[0].load
        assert load is not None
        text, image, file, far = started.input
        assert (text, image.data, file.data, far) == (Text("look:"), b"", b"", Image(url="http://x/y.png"))
        assert await load(image.blob) == b"\x89PNG"
        assert await load(file.blob) == b"a,b"
        assert (file.media_type, file.name) == ("text/csv", "t.csv")
        assert await load(started.history[0].parts[0].blob) == b"old"
        assert model.requests[0].messages[1].parts == started.input


WRONG: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    ("", {}, ConfigurationError, "nothing to do"),
    ([], {}, ConfigurationError, "nothing to do"),
    (["a", 7], {}, ConfigurationError, "7 is not an input"),
    (Image(), {}, ConfigurationError, "holds nothing"),
    ("go", {"context": {"x": object()}}, ConfigurationError, "must be JSON"),
    ("go", {"context": {"x": float("nan")}}, ConfigurationError, "must be JSON"),
    ("go", {"sesion": "s"}, TypeError, "no option 'sesion'"),
    ("go", {"session": "\ud800"}, ConfigurationError, "lone surrogate"),
    ("go", {"session": 7}, TypeError, "must be text"),
]


@pytest.mark.parametrize(("prompt", "options", "error", "words"), WRONG)
async def test_what_cannot_be_run_is_refused_before_it_begins(
    store: str, prompt: Any, options: Any, error: type[Exception], words: str
) -> None:
    async with opened(store) as app:
        with pytest.raises(error, match=words):
            await app.run(echo(), prompt, **options)
        assert await app.list() == []


async def test_a_run_that_there_is_not(store: str) -> None:
    async with opened(store) as app:
        for asked in (app.get("x"), app.wait("x"), app.cancel("x"), app.resume("x"), app.events("x")):
            with pytest.raises(RunNotFound, match="no run 'x'"):
                await asked


@pytest.mark.parametrize(
    ("traceparent", "trace"),
    [
        (f"00-{'a1' * 16}-{'b2' * 8}-01", "a1" * 16),
        (f"01-{'a1' * 16}-{'b2' * 8}-01-more", "a1" * 16),
        (f"00-{'00' * 16}-{'b2' * 8}-01", ""),
        (f"00-{'a1' * 16}-{'00' * 8}-01", ""),
        (f"ff-{'a1' * 16}-{'b2' * 8}-01", ""),
        (f"00-{'zz' * 16}-{'b2' * 8}-01", ""),
        ("nonsense", ""),
    ],
)
async def test_a_run_joins_its_callers_trace(store: str, traceparent: str, trace: str) -> None:
    async with opened(store) as app:
        run = await app.run(echo(), "go", traceparent=traceparent)
        started = (await of_kind(app, run, ev.RunStarted))[0]
    assert len(run.trace_id) == 32
    assert (run.trace_id == trace) == bool(trace)
    assert started.parent_span == ("b2" * 8 if trace else "")


async def test_runs_are_listed_by_what_is_known_of_them(store: str) -> None:
    waiting = Agent("clerk", model=ScriptedModel(("refund", {})), tools=[refund])
    agent = echo()
    async with opened(store) as app:
        one = await app.run(agent, "the first apple", session="s", user="dana", tags=["vip", "eu"])
        two = await app.run(agent, "the second pear", session="s", user="kim", tags="vip", tenant="t")
        three = await app.run(waiting, "the third apple")
        assert await ids(app.list()) == [three.id, two.id, one.id], "newest first"
        assert await ids(app.list(agent="clerk")) == [three.id]
        assert await ids(app.list(session="s")) == [two.id, one.id]
        assert await ids(app.list(user="dana")) == [one.id]
        assert await ids(app.list(tenant="t")) == [two.id]
        assert await ids(app.list(status="waiting")) == [three.id]
        assert await ids(app.list(status=["done", "failed"])) == [two.id, one.id]
        assert await ids(app.list(tags=["vip"])) == [two.id, one.id]
        assert await ids(app.list(tags="eu")) == [one.id]
        assert await ids(app.list(tags=["vip", "eu"])) == [one.id]
        assert await ids(app.list(text="APPLE")) == [three.id, one.id]
        assert await ids(app.list(text="echo the second")) == [two.id], "answers are searched too"
        assert await ids(app.list(limit=2)) == [three.id, two.id]
        assert await ids(app.list(before=two.id)) == [one.id]
        assert await ids(app.list(after=two.id)) == [three.id]
        assert await ids(app.list(text="apple", user="kim")) == []
        with pytest.raises(TypeError):
            await app.list(colour="red")  # type: ignore[call-arg]
    assert (one.tags, one.user, two.tags) == (("vip", "eu"), "dana", ("vip",))


async def ids(runs: Any) -> list[str]:
    return [run.id for run in await runs]


async def test_text_said_later_is_found_too(store: str) -> None:
    agent = Agent("clerk", model=ScriptedModel(("refund", {})), tools=[refund])
    async with opened(store) as app:
        run = await app.run(agent, "go")
        await app.send(run, "about the Äpfel")
        assert await ids(app.list(text="äpfel")) == [run.id]


async def test_old_runs_are_pruned_and_others_stay(store: str) -> None:
    clock = ManualClock()
    agent, waiting = echo(), Agent("clerk", model=ScriptedModel(("refund", {})), tools=[refund])
    failing = Agent("failing", model=ScriptedModel("", "", ""))
    async with opened(store, clock=clock) as app:
        old, failed = await app.run(agent, "old"), await app.run(failing, "go")
        open_run = await app.run(waiting, "go")
        clock.advance(10 * 86_400)
        young = await app.run(agent, "young")
        assert await app.prune(timedelta(days=20)) == []
        assert await app.prune(timedelta(days=5), status=["done"]) == [old.id]
        with pytest.raises(RunNotFound):
            await app.get(old)
        now = datetime.fromtimestamp(clock.now() / 1e6, UTC)
        assert await app.prune(now - timedelta(days=1)) == [failed.id]
        assert await ids(app.list()) == [young.id, open_run.id]
        with pytest.raises(ConfigurationError, match="zone"):
            await app.prune(datetime(2030, 1, 1))  # noqa: DTZ001  what is refused
        assert await app.store.check() == []


async def test_a_redacted_run_can_still_be_seen(store: str) -> None:
    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel("noted")), "my card is 4111", session="s")
        for number in (1, len(await app.events(run))):
            await app.store.redact(run.id, number, by="dana", reason="privacy")
        again = await app.get(run.id)
        assert (again.id, again.status) == (run.id, "done")
        assert [seen.id for seen in await app.list()] == [run.id]
        assert "4111" not in str(await app.events(run))
        assert (await app.run(echo("other"), "next", session="s")).output == "echo next"


async def test_an_answer_that_fits_its_type_no_more_is_still_shown(store: str) -> None:
    from pydantic import BaseModel

    class Old(BaseModel):
        n: int

    class New(BaseModel):
        n: int
        m: int

    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel('{"n": 1}'), output=Old), "go")
        assert run.output == Old(n=1)
        kept = app.store
    async with opened(kept, Agent("a", model=ScriptedModel(), output=New)) as app:
        seen = (await app.list())[0]
        assert (seen.status, seen.output) == ("done", {"n": 1})
    async with opened(kept) as app:
        assert (await app.get(run.id)).output == {"n": 1}, "and without the agent too"


async def test_events_may_be_read_from_any_point(store: str) -> None:
    async with opened(store) as app:
        run = await app.run(echo(), "go")
        every = await app.events(run)
        assert [record.seq for record in every] == list(range(1, len(every) + 1))
        assert await app.events(run, after=3) == every[3:]
        assert await tags(app, run)


async def test_a_tool_hands_the_trace_on(store: str) -> None:
    sent: list[dict[str, str]] = []

    @tool(effect="read")
    def ask_elsewhere(context: ToolContext[Any]) -> str:
        sent.append(context.trace_headers)
        return "asked"

    agent = Agent("clerk", model=ScriptedModel(("ask_elsewhere", {}), "done"), tools=[ask_elsewhere])
    async with opened(store) as app:
        run = await app.run(agent, "go", traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01", tracestate="shop=1")
        [call] = [span for span in spans_of(await app.events(run)) if span.kind == "tool"]
    assert sent == [{"traceparent": f"00-{'ab' * 16}-{call.id}-01", "tracestate": "shop=1"}]
