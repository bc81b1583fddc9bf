"""When another try follows: full jitter, what was asked for, never past the deadline, never more often than allowed."""

from __future__ import annotations

import datetime as dt
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError, Retry
from surefoot.core.taxonomy import KINDS, Kind, Trial
from surefoot.models.failures import retry_after
from surefoot.recovery.backoff import LONGEST, Backoff, wished
from surefoot.recovery.classify import Taxonomy
from surefoot.recovery.retry import Policy
from surefoot.settings import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened

chances = st.floats(0, 1, exclude_max=True)
tries = st.integers(1, 1_000)
wishes = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers())
kinds = st.sampled_from(sorted(KINDS))


@given(tries, chances, st.floats(0, 100), st.floats(0, 1_000))
def test_a_delay_is_a_random_share_of_an_exponential_one(n: int, chance: float, first: float, cap: float) -> None:
    backoff = Backoff(first, cap)
    most = min(cap, first * 2 ** min(n - 1, 30))
    assert 0 <= backoff.jittered(n, chance) <= most
    assert backoff.jittered(n, 0.5) == pytest.approx(most / 2)
    assert backoff.jittered(n, chance) <= backoff.jittered(n + 1, chance), "it grows, or stays at its cap"


@given(kinds, tries, st.integers(1, 10), wishes, st.floats(0, 1e9), chances)
def test_another_try_keeps_to_what_was_asked_and_to_the_deadline(
    kind: str, n: int, most: int, wish: Any, left: float, chance: float
) -> None:
    delay = Policy().delay(Trial(kind, n, most, wish, left), chance)
    asked = wished(wish)
    if delay is None:
        unlimited = Policy().delay(Trial(kind, n, most, wish), chance)
        hopeless = not KINDS[kind].retryable and not (KINDS[kind].resets and asked is not None)
        assert hopeless or n >= most or (unlimited is not None and unlimited >= left)
        return
    assert n < most
    assert delay < left
    assert delay >= (asked or 0)
    assert delay <= max(asked or 0, 60.0)


@pytest.mark.parametrize("wish", ["7", None, True, float("nan")])
def test_what_is_no_number_of_seconds_is_no_wish(wish: Any) -> None:
    assert wished(wish) is None


def test_a_wish_is_within_reason() -> None:
    assert [wished(-1), wished(7), wished(float("inf"))] == [0, 7, LONGEST]


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90)
    assert retry_after({"retry-after": "17"}, "") == 17
    date = retry_after({"retry-after": format_datetime(soon, usegmt=True)}, "")
    assert date is not None
    assert 80 < date <= 90


def test_a_spent_quota_waits_for_its_reset_and_for_nothing_else() -> None:
    assert Policy().delay(Trial("quota_exhausted", 1, 4), 0.5) is None
    assert Policy().delay(Trial("quota_exhausted", 1, 4, 3_600.0), 0.5) == 3_600
    assert Policy().delay(Trial("quota_exhausted", 1, 4, 3_600.0, left=60), 0.5) is None


def test_only_a_rule_vouches_that_nothing_happened() -> None:
    policy = Policy(Taxonomy({"declined": Kind(replay_safe=True)}, {LookupError: "declined", OSError: "connection"}))
    assert policy.harmless(KeyError())
    assert not policy.harmless(OSError())
    assert not policy.harmless(ModelError("rate_limited", "no")), "a refused model says nothing of what its caller did"


async def test_a_run_waits_for_its_quota_and_holds_nothing(store: str) -> None:
    model = ScriptedModel(ModelError("quota_exhausted", "spent", status=429, retry_after=7_200), "done")
    clock = ManualClock()
    async with opened(store, clock=clock) as app:
        run = await app.start(Agent("a", model=model), "go")
        async for record in app.follow(run, until="end"):
            if isinstance(record.event, ev.RunSuspended):
                assert (record.event.waiting_for, (await app.get(run)).status) == (("timer",), "waiting")
                clock.advance(7_201)
        assert (await app.get(run)).output == "done"


@pytest.mark.parametrize("kind", ["overloaded", "quota_exhausted"])
async def test_a_try_that_would_come_after_the_deadline_is_not_waited_for(store: str, kind: str) -> None:
    model = ScriptedModel(ModelError(kind, "busy", retry_after=7_200), "done")
    clock = ManualClock()
    async with opened(store, clock=clock) as app:
        run = await app.run(Agent("a", model=model), "go", deadline=3_600)
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", kind)
        assert "deadline" in run.error.hint
        clock.advance(7_200)
        assert (await app.resume(run, deadline=9_000)).output == "done"


async def test_a_tool_whose_next_try_would_come_too_late_has_failed(store: str) -> None:
    @tool(effect="read")
    def work() -> str:
        raise Retry("closed until morning", after=7_200)

    model = ScriptedModel(("work", {}), "done")
    async with opened(store, clock=ManualClock()) as app:
        run = await app.run(Agent("a", model=model, tools=[work]), "go", deadline=3_600)
        failed = (await of_kind(app, run, ev.ToolFailed))[0]
    assert (run.output, failed.retry_at) == ("done", 0)


async def test_every_failure_says_how_long_it_took(store: str) -> None:
    clock = ManualClock(skip=True)

    def slow(request: Any) -> Exception:
        clock.advance(3)
        return ModelError("server", "no")

    model = ScriptedModel(slow, "done")
    async with opened(store, clock=clock, settings=Settings(backoff=0, grace=0)) as app:
        run = await app.run(Agent("a", model=model), "go")
        failed = (await of_kind(app, run, ev.ModelFailed))[0]
    assert failed.duration == 3_000_000
