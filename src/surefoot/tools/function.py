"""Functions as tools: the `tool` decorator, `as_tool` for plain functions, and `FunctionTool`, which they make.

The signature and the docstring are the schema; it is built on first use, so that decorating costs next to nothing and
imports nothing. The function stays callable as it was.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from functools import partial, update_wrapper
from types import UnionType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Union, get_args, get_origin, overload

from typing_extensions import Unpack

from surefoot.core.errors import ConfigurationError, InvalidArguments, UnsupportedAnnotation
from surefoot.core.messages import File, Image, Text
from surefoot.core.tool import Content, Done, Effect, NotDone, ToolContext, ToolOutput, ToolSpec
from surefoot.tools.options import Options, checked, is_async, name_of
from surefoot.tools.repair import kind_of, read_object
from surefoot.tools.results import encode
from surefoot.tools.signature import EMPTY, Signature, docs_of
from surefoot.tools.signature import read as read_signature
from surefoot.tools.threads import Threads

if TYPE_CHECKING:
    from surefoot.tools.schema import Form

__all__ = ["FunctionTool", "Options", "as_tool", "tool"]

P = ParamSpec("P")
R = TypeVar("R")

#: Return types whose text is not JSON, or whose schema would say nothing.
_NO_SCHEMA = (None, type(None), bytes, ToolOutput, Text, Image, File, EMPTY, Any)


class FunctionTool(Generic[P, R]):
    """A function as a tool; satisfies `core.ports.Tool`, and can be called as the function it is.

    Raises ConfigurationError for options that make no sense. Its schema is built on first use of ``spec``,
    ``input_schema``, ``output_schema``, ``validate`` or ``call``; that raises UnsupportedAnnotation where a parameter's
    type has no JSON Schema.
    """

    def __init__(self, function: Callable[P, R], **options: Unpack[Options]) -> None:
        self.function = function
        self._name = options.get("name") or name_of(function)
        self._options = checked(self._name, function, options)
        self._probe = options.get("probe")
        self._namespace: Mapping[str, Any] = {}
        self._built: _Built | None = None
        self._threads = Threads(self._name)
        update_wrapper(self, function, updated=())

    @property
    def name(self) -> str:
        """What the model calls it."""
        return self._name

    @property
    def effect(self) -> Effect:
        """What running it does to the world."""
        effect: Effect = self._options.get("effect", "unsafe")
        return effect

    @property
    def description(self) -> str:
        """What it does, as the model is told."""
        return self._options.get("description") or docs_of(self.function).description

    @property
    def spec(self) -> ToolSpec:
        """Everything known of it. Raises UnsupportedAnnotation."""
        return self._ready().spec

    @property
    def input_schema(self) -> dict[str, Any]:
        """JSON Schema of the arguments. Raises UnsupportedAnnotation."""
        return self._ready().spec.input_schema

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """JSON Schema of the result, where the return annotation has one."""
        return self._ready().spec.output_schema

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, as a test of it would."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        """``FunctionTool('refund', effect='unsafe')``."""
        return f"FunctionTool({self._name!r}, effect={self.effect!r})"

    def validate(self, arguments: str) -> str:
        """The canonical text of a model's arguments, defaults filled in. Raises InvalidArguments."""
        form = self._ready().form
        try:
            # Nothing at all is no arguments.
            value, text = read_object(arguments) if arguments.strip() else (None, "")
            if value is None or value == "":
                value, text = {}, "{}"
            if type(value) is not dict:
                raise self._refused(value)
            return form.canonical(text, value)
        except ValueError as error:
            raise InvalidArguments(f"invalid arguments: {error}") from None

    async def call(self, arguments: str, context: ToolContext[Any]) -> ToolOutput:
        """Run the function on canonical arguments: async ones here, sync ones in a thread, left alone when cancelled.

        Raises what the function raises (SystemExit and the like as RuntimeError), TypeError for a result that cannot be
        encoded, and InvalidArguments when the arguments, of an older version of the function perhaps, do not fit.
        """
        built = self._ready()
        try:
            values: dict[str, Any] = built.form.load(arguments)
        except ValueError as error:
            raise InvalidArguments(f"invalid arguments: {error}") from None
        body = built.bind(self.function, values, context)
        try:
            if built.is_async:
                return built.encode(await body())
            result = await self._threads.run(lambda: built.encode_sync(_contained(body)))
        except SystemExit as error:
            raise RuntimeError("the tool raised SystemExit") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled this call: the function awaited something that was.
            raise RuntimeError("the tool raised CancelledError") from error
        return result if isinstance(result, ToolOutput) else built.encode(await result)

    async def probe(self, key: str) -> Done | NotDone:
        """Ask whether the call with this idempotency key happened; `Done` holds a `ToolOutput`.

        Raises what the probe raises, TypeError when it returns neither, ConfigurationError when the tool has none.
        """
        ask = self._probe
        if ask is None:
            raise ConfigurationError(f"tool {self._name!r} has no probe: give one with @tool(effect='reconcilable', probe=…)")
        found = ask(key) if is_async(ask) else await self._threads.run(lambda: _contained(partial(ask, key)))
        if inspect.isawaitable(found):
            found = await found
        if isinstance(found, Done):
            return Done(self._ready().encode(found.result))
        if isinstance(found, NotDone):
            return found
        raise TypeError(f"the probe of tool {self._name!r} returned {found!r}; return Done(result) or NotDone()")

    def _refused(self, value: Any) -> ValueError:
        keys = ", ".join(self._ready().spec.input_schema.get("properties", ()))
        return ValueError(f"expected a JSON object{keys and f' with the keys {keys}'}, got {kind_of(value)}")

    def _ready(self) -> _Built:
        if self._built is None:
            self._built = _build(self)
            self._namespace = {}
        return self._built

    def defined_in(self, namespace: Mapping[str, Any]) -> FunctionTool[P, R]:
        """Look annotations up among these names too: the locals of the function that defines this one."""
        self._namespace = namespace
        return self


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(**options: Unpack[Options]) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Unpack[Options]) -> Any:
    """Make a function a tool: ``@tool``, or ``@tool(effect="read", timeout=5)``. See `Options`.

    Without a declared effect a tool is ``unsafe``: a human is asked before it runs, and no machine repeats it. A first
    parameter annotated `ToolContext` gets the call's context and is not shown to the model.

    Raises ConfigurationError for options that make no sense.
    """
    namespace = _locals()

    def decorate(function: Callable[..., Any]) -> FunctionTool[..., Any]:
        if isinstance(function, FunctionTool):
            raise ConfigurationError(f"{function!r} is a tool already; declare it once, or use Tools([…]).renamed(…)")
        return FunctionTool(function, **options).defined_in(namespace)

    return decorate if function is None else decorate(function)


def as_tool(function: Callable[..., Any]) -> FunctionTool[..., Any]:
    """A plain function as a tool: unsafe, with its own name. A `FunctionTool` is given back as it is."""
    return function if isinstance(function, FunctionTool) else FunctionTool(function)


class _Built:
    """What is made of a function on first use, and kept: its forms, and how to call it."""

    def __init__(self, spec: ToolSpec, form: Form, signature: Signature, is_async: bool) -> None:
        self.spec = spec
        self.form = form
        self.is_async = is_async
        self.serializer: Any = None
        self._context = signature.context
        self._by_name = signature.context_by_name
        self._positional = tuple([item.name for item in signature.parameters if item.positional])
        self._nothing = "done" if signature.returns in (None, type(None)) else "null"
        self._plain = signature.returns if signature.returns in (int, float, bool) else None

    def bind(self, function: Callable[..., Any], values: dict[str, Any], context: ToolContext[Any]) -> Callable[[], Any]:
        """The call, ready to be made."""
        if self._by_name:
            values[self._context] = context
        args = [values.pop(name) for name in self._positional]
        if self._context and not self._by_name:
            args.insert(0, context)
        return partial(function, *args, **values)

    def encode(self, value: Any) -> ToolOutput:
        """The result, as the model reads it. Raises TypeError."""
        if type(value) is self._plain and math.isfinite(value):
            # Many results are plain numbers, and pydantic lets other threads in for each. JSON says them as Python does.
            return ToolOutput(repr(value).lower())
        return encode(value, self.serializer, nothing=self._nothing)

    def encode_sync(self, value: Any) -> Any:
        """As `encode`, in the thread; what is to be awaited is handed on."""
        return value if inspect.isawaitable(value) else self.encode(value)


def _build(made: FunctionTool[..., Any]) -> _Built:
    from surefoot.tools.schema import arguments_of, form_of

    function, name, namespace = made.function, made.name, made._namespace  # noqa: SLF001  one thing in two parts
    signature = read_signature(function, name, namespace)
    docs = docs_of(function)
    form = arguments_of(signature, docs, name, namespace)
    returned: Form | None = None
    if not _unsaid(signature.returns):
        try:
            returned = form_of(signature.returns, namespace, "serialization")
        except UnsupportedAnnotation:
            returned = None  # a result is encoded by its own type then
    options = made._options  # noqa: SLF001  one thing in two parts
    marked = [one.name for one in signature.parameters if _is_content(one.annotation)]
    if marked:
        options = {**options, "content": tuple(dict.fromkeys((*options.get("content", ()), *marked)))}
    spec = ToolSpec(
        **{"description": docs.description, **options},
        name=name,
        input_schema=form.schema,
        output_schema=returned.schema if returned else None,
    )
    built = _Built(spec, form, signature, is_async(function))
    built.serializer = returned.serializer if returned else None
    return built


def _is_content(annotation: Any) -> bool:
    """Whether a parameter is marked as free text; of an optional one, whatever it may be besides None."""
    if any(one is Content or isinstance(one, Content) for one in getattr(annotation, "__metadata__", ())):
        return True
    return get_origin(annotation) in (Union, UnionType) and any(map(_is_content, get_args(annotation)))


def _unsaid(annotation: Any) -> bool:
    """Whether a result of this type is told as something else than JSON."""
    return any(annotation is kind for kind in _NO_SCHEMA) or any(
        part is not type(None) and part is not Any and _unsaid(part) for part in get_args(annotation)
    )


def _contained(body: Callable[[], Any]) -> Any:
    """Call a sync function in its thread, where what would end a process or confuse a loop fails as others do."""
    try:
        return body()
    except (SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, asyncio.CancelledError) as error:
        raise RuntimeError(f"the tool raised {type(error).__name__}") from error


def _locals() -> Mapping[str, Any]:
    """The local names where `tool` is called, when that is inside a function."""
    frame = sys._getframe(2)  # noqa: SLF001  as typing.NamedTuple and pydantic do
    return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)
