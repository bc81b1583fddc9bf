"""What is asked of a model and what it answers, the same for every provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from surefoot.core.messages import Message, Part, Reasoning, Text, Usage
from surefoot.core.tool import ToolSpec
from surefoot.core.tracing import TraceContext

__all__ = ["Delta", "Emit", "ModelReply", "ModelRequest", "ModelSettings", "OutputSchema", "ProposedCall", "Tried"]


class ModelSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a model is asked. ``timeout`` is in seconds; ``extra`` goes to the provider as it is."""

    temperature: float | None = None
    max_tokens: int | None = None
    reasoning: str | None = None
    timeout: float | None = None
    extra: dict[str, Any] = {}

    def over(self, default: ModelSettings) -> ModelSettings:
        """These settings, with what they leave open taken from ``default``."""
        return ModelSettings(
            temperature=default.temperature if self.temperature is None else self.temperature,
            max_tokens=default.max_tokens if self.max_tokens is None else self.max_tokens,
            reasoning=default.reasoning if self.reasoning is None else self.reasoning,
            timeout=default.timeout if self.timeout is None else self.timeout,
            extra={**default.extra, **self.extra},
        )


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The JSON Schema a final answer must meet, and a name for it."""

    name: str
    schema: Mapping[str, Any]
    description: str = ""


class ModelRequest(msgspec.Struct, frozen=True):  # seen by the collector: `load` leads to a store
    """One request. ``load`` reads a blob by digest; ``conversation`` is a stable key for a provider's prompt cache.

    ``attempt`` counts the requests that were sent for this answer, from 1. With ``elsewhere``, another model can be asked:
    whoever would have to wait refuses at once. ``trace`` is the span of this request, for the headers of one over HTTP. With
    ``aside`` the first of several models is asked last.
    """

    messages: Sequence[Message]
    instructions: str = ""
    tools: Sequence[ToolSpec] = ()
    output: OutputSchema | None = None
    settings: ModelSettings = ModelSettings()
    conversation: str = ""
    load: Callable[[str], Awaitable[bytes]] | None = None
    attempt: int = 1
    elsewhere: bool = False
    trace: TraceContext | None = None
    aside: bool = False

    def trace_headers(self) -> dict[str, str]:
        """The headers that make what a server does for this request part of the run's trace."""
        return self.trace.headers() if self.trace is not None else {}


class ProposedCall(msgspec.Struct, frozen=True, gc=False):
    """A call as a provider returned it: the arguments are text as the model wrote it, not yet validated."""

    name: str
    arguments: str
    provider_id: str = ""


class Tried(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A model of a chain that gave no answer, and why; ``duration`` is in microseconds, 0 when it was not asked at all."""

    model: str
    kind: str
    message: str = ""
    duration: int = 0


class ModelReply(msgspec.Struct, frozen=True, gc=False):
    """One answer. ``finish`` is stop, tool_calls, length, content_filter or a provider's own word.

    ``parts`` holds text, reasoning, images and files in order; ``calls`` the tool calls in order. ``model`` is the
    model that answered, when the provider says; ``first_token`` is seconds from the request to the first delta. ``by`` is
    the name of the model that answered in place of the one that was asked, ``tried`` what became of those before it.
    """

    parts: tuple[Part, ...] = ()
    calls: tuple[ProposedCall, ...] = ()
    usage: Usage = Usage()
    finish: str = "stop"
    model: str = ""
    request_id: str = ""
    first_token: float | None = None
    extra: Mapping[str, Any] = {}
    by: str = ""
    tried: tuple[Tried, ...] = ()

    @classmethod
    def say(cls, text: str, *, reasoning: str = "", usage: Usage = Usage()) -> ModelReply:
        """A plain text answer."""
        thought = (Reasoning(reasoning),) if reasoning else ()
        return cls(parts=(*thought, Text(text)), usage=usage)

    @classmethod
    def call(cls, *calls: ProposedCall, reasoning: str = "", usage: Usage = Usage()) -> ModelReply:
        """An answer that calls tools."""
        thought = (Reasoning(reasoning),) if reasoning else ()
        return cls(parts=thought, calls=calls, usage=usage, finish="tool_calls")


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A piece of an answer as it streams: not stored, never the only copy. ``after`` is the sequence number of the event
    that asked for the answer, 0 where it is not known.
    """

    kind: Literal["text", "reasoning", "call"]
    text: str
    after: int = 0


Emit = Callable[[Delta], None]
