"""Breakers: who fails too often, or asks for it, is left alone for a while; probes find out when he is well again."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import DiskFull, ModelError, ToolFailed
from surefoot.core.model import Emit, ModelReply, ModelRequest
from surefoot.core.taxonomy import KINDS
from surefoot.recovery.breaker import Rules
from surefoot.recovery.limits import Rules as BudgetRules
from surefoot.recovery.notes import Notes
from surefoot.recovery.options import Recovery
from surefoot.recovery.window import Window
from surefoot.settings import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened, results
from tests.recovery.kit import Bench, asked, ignore

#: Retries as many as there are.
FREE = Recovery(budget=BudgetRules(floor=1_000))
COUNTING = sorted(name for name, kind in KINDS.items() if kind.breaker)
OTHERS = sorted(name for name, kind in KINDS.items() if not kind.breaker)


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=200))
def test_a_window_counts_what_happened_lately(gaps: list[tuple[float, bool]]) -> None:
    window, now, seen = Window(10), 0.0, list[tuple[int, bool]]()
    for gap, bad in gaps:
        now += gap
        window.add(now, 1 - bad, bad)
        seen.append((int(now), bad))
        recent = [bad for at, bad in seen if at > int(now) - 10]
        assert window.totals(now) == (recent.count(False), recent.count(True))
        assert window.latest(now)[0] == [bad for at, bad in seen if at == int(now)].count(True)
    assert window.totals(now + 100) == (0, 0)


@pytest.mark.parametrize("kind", COUNTING)
def test_a_breaker_opens_when_half_of_enough_requests_failed(kind: str) -> None:
    bench = Bench(Rules(least=10))
    for _ in range(5):
        bench.breaker.succeeded()
    for _ in range(4):
        bench.breaker.failed(kind)
    assert bench.breaker.state == "closed"
    bench.breaker.failed(kind)
    assert (bench.breaker.state, bench.breaker.left()) == ("open", 5)
    [told] = bench.told
    assert (told.subject, told.state, told.reason, told.failed, told.asked) == ("a:model", "open", kind, 5, 10)
    assert told.until == bench.clock.now() + 5_000_000


def test_a_few_failures_do_not_tell() -> None:
    bench = Bench()
    for _ in range(19):
        bench.breaker.failed("server")
    assert bench.told == []
    bench.clock.advance(31)
    bench.breaker.failed("server")
    assert bench.told == [], "what was long ago does not count"


@pytest.mark.parametrize("kind", OTHERS)
def test_the_callers_own_errors_never_open_it(kind: str) -> None:
    bench = Bench()
    for _ in range(100):
        bench.breaker.failed(kind)
    assert bench.told == []


@pytest.mark.parametrize("kind", ["rate_limited", "quota_exhausted", "overloaded"])
def test_who_asks_to_be_left_alone_is_left_alone(kind: str) -> None:
    bench = Bench()
    bench.breaker.failed(kind, 90)
    bench.breaker.failed(kind, 10)
    assert (bench.breaker.state, bench.breaker.left(), bench.states) == ("open", 90, ["open"])
    bench.breaker.failed(kind, 100)
    assert bench.breaker.left() == 100
    bench.breaker.succeeded()
    assert bench.breaker.state == "open", "an answer to a request from before says nothing"


async def test_while_it_is_open_nobody_is_asked() -> None:
    bench, model = Bench(), ScriptedModel(ModelError("rate_limited", "no", retry_after=60), "fine")
    guarded = bench.guarded(model)
    assert (guarded.name, guarded.context_window) == (model.name, model.context_window)
    with pytest.raises(ModelError):
        await guarded.request(asked(), ignore)
    bench.clock.advance(20)
    with pytest.raises(ModelError) as caught:
        await guarded.request(asked(), ignore)
    assert (caught.value.kind, caught.value.retry_after, caught.value.sent) == ("rate_limited", 40, False)
    assert len(model.requests) == 1
    bench.clock.advance(40)
    await guarded.request(asked(), ignore)
    assert bench.states == ["open", "half_open", "closed"]


class Slow:
    """A model that answers when it is told to."""

    name, context_window = "slow:model", 1_000

    def __init__(self) -> None:
        self.asked = 0
        self.answers: asyncio.Queue[ModelReply | Exception] = asyncio.Queue()

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        self.asked += 1
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("well", [True, False])
async def test_one_probe_goes_first_and_the_others_wait_for_it(well: bool) -> None:
    bench, model = Bench(), Slow()
    guarded = bench.guarded(model)
    bench.breaker.failed("overloaded", 10)
    bench.clock.advance(10)
    tasks = [asyncio.create_task(guarded.request(asked(), ignore)) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert model.asked == 1
    with pytest.raises(ModelError, match="not asked for"):
        await guarded.request(asked(elsewhere=True), ignore)
    for _ in range(5):
        model.answers.put_nowait(ModelReply.say("fine") if well else ModelError("server", "no"))
    done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert model.asked == (5 if well else 1)
    assert bench.states == ["open", "half_open", "closed" if well else "open"]
    assert sum(isinstance(one, ModelReply) for one in done) == (5 if well else 0)
    assert bench.breaker.left() == (0 if well else 10), "the pause is doubled"


async def test_a_probe_that_is_given_up_leaves_the_next_to_find_out() -> None:
    bench, model = Bench(), Slow()
    guarded = bench.guarded(model)
    bench.breaker.failed("overloaded", 10)
    bench.clock.advance(10)
    first, second = (asyncio.create_task(guarded.request(asked(), ignore)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    model.answers.put_nowait(ModelReply.say("fine"))
    assert (await asyncio.wait_for(second, 5)).finish == "stop"
    assert bench.states == ["open", "half_open", "open", "half_open", "closed"]


@pytest.mark.parametrize(("kind", "state"), [("auth", "closed"), ("rate_limited", "closed"), ("server", "open")])
async def test_whoever_can_refuse_is_well(kind: str, state: str) -> None:
    bench = Bench()
    bench.breaker.failed("overloaded", 1)
    bench.clock.advance(1)
    assert await bench.breaker.admit(wait=True)
    bench.breaker.failed(kind)
    assert bench.breaker.state == state


@pytest.mark.parametrize(("seconds", "failed"), [(600, 1), (10, 0)])
async def test_an_answer_that_never_comes_is_a_failure_and_one_nobody_waits_for_is_not(seconds: float, failed: int) -> None:
    bench, model = Bench(Rules(least=1)), Slow()
    task = asyncio.create_task(bench.guarded(model).request(asked(), ignore))
    await asyncio.sleep(0)
    bench.clock.advance(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(bench.told) == failed


async def test_a_model_that_breaks_counts_as_a_failing_server() -> None:
    bench = Bench(Rules(least=1))
    with pytest.raises(ZeroDivisionError):
        await bench.guarded(ScriptedModel(ZeroDivisionError("x"))).request(asked(), ignore)
    assert bench.told[0].reason == "server"


async def test_a_run_waits_out_what_its_provider_asked_for_and_the_journal_says_so(store: str) -> None:
    model = ScriptedModel(ModelError("rate_limited", "no", retry_after=20), "done", "done")
    async with opened(store, clock=ManualClock(skip=True)) as app:
        agent = Agent("a", model=model)
        runs = await asyncio.gather(*[app.run(agent, "go") for _ in range(2)])
        assert [run.output for run in runs] == ["done", "done"]
        kept = app.store
        await app.close()
        await kept.open()
        told = [record.event for record in await kept.read("app")]
    assert [event.state for event in told if isinstance(event, ev.BreakerChanged)] == ["open", "half_open", "closed"]
    assert len(model.requests) == 3, "the other run was not sent while the breaker was open"


async def test_a_request_that_was_not_sent_is_no_try_until_there_are_many(store: str) -> None:
    sent = itertools.count()

    class Refusing:
        """A model that is sent the first request only, and then left alone for as long as anybody asks."""

        name, context_window = "a:refusing", 1_000

        async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
            raise ModelError("overloaded", "no", sent=next(sent) == 0)

    async with opened(store, settings=Settings(backoff=0, grace=0, model_tries=3), recovery=FREE) as app:
        run = await app.run(Agent("a", model=Refusing()), "go")
        failed = [record.event for record in await app.events(run) if isinstance(record.event, ev.ModelFailed)]
    assert run.error is not None
    assert (len(failed), run.error.data) == (1 + 60 + 1, {"tries": 3, "sent": False})


def flaky(error: BaseException, fails: int) -> tuple[Any, list[int]]:
    bodies: list[int] = []

    @tool(effect="read", retries=0, breaker=True)
    async def look(n: int) -> str:
        bodies.append(n)
        if len(bodies) <= fails:
            raise error
        return "seen"

    return look, bodies


async def test_a_tool_that_asks_for_it_is_left_alone_too(store: str) -> None:
    look, bodies = flaky(ConnectionError("no"), 99)
    model = ScriptedModel(*[("look", {"n": n}) for n in range(3)], "done")
    recovery = Recovery(breaker=Rules(least=2))
    async with opened(store, recovery=recovery) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
    assert (run.output, bodies) == ("done", [0, 1])
    assert "look failed too often lately (connection)" in results(model.requests[3])[2].text


@pytest.mark.parametrize("error", [ToolFailed("no"), ValueError("no")])
async def test_what_a_tool_refuses_does_not_open_its_breaker(store: str, error: Exception) -> None:
    look, bodies = flaky(error, 2)
    model = ScriptedModel(*[("look", {"n": n}) for n in range(3)], "done")
    async with opened(store, recovery=Recovery(breaker=Rules(least=2))) as app:
        await app.run(Agent("a", model=model, tools=[look]), "go")
    assert bodies == [0, 1, 2]


class Full:
    """A journal that cannot be written to."""

    async def append(self, stream: str, events: Any, **options: Any) -> Any:
        raise DiskFull("no room")


async def test_what_cannot_be_written_down_is_logged_and_nobody_is_the_worse(caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes(cast("Any", Full()))
    await notes.told()
    notes(ev.BreakerChanged("a:model", "open"))
    notes(ev.BreakerChanged("a:model", "closed"))
    await notes.told()
    notes(ev.BreakerChanged("a:model", "open"))
    await notes.told()
    assert [record.message for record in caplog.records] == [
        f"{count} changes of breakers could not be written down: no room" for count in (2, 1)
    ]
