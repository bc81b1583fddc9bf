"""What can be said of a tool besides its function, and the check that it makes sense."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypedDict, cast, get_args

from surefoot.core.errors import ConfigurationError
from surefoot.core.tool import Done, Effect, NotDone, Rule
from surefoot.tools.mistakes import nearest

__all__ = ["Options", "Probe", "checked", "is_async", "name_of"]

#: A function from an idempotency key to whether that call happened.
Probe = Callable[[str], Done | NotDone | Awaitable[Done | NotDone]]

_POSITIVE = ("timeout", "result_limit", "concurrency")
_WORDS = ("tags", "examples", "alternatives", "content", "intent")
_MAX_NAME = 128


class Options(TypedDict, total=False):
    """What `tool` takes besides the function.

    Args:
        effect: what running it does; ``read``, ``idempotent``, ``reconcilable`` (with ``probe``) or ``unsafe``, the
            default.
        name: what the model calls it; the function's name by default.
        description: what it does; from the docstring by default.
        timeout: seconds one attempt may take.
        retries: tries after the first; 2 by default.
        result_limit: characters of a result that a model reads; larger ones are kept whole, and their head is shown.
        concurrency: calls at once in one process.
        tags: free words that policies can use: ``irreversible``, ``costly``, ``sensitive``, ``external``.
        untrusted: its results are written by strangers.
        examples: requests that mean this tool.
        alternatives: names of tools to use when this one fails.
        labels: where fields of its results come from: ``own``, ``secret``, ``fact``, ``directory``, ``typed``; else ``text``.
        content: arguments that are free text, of which only addresses, links and account numbers matter.
        intent: words of which a request for this tool holds one.
        rules: when its calls run unasked, ask or do not run: ``[allow(when=…), ask("approver", when=…)]``, from
            `surefoot.approvals`; where none speaks, the effect decides.
        polling: calling it again and again, with the same result, is what it is for.
        breaker: leave it alone for a while when it fails too often.
        probe: for ``reconcilable``: from an idempotency key to `Done` or `NotDone`, sync or async.
    """

    effect: Effect
    name: str
    description: str
    timeout: float | None
    retries: int
    result_limit: int
    concurrency: int | None
    tags: Sequence[str]
    untrusted: bool
    examples: Sequence[str]
    alternatives: Sequence[str]
    labels: Mapping[str, str]
    content: Sequence[str]
    intent: Sequence[str]
    rules: Sequence[Rule]
    polling: bool
    breaker: bool
    probe: Probe | None


def name_of(function: Callable[..., Any]) -> str:
    """A function's name as a tool. Raises ConfigurationError where it has none."""
    inner = function
    while isinstance(inner, partial):
        inner = inner.func
    name: str = getattr(inner, "__name__", type(inner).__name__)
    if name == "<lambda>":
        raise ConfigurationError("a lambda has no name: give it one with tool(name='…')(lambda …), or use def")
    return name


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine: a function, a partial of one, or an object with an async ``__call__``."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def checked(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ToolSpec that ``options`` set. Raises ConfigurationError, saying what to write instead."""
    _check_name(name)
    _check_function(name, function)
    _check_effect(name, options)
    unknown = sorted(options.keys() - Options.__annotations__.keys())
    if unknown:
        hint = nearest(unknown[0], Options.__annotations__)
        raise ConfigurationError(f"tool {name!r}: there is no option {unknown[0]!r}{hint}")
    for key in _POSITIVE:
        if options.get(key) is not None and not options[key] > 0:
            raise ConfigurationError(f"tool {name!r}: {key} must be greater than 0, not {options[key]!r}")
    if options.get("retries", 0) < 0:
        raise ConfigurationError(f"tool {name!r}: retries must be 0 or more, not {options['retries']!r}")
    words: dict[str, tuple[Any, ...]] = {key: tuple(options[key]) for key in _WORDS if key in options}
    for key in words:
        if isinstance(options[key], str):
            raise ConfigurationError(f"tool {name!r}: {key} must be a list of texts: {key}=[{options[key]!r}]")
    if "labels" in options:
        _check_labels(name, options["labels"])
    if "rules" in options:
        words["rules"] = _rules(name, options["rules"])
    return {key: words.get(key, value) for key, value in options.items() if key not in ("name", "probe")}


def _check_labels(name: str, labels: object) -> None:
    known = {"own", "secret", "fact", "directory", "typed", "text"}
    if not isinstance(labels, Mapping) or not known.issuperset(labels.values()):
        raise ConfigurationError(f"tool {name!r}: labels map output fields to {', '.join(sorted(known))}, not {labels!r:.100}")


def _rules(name: str, rules: object) -> tuple[Rule, ...]:
    given = tuple(rules) if isinstance(rules, Sequence) and not isinstance(rules, str) else (rules,)
    if not all(isinstance(rule, Rule) for rule in given):
        raise ConfigurationError(f"tool {name!r}: rules must be a list of allow(…), ask(…), deny(…), not {rules!r:.100}")
    return cast("tuple[Rule, ...]", given)


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > _MAX_NAME:
        raise ConfigurationError(f"{name!r} cannot be a tool's name: use 1 to {_MAX_NAME} printable characters")


def _check_function(name: str, function: Callable[..., Any]) -> None:
    if not callable(function):
        raise ConfigurationError(f"{function!r} cannot be a tool: give a function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"tool {name!r} is a generator: return a list, and report on the way with ToolContext.progress()"
        )
    parameters = list(inspect.signature(function).parameters.values())
    owner = getattr(function, "__qualname__", "").rpartition(".")[0]
    if parameters and parameters[0].name in ("self", "cls") and owner and not owner.endswith("<locals>"):
        method = f"{owner.rpartition('.')[2].lower()}.{name}"
        raise ConfigurationError(f"tool {name!r} is a method without its object: make the bound method a tool, tool({method})")


def _check_effect(name: str, options: Mapping[str, Any]) -> None:
    effect, known = options.get("effect", "unsafe"), get_args(Effect)
    if effect not in known:
        hint = nearest(str(effect), known)
        raise ConfigurationError(f"tool {name!r}: there is no effect {effect!r}{hint}; known are {', '.join(known)}")
    if effect == "reconcilable" and options.get("probe") is None:
        raise ConfigurationError(
            f"tool {name!r}: effect='reconcilable' needs probe=…, a function from an idempotency key to Done(result) or NotDone()"
        )
    if effect != "reconcilable" and options.get("probe") is not None:
        raise ConfigurationError(f"tool {name!r}: probe= is for effect='reconcilable', and this tool is {effect}")
