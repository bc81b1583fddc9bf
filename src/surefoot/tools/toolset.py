"""Several tools as one: put together, filtered, prefixed, renamed, wrapped.

`Tools` holds tools, toolsets and plain functions, and is a `core.ports.Toolset`; each combinator gives a new one::

    crm = Tools([find_customer, refund]).prefixed("crm_").filter(lambda tool: tool.spec.effect == "read")

Names are looked at when the tools are asked for, so toolsets that know theirs only once they are open compose as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import msgspec

from surefoot.core.agent import ToolChoice
from surefoot.core.errors import ConfigurationError, DuplicateTool
from surefoot.core.ports import Tool, Toolset
from surefoot.core.tool import Done, NotDone, ToolContext, ToolOutput, ToolSpec
from surefoot.tools.function import FunctionTool, as_tool
from surefoot.tools.mistakes import nearest

__all__ = ["Around", "Tools", "is_tool", "is_toolset"]

#: What `Tools.wrapped` takes: called in the tool's place, with the tool, the canonical arguments and the context.
Around = Callable[[Tool, str, ToolContext[Any]], Awaitable[ToolOutput]]


class Tools:
    """Tools, toolsets and plain functions as one toolset. Functions become unsafe tools.

    With a ``name`` policies can speak of them together (``Action::"toolset:crm"``); with ``breaker`` they share a breaker, as
    tools of one server should: when they fail too often, all of them are left alone for a while.

    Raises DuplicateTool, here or once the toolsets are open, when two tools have one name, and ConfigurationError for
    what is no tool.
    """

    def __init__(self, choices: Iterable[ToolChoice], *, name: str = "", breaker: bool = False) -> None:
        if breaker and not name:
            raise ConfigurationError(
                "tools that share a breaker need a name to be known by: Tools([…], name='crm', breaker=True)"
            )
        self._name, self._breaker = name, breaker
        self._members: tuple[Tool | Toolset, ...] = tuple([_member(choice) for choice in choices])
        _unique([member for member in self._members if is_tool(member)])

    def tools(self) -> Sequence[Tool]:
        """All tools, in order. Raises DuplicateTool."""
        found: list[Tool] = []
        for member in self._members:
            found += [member] if is_tool(member) else member.tools() if is_toolset(member) else []
        return _unique([_Member(tool, self._name, shared=self._breaker) for tool in found] if self._name else found)

    @property
    def opens(self) -> bool:
        """Whether there is something to open inside."""
        return any(member.opens if isinstance(member, Tools) else is_toolset(member) for member in self._members)

    async def open(self) -> None:
        """Open the toolsets inside, in order; when one cannot be opened, close those that were and raise its error."""
        opened: list[Toolset] = []
        for member in filter(is_toolset, self._members):
            try:
                await member.open()
            except BaseException:
                await _close(opened)
                raise
            opened.append(member)

    async def close(self) -> None:
        """Close the toolsets inside, last first; all of them, even when closing one raises."""
        await _close(list(filter(is_toolset, self._members)))

    def filter(self, keep: Callable[[Tool], bool]) -> Tools:
        """Only the tools for which ``keep`` is true."""
        return _Changed(self, lambda tools: [tool for tool in tools if keep(tool)])

    def prefixed(self, prefix: str) -> Tools:
        """The same tools, their names after ``prefix``."""
        return _Changed(self, lambda tools: [_Renamed(tool, prefix + tool.name) for tool in tools])

    def renamed(self, names: Mapping[str, str]) -> Tools:
        """The same tools, some with new names: ``{"old": "new"}``. A name no tool has, once there are tools, raises
        ConfigurationError.
        """

        def rename(tools: Sequence[Tool]) -> list[Tool]:
            known = [tool.name for tool in tools]
            for name in names if known else ():  # a toolset may know its tools only once it is open
                if name not in known:
                    raise ConfigurationError(f"there is no tool {name!r} to rename{nearest(name, known)}")
            return [_Renamed(tool, names[tool.name]) if tool.name in names else tool for tool in tools]

        return _Changed(self, rename)

    def wrapped(self, around: Around) -> Tools:
        """The same tools, each called by way of ``around(tool, arguments, context)``, which may call ``tool.call``."""
        return _Changed(self, lambda tools: [_Wrapped(tool, around) for tool in tools])


class _Changed(Tools):
    """A toolset that shows another's tools differently."""

    def __init__(self, inner: Toolset, change: Callable[[Sequence[Tool]], Sequence[Tool]]) -> None:
        super().__init__([inner])
        self._change = change

    def tools(self) -> Sequence[Tool]:
        return _unique(self._change(super().tools()))


class _Delegate:
    """A tool that does as another does."""

    def __init__(self, inner: Tool) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"{self.name!r} of {self.inner!r}"

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def spec(self) -> ToolSpec:
        return self.inner.spec

    def validate(self, arguments: str) -> str:
        return self.inner.validate(arguments)

    async def call(self, arguments: str, context: ToolContext[Any]) -> ToolOutput:
        return await self.inner.call(arguments, context)

    async def probe(self, key: str) -> Done | NotDone:
        return await self.inner.probe(key)


class _Respecified(_Delegate):
    """A tool of which something else is said. Its spec is made when it is first asked for, since that may raise."""

    def __init__(self, inner: Tool, **said: Any) -> None:
        super().__init__(inner)
        self._said = said
        self._spec: ToolSpec | None = None

    @property
    def spec(self) -> ToolSpec:
        if self._spec is None:
            self._spec = msgspec.structs.replace(self.inner.spec, **self._said)
        return self._spec


class _Renamed(_Respecified):
    def __init__(self, inner: Tool, name: str) -> None:
        super().__init__(inner, name=name)
        self._name = name

    @property
    def name(self) -> str:
        return self._name


class _Member(_Respecified):
    """A tool that says which toolset it came in."""

    def __init__(self, inner: Tool, toolset: str, *, shared: bool) -> None:
        super().__init__(inner, toolset=toolset, **({"breaker": "toolset"} if shared else {}))


class _Wrapped(_Delegate):
    def __init__(self, inner: Tool, around: Around) -> None:
        super().__init__(inner)
        self._around = around

    async def call(self, arguments: str, context: ToolContext[Any]) -> ToolOutput:
        return await self._around(self.inner, arguments, context)


def is_tool(choice: object) -> TypeGuard[Tool]:
    """Whether something is a `Tool`, without asking it for its spec (which may raise, and takes time)."""
    return isinstance(choice, FunctionTool | _Delegate) or _has(choice, "name", "spec", "validate", "call", "probe")


def is_toolset(choice: object) -> TypeGuard[Toolset]:
    """Whether something is a `Toolset`."""
    return isinstance(choice, Tools) or _has(choice, "tools", "open", "close")


def _has(choice: object, *names: str) -> bool:
    """Whether an object has these attributes, by its class or its own dictionary: properties are not evaluated."""
    own = getattr(choice, "__dict__", {})
    return not isinstance(choice, type) and all(name in own or hasattr(type(choice), name) for name in names)


def _member(choice: ToolChoice) -> Tool | Toolset:
    if is_tool(choice) or is_toolset(choice):
        return choice
    if callable(choice):
        return as_tool(choice)
    raise ConfigurationError(f"{choice!r} is no tool: give a function, a tool or a toolset")


def _unique(tools: Sequence[Tool]) -> Sequence[Tool]:
    first: dict[str, Tool] = {}
    for tool in tools:
        other = first.setdefault(tool.name, tool)
        if other is not tool:
            raise DuplicateTool(
                f"two tools are named {tool.name!r}: {_origin(other)} and {_origin(tool)}; rename one, with "
                f"@tool(name=…) or Tools([…]).renamed({{{tool.name!r}: …}}) or .prefixed('…_')"
            )
    return list(first.values())


def _origin(tool: Tool) -> str:
    """Where a tool comes from, so that its author finds it."""
    inner: object = tool
    while isinstance(inner, _Delegate):
        inner = inner.inner
    if not isinstance(inner, FunctionTool):
        return repr(tool)
    function = inner.function
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"


async def _close(toolsets: Sequence[Toolset]) -> None:
    errors: list[Exception] = []
    for toolset in reversed(toolsets):
        try:
            await toolset.close()
        except Exception as error:  # noqa: BLE001  the others must be closed all the same
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("several toolsets could not be closed", errors)
