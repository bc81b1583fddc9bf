"""Signatures that make no tool are refused by name, with what to do."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import AliasChoices, Field, SecretStr

from surefoot.core.errors import UnsupportedAnnotation
from surefoot.core.tool import ToolContext
from surefoot.tools.function import FunctionTool, as_tool, tool


def taking(annotation: Any) -> FunctionTool[..., Any]:
    def take(x: Any) -> None: ...

    take.__annotations__["x"] = annotation
    return as_tool(take)


@pytest.mark.parametrize(
    ("annotation", "word"),
    [
        (queue.Queue, "Queue"),
        (Callable[[], int], "Callable"),
        (list[asyncio.Event], "Event"),
        (SecretStr, "dependencies"),
        (Annotated[int, Field(validation_alias=AliasChoices("a", "b"))], "alias"),
        ("Missing", "module level"),
        ("1 +", "annotation"),
    ],
)
def test_what_has_no_schema_is_refused_by_name(annotation: Any, word: str) -> None:
    with pytest.raises(UnsupportedAnnotation) as caught:
        _ = taking(annotation).spec
    assert "tool 'take', parameter 'x'" in str(caught.value)
    assert word in str(caught.value)
    assert "pydantic.dev" not in str(caught.value)


def test_only_the_parameter_at_fault_is_named() -> None:
    @tool
    def three(a: int, b: asyncio.Event, c: str) -> None: ...

    with pytest.raises(UnsupportedAnnotation, match=r"tool 'three', parameter 'b': Event has no JSON Schema"):
        _ = three.spec


def test_a_default_that_json_cannot_say_is_refused() -> None:
    marker = object()

    @tool
    def odd(a: Any = marker) -> None: ...

    with pytest.raises(UnsupportedAnnotation, match=r"parameter 'a'.*default"):
        _ = odd.spec


def test_positional_extras_are_refused() -> None:
    @tool
    def add(*numbers: int) -> int:
        return sum(numbers)

    with pytest.raises(UnsupportedAnnotation, match=r"numbers: list\[…\]"):
        _ = add.spec


def test_a_context_in_another_place_is_refused() -> None:
    @tool
    def late(a: int, ctx: ToolContext) -> None: ...

    with pytest.raises(UnsupportedAnnotation, match="first"):
        _ = late.spec


def test_extras_that_have_no_schema_are_refused() -> None:
    @tool
    def label(a: int, **labels: asyncio.Event) -> None: ...

    with pytest.raises(UnsupportedAnnotation, match="tool 'label': its parameters have no JSON Schema"):
        _ = label.spec
