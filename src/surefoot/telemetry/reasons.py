"""What led to a call, and what two runs have in common: facts of a run in plain words, without times and ids.

Where an argument's value comes from is looked for in what was said before the call: in the user's words, in recalled
memory and in results, in the order of their events. A policy that told a value's origin is believed first. A value that is
found nowhere is the model's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.core import events as ev
from surefoot.core.errors import RunError
from surefoot.core.messages import Reasoning, ToolCall, text_of
from surefoot.core.values import Verdict

__all__ = ["Reason", "facts", "why"]

#: Values that are shorter prove nothing about where they come from.
_TELLING = 2


@dataclass(frozen=True, slots=True)
class Reason:
    """One link of the chain that led to a call: what it is, what was said, and its event."""

    what: str
    text: str
    seq: int = 0


def facts(records: Iterable[ev.Record]) -> list[str]:
    """What was asked, said, called, decided and answered in a run, in order."""
    return [text for record in records for text in _facts(record.event)]


def _facts(event: ev.Event | ev.AppEvent) -> list[str]:
    say = _FACTS.get(type(event))
    return say(event) if say else []


def _reply(event: ev.ModelReplied) -> list[str]:
    text = text_of(event.parts)
    calls = [f"call {call.id}: {call.name}({call.arguments})" for call in _calls(event)]
    return [f"step {event.step} says: {text}", *calls] if text else calls


_FACTS: Mapping[type, Callable[[Any], list[str]]] = {
    ev.RunStarted: lambda e: [f"agent: {e.agent}", f"input: {text_of(e.input)}"],
    ev.MessageReceived: lambda e: [f"message: {text_of(e.parts)}"],
    ev.MemoryRecalled: lambda e: [f"memory: {e.text}"],
    ev.ModelReplied: _reply,
    ev.ModelFailed: lambda e: [f"step {e.step} fails: {e.error.kind}"],
    ev.ToolReturned: lambda e: [f"call {e.call} returns: {e.result}"],
    ev.ToolFailed: lambda e: [f"call {e.call} fails: {e.error.kind}: {e.error.message}"],
    ev.ToolDenied: lambda e: [f"call {e.call} is denied: {e.reason}"],
    ev.ToolIndeterminate: lambda e: [f"call {e.call} has an unknown outcome"],
    ev.ApprovalRequested: lambda e: [f"call {e.call} asks a human: {e.reason}"],
    ev.ApprovalDecided: lambda e: [f"a human decides: {e.decision} {e.arguments}".rstrip()],
    ev.RunFinished: lambda e: [f"output: {e.output}"],
    ev.RunFailed: lambda e: [f"the run fails: {e.error.kind}: {e.error.message}"],
    ev.RunCancelled: lambda e: ["the run is cancelled"],
}


def why(records: Sequence[ev.Record], call: str) -> list[Reason]:
    """The chain that led to a call, from the message that began it to what came of it. Raises RunError for no such call."""
    made = next((record for record in records if _call_in(record, call)), None)
    if made is None:
        known = [part.id for record in records for part in _calls(record.event)]
        raise RunError(f"there is no call {call} in this run; there is {', '.join(known) or 'none at all'}")
    before = [record for record in records if record.seq < made.seq]
    part = next(part for part in _calls(made.event) if part.id == call)
    verdict = _verdict(records, call)
    chain = [*_asked(before), *_remembered(before), *_thought(made), Reason("call", f"{part.name}({part.arguments})", made.seq)]
    return [*chain, *_origins(before, part, verdict), *_judged(records, call), *_decided(records, call), *_came(records, call)]


def _calls(event: ev.Event | ev.AppEvent) -> list[ToolCall]:
    return [part for part in event.parts if isinstance(part, ToolCall)] if isinstance(event, ev.ModelReplied) else []


def _call_in(record: ev.Record, call: str) -> bool:
    return any(part.id == call for part in _calls(record.event))


def _asked(before: Sequence[ev.Record]) -> Iterator[Reason]:
    for record in reversed(before):
        if isinstance(record.event, ev.RunStarted):
            said = text_of(record.event.input) or next(
                (message.text for message in reversed(record.event.history) if message.role == "user"), ""
            )
            yield Reason("message", said, record.seq)
            return
        if isinstance(record.event, ev.MessageReceived):
            yield Reason("message", text_of(record.event.parts), record.seq)
            return


def _remembered(before: Sequence[ev.Record]) -> Iterator[Reason]:
    for record in before:
        if isinstance(record.event, ev.MemoryRecalled):
            yield Reason("memory", record.event.text, record.seq)


def _thought(made: ev.Record) -> Iterator[Reason]:
    assert isinstance(made.event, ev.ModelReplied)  # where calls are made
    thought = "".join([part.text for part in made.event.parts if isinstance(part, Reasoning)])
    if thought:
        yield Reason("reasoning", thought, made.seq)
    if text := text_of(made.event.parts):
        yield Reason("text", text, made.seq)


def _verdict(records: Sequence[ev.Record], call: str) -> Verdict | None:
    for record in records:
        if isinstance(record.event, ev.CallsJudged):
            found = next((verdict for verdict in record.event.verdicts if verdict.call == call), None)
            if found is not None:
                return found
        if isinstance(record.event, ev.ApprovalRequested) and record.event.call == call and record.event.verdict is not None:
            return record.event.verdict
    return None


def _judged(records: Sequence[ev.Record], call: str) -> Iterator[Reason]:
    for record in records:
        event = record.event
        if isinstance(event, ev.CallsJudged):
            for verdict in event.verdicts:
                if verdict.call == call:
                    rules = f" by {', '.join(verdict.rules)}" if verdict.rules else ""
                    reason = f": {verdict.reason}" if verdict.reason else ""
                    yield Reason("policy", f"{verdict.verdict}{rules}{reason}", record.seq)
        elif isinstance(event, ev.ApprovalRequested) and event.call == call:
            rules = f" by {', '.join(event.verdict.rules)}" if event.verdict is not None and event.verdict.rules else ""
            yield Reason("policy", f"ask{rules}" + (f": {event.reason}" if event.reason else ""), record.seq)
        elif isinstance(event, ev.ToolDenied) and event.call == call:
            yield Reason("policy", "deny" + (f": {event.reason}" if event.reason else ""), record.seq)


def _decided(records: Sequence[ev.Record], call: str) -> Iterator[Reason]:
    requests: set[str] = set()
    for record in records:
        event = record.event
        if isinstance(event, ev.ApprovalRequested | ev.ToolIndeterminate) and event.call == call:
            requests.add(event.request)
        elif isinstance(event, ev.ApprovalVoted | ev.ApprovalDelegated | ev.ApprovalDecided) and event.request in requests:
            word = _word(event)
            by = f" by {event.by} ({event.how})" if event.by else ""
            yield Reason("decision", f"{word}{by}" + (f": {event.reason}" if event.reason else ""), record.seq)


def _word(event: ev.ApprovalVoted | ev.ApprovalDelegated | ev.ApprovalDecided) -> str:
    match event:
        case ev.ApprovalDecided():
            return event.decision
        case ev.ApprovalDelegated():
            return f"left to {event.to}"
        case _:
            return "yes" if event.approve else "no"


def _came(records: Sequence[ev.Record], call: str) -> Iterator[Reason]:
    for record in records:
        event = record.event
        if isinstance(event, ev.ToolStarted) and event.call == call:
            yield Reason("try", f"{event.attempt}, {event.effect}", record.seq)
        elif isinstance(event, ev.ToolReturned) and event.call == call:
            yield Reason("result", event.result, record.seq)
        elif isinstance(event, ev.ToolFailed) and event.call == call:
            yield Reason("error", f"{event.error.kind}: {event.error.message}", record.seq)
        elif isinstance(event, ev.ToolIndeterminate) and event.call == call:
            yield Reason("error", f"unknown outcome: {event.reason}", record.seq)


# ── where arguments come from ───────────────────────────────────────────────────────────────────────────────────────


def _origins(before: Sequence[ev.Record], call: ToolCall, verdict: Verdict | None) -> Iterator[Reason]:
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = {"arguments": call.arguments}
    known = verdict.origins if verdict is not None else {}
    sources = list(_sources(before))
    for path, value in _leaves(arguments, ""):
        told = known.get(path) or known.get(path.partition(".")[0], "")
        where, seq = ("", 0) if told else _found(value, sources)
        yield Reason(f"argument {path}", f"{json.dumps(value, ensure_ascii=False)} from {told or where}", seq)


def _sources(before: Sequence[ev.Record]) -> Iterator[tuple[str, int, str]]:
    """Where a value may come from: what it is called, its event, and its text."""
    for record in before:
        match record.event:
            case ev.RunStarted() as event:
                for message in event.history:
                    yield f"the conversation before ({message.role})", record.seq, " ".join(_texts(message.parts))
                yield "the user's words", record.seq, text_of(event.input)
                yield "the run's context", record.seq, json.dumps(event.context, ensure_ascii=False)
            case ev.MessageReceived() as event:
                yield "the user's words", record.seq, text_of(event.parts)
            case ev.MemoryRecalled() as event:
                yield "memory", record.seq, event.text
            case ev.ToolReturned() as event:
                yield f"the result of call {event.call}", record.seq, event.result
            case _:
                pass


def _texts(parts: Iterable[Any]) -> list[str]:
    return [getattr(part, "text", "") or getattr(part, "arguments", "") for part in parts]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  any JSON value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{number}" if path else str(number))
    else:
        yield path, value


def _found(value: Any, sources: Sequence[tuple[str, int, str]]) -> tuple[str, int]:  # noqa: ANN401  any JSON value
    """The first source that holds a value as a whole word or number."""
    holds = _holder(value)
    for where, seq, text in sources if holds else ():
        if holds is not None and holds(text):
            return where, seq
    return ("the model's own words" if holds else "the model; too little to tell"), 0


def _holder(value: Any) -> Callable[[str], bool] | None:  # noqa: ANN401  any JSON value
    """Whether a text holds a value; None for one that says too little: a truth, a null, a letter."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return lambda text: any(_number(found) == value for found in re.findall(r"-?\d+(?:[.,]\d+)*", text))
    words = str(value).casefold().strip()
    if len(words) < _TELLING:
        return None
    pattern = re.compile(rf"(?<!\w){re.escape(words)}(?!\w)")
    return lambda text: pattern.search(text.casefold()) is not None


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None
