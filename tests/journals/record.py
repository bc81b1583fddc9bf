"""Record what this release writes: ``python -m tests.journals.record`` makes ``tests/journals/{version}.jsonl``.

A line is a stored event: stream, seq, epoch, time, tag, version, salt, body and hash, as in the database. Two kinds of
run are recorded: some that agents lived through, and one that holds every event with every field set. Beside it,
``{version}.states.json`` keeps what the runs fold to. A file of a version that was released is never made again.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from surefoot.app import App
from surefoot.approvals.policy import EffectPolicy
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError, Retry
from surefoot.core.events import Record
from surefoot.core.messages import Text, ToolCall
from surefoot.core.ports import Judged, Query, Store
from surefoot.core.state import fold
from surefoot.core.tool import ToolContext, ToolSpec
from surefoot.core.values import Limits, Verdict
from surefoot.journal import MemoryStore, SqliteStore
from surefoot.settings import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.crash.replay import put
from tests.crash.world import Total

HERE = Path(__file__).parent

#: The order in which one run can hold every event; what needs an open call gets a step of its own before it.
_ENDS = (ev.RunFinished, ev.RunFailed, ev.RunCancelled)
_BY_STORE = (ev.RunStarted, ev.RunClaimed, ev.EventRedacted, ev.Unknown)
_OUTSIDE = (
    ev.MessageReceived, ev.ApprovalVoted, ev.ApprovalDelegated, ev.ApprovalDecided, ev.ApprovalExpired, ev.ApprovalRevoked,
    ev.RunCancelRequested, ev.SessionRenamed,
)  # fmt: skip


# ── lives ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Rules:
    """A policy that says everything a policy can say."""

    digest = "rules-1"

    def settled(self, tool: ToolSpec) -> str:
        """Nothing can be said without looking at the call."""
        return ""

    def judge(self, call: Judged) -> Verdict:
        """Forbid one tool, record why another is allowed, leave the rest to their effects."""
        if call.tool.name == "erase":
            return Verdict(call.call, "deny", ("no-erasing",), "nothing is erased here")
        if call.tool.name == "look":
            return Verdict(call.call, "allow", ("looking",), origins={"n": "own"}, facts=True)
        return EffectPolicy().judge(call)


def _tools() -> list[Any]:
    async def look(context: ToolContext[Any], n: int) -> str:
        with context.span("looking", n=n):
            context.progress("half way", share=0.5)
        if context.attempt == 1 and n == 2:
            raise Retry("not yet", after=0.0)
        return "x" * (3_000 if n == 3 else 3)

    def send(n: int) -> str:
        if n == 0:
            raise ConnectionError("the line went dead")
        return f"sent {n}"

    async def ask(context: ToolContext[Any], n: int) -> str:
        child = await context.run("child", f"what is {n}?", session="")
        return str(child.output)

    return [
        tool(name="look", effect="read")(look),
        tool(name="send", effect="unsafe")(send),
        tool(name="erase", effect="unsafe")(send),
        tool(name="ask", effect="read")(ask),
    ]


def _agents() -> list[Agent[Any, Any]]:
    busy = ScriptedModel(
        ModelError("overloaded", "try later", status=503, request_id="r1"),
        [("look", {"n": 1}), ("look", {"n": 2}), ("send", {"n": 1}), ("erase", {"n": 1}), ("lok", {"n": 1})],
        [("send", {"n": 0}), ("send", {"n": 2}), ("look", {"n": "many"})],
        [("ask", {"n": 1})],
        "",
        "{}",
        '{"total": 42}',
    )
    long = ScriptedModel(*[[("look", {"n": 3})]] * 4, "it is long")
    return [
        Agent("busy", model=busy, tools=_tools(), output=Total, instructions="Do it.", version="7"),
        Agent("long", model=long, tools=_tools(), instructions="Look."),
        Agent("short", model=ScriptedModel(("look", {"n": 1}), "done"), tools=_tools(), limits=Limits(steps=1)),
        Agent("child", model=ScriptedModel("it is one")),
        Agent("idle", model=ScriptedModel(("send", {"n": 1})), tools=_tools()),
    ]


async def live(store: Store) -> None:
    """Runs of agents on this store."""
    settings = Settings(backoff=0.0, grace=0.0, context_budget=2_500, poll=0.05)
    async with App(store, agents=_agents(), settings=settings, policy=Rules()) as app:
        run = await app.run("busy", "add it up", session="s1", user="u1", id="k1", context={"shop": 7}, tags=["a", "b"])
        answers = iter(("approve", "deny", "approve"))
        while not run.ended:
            for request in run.waiting:
                if request.kind == "outcome":
                    await app.settle(request, "done", result="it went out", by="dana", reason="she saw it")
                else:
                    await app.decide(request, approve=next(answers) == "approve", by="dana", reason="well")
            await app.send(run, "hurry", by="u1")
            run = await app.wait(run)
        assert run.status == "done", run.error
        assert (await app.run("long", "and now?", session="s1", user="u1")).status == "done"
        short = await app.run("short", "go")
        assert short.status == "failed"
        assert (await app.resume(short, by="dana", limits=Limits(steps=5))).status == "done"
        idle = await app.run("idle", "go", deadline=3_600)
        assert (await app.cancel(idle, by="dana", reason="enough")).status == "cancelled"


# ── every event ─────────────────────────────────────────────────────────────────────────────────────────────────────


def full(kind: Any, name: str = "") -> Any:
    """A value of a type (of msgspec's inspection) with everything set, the same every time; ``name`` is its field's."""
    match kind:
        case inspect.StructType(cls=cls, fields=fields):
            return cls(**{field.name: full(field.type, field.name) for field in fields})
        case inspect.UnionType(types=types):
            return full(next(one for one in types if not isinstance(one, inspect.NoneType)), name)
        case inspect.VarTupleType(item_type=inspect.UnionType(types=types)):
            return tuple(full(one) for one in types)
        case inspect.VarTupleType(item_type=item):
            return (full(item, name),)
        case inspect.DictType(value_type=value):
            return {"key": full(value)}
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.StrType():
            return {"call": "0.0", "id": "0.0", "request": "every:0.0"}.get(name, f"a {name or 'text'}")
        case _:
            return _SIMPLE[type(kind)]


_SIMPLE: dict[type[inspect.Type], Any] = {
    inspect.AnyType: {"deep": [1, 0.5, "é\n\u202e", None, True, 2**53 + 1]},
    inspect.IntType: 7,
    inspect.FloatType: 0.25,
    inspect.BoolType: True,
    inspect.BytesType: b"\x00\xff",
}


def every(kind: type[Any]) -> Any:
    """An event of a kind with every field set."""
    return full(inspect.type_info(kind))


async def pretend(store: Store) -> None:
    """A run that holds every event, whole."""
    run = "every"
    await store.add(run, every(ev.RunStarted))
    claim = await store.claim(run, "worker-1", 0.0, "digest")
    assert claim is not None
    step = ev.ModelReplied(0, (ToolCall("0.0", "look"),))
    for kind in ev.RUN_EVENTS:
        if kind in (*_BY_STORE, *_ENDS, *_OUTSIDE, ev.RunSuspended, ev.RunResumed):
            continue
        await store.append(run, [step, every(kind)], head=None, epoch=claim.epoch)
    for kind in _OUTSIDE:
        await store.append(run, [every(kind)], head=None)
    [said] = await store.append(run, [ev.MessageReceived((Text("my name is Bond"),))], head=None)
    for kind in (ev.RunSuspended, *_ENDS):
        await store.append(run, [every(kind)], head=None, epoch=claim.epoch)
        await store.append(run, [every(ev.RunResumed)], head=None)
        claim = await store.claim(run, "worker-2", 0.0, "digest")
        assert claim is not None
    await store.append(run, [ev.RunFinished("the end")], head=None, epoch=claim.epoch)
    await store.redact(run, said.seq, by="dana", reason="a name was in it")


async def forget(store: Store) -> None:
    """What is in the stream of the application: its own events, and a run of which only its pruning is left."""
    for kind in ev.APP_EVENTS:
        if kind not in (ev.RunPruned, *_BY_STORE):
            await store.append("app", [every(kind)], head=None)
    await store.add("gone", ev.RunStarted("clerk"))
    claim = await store.claim("gone", "worker-1", 0.0)
    assert claim is not None
    [last] = await store.append("gone", [ev.RunFinished("")], head=None, epoch=claim.epoch)
    assert await store.prune(before=last.time + 1) == ["gone"]


# ── what is kept ────────────────────────────────────────────────────────────────────────────────────────────────────


async def record(path: Path) -> None:
    """Write a journal of this release to ``path``, and what it folds to beside it."""
    memory = MemoryStore(SystemClock())
    await memory.open()
    await live(memory)
    await memory.open()
    rows = await memory.find(Query())
    lives = sorted([item for row in rows for item in await memory.read(row.id)], key=lambda item: item.position)
    await memory.close()
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock()
        store = SqliteStore(f"{folder}/journal.db", clock)
        await store.open()
        await forget(store)
        await pretend(store)
        await put(store, clock, [_anonymous(item) for item in lives])
        assert await store.check() == []
        rows = await store.find(Query())
        states = {row.id: summary(await store.read(row.id)) for row in rows}
        await store.close()
        _write(path, _lines(f"{folder}/journal.db"), states)


def _write(path: Path, lines: list[str], states: dict[str, Any]) -> None:
    path.write_text("".join(lines))
    path.with_suffix(".states.json").write_text(json.dumps(states, indent=1, sort_keys=True) + "\n")


def summary(records: list[Record]) -> dict[str, Any]:
    """What a run folds to, as far as its caller and its model can see."""
    state = fold(records)
    seen = {
        "status": state.status,
        "output": state.output.output if state.output else None,
        "error": state.error.kind if state.error else None,
        "messages": msgspec.to_builtins(state.messages),
        "open": sorted(state.requests),
        "spent": msgspec.to_builtins(state.spent),
    }
    return msgspec.json.decode(msgspec.json.encode(seen), type=dict[str, Any])


def _anonymous(item: Record) -> Record:
    """A record that does not name the machine it was made on."""
    if isinstance(item.event, ev.RunClaimed):
        event = msgspec.structs.replace(item.event, worker="worker-1")
        return msgspec.structs.replace(item, event=event)
    return item


def _lines(database: str) -> list[str]:
    """The stored events, one JSON object a line, in the order of their positions."""
    connection = sqlite3.connect(database)
    found = connection.execute(
        "SELECT coalesce(r.id, 'app'), e.seq, e.epoch, e.time, e.tag, e.version, hex(e.salt), e.body, hex(e.hash)"
        " FROM event e LEFT JOIN run r ON r.key = e.run ORDER BY e.position"
    ).fetchall()
    connection.close()
    names = ("stream", "seq", "epoch", "time", "tag", "version", "salt", "body", "hash")
    return [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in found]


def release() -> str:
    """The version of this source tree."""
    for line in (HERE.parents[1] / "pyproject.toml").read_text().splitlines():
        if line.startswith("version = "):
            return line.split('"')[1]
    raise LookupError("pyproject.toml names no version")


if __name__ == "__main__":
    asyncio.run(record(HERE / f"{release()}.jsonl"))
