"""Running a tool: what the function is given, where it runs, and what a model reads of its result."""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial, wraps
from typing import Any

import pytest

from surefoot.core.errors import InvalidArguments, ToolFailed
from surefoot.core.tool import Done, NotDone, ToolContext, ToolOutput
from surefoot.tools.function import as_tool, tool
from surefoot.tools.threads import Threads
from tests.tools.contexts import context


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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=5, check=True, env=ENV)
    assert done.stdout == "timeout\n"
    assert time.monotonic() - begun < 5


ENV = {"PYTHONPATH": ":".join(path for path in sys.path if path)}


async def test_threads_are_used_again() -> None:
    @tool
    def ident() -> int:
        return threading.get_ident()

    first = await ident.call("{}", context())
    assert {(await ident.call("{}", context())).text for _ in range(20)} == {first.text}


async def test_a_thread_that_is_not_needed_ends() -> None:
    threads = Threads("brief", idle=0.01)
    worker = await threads.run(threading.current_thread)
    await asyncio.to_thread(worker.join, 5)
    assert not worker.is_alive()
    assert await threads.run(threading.current_thread) is not worker


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
