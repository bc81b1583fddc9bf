"""What spans and their figures are called by OpenTelemetry's conventions for generative AI: the only module that knows.

`VERSIONS` has the names of each version of the semantic conventions that can be asked for; `described` gives a span's name,
kind, attributes and events in one of them. What the conventions have no word for is called ``surefoot.…``. Figures of tokens
stand on the spans of models only, so that sums over a trace are right. Content is left out unless it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from surefoot.telemetry.privacy import Redact, applied
from surefoot.telemetry.span import Note, Span

__all__ = ["DEFAULT", "SCOPE", "VERSIONS", "Described", "Names", "described", "model_of"]

#: The instrumentation scope of everything surefoot sends.
SCOPE = "surefoot"
_TOKENS = ("input", "output", "cached", "cache_write", "reasoning")
#: The conventions' word for a provider, where it is not ours: the one for Google's models, whichever of its services serves them.
_PROVIDERS = {"gemini": "gcp.gen_ai"}
#: Figures in microseconds, which leave as seconds.
_TIMES = ("queued", "worked", "human", "waited", "lost")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one version of the conventions; metrics included."""

    version: str
    operation: str = "gen_ai.operation.name"
    provider: str = "gen_ai.provider.name"
    request_model: str = "gen_ai.request.model"
    response_model: str = "gen_ai.response.model"
    response_id: str = "gen_ai.response.id"
    finish_reasons: str = "gen_ai.response.finish_reasons"
    tokens: Mapping[str, str] = field(
        default_factory=lambda: {
            "input": "gen_ai.usage.input_tokens",
            "output": "gen_ai.usage.output_tokens",
            "cached": "gen_ai.usage.cache_read.input_tokens",
            "cache_write": "gen_ai.usage.cache_creation.input_tokens",
            "reasoning": "gen_ai.usage.reasoning.output_tokens",
        }
    )
    token_type: str = "gen_ai.token.type"  # noqa: S105  a count's name
    conversation: str = "gen_ai.conversation.id"
    agent_name: str = "gen_ai.agent.name"
    agent_id: str = "gen_ai.agent.id"
    tool_name: str = "gen_ai.tool.name"
    tool_call: str = "gen_ai.tool.call.id"
    tool_type: str = "gen_ai.tool.type"
    tool_arguments: str = "gen_ai.tool.call.arguments"
    tool_result: str = "gen_ai.tool.call.result"
    input_messages: str = "gen_ai.input.messages"
    output_messages: str = "gen_ai.output.messages"
    error: str = "error.type"
    user: str = "user.id"
    token_usage: str = "gen_ai.client.token.usage"  # noqa: S105  a metric's name
    operation_duration: str = "gen_ai.client.operation.duration"
    first_chunk: str = "gen_ai.client.operation.time_to_first_chunk"
    agent_duration: str = "gen_ai.invoke_agent.duration"
    tool_duration: str = "gen_ai.execute_tool.duration"
    inference_calls: str = "gen_ai.invoke_agent.inference_calls"
    tool_calls: str = "gen_ai.invoke_agent.tool_calls"


DEFAULT = "1.41.1"
#: By version; 1.36 is the last in which a provider was a system, and many receivers still read that.
VERSIONS: Mapping[str, Names] = {
    DEFAULT: Names(DEFAULT),
    "1.36.0": Names("1.36.0", provider="gen_ai.system"),
}


@dataclass(frozen=True, slots=True)
class Described:
    """A span in the words of a convention; ``events`` are (time, name, attributes). ``client`` marks a call to elsewhere."""

    name: str
    attributes: dict[str, Any]
    events: list[tuple[int, str, dict[str, Any]]]
    client: bool = False
    failed: bool = False


def described(span: Span, names: Names, *, content: bool = False, redact: Redact | None = None) -> Described:
    """A span's name, attributes and events. Values are text, numbers, booleans, or lists of text."""
    name, attributes = _KINDS[span.kind](span, names)
    attributes |= {"surefoot.run.id": span.run, "surefoot.kind": span.kind, "surefoot.outcome": span.outcome}
    if span.error:
        attributes[names.error] = span.error
    if content:
        attributes |= _content(span, names)
    events = [(note.time, note.name, _event(note, content=content)) for note in span.notes]
    if redact is not None:
        attributes = {key: applied(redact, value) for key, value in attributes.items()}
        events = [(time, tag, {key: applied(redact, value) for key, value in fields.items()}) for time, tag, fields in events]
        name = redact(name)
    failed = bool(span.error) and span.kind != "approval"
    return Described(name, {key: value for key, value in attributes.items() if value not in ("", None)}, events,
                     span.kind == "model", failed)  # fmt: skip


def model_of(name: str) -> tuple[str, str]:
    """A model's provider, in the conventions' word for it, and its name there, of ``provider:name``."""
    provider, colon, model = name.partition(":")
    return (_PROVIDERS.get(provider, provider), model) if colon else ("", name)


def _run(span: Span, names: Names) -> tuple[str, dict[str, Any]]:
    told = span.attributes
    attributes = {
        names.operation: "invoke_agent",
        names.agent_name: span.name,
        names.agent_id: span.name,
        names.conversation: told.get("session", ""),
        names.user: told.get("user", ""),
    }
    for name in ("tenant", "key", "parent", "parent_call", "forked_from", "tags", "steps", "tool_calls", "retries", "approvals"):
        if name in told:
            attributes[f"surefoot.{name}"] = told[name]
    return f"invoke_agent {span.name}", attributes | _figures(span)


def _step(span: Span, names: Names) -> tuple[str, dict[str, Any]]:
    return span.name, {"surefoot.step": span.attributes["step"], **_figures(span)}


def _model(span: Span, names: Names) -> tuple[str, dict[str, Any]]:
    told = span.attributes
    provider, model = model_of(span.name)
    attributes = {
        names.operation: "chat",
        names.provider: provider,
        names.request_model: model,
        names.response_model: told.get("response_model", model if span.outcome == "ok" else ""),
        names.response_id: told.get("request_id", ""),
        "surefoot.attempt": told.get("attempt", 1),
    }
    if "finish" in told:
        attributes[names.finish_reasons] = [told["finish"]]
        attributes |= {
            names.tokens[kind]: told[f"{kind}_tokens"] for kind in _TOKENS if told[f"{kind}_tokens"] or kind in _TOKENS[:2]
        }
        attributes["surefoot.cost_known"] = told["cost"] is not None
    if "first_token" in told:
        attributes["surefoot.time_to_first_chunk"] = told["first_token"] / 1e6
    return f"chat {model}", attributes | _figures(span)


def _tool(span: Span, names: Names) -> tuple[str, dict[str, Any]]:
    told = span.attributes
    attributes = {
        names.operation: "execute_tool",
        names.tool_name: span.name,
        names.tool_call: told.get("call", ""),
        names.tool_type: "function",
        "surefoot.attempt": told.get("attempt", 1),
        "surefoot.effect": told.get("effect", ""),
    }
    return f"execute_tool {span.name}", attributes | _figures(span)


def _approval(span: Span, names: Names) -> tuple[str, dict[str, Any]]:
    told = span.attributes
    attributes = {f"surefoot.{name}": told[name] for name in ("request", "decision", "by", "how", "rules") if name in told}
    return f"approval {span.name}", {names.tool_name: span.name, names.tool_call: told.get("call", ""), **attributes}


def _memory(span: Span, names: Names) -> tuple[str, dict[str, Any]]:
    told = span.attributes
    return "memory", {"surefoot.memory.entries": len(told.get("entries", ())), "surefoot.memory.tokens": told.get("tokens", 0)}


def _user(span: Span, names: Names) -> tuple[str, dict[str, Any]]:
    return span.name, {names.tool_call: span.attributes.get("call", "")}


_KINDS = {"run": _run, "step": _step, "model": _model, "tool": _tool, "approval": _approval, "memory": _memory, "user": _user}


def _figures(span: Span) -> dict[str, Any]:
    """Seconds and dollars, of those that a span has."""
    told = span.attributes
    figures: dict[str, Any] = {f"surefoot.{name}": told[name] / 1e6 for name in _TIMES if name in told}
    if told.get("cost") is not None:
        figures["surefoot.cost"] = told["cost"] / 1e6
    return figures


def _content(span: Span, names: Names) -> dict[str, Any]:
    said = span.content
    found: dict[str, Any] = {}
    match span.kind:
        case "run":
            found[names.input_messages] = _messages("user", [_text(said.get("input", ""))])
            if "output" in said:
                found[names.output_messages] = _messages("assistant", [_text(said["output"])])
        case "model":
            found = _exchanged(said, names)
        case "tool":
            found = {names.tool_arguments: said.get("arguments", ""), names.tool_result: said.get("result", "")}
        case "memory":
            found["surefoot.memory.text"] = said.get("text", "")
        case "user":
            found["surefoot.span.attributes"] = _plain(said)
        case _:
            pass
    for name in ("error", "reason"):
        if name in said:
            found[f"surefoot.{name}"] = said[name]
    return found


def _exchanged(said: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """What a model was asked and what it answered."""
    found: dict[str, Any] = {}
    if "prompt" in said:
        found[names.input_messages] = json.dumps(said["prompt"], ensure_ascii=False)
    if "text" in said:
        parts = [{"type": "reasoning", "content": said["reasoning"]}] if said["reasoning"] else []
        parts += [_text(said["text"])] if said["text"] else []
        parts += [{"type": "tool_call", **call} for call in said["calls"]]
        found[names.output_messages] = _messages("assistant", parts)
    return found


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def _messages(role: str, parts: list[dict[str, Any]]) -> str:
    return json.dumps([{"role": role, "parts": parts}], ensure_ascii=False)


def _event(note: Note, *, content: bool) -> dict[str, Any]:
    told = {**note.attributes, **(note.content if content else {})}
    return {f"surefoot.{name}": _plain(value) for name, value in told.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """A value as attributes allow it: lists of text stay, other structures become JSON."""
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return list(value)
    return json.dumps(value, ensure_ascii=False)
