"""Put a part of a journal into a fresh store, and say of a whole one whether it holds what a journal promises."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from surefoot.core import events as ev
from surefoot.core.events import Record
from surefoot.core.messages import ToolResult
from surefoot.core.ports import Store
from surefoot.core.state import fold
from surefoot.testing.clock import ManualClock

__all__ = ["End", "check_once", "end_of", "put"]


@dataclass(frozen=True, slots=True)
class End:
    """What a run came to, without what a crash may change: how often something was tried, and in which words it failed."""

    status: str
    output: str
    error: str
    results: tuple[tuple[str, str], ...]


def end_of(records: Sequence[Record]) -> End:
    """The end that these records tell of. Which calls a run got round to before it was stopped is chance."""
    state = fold(records)
    error = state.error.kind if state.error else ""
    found = [part for message in state.messages for part in message.parts if isinstance(part, ToolResult)]
    found += [call.result for call in state.calls.values() if call.result]
    results = () if error in ("cancelled", "limit_exceeded") else tuple(sorted((part.call, _words(part)) for part in found))
    output = state.output.output if state.output else ""
    return End(state.status, output, error, results)


def _words(result: ToolResult) -> str:
    return re.sub(r"^(Error \([a-z_]+\)).*", r"\1", result.text, flags=re.DOTALL)


async def put(store: Store, clock: ManualClock, records: Sequence[Record]) -> None:
    """Write records as they were written first: by a worker that then died, and by others outside."""
    for record in records:
        event = record.event
        clock.advance(max(0, record.time - clock.now()) / 1e6)
        if isinstance(event, ev.RunStarted):
            await store.add(record.stream, event)
        elif isinstance(event, ev.RunClaimed):
            claim = await store.claim(record.stream, event.worker, 0.0, event.agent_digest)
            assert claim is not None
            assert claim.epoch == record.epoch
        else:
            assert not isinstance(event, ev.RunPruned)
            await store.append(record.stream, [event], head=record.seq - 1, epoch=record.epoch or None)


def check_once(records: Sequence[Record]) -> None:
    """Fail unless every call has one outcome at most, is not started after it, nor again while its worker has the run."""
    check_epochs(records)
    over: Counter[str] = Counter()
    open_calls: set[str] = set()
    asked: dict[str, str] = {}
    for record in records:
        match record.event:
            case ev.RunClaimed():
                open_calls.clear()
            case ev.ToolStarted(call=call):
                assert not over[call], f"call {call} was started again at {record.seq}"
                assert call not in open_calls, f"the outcome of call {call} before {record.seq} is lost"
                open_calls.add(call)
            case ev.ToolReturned(call=call) | ev.ToolDenied(call=call) | ev.ToolFailed(call=call, retry_at=0):
                over[call] += 1
            case ev.ApprovalRequested(call=call, request=request):
                asked[request] = call
            case ev.ApprovalDecided(request=request, decision=decision) if request in asked:
                # Only the first counts: whoever decides where the run stands may come too late, and is told so.
                over[asked.pop(request)] += decision not in ("approve", "retry")
            case ev.ToolIndeterminate(call=call, request=request):
                asked[request] = call
                open_calls.discard(call)
            case ev.ToolFailed(call=call) | ev.ToolProgressed(call=call, waiting=(_, *_)):
                open_calls.discard(call)
            case _:
                pass
    twice = [call for call, count in over.items() if count > 1]
    assert not twice, f"calls with more than one outcome: {twice}"


def check_epochs(records: Sequence[Record]) -> None:
    """Fail when the stream forked: a gap, or a worker that wrote before its claim or after another's."""
    epoch = 0
    for seq, record in enumerate(records, 1):
        assert record.seq == seq
        if isinstance(record.event, ev.RunClaimed):
            assert record.epoch == epoch + 1
            epoch = record.epoch
        assert record.epoch in (0, epoch), f"event {seq} is of epoch {record.epoch}, written in {epoch}"
