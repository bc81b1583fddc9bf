"""Retries keep to a share of the requests, and the number of requests at once follows what a provider can take."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.errors import ModelError
from surefoot.core.model import Emit, ModelReply, ModelRequest
from surefoot.recovery.limits import Budget, LimitedModel, Rules, Throttle
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import ScriptedModel
from tests.recovery.kit import asked, ignore


@given(st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=300))
def test_retries_keep_to_their_share_or_to_the_floor(sent: list[tuple[float, bool]]) -> None:
    budget, now, seen = Budget(Rules()), 0.0, list[tuple[int, bool]]()
    for gap, retry in sent:
        now += gap
        wait = budget.spend(now, retry=retry)
        assert 0 <= wait <= 1
        assert retry or not wait
        if not wait:
            seen.append((int(now), retry))
        recent = [retry for at, retry in seen if at > int(now) - 10]
        latest = [retry for at, retry in seen if at == int(now)].count(True)
        assert latest <= 3 or recent.count(True) <= 0.2 * len(recent) + 1


async def test_a_retry_over_budget_waits_for_its_turn_or_goes_elsewhere() -> None:
    clock = ManualClock()
    model = LimitedModel(ScriptedModel(*["fine"] * 5), Rules(floor=1), clock)
    assert (await model.request(asked(2), ignore)).finish == "stop"
    with pytest.raises(ModelError, match="retry budget") as caught:
        await model.request(asked(2, elsewhere=True), ignore)
    assert (caught.value.sent, caught.value.retryable) == (False, True)
    waiting = asyncio.create_task(model.request(asked(2), ignore))
    await asyncio.wait_for(clock.until_sleeping(), 5)
    assert (await model.request(asked(1), ignore)).finish == "stop", "what is no retry does not wait"
    clock.advance(1)
    assert (await asyncio.wait_for(waiting, 5)).finish == "stop"


class Crowd:
    """A provider that takes so many requests at once, and refuses more."""

    name, context_window = "crowded:model", 1_000

    def __init__(self, room: int, retry_after: float | None = None) -> None:
        self.room, self.retry_after = room, retry_after
        self.inside = self.most = self.refused = 0

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(0)
            if self.inside > self.room:
                self.refused += 1
                raise ModelError("rate_limited", "too many", retry_after=self.retry_after)
            for _ in range(3):
                await asyncio.sleep(0)
        finally:
            self.inside -= 1
        return ModelReply.say("fine")


@pytest.mark.parametrize(("retry_after", "most"), [(None, 20), (30.0, 1)])
async def test_a_refusal_halves_the_number_at_once_and_answers_raise_it(retry_after: float | None, most: int) -> None:
    crowd = Crowd(8, retry_after)
    model = LimitedModel(crowd, Rules(), ManualClock())
    assert model.context_window == 1_000

    async def one() -> bool:
        try:
            return (await model.request(asked(), ignore)).finish == "stop"
        except ModelError:
            return False

    await asyncio.gather(*[one() for _ in range(40)])
    assert (crowd.most, model.throttle.limit <= 21) == (40, True)
    crowd.most, crowd.room = 0, 1_000
    assert all(await asyncio.gather(*[one() for _ in range(500)]))
    assert most < crowd.most <= 40 + 1 or model.throttle.limit == float("inf")
    assert model.throttle.running == 0


async def test_who_gives_up_waiting_leaves_room_for_the_next() -> None:
    throttle = Throttle()
    first = await throttle.enter()
    throttle.refused(first, alone=True)
    waiting = [asyncio.create_task(throttle.enter()) for _ in range(4)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    throttle.leave(well=False)
    waiting[1].cancel()  # it was let in, and gives up before it knows
    assert await asyncio.wait_for(waiting[2], 5) == 2
    assert throttle.running == 1
    throttle.leave(well=True)
    await asyncio.wait_for(waiting[3], 5)
    throttle.leave(well=True)
    assert throttle.limit == float("inf"), "once it has taken more than it was refused for, there is no limit"


async def test_refusals_of_one_round_are_one_refusal() -> None:
    throttle = Throttle()
    numbers = [await throttle.enter() for _ in range(64)]
    for number in numbers:
        throttle.refused(number, alone=False)
    assert throttle.limit == 32


@given(st.lists(st.sampled_from(["enter", "well", "failed", "refused", "alone"]), max_size=60))
async def test_the_number_at_once_is_never_exceeded_and_nobody_waits_for_ever(steps: list[str]) -> None:
    throttle, inside, tasks = Throttle(), list[int](), set[asyncio.Task[int]]()
    for step in steps:
        if step == "enter":
            tasks.add(asyncio.create_task(throttle.enter()))
        elif inside:
            number = inside.pop(0)
            if step in ("refused", "alone"):
                throttle.refused(number, alone=step == "alone")
            throttle.leave(well=step == "well")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in [task for task in tasks if task.done()]:
            tasks.remove(task)
            inside.append(task.result())
        assert throttle.running == len(inside)
    while inside or tasks:
        assert inside, "somebody waits, and nobody is inside"
        inside.pop()
        throttle.leave(well=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in [task for task in tasks if task.done()]:
            tasks.remove(task)
            inside.append(task.result())
