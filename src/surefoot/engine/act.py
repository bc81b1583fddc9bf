"""Ask the model, and read what it replies."""

from __future__ import annotations

import asyncio

import msgspec

from surefoot.core import events as ev
from surefoot.core.canonical import sound
from surefoot.core.errors import InvalidArguments, ModelError
from surefoot.core.messages import File, Image, Part, Reasoning, Text, ToolCall
from surefoot.core.model import ModelReply, ModelRequest
from surefoot.core.state import State
from surefoot.core.tracing import TraceContext
from surefoot.engine.bodies import Interrupted, TimeUp, is_cancelled
from surefoot.engine.calls import stored
from surefoot.engine.context import fit, view
from surefoot.engine.outcomes import checked, model_failed, text_of_error
from surefoot.engine.summary import LEAST, summarised
from surefoot.engine.work import Work

__all__ = ["ask"]

#: A prompt may take this share of the model's window; the rest is for the answer.
_PROMPT_SHARE = 0.75
#: Seconds for an answer, all waiting included; who asks the model keeps to the timeout of its settings.
_PATIENCE = 600.0
#: A prompt that the model calls too long is made to fit this share of what it was taken to be.
_TIGHTER = 0.6
#: Characters kept of the name of a tool that there is not.
_NAME_LIMIT = 200


async def ask(work: Work, attempt: int) -> None:
    """Ask the model, and read its reply."""
    state, plan = work.state, work.plan
    tokens = _tokens(work)
    if not await _fits(work, tokens):
        return
    cut = work.is_cut
    requested = _requested(work, attempt, tokens, cut=cut)
    new = requested.instructions or requested.tools
    told = [work.texts[digest] for digest in (requested.instructions, requested.tools) if digest] if new else ()
    if not await work.ledger.intend(requested, blobs=told):
        return
    state = work.state
    request = ModelRequest(
        view(work.past, state),
        work.instructions,
        plan.offered(cut=cut),
        plan.output.schema,
        plan.settings,
        state.id,
        work.blobs.load,
        state.model_failures + 1,  # what was not sent is no attempt
        trace=_trace(state, state.started or ev.RunStarted(state.agent)),
        aside="fall_back" in state.pace.acts,
    )
    began = work.clock.monotonic()
    timeout = min(work.time_left(), (_PATIENCE + (plan.settings.timeout or 0.0)) * max(1, len(plan.models)))
    failure: Exception
    try:
        with work.bodies.limit(timeout):
            reply = await plan.model.request(request, work.emit)
        replied = await _replied(work, reply, work.clock.monotonic() - began)
    except Interrupted:
        await work.ledger.refresh()
        return
    except TimeoutError as error:
        up = isinstance(error, TimeUp)
        failure = ModelError("timeout", f"no answer within {timeout:g} s" if up else text_of_error(error))
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        failure = ModelError("connection", text_of_error(error))
    except Exception as error:  # noqa: BLE001  whatever a model raises is recorded, and tried again or shown
        failure = error
    else:
        await _seen(work)
        work.ledger.hold(*_fell_back(plan.model.name, reply), replied)
        return
    await _failed(work, state, failure, work.clock.monotonic() - began)


def _trace(state: State, started: ev.RunStarted) -> TraceContext:
    """The span of the request that was just recorded."""
    return TraceContext(state.id, started.trace_id, ("model", state.seq), started.trace_state, started.trace_dropped)


async def _failed(work: Work, state: State, failure: Exception, took: float) -> None:
    """Record that a request failed; where its prompt was too long, make it shorter first."""
    await _seen(work)
    failed = model_failed(state, failure, work.plan, work.clock.now(), work.clock.jitter(), took)
    if failed.error.kind == "context_overflow" and not state.model_failures:
        await _overflowed(work, failed, elsewhere=isinstance(failure, ModelError) and failure.again)
        return
    await work.ledger.outcome(failed)


async def _overflowed(work: Work, failed: ev.ModelFailed, *, elsewhere: bool) -> None:
    """The model says the prompt is too long: make it shorter than it was taken to be, once, and ask again."""
    room = int(_tokens(work) * _TIGHTER) - work.fixed_tokens
    compacted = fit(work.past, work.state, room, work.plan.count) if room > 0 else None
    if compacted is None and not elsewhere:
        await work.ledger.outcome(failed)
        return
    error = msgspec.structs.replace(failed.error, hint="")
    await work.ledger.outcome(msgspec.structs.replace(failed, error=error, retry_at=work.clock.now() + 1))
    if compacted is not None:
        await _compact(work, compacted, room)


def _fell_back(asked: str, reply: ModelReply) -> tuple[ev.RunWarned, ...]:
    """Who answered in the place of the model that was asked, and why."""
    if not reply.by:
        return ()
    why = "; ".join(f"{tried.model}: {tried.kind}" for tried in reply.tried) or "it is asked last since it was warned of"
    data = {"asked": asked, "answered": reply.by, "tried": [msgspec.to_builtins(one) for one in reply.tried]}
    return (ev.RunWarned("fell_back", f"{reply.by} answered in place of {asked} ({why})", data),)


async def _fits(work: Work, tokens: int) -> bool:
    """Whether the prompt, of about so many tokens, fits; else it is made to, which is an event, and the step is decided anew."""
    plan = work.plan
    budget = plan.context_budget or int(plan.model.context_window * _PROMPT_SHARE)
    if "compact" in work.state.pace.acts:  # it is not full yet, but will be
        budget = min(budget, int(tokens * work.scale * _TIGHTER))
    if tokens * work.scale <= budget:
        return True
    room = int(budget / work.scale) - work.fixed_tokens
    compacted = fit(work.past, work.state, room, work.plan.count) if room > 0 else None
    if compacted is None:
        return True
    await _compact(work, compacted, room)
    return False


async def _compact(work: Work, compacted: ev.ContextCompacted, room: int) -> None:
    """Record what is left out of the prompt, with a summary where there is a model for it."""
    fixed = work.fixed_tokens
    compacted = msgspec.structs.replace(compacted, before=compacted.before + fixed, after=compacted.after + fixed)
    if compacted.how == "dropped" and work.plan.summary is not None and room >= LEAST:
        await summarised(work, compacted, room)
    else:
        await work.ledger.intend(compacted)


def _tokens(work: Work) -> int:
    """Estimated tokens of the prompt as it stands."""
    return work.fixed_tokens + work.meter.tokens(work.past, work.state)


def _requested(work: Work, attempt: int, tokens: int, *, cut: bool) -> ev.ModelRequested:
    """The event of a request that is about to leave; ``cut``: with the tool that reads what was cut."""
    state = work.state
    instructions = "" if state.instructions == work.instructions_digest else work.instructions_digest
    tools = work.tools_digest if not cut else work.cut_digest or _told_more(work)
    known = "" if state.tools == tools else tools
    return ev.ModelRequested(state.step, work.plan.model.name, attempt, instructions, known, tokens=tokens)


def _told_more(work: Work) -> str:
    """The digest of the tools a model is told of once results were cut."""
    work.cut_digest = work.tools_digest if work.plan.read_back is None else work.told(work.plan.tools_text(cut=True))
    return work.cut_digest


async def _seen(work: Work) -> None:
    """Let whoever watches get the pieces before what became of them."""
    if work.streamed:
        work.streamed = False
        await work.clock.sleep(0)


async def _replied(work: Work, reply: ModelReply, seconds: float) -> ev.ModelReplied:
    """The event of a reply: calls get our ids, and arguments are validated, once and for all."""
    if not isinstance(reply, ModelReply):
        raise TypeError(f"the model returned {reply!r:.100}, not a ModelReply")
    state, plan = work.state, work.plan
    parts: list[Part] = [_sound(part) for part in reply.parts]
    if any(isinstance(part, Image | File) for part in parts):
        parts = list(await stored(work, parts))
    for index, call in enumerate(reply.calls):
        arguments, invalid = call.arguments, ""
        tool = plan.tools.get(call.name)
        if tool is not None:
            try:
                arguments = tool.validate(call.arguments)
            except InvalidArguments as error:
                invalid = str(error)
            except Exception as error:  # noqa: BLE001  a broken validator must not end the run
                invalid = f"the arguments could not be checked: {text_of_error(error)}"
        if tool is None or invalid:
            arguments = sound(arguments)
        name = call.name if tool is not None else sound(call.name)[:_NAME_LIMIT]
        parts.append(ToolCall(f"{state.step}.{index}", name, arguments, sound(call.provider_id), invalid))
    asked = reply.by or plan.model.name
    model = reply.by or (reply.model if reply.model and not asked.endswith(f":{reply.model}") else "")
    duration = int(seconds * 1e6)
    try:
        first = int((reply.first_token or 0.0) * 1e6)
        replied = checked(
            ev.ModelReplied(state.step, tuple(parts), reply.usage, None, reply.finish, model, reply.request_id, duration, first)
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError("malformed_output", f"the model's reply cannot be kept: {error}") from error
    return msgspec.structs.replace(replied, cost=plan.price(asked, replied.usage))


def _sound(part: Part) -> Part:
    """A part whose text, if it has any, can be stored."""
    if not isinstance(part, Text | Reasoning) or part.text.isascii():
        return part
    return msgspec.structs.replace(part, text=sound(part.text))
