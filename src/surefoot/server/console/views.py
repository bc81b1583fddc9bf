"""What the console's templates are given: runs, questions, conversations and spans in words and figures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from surefoot.core.events import MessageReceived, ModelReplied, Record, RunStarted, ToolReturned, tag_of
from surefoot.core.memory import Entry, Hit
from surefoot.core.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult
from surefoot.core.request import Request
from surefoot.core.run import Run
from surefoot.recovery.health import Subject
from surefoot.runs.documents import instant, to_json
from surefoot.runs.writing import block, cost, duration, short
from surefoot.server.console.editing import fields_of
from surefoot.server.tokens import Caller
from surefoot.telemetry.span import Span
from surefoot.telemetry.statistics import Row, quantile

__all__ = [
    "batches_view",
    "events_view",
    "memory_view",
    "messages_view",
    "question_view",
    "row_view",
    "run_view",
    "spans_view",
    "subject_view",
]

#: What a page shows at most: of one text, of messages, spans and events.
_TEXT, _MESSAGES, _SPANS, _EVENTS = 20_000, 400, 2_000, 2_000
#: Events after which a new run may go on in another way.
_FORKABLE = (RunStarted, MessageReceived, ModelReplied, ToolReturned)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def run_view(run: Run[Any], what: str = "") -> dict[str, Any]:
    """A run in a list, or at the head of its page; ``what`` says what it is about."""
    return {
        "id": run.id,
        "agent": run.agent,
        "status": run.status,
        "ended": run.ended,
        "what": short(what or _said(run), 160),
        "session": run.session,
        "user": run.user,
        "steps": run.steps,
        "took": duration(run.updated_at - run.created_at),
        "tokens": f"{run.usage.total:,}",
        "cost": cost(run.cost),
        "begun": instant(run.created_at),
        "begun_short": _clock(run.created_at),
        "error": run.error,
        "warnings": ", ".join(run.warnings).replace("_", " "),
    }


def question_view(run: Run[Any], question: Request, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An open question, with its arguments one by one, and the form that changes them; ``schema`` is that of the tool."""
    now = int(time.time() * 1e6)
    origins = question.verdict.origins if question.verdict else {}
    return {
        "id": question.id,
        "run": question.run,
        "agent": run.agent,
        "kind": question.kind,
        "tool": question.tool,
        "effect": question.effect,
        "reason": question.reason,
        "digest": question.digest,
        "arguments": [
            {"name": name, "value": _json(value), "origin": origins.get(name, "")} for name, value in question.args.items()
        ],
        "fields": fields_of(question, schema),
        "roles": " and ".join(" or ".join(some) for some in question.verdict.roles) if question.verdict else "",
        "quorum": question.verdict.quorum if question.verdict else 1,
        "votes": [f"{vote.by}: {'yes' if vote.approve else 'no'}" for vote in question.votes],
        "delegates": [f"{given.to} may decide for {given.by}" for given in question.delegates],
        "rules": ", ".join(question.verdict.rules) if question.verdict else "",
        "age": duration(max(0, now - question.asked_at)),
        "until": question.expires_at // 1_000,
        "expires": duration(max(0, question.expires_at - now)) if question.expires_at else "",
    }


def batches_view(questions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The questions about calls that the same rules of the same tool ask, where there are several."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in questions:
        if one["kind"] == "call":
            found.setdefault((one["tool"], one["rules"]), []).append(one)
    return [{"tool": tool, "rules": rules, "questions": some} for (tool, rules), some in found.items() if len(some) > 1]


def messages_view(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The end of a conversation, part by part."""
    return [{"role": message.role, "parts": [_part(part) for part in message.parts]} for message in messages[-_MESSAGES:]]


def spans_view(spans: Iterable[Span], now: int) -> list[dict[str, Any]]:
    """Spans as bars over the time of all of them (percent), each followed by those inside it."""
    found = _nested(list(spans))[:_SPANS]
    if not found:
        return []
    begin = min(span.start for span in found)
    whole = max(1, max(span.end or now for span in found) - begin)
    depth: dict[str, int] = {}
    shown = []
    for span in found:
        depth[span.id] = min(6, depth.get(span.parent, -1) + 1)
        end = span.end or now
        shown.append(
            {
                "run": span.run,
                "kind": span.kind,
                "name": f"{span.kind} {span.name}" if span.kind in ("approval", "memory") else span.name,
                "depth": depth[span.id],
                "left": f"{100 * (span.start - begin) / whole:.3f}",
                "width": f"{max(0.4, 100 * (end - span.start) / whole):.3f}",
                "took": duration(end - span.start) if span.end else "now",
                "error": span.error,
                "facts": _facts(span),
                "asked": span.seq if span.kind == "model" and "purpose" not in span.attributes else 0,
            }
        )
    return shown


def _nested(spans: Sequence[Span]) -> list[Span]:
    """Spans in order of their beginning, each followed by those inside it; whose parent is not among them is outermost."""
    known = {span.id for span in spans}
    inside: dict[str, list[Span]] = {}
    for span in spans:
        inside.setdefault(span.parent if span.parent in known else "", []).append(span)
    found: list[Span] = []
    waiting = sorted(inside.get("", []), key=lambda span: span.start, reverse=True)
    while waiting:
        span = waiting.pop()
        found.append(span)
        waiting += sorted(inside.get(span.id, []), key=lambda one: one.start, reverse=True)
    return found


def events_view(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The last events of a run, as stored."""
    return [
        {
            "seq": record.seq,
            "tag": tag_of(record.event),
            "forkable": isinstance(record.event, _FORKABLE),
            "time": _clock(record.time),
            "body": _cut(msgspec.json.format(msgspec.json.encode(record.event), indent=1).decode()),
        }
        for record in records[-_EVENTS:]
    ]


def memory_view(entry: Entry, caller: Caller, hit: Hit | None = None) -> dict[str, Any]:
    """What is remembered, with the parts of its score where it was searched for; ``mine``: the caller may have it forgotten."""
    return {
        "id": entry.id,
        "text": _cut(entry.text),
        "kind": entry.kind,
        "author": entry.author,
        "about": f"{entry.subject} {entry.predicate}".strip(),
        "time": instant(entry.time),
        "time_short": _clock(entry.time),
        "whose": " · ".join(filter(None, msgspec.structs.astuple(entry.scope))) or "everybody",
        "run": entry.run,
        "untrusted": entry.untrusted,
        "over": bool(entry.valid_to),
        "score": f"{hit.score:.3f}" if hit else "",
        "parts": [(name, f"{part:.3f}") for name, part in hit.parts.items()] if hit else [],
        "mine": caller.may("run") and (entry.scope.user == caller.user or caller.may("manage")),
    }


def subject_view(subject: Subject) -> dict[str, Any]:
    """How a model or tool is doing."""
    return {
        "name": subject.name if subject.kind == "model" else f"{subject.kind} {subject.name}",
        "breaker": subject.breaker,
        "reason": subject.reason if subject.breaker != "closed" else "",
        "asked": f"{subject.asked:,}",
        "retries": f"{subject.retries:,}",
        "stood_in": f"{subject.stood_in:,}",
        "failed": ", ".join(f"{kind} {number}" for kind, number in subject.failed.most_common()),
        "last": f"{_clock(subject.last_at)} {short(subject.last, 200)}" if subject.last_at else "",
    }


def row_view(row: Row, by: str) -> dict[str, Any]:
    """How often, how long and how much, of an agent, a model or a tool."""
    return {
        "name": f"{by} {row.name}",
        "count": f"{row.count:,}",
        "open": f"{row.open:,}",
        "failed": f"{row.failed:,}",
        "p50": duration(quantile(row.durations, 0.5)),
        "p95": duration(quantile(row.durations, 0.95)),
        "cost": "" if by == "tool" else "unknown" if row.unpriced else cost(row.cost / 1e6),
        "errors": ", ".join(f"{kind} {number}" for kind, number in row.errors.most_common()),
    }


def _facts(span: Span) -> list[tuple[str, str]]:
    known = {"outcome": span.outcome, "error": span.error, **span.attributes, **span.content}
    facts = [(name.replace("_", " "), _cut(_json(value))) for name, value in known.items() if value not in ("", None, [], {})]
    return [*facts, *[(note.name, _cut(_json({**note.attributes, **note.content}))) for note in span.notes]]


def _part(part: object) -> dict[str, Any]:
    match part:
        case Text(text=text):
            return {"kind": "text", "text": _cut(text)}
        case Reasoning(text=text):
            return {"kind": "reasoning", "text": _cut(text)}
        case ToolCall():
            return {"kind": "call", "name": part.name, "text": _cut(part.arguments), "short": short(part.arguments, 100)}
        case ToolResult(text=text) if part.error and text.startswith("[") and text.endswith("]"):
            return {"kind": "pending", "text": text}  # the session's own word for a call that has no result
        case ToolResult():
            return {
                "kind": "result", "name": part.name, "text": _cut(part.text), "short": short(part.text, 100), "error": part.error,
            }  # fmt: skip
        case Image() | File():
            return {"kind": type(part).__name__.lower(), "text": part.media_type}
        case _:
            return {"kind": "part", "text": ""}


def _said(run: Run[Any]) -> str:
    if run.output is not None:
        return run.output if isinstance(run.output, str) else _json(to_json(run.output))
    return run.text or (run.error.message if run.error else "")


def _json(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _cut(text: str) -> str:
    safe = block(text[:_TEXT])
    return safe if len(text) <= _TEXT else f"{safe}\n… {len(text) - _TEXT:,} characters more"


def _clock(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
