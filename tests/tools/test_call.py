"""Running a tool: what the function is given, where it runs, and what a model reads of its result."""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import enum
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, PlainSerializer
from typing_extensions import TypedDict

from surefoot.core.errors import InvalidArguments, ToolFailed
from surefoot.core.messages import File, Image, Text
from surefoot.core.tool import Done, NotDone, ToolContext, ToolOutput
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
        (memoryview(b"x"), "x"),
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


async def test_the_function_gets_values_and_the_context() -> None:
    @tool
    def sell(ctx: ToolContext[dict[str, int]], item: str, when: dt.date, *, price: Decimal = Decimal(3)) -> str:
        return f"{item} {when.year} {price * ctx.deps['rate']} {ctx.idempotency_key} {ctx.attempt}"

    arguments = sell.validate('{"item": "pen", "when": "2025-01-02"}')
    assert (await sell.call(arguments, context({"rate": 2}))).text == "pen 2025 6 r1:1.0 2"


async def test_every_kind_of_parameter_is_passed() -> None:
    @tool
    async def mixed(ctx: ToolContext, a: int, /, b: int, *, c: int = 3, **more: int) -> list[Any]:
        return [ctx.call_id, a, b, c, more]

    @tool
    async def keyword(*, ctx: ToolContext, a: int) -> list[Any]:
        return [ctx.call_id, a]

    assert (await mixed.call(mixed.validate('{"a":1,"b":2,"d":4}'), context())).text == '["1.0",1,2,3,{"d":4}]'
    assert (await keyword.call('{"a":1}', context())).text == '["1.0",1]'


async def test_arguments_of_an_older_version_are_refused_before_anything_runs() -> None:
    ran: list[int] = []

    @tool
    def count(number: int) -> None:
        ran.append(number)

    with pytest.raises(InvalidArguments, match=r"invalid arguments: number: missing, and required; n: is not"):
        await count.call('{"n":1}', context())
    assert ran == []


async def test_what_a_function_raises_comes_out() -> None:
    thrown: list[Exception] = [ToolFailed("no"), ValueError("bad"), TimeoutError()]

    @tool
    def fail(which: int) -> None:
        raise thrown[which]

    @tool
    async def fail_async(which: int) -> None:
        raise thrown[which]

    for made in (fail, fail_async):
        for index, error in enumerate(thrown):
            with pytest.raises(type(error)) as caught:
                await made.call(f'{{"which":{index}}}', context())
            assert caught.value is error


@pytest.mark.parametrize(
    "error", [SystemExit(3), GeneratorExit(), StopIteration(), KeyboardInterrupt(), asyncio.CancelledError()]
)
async def test_nothing_a_sync_function_raises_ends_the_process_or_the_loop(error: BaseException) -> None:
    @tool
    def leave() -> None:
        raise error

    with pytest.raises(RuntimeError, match=f"the tool raised {type(error).__name__}"):
        async with asyncio.timeout(5):
            await leave.call("{}", context())


async def test_an_async_function_cannot_end_the_process() -> None:
    @tool
    async def leave() -> None:
        sys.exit(1)

    with pytest.raises(RuntimeError, match="the tool raised SystemExit"):
        await leave.call("{}", context())


async def test_what_a_function_cancels_itself_is_its_failure() -> None:
    @tool
    async def inner() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    with pytest.raises(RuntimeError, match="the tool raised CancelledError"):
        await inner.call("{}", context())


async def test_sync_functions_run_in_threads_with_the_callers_context() -> None:
    place = contextvars.ContextVar("place", default="nowhere")
    here = threading.get_ident()

    @tool
    def where() -> list[Any]:
        return [place.get(), threading.get_ident() != here, threading.current_thread().daemon]

    place.set("home")
    assert (await where.call("{}", context())).text == '["home",true,true]'


async def test_a_tool_that_hangs_is_left_behind_and_holds_up_nobody() -> None:
    release, started = threading.Event(), threading.Semaphore(0)

    @tool
    def hang() -> None:
        started.release()
        release.wait(30)

    @tool
    def quick() -> str:
        return "quick"

    stuck = [asyncio.create_task(hang.call("{}", context())) for _ in range(60)]
    try:
        async with asyncio.timeout(5):
            for _ in stuck:
                await asyncio.to_thread(started.acquire)
            assert (await quick.call("{}", context())).text == "quick"
            for task in stuck:
                task.cancel()
            done = await asyncio.gather(*stuck, return_exceptions=True)
        assert {type(error) for error in done} == {asyncio.CancelledError}
        assert (await quick.call("{}", context())).text == "quick"
    finally:
        release.set()


def test_a_tool_that_hangs_does_not_keep_the_process() -> None:
    program = (
        "import asyncio, threading\n"
        "from surefoot.tools.function import tool\n"
        "from tests.tools.contexts import context\n"
        "@tool\n"
        "def hang() -> None: threading.Event().wait()\n"
        "async def main():\n"
        "    try:\n"
        "        async with asyncio.timeout(0.1): await hang.call('{}', context())\n"
        "    except TimeoutError: print('timeout')\n"
        "asyncio.run(main())\n"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=5, check=True, env=ENV
    )
    assert done.stdout == "timeout\n"
    assert time.monotonic() - begun < 5


ENV = {"PYTHONPATH": ":".join(path for path in sys.path if path)}


async def test_threads_are_used_again() -> None:
    @tool
    def ident() -> int:
        return threading.get_ident()

    first = await ident.call("{}", context())
    assert {(await ident.call("{}", context())).text for _ in range(20)} == {first.text}


def test_a_tool_works_on_every_loop() -> None:
    @tool
    def double(a: int) -> int:
        return a * 2

    for number in range(3):
        assert asyncio.run(double.call(f'{{"a":{number}}}', context())).text == str(number * 2)


async def test_cancelling_an_async_function_reaches_it() -> None:
    cleaned = asyncio.Event()

    @tool
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    task = asyncio.create_task(wait.call("{}", context()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


async def test_all_that_can_be_called_can_be_a_tool() -> None:
    class Counter:
        def __init__(self) -> None:
            self.total = 0

        async def __call__(self, by: int) -> int:
            self.total += by
            return self.total

        def shout(self, word: str) -> str:
            """Shout."""
            return f"{word.upper()} {self.total}"

    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def around(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return around

    @tool
    @logged
    async def plain(a: int) -> int:
        return a + 1

    counter = Counter()
    shout = as_tool(counter.shout)
    assert (await as_tool(counter).call('{"by":2}', context())).text == "2"
    assert (await shout.call('{"word":"hi"}', context())).text == "HI 2"
    assert shout.description == "Shout."
    assert (await plain.call('{"a":1}', context())).text == "2"
    assert (await as_tool(partial(counter.shout, word="yo")).call("{}", context())).text == '"YO 2"'.strip('"')


async def test_a_probe_answers_as_the_tool_would() -> None:
    sent = {"r1:1.0": Decimal("2.50")}

    async def find(key: str) -> Done | NotDone:
        return Done(sent[key]) if key in sent else NotDone()

    @tool(effect="reconcilable", probe=find)
    async def pay(cents: int) -> Decimal:
        return Decimal(cents) / 100

    @tool(effect="reconcilable", probe=lambda key: Done(None) if key in sent else NotDone())
    def forget() -> None: ...

    assert await pay.probe("r1:1.0") == Done(ToolOutput('"2.50"'))
    assert await pay.probe("r1:1.1") == NotDone()
    assert await forget.probe("r1:1.0") == Done(ToolOutput("done"))
    assert await forget.probe("x") == NotDone()


async def test_a_probe_that_answers_neither_is_an_error() -> None:
    vague: Any = bool

    @tool(effect="reconcilable", probe=vague)
    def pay() -> None: ...

    with pytest.raises(TypeError, match=r"return Done\(result\) or NotDone\(\)"):
        await pay.probe("k")
