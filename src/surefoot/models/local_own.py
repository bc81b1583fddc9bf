"""``local:/path/to.gguf``: a model file of your own, in this process, in its own words.

Conversations go through the file's own chat template. Where the template knows tools, calls are the model's own; where
it does not, each reply is one action of `models.local_protocol`, constrained by its schema.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio

from surefoot.core import canonical
from surefoot.core.errors import MissingExtra, ModelError
from surefoot.core.messages import File, Image, Message, Text, ToolCall, ToolResult
from surefoot.core.model import Delta, Emit, ModelReply, ModelRequest, ProposedCall
from surefoot.core.naming import wire_names
from surefoot.models.local_protocol import action_schema, bounded, plain
from surefoot.models.local_runtime import Answer, LocalSettings, Runtime, off_loop
from surefoot.models.real import require_real_models

__all__ = ["OwnModel"]

_MAX_TOKENS = 1024


class OwnModel:
    """A GGUF file as a `Model`.

    Args:
        path: the file.
        settings: threads and context.

    Raises (from `request`): ModelError; not_found for no file, invalid_request for one that is no model.
    """

    def __init__(self, path: str | Path, *, settings: LocalSettings | None = None) -> None:
        self._path = Path(path).expanduser()
        self._settings = settings or LocalSettings()
        self._runtime: Runtime | None = None
        self._loading = threading.Lock()

    @property
    def name(self) -> str:
        """``local:`` and the file's name."""
        return f"local:{self._path.name}"

    @property
    def context_window(self) -> int:
        """Tokens of input: what the settings say, or, once it is loaded, what the file says."""
        return self._settings.context or (self._runtime.context if self._runtime else 4096)

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """Ask. Text streams; the action protocol's JSON does not."""
        require_real_models(self.name)
        stop = threading.Event()
        try:
            with anyio.fail_after(request.settings.timeout):
                return await self._ask(await off_loop(self._load), request, emit, stop)
        except TimeoutError:
            raise ModelError("timeout", f"{self.name} gave no answer within {request.settings.timeout} s") from None
        finally:
            stop.set()

    async def _ask(self, runtime: Runtime, request: ModelRequest, emit: Emit, stop: threading.Event) -> ModelReply:
        native = runtime.gguf.knows_tools or not request.tools
        body = {
            "messages": [*_system(request, native=native), *_messages(request.messages, native=native)],
            "max_tokens": request.settings.max_tokens or _MAX_TOKENS,
            **({} if request.settings.temperature is None else {"temperature": request.settings.temperature}),
            **_constraint(request, native=native),
            **request.settings.extra,
        }
        said = (lambda text: emit(Delta("text", text))) if native else _silent
        answer = await off_loop(lambda: runtime.chat(body, said, stop))
        if native:
            return _reply(answer, request, runtime.gguf.name)
        return _action(answer, emit, runtime.gguf.name)

    def _load(self) -> Runtime:
        with self._loading:
            if self._runtime is None:
                try:
                    self._runtime = Runtime(self._path, self._settings)
                except MissingExtra as error:
                    raise ModelError("not_found", str(error)) from error
            return self._runtime


def _constraint(request: ModelRequest, *, native: bool) -> dict[str, Any]:
    output = bounded(request.output.schema) if request.output is not None else None
    if not native:
        return {"json_schema": action_schema(request.tools, None if request.output is None else request.output.schema)}
    if request.tools:
        names = wire_names(request.tools)
        return {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": names.to_wire(spec.name),
                        "description": spec.description,
                        "parameters": spec.input_schema,
                    },
                }
                for spec in request.tools
            ]
        }
    return {} if output is None else {"json_schema": output}


def _system(request: ModelRequest, *, native: bool) -> Iterator[dict[str, Any]]:
    lines = [plain(request.instructions)] if request.instructions else []
    if not native:
        lines.append("Reply with one JSON object. To use a tool: {\"action\":\"tool\",\"tool_name\":…,\"args\":{…}}. "
                     "To answer: {\"action\":\"final\",\"answer\":…}. To ask a human: {\"action\":\"human\",\"reason\":…}. "
                     "The tools:")  # fmt: skip
        lines += [f"{spec.name}: {spec.description} {canonical.dumps(spec.input_schema)}" for spec in request.tools]
    if request.output is not None:
        lines.append(f"The answer is JSON of this schema: {canonical.dumps(dict(request.output.schema))}")
    if lines:
        yield {"role": "system", "content": "\n".join(lines)}


def _messages(messages: Sequence[Message], *, native: bool) -> Iterator[dict[str, Any]]:
    for message in messages:
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        if any(isinstance(part, Image | File) for part in message.parts):
            raise ModelError("invalid_request", "the embedded runtime reads text only; leave images and files out")
        if message.text or not (calls or results):
            yield {"role": message.role, "content": plain(message.text)}
        if native and calls:
            yield {"role": "assistant", "content": "", "tool_calls": [_called(call) for call in calls]}
        elif calls:
            yield {"role": "assistant", "content": "\n".join(_acted(call) for call in calls)}
        for result in results:
            text = plain(result.text)
            if native:
                yield {"role": "tool", "tool_call_id": result.call, "content": text}
            else:
                yield {"role": "user", "content": f"{result.name} {'failed' if result.error else 'returned'}: {text}"}


def _called(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _acted(call: ToolCall) -> str:
    return f'{{"action":"tool","tool_name":{canonical.dumps(call.name)},"args":{call.arguments}}}'


def _reply(answer: Answer, request: ModelRequest, model: str) -> ModelReply:
    names = wire_names(request.tools)
    calls = tuple(ProposedCall(names.from_wire(name), arguments, key) for name, arguments, key in answer.calls)
    parts = (Text(answer.text),) if answer.text else ()
    return ModelReply(parts, calls, answer.usage, "tool_calls" if calls else answer.finish, model)


def _action(answer: Answer, emit: Emit, model: str) -> ModelReply:
    try:
        action = canonical.loads(answer.text)
        kind = action["action"]
        if kind == "tool":
            call = ProposedCall(action["tool_name"], canonical.dumps(action["args"]))
            return ModelReply((), (call,), answer.usage, "tool_calls", model)
        said = action["reason"] if kind == "human" else action["answer"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "malformed_output", f"the model's reply is not an action, or was cut off: {answer.text[:200]!r}"
        ) from error
    text = said if isinstance(said, str) else canonical.dumps(said)
    emit(Delta("text", text))
    return ModelReply((Text(text),), (), answer.usage, answer.finish, model)


def _silent(_: str) -> None:
    pass
