"""`tool` and `as_tool`: what can be declared, what is refused at once, and that the function stays a function."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, assert_type

import pytest

from surefoot.core.errors import ConfigurationError
from surefoot.core.ports import Tool
from surefoot.core.tool import Done, NotDone, ToolContext, ToolSpec
from surefoot.tools.function import FunctionTool, as_tool, tool
from tests.tools.contexts import context


@tool(effect="read", timeout=2.5)
def add(a: int, b: int = 2) -> int:
    """Add."""
    return a + b


@tool
async def refund(ctx: ToolContext[str], order: str) -> str:
    """Refund an order."""
    return f"{ctx.deps}: {order}"


async def test_the_function_stays_a_function() -> None:
    assert_type(add(1), int)
    assert add(1) == 3
    assert add(b=5, a=1) == 6
    assert await refund(context("dana"), "81") == "dana: 81"
    assert_type(await refund(context("dana"), "81"), str)
    assert inspect.unwrap(add) is add.function
    assert add.__doc__ == "Add."
    assert list(inspect.signature(add).parameters) == ["a", "b"]


def test_a_function_tool_is_a_tool() -> None:
    made: Tool = add
    assert made.name == add.name == "add"
    assert repr(add) == "FunctionTool('add', effect='read')"


def test_everything_declared_is_in_the_spec() -> None:
    @tool(
        effect="idempotent",
        name="find customer",
        description="Finds.",
        timeout=1.5,
        retries=0,
        result_limit=100,
        concurrency=3,
        tags=["costly", "external"],
        untrusted=True,
        examples=["who is Dana?"],
        alternatives=["search"],
    )
    def find(name: str) -> str:
        return name

    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    assert find.spec == ToolSpec(
        name="find customer",
        description="Finds.",
        input_schema=schema,
        output_schema={"type": "string"},
        effect="idempotent",
        timeout=1.5,
        retries=0,
        result_limit=100,
        concurrency=3,
        tags=("costly", "external"),
        untrusted=True,
        examples=("who is Dana?",),
        alternatives=("search",),
    )
    assert find.spec is find.spec


def test_what_is_not_declared_is_unsafe() -> None:
    assert refund.effect == refund.spec.effect == "unsafe"
    assert as_tool(lambda_free).spec.effect == "unsafe"
    assert as_tool(add) is add


def lambda_free(a: int) -> int:
    return a


def done(key: str) -> Done | NotDone:
    return Done(key)


def generates() -> Any:
    yield 1


async def generates_async() -> Any:
    yield 1


class Shop:
    def sell(self, item: str) -> str:
        return item


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (
            lambda_free,
            {"effect": "reads"},
            "there is no effect 'reads'; did you mean \"read\"?; known are read, idempotent",
        ),
        (lambda_free, {"effect": "reconcilable"}, "needs probe=…"),
        (lambda_free, {"probe": done}, "probe= is for effect='reconcilable', and this tool is unsafe"),
        (lambda_free, {"timout": 3}, "there is no option 'timout'; did you mean \"timeout\"?"),
        (lambda_free, {"timeout": 0}, "timeout must be greater than 0, not 0"),
        (lambda_free, {"result_limit": -1}, "result_limit must be greater than 0, not -1"),
        (lambda_free, {"concurrency": 0}, "concurrency must be greater than 0, not 0"),
        (lambda_free, {"retries": -1}, "retries must be 0 or more, not -1"),
        (lambda_free, {"tags": "costly"}, "tags must be a list of texts: tags=['costly']"),
        (lambda_free, {"name": "two\nlines"}, "cannot be a tool's name"),
        (lambda_free, {"name": "x" * 200}, "cannot be a tool's name"),
        (lambda a: a, {}, "a lambda has no name: give it one with tool(name='…')"),
        (generates, {}, "tool 'generates' is a generator: return a list"),
        (generates_async, {}, "tool 'generates_async' is a generator"),
        (Shop.sell, {}, "make the bound method a tool, tool(shop.sell)"),
        (add, {}, "FunctionTool('add', effect='read') is a tool already"),
        (3, {"name": "three"}, "3 cannot be a tool: give a function"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(function: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        tool(**options)(function)
    assert words in str(caught.value)


def test_a_bound_method_is_a_tool() -> None:
    assert tool(Shop().sell).name == "sell"


async def test_a_tool_without_a_probe_says_so() -> None:
    with pytest.raises(ConfigurationError, match="tool 'add' has no probe"):
        await add.probe("k")


def test_a_factory_hides_state_from_the_model() -> None:
    def make(stock: dict[str, int]) -> Callable[..., Any]:
        @tool(effect="read")
        def count(item: str) -> int:
            return stock[item]

        return count

    count = make({"pens": 3})
    assert isinstance(count, FunctionTool)
    assert list(count.input_schema["properties"]) == ["item"]
    assert count("pens") == 3


def test_decorating_imports_neither_pydantic_nor_a_docstring_parser() -> None:
    program = (
        "import sys, json\n"
        "from surefoot.tools.function import tool\n"
        "@tool(effect='read')\n"
        "def add(a: int) -> int:\n"
        "    'Add.'\n"
        "    return a\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    path = ":".join(part for part in sys.path if part)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=5, env={"PYTHONPATH": path}
    )
    assert {"pydantic", "pydantic_core", "docstring_parser", "anyio"}.isdisjoint(json.loads(done.stdout))
