"""What an agent is: a name, a model, tools, instructions, an output type, and how far it may go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, overload

from typing_extensions import TypeVar

from surefoot.core.errors import ConfigurationError
from surefoot.core.memory import Memory
from surefoot.core.model import ModelSettings
from surefoot.core.ports import Model, Tool, Toolset
from surefoot.core.tool import ToolContext
from surefoot.core.values import Limits

__all__ = ["Agent", "DEFAULT_LIMITS", "Instructions", "ModelChoice", "ToolChoice", "check_limits"]

Deps = TypeVar("Deps", default=Any)
Out = TypeVar("Out", default=str)

#: What an agent is told: text, or a function of the run's context that gives the text, called once at each claim.
Instructions = str | Callable[[ToolContext[Any]], str]
#: A model, its "provider:name", or several to fall back on in order.
ModelChoice = str | Model | Sequence[str | Model]
#: A tool, a toolset, or a plain function, which becomes an unsafe tool.
ToolChoice = Tool | Toolset | Callable[..., Any]

#: Where an agent stops when nothing else is said: far enough for work, near enough for a loop that goes nowhere.
DEFAULT_LIMITS = Limits(steps=50)


class Agent(Generic[Deps, Out]):
    """An agent's definition. It holds no state: everything that happens is in a run.

    Args:
        name: how the agent is called in the journal; keep it when the definition changes, or waiting runs lose it.
        model: a model, ``"provider:name"``, or several to fall back on. None: ``SUREFOOT_MODEL``, else a provider whose
            key is set, else the embedded model.
        tools: tools, toolsets or plain functions.
        instructions: the system prompt, or a function of the context.
        output: the type of the final answer; text when not given.
        deps: called at each claim to make what tools need (a value, or an async or sync context manager).
        limits: when to stop; by default after 50 model calls.
        settings: how the model is asked.
        memory: long-term memory, ``Memory()``; None for none.
        policy: rules for this agent's calls, over those of its application: Cedar text, a Path, ``Lists(ask=[…])``.
        version: a label for your own use; recorded with every claim.

    Raises ConfigurationError for a name, tools or limits that are none.
    """

    @overload
    def __init__(
        self: Agent[Any, str],
        name: str,
        *,
        model: ModelChoice | None = None,
        tools: Sequence[ToolChoice] = (),
        instructions: Instructions = "",
        output: None = None,
        deps: None = None,
        limits: Limits = DEFAULT_LIMITS,
        settings: ModelSettings = ModelSettings(),
        memory: Memory | None = None,
        policy: object | None = None,
        version: str = "",
    ) -> None: ...

    @overload
    def __init__(
        self: Agent[Deps, str],
        name: str,
        *,
        model: ModelChoice | None = None,
        tools: Sequence[ToolChoice] = (),
        instructions: Instructions = "",
        output: None = None,
        deps: Callable[[], Deps],
        limits: Limits = DEFAULT_LIMITS,
        settings: ModelSettings = ModelSettings(),
        memory: Memory | None = None,
        policy: object | None = None,
        version: str = "",
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        *,
        output: type[Out],
        model: ModelChoice | None = None,
        tools: Sequence[ToolChoice] = (),
        instructions: Instructions = "",
        deps: Callable[[], Deps] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        settings: ModelSettings = ModelSettings(),
        memory: Memory | None = None,
        policy: object | None = None,
        version: str = "",
    ) -> None: ...

    @overload
    def __init__(
        self: Agent[Any, Any],
        name: str,
        *,
        output: Any,  # noqa: ANN401  a union or Literal: any type that is no class
        model: ModelChoice | None = None,
        tools: Sequence[ToolChoice] = (),
        instructions: Instructions = "",
        deps: Callable[[], Any] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        settings: ModelSettings = ModelSettings(),
        memory: Memory | None = None,
        policy: object | None = None,
        version: str = "",
    ) -> None: ...

    def __init__(  # noqa: PLR0913  the definition's own fields
        self,
        name: str,
        *,
        model: ModelChoice | None = None,
        tools: Sequence[ToolChoice] = (),
        instructions: Instructions = "",
        output: Any = None,
        deps: Callable[[], Any] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        settings: ModelSettings = ModelSettings(),
        memory: Memory | None = None,
        policy: object | None = None,
        version: str = "",
    ) -> None:
        _check(name, tools, limits, memory)
        self.name = name
        self.model = model
        self.tools = tuple(tools)
        self.instructions = instructions
        self.output: Any = str if output is None else output
        self.deps = deps
        self.limits = limits
        self.settings = settings
        self.memory = memory
        self.policy = policy
        self.version = version

    def __repr__(self) -> str:
        """``Agent('clerk')``."""
        return f"Agent({self.name!r})"


def _check(name: object, tools: object, limits: object, memory: object) -> None:
    """Raise ConfigurationError here, by the caller's own line, not where a run first meets the mistake."""
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("an agent needs a name: Agent('clerk', …)")
    if not isinstance(tools, Iterable) or isinstance(tools, (str, bytes, Mapping)):
        raise ConfigurationError(f"agent {name!r}: tools must be a list, not {tools!r:.100}: tools=[add]")
    check_limits(limits, f"agent {name!r}")
    if not isinstance(memory, Memory | None):
        raise ConfigurationError(f"agent {name!r}: memory must be Memory(…), not {memory!r:.100}: memory=Memory()")


def check_limits(limits: object, whose: str) -> None:
    """Raise ConfigurationError for limits that are none: a number below nothing would end a run at once, NaN never."""
    if not isinstance(limits, Limits):
        raise ConfigurationError(f"{whose}: limits must be Limits(…), not {limits!r:.100}: Limits(steps=5)")
    for name in limits.__struct_fields__:
        value = getattr(limits, name)
        kinds = int if name in ("steps", "tool_calls", "tokens") else int | float
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool) or not value >= 0):
            raise ConfigurationError(f"{whose}: Limits({name}={value!r:.50}) is no limit; give a number from 0, or leave it out")
