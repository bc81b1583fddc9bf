"""Messages, decisions and cancellations written in the gaps between a worker's events: all are heard, nothing is lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from surefoot.approvals.policy import EffectPolicy
from surefoot.core import events as ev
from surefoot.core.errors import AlreadyDecided
from surefoot.core.events import AppEvent, Event, Record
from surefoot.core.messages import Text, text_of
from surefoot.core.ports import Store
from surefoot.core.state import ENDED, fold
from surefoot.journal import MemoryStore, SqliteStore
from surefoot.runs import desk
from surefoot.runs.decisions import DecideOptions, Decisions
from surefoot.testing.clock import ManualClock
from surefoot.testing.faults import Faults, FaultyStore
from tests.crash.replay import check_once
from tests.crash.scripts import Script, scripts
from tests.crash.world import World

#: Each example is one run.
EXAMPLES = settings.default.max_examples // 2 if settings.default else 50
STORES = st.sampled_from(("memory", "memory", "memory", "memory", "sqlite"))


class Outsiders:
    """Who writes before a worker's append: by chance a message, a decision, a cancellation, or nothing."""

    def __init__(self, script: Script, seed: int) -> None:
        self.script = script
        self.chance = random.Random(seed)
        self.said: list[str] = []

    async def write(self, store: Store, run: str, events: Sequence[Event | AppEvent]) -> None:
        """Write something, as likely as not."""
        state = fold(await store.read(run))
        if state.status in ENDED:
            return
        what = self.chance.random()
        if what < 0.4:
            text = f"message {len(self.said)}"
            await store.append(run, [ev.MessageReceived((Text(text),), "outside")], head=state.seq)
            self.said.append(text)
        elif what < 0.6:
            for request in state.requests.values():
                if request.kind == "call":
                    said: DecideOptions = {"approve": self.script.call(request.call).approve, "by": "outside"}
                    with suppress(AlreadyDecided):
                        await Decisions(store, ManualClock(), EffectPolicy(), lambda agent: None, None).decide(request, said)
        elif what < 0.62:
            await desk.cancel(store, run, "outside", "")


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(scripts(), st.integers(0, 2**32), STORES)
async def test_outside_writers_in_the_gaps(
    tmp_path_factory: pytest.TempPathFactory, script: Script, chance: int, kind: str
) -> None:
    clock = ManualClock()
    store: Store = MemoryStore(clock)
    if kind == "sqlite":
        store = SqliteStore(str(tmp_path_factory.mktemp("gaps") / "runs.db"), clock)
    await store.open()
    world = World(script, clock, store)
    outsiders = Outsiders(script, chance)
    run = await world.start(FaultyStore(store, Faults(before=outsiders.write, after=world.interfere, shared=True)))
    records = await store.read(run)
    note("\n".join(f"{record.seq} e{record.epoch} {record.event}" for record in records))
    check_once(records)
    check_outcomes(records, world)
    check_heard(records, outsiders)
    assert await store.check() == []
    await store.close()


def check_outcomes(records: Sequence[Record], world: World) -> None:
    """Fail unless every body that ran was started, and everything started came to an outcome."""
    started = Counter((e.call, e.attempt) for r in records if isinstance(e := r.event, ev.ToolStarted))
    ended = Counter(
        (e.call, e.attempt)
        for r in records
        if isinstance(e := r.event, ev.ToolReturned | ev.ToolFailed | ev.ToolIndeterminate) and (e.call, e.attempt) in started
    )
    assert set(started.values()) <= {1}
    assert started == ended, f"started {started - ended}, ended {ended - started}"
    assert Counter(world.bodies) <= started
    for call, times in world.effects.items():
        if world.script.call(call).tool.startswith(("send", "transfer")):
            assert times <= 1, f"{call} happened {times} times"


def check_heard(records: Sequence[Record], outsiders: Outsiders) -> None:
    """Fail unless everything that was said is in the journal once, and, in a run that was done, before its last answer."""
    heard = [text_of(e.parts) for r in records if isinstance(e := r.event, ev.MessageReceived) and e.by == "outside"]
    assert heard == outsiders.said
    state = fold(records)
    assert any(isinstance(r.event, ev.RunCancelRequested) for r in records) <= (state.status == "cancelled")
    if state.status == "done":
        texts = [message.text for message in state.messages]
        assert state.messages[-1].role == "assistant"
        assert {text for text in texts if text.startswith("message ")} >= set(outsiders.said)
