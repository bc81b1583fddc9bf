"""Recorded runs as regression tests: the recorded answers of the model against today's code, and the first difference.

`assert_replays(agent, records)` runs an agent, its tools and its output type as they are now, while a `RecordedModel` gives
the answers of a recorded run (``await app.events(run)``, or `recorded` from a file that ``surefoot sessions export`` wrote).
What was said, called, returned, decided and answered must come out as recorded; times and ids do not count.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surefoot.app import App
from surefoot.approvals.layers import PolicyChoice
from surefoot.core import codec
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError, RunError
from surefoot.core.messages import ToolCall
from surefoot.core.model import Emit, ModelReply, ModelRequest, ProposedCall
from surefoot.core.run import Run
from surefoot.runs.decisions import DecideOptions
from surefoot.runs.intake import RunOptions
from surefoot.settings import Settings
from surefoot.telemetry.reasons import facts

__all__ = ["Difference", "RecordedModel", "assert_replays", "recorded", "replay"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a run parts from its record: after ``at`` facts that are the same; empty where one of them has ended."""

    at: int
    recorded: str
    now: str

    def __str__(self) -> str:
        return (
            f"after {self.at} facts\n  recorded: {self.recorded or '(nothing more)'}\n  now:      {self.now or '(nothing more)'}"
        )


class RecordedModel:
    """A `Model` that gives a recorded run's answers, failures included, in order; after the last it fails.

    ``before`` is awaited with the number of each request, from 0, before its answer is given.
    """

    def __init__(self, records: Iterable[ev.Record], before: Callable[[int], Awaitable[None]] | None = None) -> None:
        records = list(records)
        self._before = before
        self._answers = [record.event for record in records if isinstance(record.event, ev.ModelReplied | ev.ModelFailed)]
        asked = [record.event.model for record in records if isinstance(record.event, ev.ModelRequested)]
        self.name = asked[0] if asked else "scripted:recorded"
        self.context_window = 10_000_000
        self._next = 0

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """The next answer. Raises ModelError where the recorded request failed, and when there is none left."""
        if self._next >= len(self._answers):
            raise ModelError("invalid_request", "the recorded run asked no further; see where this one parts from it")
        if self._before is not None:
            await self._before(self._next)
        answer = self._answers[self._next]
        self._next += 1
        if isinstance(answer, ev.ModelFailed):
            raise ModelError(answer.error.kind, answer.error.message, status=answer.error.status)
        calls = [part for part in answer.parts if isinstance(part, ToolCall)]
        return ModelReply(
            parts=tuple([part for part in answer.parts if not isinstance(part, ToolCall)]),
            calls=tuple([ProposedCall(call.name, call.arguments, call.provider_id) for call in calls]),
            usage=answer.usage,
            finish=answer.finish,
        )


async def replay(
    agent: Agent[Any, Any], records: Sequence[ev.Record], *, policy: PolicyChoice | None = None
) -> Difference | None:
    """Run an agent on a recorded run's input with its recorded answers; the first difference, None where there is none.

    The agent's tools are run; what humans decided of a call is decided so again, by the same people with the same roles: with
    their edits, answers, questions back and votes. What was said to the run in the middle is said to it before the same answer.
    A question that expired stays open, and a call whose outcome nobody knew is not made unknown again. ``policy`` is what the
    application judges by, as `App` takes it. Raises TypeError where the record has no beginning.
    """
    started = records[0].event if records else None
    if not isinstance(started, ev.RunStarted):
        raise TypeError("the first event of the record is no run.started: give the events of a whole run")
    begun: asyncio.Future[Run[Any]] = asyncio.get_running_loop().create_future()
    messages = _messages(records)

    async def say(number: int) -> None:
        run = await begun
        for message in messages.pop(number, ()):
            await app.send(run, message.parts, by=message.by)

    today = copy.copy(agent)
    today.model = RecordedModel(records, say)
    options = RunOptions(
        session=started.session, context=started.context, user=started.user, tenant=started.tenant, history=started.history
    )
    if started.limits is not None:
        options["limits"] = started.limits
    roles = _roles(records)
    settings = Settings(backoff=0.0, grace=0.0, adopt=False)
    async with App("memory:", agents=[today], settings=settings, policy=policy, roles=roles or None) as app:
        run = await app.start(today, started.input, **options)
        begun.set_result(run)
        run = await app.wait(run)
        decisions = _decisions(records)
        while await _decided(app, run, decisions):
            run = await app.wait(run)
        now = facts(await app.events(run))
    pairs = itertools.zip_longest(_comparable(facts(records)), _comparable(now), fillvalue="")
    return next((Difference(at, old, new) for at, (old, new) in enumerate(pairs) if old != new), None)


async def assert_replays(agent: Agent[Any, Any], records: Sequence[ev.Record], *, policy: PolicyChoice | None = None) -> None:
    """Raise AssertionError, with the first difference, unless a recorded run comes out as it was. See `replay`."""
    found = await replay(agent, records, policy=policy)
    if found is not None:
        raise AssertionError(f"agent {agent.name!r} parts from the recorded run {found}")


def _comparable(found: list[str]) -> list[str]:
    return [fact for fact in found if not fact.startswith("message: ")]


def _messages(records: Sequence[ev.Record]) -> dict[int, list[ev.MessageReceived]]:
    """What was said in the middle, by the number of the request whose answer had not come yet; the first's, of none."""
    said: dict[int, list[ev.MessageReceived]] = defaultdict(list)
    answers = 0
    for record in records:
        if isinstance(record.event, ev.ModelReplied | ev.ModelFailed):
            answers += 1
        elif isinstance(record.event, ev.MessageReceived):
            said[max(0, answers - 1)].append(record.event)
    return said


def _roles(records: Sequence[ev.Record]) -> dict[str, tuple[str, ...]]:
    """The roles of everybody who decided, as they were told then; nothing where nobody had any."""
    events = [record.event for record in records if isinstance(record.event, ev.ApprovalVoted | ev.ApprovalDecided)]
    return {event.by: event.roles for event in events if event.roles}


def _decisions(records: Sequence[ev.Record]) -> dict[str, list[list[DecideOptions]]]:
    """What was decided about each call, in order: of each question every vote, and what was not settled by votes."""
    calls: dict[str, tuple[str, list[DecideOptions]]] = {}
    for record in records:
        match record.event:
            case ev.ApprovalRequested() as asked if asked.kind != "outcome":
                calls[asked.request] = (asked.call, [])
            case ev.ApprovalVoted() as vote if vote.request in calls:
                calls[vote.request][1].append(_said("approve" if vote.approve else "deny", vote, vote.arguments))
            case ev.ApprovalDecided() as made if made.request in calls:
                said = calls[made.request][1]
                if not said or said[-1]["by"] != made.by:
                    said.append(_said(made.decision, made, made.arguments))
            case _:
                pass
    found: dict[str, list[list[DecideOptions]]] = defaultdict(list)
    for call, said in calls.values():
        found[call].append(said)
    return found


def _said(word: str, event: ev.ApprovalVoted | ev.ApprovalDecided, arguments: str) -> DecideOptions:
    options = DecideOptions(by=event.by, how=event.how)
    if isinstance(event, ev.ApprovalDecided):
        if event.sticky:
            options["sticky"] = "rule" if event.sticky == "rule" else "call"
        if word == "answer":
            return {**options, "answer": event.result or ""}
        if word == "ask":
            return {**options, "ask": event.reason}
    if arguments:
        options["edit"] = json.loads(arguments)
    return {**options, "approve": word == "approve", "reason": event.reason}


async def _decided(app: App, run: Run[Any], decisions: dict[str, list[list[DecideOptions]]]) -> bool:
    """Decide the questions that a run waits for as they were decided; whether any was."""
    any_decided = False
    for request in run.waiting:
        if not (known := decisions[request.call]):
            continue
        with suppress(RunError):  # today's rules do not take it: the run waits, and parts from the record there
            for said in known.pop(0):
                await app.decide(request, **said)
                any_decided = True
    return any_decided


def recorded(path: Path, run: str = "") -> list[ev.Record]:
    """The records of a run from a file of JSON lines, as ``surefoot sessions export`` writes them; by default the first run's.

    Raises ValueError where the file holds no such run.
    """
    found: list[ev.Record] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        value = json.loads(line)
        if "seq" in value and value["run"] == (run or value["run"]):
            run = value["run"]
            event = codec.decode(value["tag"], json.dumps(value["body"]), value["version"])
            found.append(ev.Record(len(found) + 1, run, value["seq"], value["epoch"], value["time"], event))
    if not found:
        raise ValueError(f"{path} holds no run {run or 'at all'}; write one with `surefoot sessions export`")
    return found
