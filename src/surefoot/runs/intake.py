"""Take in a run: its input made storable, its first event, and the one run an id names."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypedDict, TypeVar, cast

import msgspec

from surefoot.core import canonical, codec
from surefoot.core import events as ev
from surefoot.core.agent import check_limits
from surefoot.core.errors import ConfigurationError, JournalCorrupt, RunConflict
from surefoot.core.messages import LARGEST, File, Image, Message, Part, Text, too_large
from surefoot.core.ports import Blobs, Clock, Query, RunRow, Store
from surefoot.core.session import whole
from surefoot.core.state import ENDED
from surefoot.core.values import Limits

__all__ = [
    "Input",
    "ListOptions",
    "RunOptions",
    "add",
    "deadline_of",
    "ended_before",
    "inherited",
    "query_of",
    "readable",
    "storable",
]

_Part = Text | Image | File
_Event = TypeVar("_Event", bound=ev.Event)
_STATUSES = ENDED | {"ready", "running", "waiting"}
#: Times are kept as whole microseconds in 64 bits.
_LAST = 2**63 - 1
_TEXTS = ("session", "id", "user", "tenant", "traceparent", "tracestate", "policy")
# Neither id may be all zeros.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-|$)")
#: Characters of a ``tracestate`` that is handed on; one that is longer is left out (section 3.3.1.5 asks for 512 at least).
_STATE = 4096
#: What a run is asked: text, one part, or several parts.
Input = str | _Part | Sequence[str | _Part]


class RunOptions(TypedDict, total=False):
    """What may be said of a run when it starts.

    session: the conversation it belongs to. id: the caller's idempotency key, unique per user. user, tenant: whose it is.
    context: small JSON the agent's tools can read. tags: labels to list by. limits: over the agent's own. deadline: a
    time with its zone, or how long from now (timedelta, or seconds). history: messages to go on from. traceparent,
    tracestate: the W3C trace context of whoever asks. policy: Cedar rules for this run and those it starts, which can only
    tighten what holds for its agent.
    """

    session: str
    id: str
    user: str
    tenant: str
    context: Mapping[str, Any]
    tags: Sequence[str]
    limits: Limits
    deadline: datetime | timedelta | float
    history: Sequence[Message]
    traceparent: str
    tracestate: str
    policy: str


class ListOptions(TypedDict, total=False):
    """Which runs to list; see `core.rows.Query`."""

    agent: str
    session: str
    user: str
    tenant: str
    parent: str
    key: str
    status: str | Sequence[str]
    tags: Sequence[str]
    text: str
    before: str
    after: str
    limit: int


async def add(
    store: Store, clock: Clock, agent: str, prompt: Input, options: RunOptions, parent: ev.RunStarted | None = None
) -> RunRow:
    """Create the run that ``options`` describe, or find the one its id names.

    ``parent`` holds what a child takes from its parent: parent, parent_call, trace, limits, deadline. Raises TypeError for
    an option that there is not, RunConflict
    when the id names a run with another agent, session or input, ConfigurationError or TypeError for what cannot be stored.
    """
    started = await _first_event(store, clock, agent, prompt, options)
    if parent is not None:
        started = msgspec.structs.replace(
            started, parent=parent.parent, parent_call=parent.parent_call, trace_id=parent.trace_id,
            parent_span=parent.parent_span, trace_state=parent.trace_state, trace_dropped=parent.trace_dropped,
            limits=parent.limits, deadline=_earlier(started.deadline, parent.deadline),
            policy="\n".join(filter(None, (parent.policy, started.policy))),
        )  # fmt: skip
    started = readable(started)
    row, created = await store.add(clock.new_id(), started)
    if not created:
        first = (await store.read(row.id, 0, 1))[0].event
        assert isinstance(first, ev.RunStarted)  # the first event of every run
        for name, mine, theirs in (
            ("agent", started.agent, first.agent),
            ("session", started.session, first.session),
            ("input", started.input, first.input),
        ):
            if mine != theirs:
                raise RunConflict(started.key, row.id, name)
    return row


def inherited(parent: ev.RunStarted, options: dict[str, Any], own: Limits) -> tuple[RunOptions, ev.RunStarted]:
    """What a tool that starts a run says of it, and what the child takes from its parent; ``own`` are its agent's limits."""
    mine = RunOptions(user=parent.user, tenant=parent.tenant)
    mine.update(cast("RunOptions", options))
    _known(mine)
    limits = (mine.get("limits") or Limits()).over(own).within(parent.limits or Limits())
    return mine, msgspec.structs.replace(parent, limits=limits)


def query_of(options: ListOptions) -> Query:
    """The query that options describe; one status may stand alone.

    Raises TypeError for an option that there is not, ConfigurationError for a status that no run has.
    """
    unknown = sorted(set(options) - ListOptions.__annotations__.keys())
    if unknown:
        raise TypeError(f"runs are not listed by {unknown[0]!r}; there is {', '.join(sorted(ListOptions.__annotations__))}")
    for name, value in options.items():
        if name not in ("status", "tags", "limit") and not isinstance(value, str):
            raise TypeError(f"runs are listed by {name} as text, not by {value!r:.100}")
    limit: object = options.get("limit", 1)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise TypeError(f"the limit of a list must be a whole number from 1, not {limit!r:.100}")
    query = {**options}
    status = options.get("status", ())
    words = (status,) if isinstance(status, str) else tuple(status)
    query["status"] = words
    for word in words:
        if word not in _STATUSES:
            raise ConfigurationError(f"no run has the status {word!r:.100}; there is {', '.join(sorted(_STATUSES))}")
    query["tags"] = _tags(options.get("tags", ()))
    return Query(**cast("dict[str, Any]", query))


def readable(event: _Event) -> _Event:
    """The event as whoever reads it will get it. Raises ConfigurationError for one that holds what its type does not allow.

    Writing checks nothing, reading does: without this, one wrong value would be committed and its run lost for good.
    """
    try:
        return cast("_Event", codec.decode(*codec.encode(event)))
    except JournalCorrupt as error:
        why = str(error.__cause__)
    except UnicodeEncodeError:
        why = "text with a lone surrogate is not valid UTF-8"
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        why = str(error)
    raise ConfigurationError(f"an event {ev.tag_of(event)!r} cannot be stored: {why}; give a value of the right type")


async def storable(blobs: Blobs, prompt: Input) -> tuple[_Part, ...]:
    """The parts of an input, with bytes moved to the blob store."""
    alone = isinstance(prompt, (str, Text, Image, File))
    if not alone and (not isinstance(prompt, Iterable) or isinstance(prompt, (bytes, bytearray, Mapping))):
        raise ConfigurationError(f"{prompt!r:.100} is not an input: give text, Text, Image, File, or a list of these")
    parts = [cast("str | _Part", prompt)] if alone else list(cast("Sequence[str | _Part]", prompt))
    result: list[_Part] = []
    for part in parts:
        if isinstance(part, str):
            result.append(Text(canonical.sound(part)))
        elif isinstance(part, (Image, File)) and part.data:
            if len(part.data) > LARGEST:
                raise ConfigurationError(f"{too_large(part)}; give it by url")
            result.append(msgspec.structs.replace(part, data=b"", blob=await blobs.save(part.data)))
        elif isinstance(part, Text):
            result.append(Text(canonical.sound(part.text)))
        elif isinstance(part, (Image, File)):
            if not (part.url or part.blob):
                raise ConfigurationError(f"{part!r} holds nothing: give it data, a url or a blob's digest")
            result.append(part)
        else:
            raise ConfigurationError(f"{part!r} is not an input: give text, Text, Image or File")
    return tuple(part for part in result if not (isinstance(part, Text) and not part.text))


async def _first_event(store: Store, clock: Clock, agent: str, prompt: Input, options: RunOptions) -> ev.RunStarted:
    _known(options)
    try:
        told = whole(options.get("history", ()))
    except ValueError as error:
        raise ConfigurationError(f"a run cannot go on from this history: {error}") from None
    history = tuple([await _stored_message(store, message) for message in told])
    parts = await storable(store, prompt)
    if not parts and not history:
        raise ConfigurationError("there is nothing to do: give the run a prompt, or a history")
    trace = _trace(options.get("traceparent", ""), options.get("tracestate", ""))
    return ev.RunStarted(
        agent=agent,
        input=parts,
        session=options.get("session", ""),
        user=options.get("user", ""),
        tenant=options.get("tenant", ""),
        key=options.get("id", ""),
        context=_json(dict(options.get("context", {}))),
        tags=_tags(options.get("tags", ())),
        trace_id=trace.trace,
        parent_span=trace.span,
        trace_state=trace.state,
        trace_dropped=trace.dropped,
        limits=options.get("limits"),
        deadline=deadline_of(clock, options.get("deadline")),
        history=history,
        policy=options.get("policy", ""),
    )


def _known(options: RunOptions) -> None:
    """Raise TypeError for an option that there is not, or of another type; who calls need not be type-checked."""
    given: Mapping[str, object] = {**options}
    unknown = sorted(given.keys() - RunOptions.__annotations__.keys())
    if unknown:
        raise TypeError(f"a run has no option {unknown[0]!r}; it has {', '.join(sorted(RunOptions.__annotations__))}")
    for name in _TEXTS:
        if not isinstance(given.get(name, ""), str):
            raise TypeError(f"a run's {name} must be text, not {given[name]!r:.100}; leave it out for none")
    limits = given.get("limits")
    if not isinstance(limits, Limits | None):
        raise TypeError(f"a run's limits must be Limits(…), not {limits!r:.100}")
    if limits is not None:
        check_limits(limits, "a run")
    if not isinstance(given.get("context", {}), Mapping):
        raise TypeError(f"a run's context must be a dict, not {given['context']!r:.100}")
    history = given.get("history", ())
    if not isinstance(history, Sequence) or not all(isinstance(message, Message) for message in history):
        raise TypeError(f"a run's history must be a list of Message, not {history!r:.100}")


async def _stored_message(blobs: Blobs, message: Message) -> Message:
    parts: list[Part] = []
    for part in message.parts:
        parts += await storable(blobs, part) if isinstance(part, (Image, File)) else (part,)
    return Message(message.role, tuple(parts))


class _Trace(NamedTuple):
    trace: str
    span: str = ""
    state: str = ""
    dropped: bool = False


def _trace(traceparent: str, tracestate: str) -> _Trace:
    """What the headers of those names say (W3C Trace Context, section 3); a new trace without them."""
    found = _TRACEPARENT.match(traceparent)
    if found is None:
        return _Trace(secrets.token_hex(16))
    state = tracestate if len(tracestate) <= _STATE and tracestate.isascii() and tracestate.isprintable() else ""
    return _Trace(found[1], found[2], state, not int(found[3], 16) & 1)


def _tags(tags: Sequence[str]) -> tuple[str, ...]:
    given: tuple[object, ...] = (tags,) if isinstance(tags, str) else tuple(tags)
    for tag in given:
        if not isinstance(tag, str):
            raise TypeError(f"a tag must be text, not {tag!r:.100}")
    return cast("tuple[str, ...]", given)


def ended_before(clock: Clock, age: object) -> int:
    """A time, or how long ago it was, as Unix microseconds.

    Raises TypeError for anything else, a number above all: read as a deadline it would lie ahead, and every run before it.
    Raises ConfigurationError for a time without a zone.
    """
    if isinstance(age, datetime):
        return deadline_of(clock, age)
    if not isinstance(age, timedelta) or age < timedelta(0):
        raise TypeError(f"{age!r:.100} is no age: give timedelta(days=30), or a datetime with its zone")
    return max(0, clock.now() - int(age.total_seconds() * 1e6))


def deadline_of(clock: Clock, deadline: datetime | timedelta | float | None) -> int:
    """A deadline as Unix microseconds, 0 for none.

    Raises ConfigurationError for a time without a zone, or farther than can be kept; TypeError for what is no time.
    """
    if deadline is None:
        return 0
    given: object = deadline
    if not isinstance(given, datetime | timedelta | float | int) or isinstance(given, bool):
        raise TypeError(f"{deadline!r:.100} is no deadline: give a time with its zone, a timedelta, or seconds from now")
    if isinstance(deadline, datetime):
        if deadline.tzinfo is None:
            raise ConfigurationError(f"{deadline} could be anywhere: give a time with its zone, or how long from now")
        return int(deadline.timestamp() * 1e6)
    seconds = deadline.total_seconds() if isinstance(deadline, timedelta) else deadline
    until = clock.now() + seconds * 1e6
    if not 0 < until < _LAST:  # an infinity and a NaN, too
        raise ConfigurationError(f"{deadline} is out of reach of any clock; leave it out for none")
    return clock.now() + int(seconds * 1e6)


def _earlier(one: int, other: int) -> int:
    return min(one, other) if one and other else one or other


def _json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(canonical.dumps(value))
    except ValueError as error:
        raise ConfigurationError(f"a run's context must be JSON: {error}; put other things in deps") from None
    return result
