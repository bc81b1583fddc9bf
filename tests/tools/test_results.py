"""What a model reads of a tool's result: text, JSON, parts; and what cannot be told."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import threading
import uuid
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, PlainSerializer
from typing_extensions import TypedDict

from surefoot.core.messages import File, Image, Text
from surefoot.core.tool import ToolOutput
from surefoot.tools.function import as_tool, tool
from tests.tools.contexts import context


class Color(enum.Enum):
    RED = "red"


class Account(BaseModel):
    owner: str
    opened: dt.date


class Secretive(Account):
    password: str


@dataclass
class Point:
    x: int
    y: Decimal


class Row(TypedDict):
    id: uuid.UUID


class Struct(msgspec.Struct):
    a: int
    when: dt.date


def giving(value: Any, annotation: Any = None) -> Any:
    async def give() -> Any:
        return value

    if annotation is not None:
        give.__annotations__["return"] = annotation
    else:
        del give.__annotations__["return"]
    return as_tool(give)


async def output(value: Any, annotation: Any = None) -> ToolOutput:
    result: ToolOutput = await giving(value, annotation).call("{}", context())
    return result


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (7, "7"),
        (10**30, "1" + "0" * 30),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        (True, "true"),
        (None, "null"),
        ([1, "a", None], '[1,"a",null]'),
        ({"b": 1, "a": float("inf")}, '{"b":1,"a":"Infinity"}'),
        ((1, 2), "[1,2]"),
        ({3}, "[3]"),
        (deque([1]), "[1]"),
        (b"caf\xc3\xa9", "café"),
        (bytearray(b"x"), "x"),
        pytest.param(memoryview(b"x"), "x", id="memoryview"),
        (Color.RED, '"red"'),
        (dt.date(2025, 3, 1), '"2025-03-01"'),
        (dt.datetime(2025, 3, 1, tzinfo=dt.UTC), '"2025-03-01T00:00:00Z"'),
        (dt.timedelta(seconds=90), '"PT1M30S"'),
        (Decimal("1.10"), '"1.10"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Path("a/b"), '"a/b"'),
        (Account(owner="Zoë", opened=dt.date(2020, 1, 1)), '{"owner":"Zoë","opened":"2020-01-01"}'),
        ([Point(1, Decimal(2))], '[{"x":1,"y":"2"}]'),
        (Row(id=uuid.UUID(int=2)), '{"id":"00000000-0000-0000-0000-000000000002"}'),
        (Struct(1, dt.date(2025, 1, 1)), '{"a":1,"when":"2025-01-01"}'),
        ("lone \ud800 surrogate", "lone \\ud800 surrogate"),
        (["lone \ud800", {"é": 1}], '["lone \\ud800", {"\\u00e9": 1}]'),
    ],
    ids=repr,
)
async def test_results_read_as_text_or_json(value: Any, text: str) -> None:
    assert await output(value) == ToolOutput(text)


async def test_the_return_annotation_says_how() -> None:
    opened = dt.date(2020, 1, 1)
    assert (
        await output(Secretive(owner="a", opened=opened, password="p"), Account)
    ).text == '{"owner":"a","opened":"2020-01-01"}'
    assert (await output(12, Annotated[int, PlainSerializer(lambda value: f"{value} €")])).text == '"12 €"'
    assert (await output([Point(1, Decimal(2))], list[Point])).text == '[{"x":1,"y":"2"}]'


async def test_a_result_that_is_not_what_was_promised_is_shown_as_it_is() -> None:
    assert (await output({"error": "not found"}, Account)).text == '{"error":"not found"}'
    assert (await output(None, Account)).text == "null"


async def test_nothing_reads_as_done_where_nothing_was_promised() -> None:
    @tool
    async def save() -> None: ...

    @tool
    async def find() -> str | None: ...

    assert (await save.call("{}", context())).text == "done"
    assert (await find.call("{}", context())).text == "null"


async def test_parts_stay_parts() -> None:
    image, file = Image(b"\x89PNG"), File(b"%PDF", "application/pdf", "report.pdf")
    assert await output(Text("hello")) == ToolOutput("hello")
    assert await output(image) == ToolOutput("attached: image/png", (image,))
    assert await output([Text("two"), image, "and", file]) == ToolOutput("two\nand", (image, file))
    assert await output((file,)) == ToolOutput("attached: report.pdf", (file,))
    assert await output(b"\xff\xfe") == ToolOutput("attached: application/octet-stream", (File(b"\xff\xfe"),))
    ready = ToolOutput("text", (image,))
    assert await output(ready) is ready


async def test_a_huge_text_is_not_copied() -> None:
    for huge in ("x" * 10_000_000, "é" * 10_000_000):
        assert (await output(huge)).text is huge


def endless() -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (iter([1]), "a list_iterator, which can be read only once; return a list"),
        ((number for number in (1, 2)), "a generator, which can be read only once"),
        (map(str, [1]), "a map, which can be read only once"),
        (object(), "an object, which has no JSON form"),
        ([threading.Lock()], "a list, which has no JSON form (no JSON form for a lock"),
        (endless(), "a list, which has no JSON form"),
        (asyncio, "a module, which has no JSON form"),
        ({"a": b"\xff"}, "a dict, which has no JSON form"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_results_that_cannot_be_told_are_refused(value: Any, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        await output(value)
    assert str(caught.value).startswith(f"the tool returned {words}")
    assert "pydantic.dev" not in str(caught.value)
