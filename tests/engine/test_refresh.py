"""A worker that looks whether others wrote to its run, and is told so only when somebody did."""

from __future__ import annotations

from surefoot.core import events as ev
from surefoot.core.messages import Text
from surefoot.engine.ledger import Ledger
from surefoot.journal import MemoryStore
from surefoot.testing.clock import ManualClock


async def test_a_look_finds_what_others_wrote_and_nothing_else() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.open()
    await store.add("r", ev.RunStarted("a", (Text("go"),)))
    claim = await store.claim("r", "worker", 30)
    assert claim is not None
    ledger = Ledger(store, claim, clock)
    assert not await ledger.refresh()
    await store.append("r", [ev.MessageReceived((Text("hurry"),))], head=None)
    assert await ledger.refresh()
    assert [message.text for message in ledger.state.incoming] == ["hurry"]
    assert not await ledger.refresh()
    await store.close()
