"""Tools that fail in every way: an observation the model reads, another try, or a question; never the end of the run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import InvalidArguments, Retry, ToolFailed
from surefoot.core.messages import File
from surefoot.core.tool import ToolContext, ToolOutput, ToolSpec
from surefoot.settings import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened, results, tags


class HttpError(Exception):
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code
        super().__init__(f"HTTP {status_code}")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot say")


def raising(error: BaseException, effect: Any = "read", **options: Any) -> tuple[Any, list[int]]:
    """Make a tool that raises, and count its bodies."""
    bodies: list[int] = []

    @tool(effect=effect, **options)
    async def work() -> str:
        bodies.append(1)
        raise error

    return work, bodies


PERMANENT = [ValueError("no"), TypeError("no"), KeyError("no"), PermissionError("no"), FileNotFoundError("no"), HttpError(404)]
PASSING = [ConnectionError("no"), TimeoutError("no"), OSError("no"), RuntimeError("no"), HttpError(503), HttpError(429), Mute()]


@pytest.mark.parametrize("effect", ["read", "idempotent"])
@pytest.mark.parametrize("error", PERMANENT, ids=repr)
async def test_what_another_try_cannot_mend_is_not_tried_again(store: str, error: Exception, effect: Any) -> None:
    work, bodies = raising(error, effect)
    model = ScriptedModel(("work", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
    assert (run.output, len(bodies), run.tool_calls) == ("done", 1, 1)
    result = results(model.requests[1])[0]
    assert result.error
    assert type(error).__name__ in result.text


@pytest.mark.parametrize("effect", ["read", "idempotent"])
@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
async def test_what_may_pass_is_tried_three_times(store: str, error: Exception, effect: Any) -> None:
    work, bodies = raising(error, effect)
    model = ScriptedModel(("work", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
        failed = await of_kind(app, run, ev.ToolFailed)
    assert (run.output, len(bodies), run.tool_calls) == ("done", 3, 1)
    assert [event.attempt for event in failed] == [1, 2, 3]
    assert [bool(event.retry_at) for event in failed] == [True, True, False]
    assert "(tried 3 times)" in results(model.requests[1])[0].text


async def test_a_tool_that_recovers_is_none_the_worse(store: str) -> None:
    bodies: list[int] = []

    @tool(effect="read", retries=1)
    def work(context: ToolContext[Any]) -> str:
        bodies.append(context.attempt)
        if len(bodies) == 1:
            raise ConnectionError("no")
        return "fine"

    model = ScriptedModel(("work", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
    assert (run.output, bodies) == ("done", [1, 2])
    assert results(model.requests[1])[0].text == "fine"


@pytest.mark.parametrize("effect", ["read", "idempotent", "unsafe"])
async def test_a_tool_may_say_that_nothing_happened(store: str, effect: Any) -> None:
    work, bodies = raising(ToolFailed("the account is closed"), effect, alternatives=("ask_bank",))
    model = ScriptedModel(("work", {}), "done")
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
    assert (run.output, len(bodies)) == ("done", 1)
    text = results(model.requests[1])[0].text
    assert text == "Error (tool_permanent): the account is closed You can use ask_bank instead."


@pytest.mark.parametrize("effect", ["read", "unsafe"])
async def test_a_tool_may_ask_for_another_try(store: str, effect: Any) -> None:
    work, bodies = raising(Retry("busy", after=0), effect, retries=3)
    model = ScriptedModel(("work", {}), "done")
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
    assert (run.output, len(bodies)) == ("done", 4)
    assert "busy (tried 4 times)" in results(model.requests[1])[0].text


async def test_a_long_delay_lets_the_run_go_and_wakes_it_in_time(store: str) -> None:
    bodies: list[int] = []

    @tool(effect="read")
    def work() -> str:
        bodies.append(1)
        if len(bodies) == 1:
            raise Retry("closed until morning", after=8 * 3600)
        return "open"

    clock = ManualClock()
    async with opened(store, clock=clock) as app:
        run = await app.start(Agent("a", model=ScriptedModel(("work", {}), "done"), tools=[work]), "go")
        async for record in app.follow(run, until="end"):
            if isinstance(record.event, ev.RunSuspended):
                assert record.event.waiting_for == ("timer",)
                assert (await app.get(run)).status == "waiting"
                clock.advance(8 * 3600 + 1)
        assert (await app.get(run)).output == "done"
    assert len(bodies) == 2


@pytest.mark.parametrize("error", [ConnectionError("no"), ValueError("no"), RuntimeError("no")], ids=repr)
async def test_an_unsafe_tool_that_fails_is_unknown_not_failed(store: str, error: Exception) -> None:
    work, bodies = raising(error, "unsafe")
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=ScriptedModel(("work", {})), tools=[work]), "go")
    assert ([request.kind for request in run.waiting], len(bodies)) == (["outcome"], 1)


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("sync", [False, True])
async def test_what_would_end_a_process_ends_a_call(store: str, error: BaseException, sync: bool) -> None:
    if sync:

        @tool(effect="read", name="work")
        def work() -> str:
            raise error
    else:

        @tool(effect="read", name="work")
        async def work() -> str:
            raise error

    model = ScriptedModel([("work", {}), ("work", {})], "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
    assert run.output == "done"
    assert all(type(error).__name__ in result.text for result in results(model.requests[1]))


@pytest.mark.parametrize("effect", ["read", "unsafe"])
async def test_an_async_tool_that_hangs_is_cut_short(store: str, effect: Any) -> None:
    @tool(effect=effect, timeout=0.05, retries=0)
    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    model = ScriptedModel(("hang", {}), "done")
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=model, tools=[hang]), "go")
        if effect == "unsafe":
            assert "no answer within 0.05 s" in run.waiting[0].reason
            return
    assert "Error (timeout): no answer within 0.05 s" in results(model.requests[1])[0].text


async def test_each_tool_has_its_own_time(store: str) -> None:
    def hanging(name: str, seconds: float) -> Any:
        @tool(effect="read", timeout=seconds, retries=0, name=name)
        async def hang() -> str:
            await asyncio.Event().wait()
            return "never"

        return hang

    model = ScriptedModel([("slow", {}), ("quick", {})], "done")
    async with opened(store) as app:
        await app.run(Agent("a", model=model, tools=[hanging("quick", 0.02), hanging("slow", 0.05)]), "go")
    told = [result.text for result in results(model.requests[1])]
    assert told == [f"Error (timeout): no answer within {seconds} s" for seconds in (0.05, 0.02)]


async def test_a_sync_tool_that_hangs_is_left_behind(store: str) -> None:
    leave = threading.Event()

    @tool(effect="read", retries=0)
    def hang(context: ToolContext[Any]) -> str:
        leave.wait(5)
        context.progress("too late")
        return "late"

    model = ScriptedModel([("hang", {}), ("hang", {})], "done")
    async with opened(store, settings=Settings(tool_timeout=0.05, grace=0)) as app:
        run = await app.run(Agent("a", model=model, tools=[hang]), "go")
        before = await tags(app, run)
        leave.set()
        assert run.output == "done"
        assert await tags(app, run) == before
        assert "tool.progressed" not in before


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (None, "null"),
        (float("nan"), "nan"),
        ({"b": 1, "a": [1.5, None]}, '{"b":1,"a":[1.5,null]}'),
        ("half \ud83d", "half \\ud83d"),
        ("", ""),
    ],
)
async def test_whatever_a_tool_returns_is_text_for_the_model(store: str, value: Any, text: str) -> None:
    @tool(effect="read")
    def work() -> Any:
        return value

    model = ScriptedModel(("work", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
        assert (await app.get(run)).output == "done"
    assert results(model.requests[1])[0].text == text


async def test_bytes_that_are_no_text_are_a_file(store: str) -> None:
    @tool(effect="read")
    def work() -> bytes:
        return b"\xff\xfe\x00"

    model = ScriptedModel(("work", {}), "done")
    async with opened(store) as app:
        await app.run(Agent("a", model=model, tools=[work]), "go")
        part = results(model.requests[1])[0].parts[0]
        assert isinstance(part, File)
        assert part.data == b""
        assert await app.store.load(part.blob) == b"\xff\xfe\x00"


@pytest.mark.parametrize("make", [object, lambda: (n for n in range(3)), threading.Lock])
@pytest.mark.parametrize("effect", ["read", "unsafe"])
async def test_what_cannot_be_encoded_is_a_failure_that_says_so(store: str, make: Callable[[], Any], effect: Any) -> None:
    @tool(effect=effect)
    def work() -> Any:
        return make()

    model = ScriptedModel(("work", {}), "done")
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
        if effect == "unsafe":
            assert "the tool returned" in run.waiting[0].reason
            return
    assert "the tool returned" in results(model.requests[1])[0].text


async def test_a_huge_result_is_kept_and_its_head_shown(store: str) -> None:
    whole = "0123456789" * 50_000

    @tool(effect="read", result_limit=1_000)
    def work() -> str:
        return whole

    model = ScriptedModel(("work", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
        returned = (await of_kind(app, run, ev.ToolReturned))[0]
        text = results(model.requests[1])[0].text
        assert (len(returned.result), returned.size) == (1_000, 500_000)
        assert text.startswith(whole[:1_000])
        assert f"[1000 of 500000 characters; the whole result has the handle {returned.blob[:16]}]" in text
        assert (await app.store.load(returned.blob[:16])).decode() == whole


async def test_a_result_beyond_measure_is_cut_off(store: str) -> None:
    @tool(effect="read")
    def work() -> str:
        return "x" * 3_000_000

    model = ScriptedModel(("work", {}), "done")
    async with opened(store, settings=Settings(result_cap=100_000)) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
        returned = (await of_kind(app, run, ev.ToolReturned))[0]
        assert returned.size == 3_000_000
        assert len(await app.store.load(returned.blob)) == 100_000


class Odd:
    """A tool that was not made from a function, and keeps to nothing."""

    def __init__(self, output: Any) -> None:
        self.name, self.spec, self.output = "odd", ToolSpec("odd", effect="read"), output

    def validate(self, arguments: str) -> str:
        if self.output is None:
            raise ZeroDivisionError("the validator broke")
        return arguments

    async def call(self, arguments: str, context: ToolContext[Any]) -> Any:
        if isinstance(self.output, BaseException):
            raise self.output
        return self.output

    async def probe(self, key: str) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("text", "not a ToolOutput"),
        (ToolOutput("half \ud83d"), "lone surrogate"),
        (None, "could not be checked: ZeroDivisionError"),
        (asyncio.CancelledError(), "CancelledError"),
        (BaseExceptionGroup("several", [SystemExit(1)]), "several"),
    ],
)
async def test_a_tool_that_keeps_to_nothing_does_not_end_the_run(store: str, output: Any, words: str) -> None:
    model = ScriptedModel(("odd", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[Odd(output)]), "go")
        assert (await app.get(run)).output == "done"
    assert words in results(model.requests[1])[0].text


async def test_an_error_is_told_in_bounded_words(store: str) -> None:
    work, _ = raising(ValueError("x" * 1_000_000 + "\ud800"))
    model = ScriptedModel(("work", {}), "done")
    async with opened(store) as app:
        await app.run(Agent("a", model=model, tools=[work]), "go")
    text = results(model.requests[1])[0].text
    assert len(text) < 3_000
    assert "1000001 characters" in text


async def test_progress_and_spans_are_recorded_in_order(store: str) -> None:
    @tool(effect="read")
    def work(context: ToolContext[Any]) -> str:
        context.progress("begun", done=0)
        with context.span("fetch", url="x"):
            context.progress("half", done=50)
        with context.span("break"):
            raise InvalidArguments("no")

    model = ScriptedModel(("work", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go")
        kinds = (ev.ToolStarted, ev.ToolProgressed, ev.SpanStarted, ev.SpanEnded, ev.ToolFailed)
        found = [record.event for record in await app.events(run) if isinstance(record.event, kinds)]
    assert found[1:-1] == [
        ev.ToolProgressed("0.0", "begun", {"done": 0}),
        ev.SpanStarted("0.0", "fetch", {"url": "x"}),
        ev.ToolProgressed("0.0", "half", {"done": 50}),
        ev.SpanEnded("0.0", "fetch"),
        ev.SpanStarted("0.0", "break"),
        ev.SpanEnded("0.0", "break", "InvalidArguments"),
    ]


@pytest.mark.parametrize("effect", ["read", "unsafe"])
async def test_progress_that_cannot_be_stored_fails_where_it_is_said(store: str, effect: Any) -> None:
    said: list[str] = []

    @tool(effect=effect)
    async def work(context: ToolContext[Any]) -> str:
        try:
            context.progress("begun", what=object())
        except TypeError as error:
            said.append(str(error))
        return "fine"

    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=ScriptedModel(("work", {}), "done"), tools=[work]), "go")
    assert (run.output, len(said)) == ("done", 1)
