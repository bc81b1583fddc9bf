"""Models for tests: one that follows a script, one made from a function, one that calls every tool.

`ScriptedModel` gives fixed replies in exact order and can be asked whether all were used; `FunctionModel` computes each
reply from the request; `CallEveryTool` calls each tool once with arguments made from its schema and then answers with
the results. All stream their text word by word, take no time unless told, and touch no network.
`forbid_real_models` makes sure that nothing else is asked by mistake.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from surefoot.core import canonical
from surefoot.core.messages import Reasoning, Text, ToolCall, ToolResult, Usage
from surefoot.core.model import Delta, Emit, ModelReply, ModelRequest, ProposedCall
from surefoot.models.real import forbid_real_models
from surefoot.testing.samples import sample

__all__ = ["CallEveryTool", "FunctionModel", "Reply", "ScriptedModel", "forbid_real_models"]

#: A call in a script: its tool, and its arguments.
_Call = tuple[str, Mapping[str, Any] | str]

#: What a scripted reply may be: a whole reply; text to say; one call or several, each ``("tool", {arguments})`` or a
#: ProposedCall (arguments given as text are passed on as they are); an exception to raise; or a function of the request
#: that returns any of these.
Reply = ModelReply | str | ProposedCall | Sequence[ProposedCall | _Call] | _Call | Exception | Callable[[ModelRequest], Any]

_WORDS = re.compile(r"\S+\s*|\s+")
_Ready = tuple[ModelReply, tuple[Delta, ...]]


class ScriptedModel:
    """A `Model` that gives the replies it was made with, in order; see `Reply` for what one may be.

    Args:
        replies: one for each request.
        name: how the model calls itself.
        delay: seconds each reply takes.
        usage: what replies without a usage of their own report.
        context_window: tokens of input it claims to take.

    Attributes:
        requests: every request so far, in order, with the messages it had at that time.
    """

    def __init__(
        self,
        *replies: Reply,
        name: str = "scripted:model",
        delay: float = 0.0,
        usage: Usage = Usage(),
        context_window: int = 128_000,
    ) -> None:
        self.name = name
        self.context_window = context_window
        self.requests: list[ModelRequest] = []
        self._delay = delay
        self._usage = usage
        # Whatever does not depend on the request is made here, so that a request costs next to nothing.
        self._replies = [_early(reply, usage) for reply in replies]

    @property
    def left(self) -> int:
        """How many replies nobody has asked for yet."""
        return max(0, len(self._replies) - len(self.requests))

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """The next reply. Raises the script's exception, or AssertionError when the script has run out."""
        number = len(self.requests)
        self.requests.append(_kept(request))
        if self._delay:
            await asyncio.sleep(self._delay)  # wait: the caller asked for a model that takes time
        if number >= len(self._replies):
            raise AssertionError(_ran_out(self.name, len(self._replies), request))
        reply = self._replies[number]
        if type(reply) is not tuple:
            reply = await _made(reply, request, self._usage)
        whole: ModelReply = reply[0]
        for delta in reply[1]:
            emit(delta)
        return whole

    def assert_used_up(self) -> None:
        """Raise AssertionError unless every reply was asked for."""
        if self.left:
            total = len(self._replies)
            raise AssertionError(f"{self.name}: {self.left} of {total} scripted replies were never asked for")

    def __repr__(self) -> str:
        return f"<ScriptedModel {self.name}: {len(self.requests)} of {len(self._replies)} replies used>"


class FunctionModel:
    """A `Model` whose replies a function computes: sync or async, from a ModelRequest to any `Reply`.

    The function may be called by several runs at once. ``requests`` lists what it was asked, in order.
    """

    def __init__(
        self,
        function: Callable[[ModelRequest], Reply | Awaitable[Reply]],
        *,
        name: str = "scripted:function",
        delay: float = 0.0,
        usage: Usage = Usage(),
        context_window: int = 128_000,
    ) -> None:
        self.name = name
        self.context_window = context_window
        self.requests: list[ModelRequest] = []
        self._function = function
        self._delay = delay
        self._usage = usage

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """What the function says. Raises what it raises or returns as an exception."""
        self.requests.append(_kept(request))
        if self._delay:
            await asyncio.sleep(self._delay)  # wait: the caller asked for a model that takes time
        whole, deltas = await _made(self._function, request, self._usage)
        for delta in deltas:
            emit(delta)
        return whole


class CallEveryTool:
    """A `Model` that calls every tool once, all in one step, and then answers with their results.

    Arguments are made from each tool's schema: the smallest that meet it, always the same. Calls before the last user
    message do not count. With an output schema the answer is made from that schema, otherwise it is
    ``{"tool": "result", …}``. It keeps no state, so that it goes on in the same way after a crash.
    """

    def __init__(self, *, name: str = "scripted:every-tool", context_window: int = 128_000) -> None:
        self.name = name
        self.context_window = context_window

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """Calls, or the answer once every tool has a result."""
        called, results = _since_user(request)
        calls = [
            ProposedCall(spec.name, canonical.dumps(sample(spec.input_schema)))
            for spec in request.tools
            if spec.name not in called
        ]
        if calls:
            reply: Reply = calls
        elif request.output is not None:
            reply = canonical.dumps(sample(request.output.schema))
        else:
            reply = canonical.dumps(results)
        whole, deltas = _ready(reply, Usage())
        for delta in deltas:
            emit(delta)
        return whole


def _kept(request: ModelRequest) -> ModelRequest:
    """The request as it is now: whoever asks may go on to change its list of messages."""
    if type(request.messages) is tuple:
        return request
    return ModelRequest(
        tuple(request.messages),
        request.instructions,
        request.tools,
        request.output,
        request.settings,
        request.conversation,
        request.load,
    )


def _early(reply: Reply, usage: Usage) -> Any:  # noqa: ANN401  a _Ready, or what cannot be made yet
    return reply if callable(reply) or isinstance(reply, Exception) else _ready(reply, usage)


async def _made(reply: Any, request: ModelRequest, usage: Usage) -> _Ready:  # noqa: ANN401  any Reply
    while callable(reply) or inspect.isawaitable(reply):
        reply = await reply if inspect.isawaitable(reply) else reply(request)
    if isinstance(reply, Exception):
        raise reply
    return _ready(reply, usage)


def _ready(reply: Any, usage: Usage) -> _Ready:  # noqa: ANN401  any Reply but a function or an exception
    if isinstance(reply, ModelReply):
        whole = reply
    elif isinstance(reply, str):
        whole = ModelReply((Text(reply),), usage=usage)
    elif isinstance(reply, ProposedCall):
        whole = ModelReply(calls=(reply,), usage=usage, finish="tool_calls")
    elif _is_call(reply):
        whole = ModelReply(calls=(_call(reply),), usage=usage, finish="tool_calls")
    elif isinstance(reply, list | tuple) and reply:
        whole = ModelReply(calls=tuple([_call(item) for item in reply]), usage=usage, finish="tool_calls")
    else:
        raise TypeError(f"{reply!r} is no reply: give text, calls as [('tool', {{…}})], a ModelReply or an exception")
    return whole, tuple(_deltas(whole))


def _is_call(item: Any) -> bool:  # noqa: ANN401  whatever a script holds
    pair = isinstance(item, tuple) and len(item) == 2
    return pair and isinstance(item[0], str) and isinstance(item[1], Mapping | str)


def _call(item: Any) -> ProposedCall:  # noqa: ANN401  whatever a script holds
    if isinstance(item, ProposedCall):
        return item
    if not _is_call(item):
        raise TypeError(
            f"{item!r} is no call: give ('tool', {{arguments}}) or a ProposedCall; a list is the calls of one reply, and "
            "replies come one after another, as in ScriptedModel([('tool', {…})], 'done')"
        )
    name, arguments = item
    return ProposedCall(name, arguments if isinstance(arguments, str) else canonical.dumps(arguments))


def _deltas(reply: ModelReply) -> list[Delta]:
    deltas: list[Delta] = []
    for part in reply.parts:
        if type(part) is Text:
            deltas += [Delta("text", word) for word in _WORDS.findall(part.text)]
        elif type(part) is Reasoning:
            deltas += [Delta("reasoning", word) for word in _WORDS.findall(part.text)]
    deltas += [Delta("call", call.name) for call in reply.calls]
    return deltas


def _since_user(request: ModelRequest) -> tuple[set[str], dict[str, str]]:
    called: set[str] = set()
    results: dict[str, str] = {}
    for message in request.messages:
        if message.role == "user":
            called, results = set(), {}
        for part in message.parts:
            if type(part) is ToolCall:
                called.add(part.name)
            elif type(part) is ToolResult:
                results[part.name] = part.text
    return called, results


def _ran_out(name: str, replies: int, request: ModelRequest) -> str:
    last = request.messages[-1] if request.messages else None
    said = f" The last message was {last.role}: {str(last.text or last.parts)[:200]!r}." if last else ""
    return f"{name}: asked once more than its {replies} replies.{said} Add a reply, or find out why the run goes on"
