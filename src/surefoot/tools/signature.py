"""What a function says of itself: its parameters, their annotations resolved, and its docstring.

`read` gives a `Signature`. Nothing here knows JSON Schema or pydantic; `schema.py` makes one of a signature.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, get_args, get_origin

from surefoot.core.errors import UnsupportedAnnotation
from surefoot.core.tool import ToolContext

__all__ = ["Docs", "Parameter", "Signature", "docs_of", "read"]

#: Stands for "nothing": no annotation, no default.
EMPTY: Any = inspect.Parameter.empty


_CONTEXT = re.compile(r"(?:\w+\.)*ToolContext(?:\[.*\])?")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter a model fills: its annotation resolved, `EMPTY` for no default."""

    name: str
    annotation: Any
    default: Any = EMPTY
    positional: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as a tool: what a model fills, whether and how the context comes in, and what comes out.

    ``context`` is the name of the context's parameter, empty for none; ``extra`` the annotation of ``**kwargs``,
    `EMPTY` for none; ``returns`` is `EMPTY` without an annotation or when it cannot be resolved.
    """

    parameters: tuple[Parameter, ...]
    context: str = ""
    context_by_name: bool = False
    extra: Any = EMPTY
    returns: Any = EMPTY


@dataclass(frozen=True, slots=True)
class Docs:
    """A docstring, read: the description, and a description for each parameter that has one."""

    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def read(function: Callable[..., Any], tool: str, namespace: Mapping[str, Any]) -> Signature:
    """Read a function's signature, resolving annotations in its module, its closure and ``namespace``.

    Raises UnsupportedAnnotation, naming the tool, the parameter and what to do, for annotations that name nothing, for
    ``*args`` and for a context that is not the first parameter.
    """
    scope = _Scope(function, tool, namespace)
    parameters: list[Parameter] = []
    context: inspect.Parameter | None = None
    extra: Any = EMPTY
    for index, raw in enumerate(inspect.signature(function).parameters.values()):
        annotation = scope.resolve(raw.name, raw.annotation)
        if _is_context(annotation):
            if index:
                raise UnsupportedAnnotation(f"tool {tool!r}, parameter {raw.name!r}: put the ToolContext first")
            context = raw
        elif raw.kind is raw.VAR_POSITIONAL:
            raise UnsupportedAnnotation(
                f"tool {tool!r}, parameter '*{raw.name}': arguments come by name; use {raw.name}: list[…] instead"
            )
        elif raw.kind is raw.VAR_KEYWORD:
            extra = Any if annotation is EMPTY else annotation
        else:
            parameters.append(_parameter(raw, annotation))
    return Signature(
        tuple(parameters),
        context.name if context else "",
        context is not None and context.kind is context.KEYWORD_ONLY,
        extra,
        scope.returns(),
    )


def docs_of(function: Callable[..., Any]) -> Docs:
    """Read a docstring in Google's, NumPy's or Sphinx's style; plain text is a description."""
    # A partial's docstring is that of its class, and says nothing of the function.
    text = inspect.getdoc(function.func if isinstance(function, partial) else inspect.unwrap(function))
    if not text:
        return Docs()
    import docstring_parser

    try:
        parsed = docstring_parser.parse(text)
    except Exception:  # noqa: BLE001  the parser trips over odd texts, and a tool must not
        return Docs(text)
    returns = parsed.returns.description if parsed.returns and not parsed.returns.is_generator else None
    pieces = [parsed.short_description, parsed.long_description, returns and f"Returns: {returns}"]
    return Docs(
        "\n\n".join([piece.strip() for piece in pieces if piece]),
        {param.arg_name.lstrip("*"): " ".join(param.description.split()) for param in parsed.params if param.description},
    )


def _parameter(raw: inspect.Parameter, annotation: Any) -> Parameter:
    annotation = Any if annotation is EMPTY else annotation
    if raw.default is None:
        annotation = typing.Optional[annotation]  # noqa: UP045  an annotation of any kind, and what `= None` means
    return Parameter(raw.name, annotation, raw.default, raw.kind is raw.POSITIONAL_ONLY)


def _is_context(annotation: Any) -> bool:
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_is_context(part) for part in get_args(annotation))
    return annotation is ToolContext or get_origin(annotation) is ToolContext


class _Scope:
    """Where the names in a function's annotations are looked up."""

    def __init__(self, function: Callable[..., Any], tool: str, namespace: Mapping[str, Any]) -> None:
        inner = inspect.unwrap(function)
        while isinstance(inner, partial):
            inner = inner.func
        code = inner if hasattr(inner, "__code__") else getattr(type(inner), "__call__", inner)  # noqa: B004
        self.tool = tool
        self.globals = getattr(code, "__globals__", {})
        closure = inspect.getclosurevars(code).nonlocals if getattr(code, "__closure__", None) else {}
        self.locals = {**namespace, **closure}
        self.result = getattr(code, "__annotations__", {}).get("return", EMPTY)

    def resolve(self, name: str, annotation: Any) -> Any:
        """The annotation with its strings replaced by what they name."""
        if annotation is EMPTY:
            return EMPTY
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            return typing.get_type_hints(holder, self.globals, self.locals, include_extras=True)[name]
        except Exception as error:  # an annotation is code: whatever it raises
            if isinstance(annotation, str) and _CONTEXT.fullmatch(annotation.strip()):
                return ToolContext  # its type of dependencies may be known to type checkers only
            raise UnsupportedAnnotation(
                f"tool {self.tool!r}, parameter {name!r}: cannot read the annotation {annotation!r} ({error}). Define "
                "or import the type at module level (not for type checkers only), or before the decorated function"
            ) from error

    def returns(self) -> Any:
        """The return annotation, or `EMPTY`: a tool without an output schema is a tool all the same."""
        try:
            return self.resolve("return", self.result)
        except UnsupportedAnnotation:
            return EMPTY
