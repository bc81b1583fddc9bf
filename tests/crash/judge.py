"""Judge a store against the ledger its tools wrote and the events its workers were told of."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.events import Record, tag_of
from surefoot.core.ports import Query
from surefoot.journal import open_store
from tests.crash.replay import check_once
from tests.crash.shop import Ledger, Line

__all__ = ["Tally", "acknowledged", "judge"]


@dataclass(frozen=True, slots=True)
class Tally:
    """What was looked at: so that nobody takes an empty folder for a proof."""

    runs: int
    children: int
    events: int
    acknowledged: int
    bodies: int
    effects: int
    unknown: int
    claims: int


async def judge(folder: Path, status: tuple[str, ...] = ("done",)) -> Tally:
    """Fail unless the journal in a folder holds everything that was promised; what was looked at."""
    store = open_store(f"sqlite:{folder / 'runs.db'}", SystemClock())
    await store.open()
    try:
        assert await store.check() == []
        rows = await store.find(Query(limit=1_000_000))
        journal = {row.id: await store.read(row.id) for row in rows}
    finally:
        await store.close()
    assert {row.status for row in rows} <= set(status), Counter(row.status for row in rows)
    told = acknowledged(folder)
    for run, seq, tag in told:
        assert seq <= len(journal.get(run, ())), f"acknowledged event {seq} ({tag}) of {run} is lost"
        assert tag_of(journal[run][seq - 1].event) == tag, f"event {seq} of {run} is no longer {tag}"
    lines: dict[str, list[Line]] = defaultdict(list)
    for line in Ledger(folder / "ledger").lines():
        lines[line.run].append(line)
    for run, records in journal.items():
        check_once(records)
        _compare(run, records, lines[run])
    children = Counter(
        (first.parent, first.parent_call)
        for records in journal.values()
        if isinstance(first := records[0].event, ev.RunStarted) and first.parent
    )
    assert set(children.values()) <= {1}, f"more than one child for a call: {children.most_common(3)}"
    every = [record.event for records in journal.values() for record in records]
    return Tally(
        len(rows), len(children), len(every), len(told),
        sum(line.what == "B" for some in lines.values() for line in some),
        sum(line.what == "E" for some in lines.values() for line in some),
        sum(isinstance(event, ev.ToolIndeterminate) for event in every),
        sum(isinstance(event, ev.RunClaimed) for event in every),
    )  # fmt: skip


def acknowledged(folder: Path) -> list[tuple[str, int, str]]:
    """(run, sequence number, tag) of every event that a worker was told is committed."""
    lines = [line.split() for line in (folder / "acks").read_text().splitlines()]
    return [(run, int(seq), tag) for run, seq, tag in lines]


def _compare(run: str, records: list[Record], lines: list[Line]) -> None:
    """Hold one run's journal against the ledger: bodies only as started, effects once where once is promised."""
    started: Counter[tuple[str, int]] = Counter()
    effects: dict[str, str] = {}
    again: Counter[str] = Counter()
    asked: dict[str, str] = {}
    for record in records:
        match record.event:
            case ev.ToolStarted(call=call, attempt=attempt, effect=effect):
                started[call, attempt] += 1
                effects[call] = effect
            case ev.ToolIndeterminate(call=call, request=request):
                asked[request] = call
            case ev.ApprovalDecided(request=request, decision="retry"):
                again[asked[request]] += 1
            case _:
                pass
    begun = Counter((line.call, line.attempt) for line in lines if line.what == "B")
    done = Counter(line.call for line in lines if line.what == "E")
    for (call, attempt), times in begun.items():
        assert times <= started[call, attempt], f"{run}:{call} attempt {attempt} began {times} times"
    for call, effect in effects.items():
        if effect in ("unsafe", "reconcilable"):
            assert done[call] <= 1, f"{effect} call {run}:{call} happened {done[call]} times"
        bodies = sum(times for (name, _), times in begun.items() if name == call)
        if effect == "unsafe":
            assert bodies <= 1 + again[call], f"unsafe call {run}:{call} ran {bodies} times, {again[call]} times as told"
    for call in {event.call for event in (record.event for record in records) if isinstance(event, ev.ToolReturned)}:
        assert done[call], f"{run}:{call} returned, and never happened"
