"""Recorded runs as regression tests: the recorded answers of the model against today's code, and the first difference.

`assert_replays(agent, records)` runs an agent, its tools and its output type as they are now, while a `RecordedModel` gives
the answers of a recorded run (``await app.events(run)``, or `recorded` from a file that ``surefoot sessions export`` wrote).
What was said, called, returned, decided and answered must come out as recorded; times and ids do not count.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surefoot.app import App
from surefoot.core import codec
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError
from surefoot.core.messages import ToolCall
from surefoot.core.model import Emit, ModelReply, ModelRequest, ProposedCall
from surefoot.core.request import Request
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
    """A `Model` that gives a recorded run's answers, failures included, in order; after the last it fails."""

    def __init__(self, records: Iterable[ev.Record]) -> None:
        self._answers = [record.event for record in records if isinstance(record.event, ev.ModelReplied | ev.ModelFailed)]
        asked = [record.event.model for record in records if isinstance(record.event, ev.ModelRequested)]
        self.name = asked[0] if asked else "scripted:recorded"
        self.context_window = 10_000_000
        self._next = 0

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """The next answer. Raises ModelError where the recorded request failed, and when there is none left."""
        if self._next >= len(self._answers):
            raise ModelError("invalid_request", "the recorded run asked no further; see where this one parts from it")
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


async def replay(agent: Agent[Any, Any], records: Sequence[ev.Record]) -> Difference | None:
    """Run an agent on a recorded run's input with its recorded answers; the first difference, None where there is none.

    The agent's tools are run; what a human decided is decided so again. Messages that came in the middle are not sent again.
    Raises TypeError where the record has no beginning.
    """
    started = records[0].event if records else None
    if not isinstance(started, ev.RunStarted):
        raise TypeError("the first event of the record is no run.started: give the events of a whole run")
    today = copy.copy(agent)
    today.model = RecordedModel(records)
    options = RunOptions(context=started.context, user=started.user, tenant=started.tenant, history=started.history)
    if started.limits is not None:
        options["limits"] = started.limits
    decisions = _decisions(records)

    def decide(request: Request) -> bool | None:
        return decisions.get(request.call)

    async with App("memory:", agents=[today], settings=Settings(backoff=0.0, grace=0.0, adopt=False), approve=decide) as app:
        run = await app.run(today, list(started.input), **options)
        now = facts(await app.events(run))
    pairs = itertools.zip_longest(_comparable(facts(records)), _comparable(now), fillvalue="")
    return next((Difference(at, old, new) for at, (old, new) in enumerate(pairs) if old != new), None)


async def assert_replays(agent: Agent[Any, Any], records: Sequence[ev.Record]) -> None:
    """Raise AssertionError, with the first difference, unless a recorded run comes out as it was."""
    found = await replay(agent, records)
    if found is not None:
        raise AssertionError(f"agent {agent.name!r} parts from the recorded run {found}")


def _comparable(found: list[str]) -> list[str]:
    return [fact for fact in found if not fact.startswith("message: ")]


def _decisions(records: Sequence[ev.Record]) -> dict[str, bool]:
    """What was decided about each call."""
    calls = {record.event.request: record.event.call for record in records if isinstance(record.event, ev.ApprovalRequested)}
    return {
        calls[record.event.request]: record.event.decision == "approve"
        for record in records
        if isinstance(record.event, ev.ApprovalDecided) and record.event.request in calls
    }


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
