"""The tool that reads results back: what it takes, and whose results it reads."""

from __future__ import annotations

import pytest

from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.errors import InvalidArguments, ToolFailed
from surefoot.core.tool import NotDone, ToolContext
from surefoot.journal import MemoryStore
from surefoot.testing.contracts.scenes import begin
from surefoot.tools.readback import ReadBack


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ('{"handle": "x"}', '{"handle":"x"}'),
        ('{"limit": 20000, "handle": "x", "offset": 0}', '{"handle":"x","limit":20000,"offset":0}'),
    ],
)
def test_arguments_are_made_canonical(given: str, canonical: str) -> None:
    assert ReadBack(MemoryStore(SystemClock())).validate(given) == canonical


@pytest.mark.parametrize(
    "given",
    ["", "[]", "{", "{}", '{"handle": 1}', '{"handle": "x", "more": 1}', '{"handle": "x", "offset": -1}',
     '{"handle": "x", "limit": 0}', '{"handle": "x", "limit": 20001}', '{"handle": "x", "offset": 1.5}',
     '{"handle": "x", "offset": true}'],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_refused(given: str) -> None:
    with pytest.raises(InvalidArguments):
        ReadBack(MemoryStore(SystemClock())).validate(given)


async def test_results_of_the_run_and_its_session_are_read_and_no_others() -> None:
    store = MemoryStore(SystemClock())
    await store.open()
    long = await store.save(b"a long result")
    for run, user, session in (("mine", "dana", "s"), ("before", "dana", "s"), ("eli's", "eli", "s"), ("alone", "dana", "")):
        await begin(store, run, user=user, session=session)
        returned = [ev.ToolReturned("0.0", f"short of {run}"), ev.ToolReturned("0.1", "a lo", blob=long)]
        await store.append(run, [*returned[: 2 if run == "before" else 1], ev.RunFinished("")], head=2, epoch=1)
    tool = ReadBack(store)

    async def read(handle: str, run: str = "mine", session: str = "s") -> str:
        context = ToolContext(
            run_id=run, call_id="1.0", agent="a", idempotency_key="k", fencing_token=1, deps=None, user="dana", session=session
        )
        return (await tool.call(tool.validate(f'{{"handle": "{handle}", "limit": 6}}'), context)).text.splitlines()[0]

    assert await read("mine:0.0") == await read("before:0.0") == "short "
    assert await read("before:0.1") == await read(long[:16]) == await read(f" {long} ") == "a long"
    assert await read("alone:0.0", run="alone", session="") == "short "
    for handle, run, session in (
        ("eli's:0.0", "mine", "s"), ("alone:0.0", "mine", "s"), ("nobody:0.0", "mine", "s"), ("mine:9.9", "mine", "s"),
        ("mine:0.0", "alone", ""), (long, "alone", ""), (long[:15], "mine", "s"), ("f" * 64, "mine", "s"), (":", "mine", "s"),
    ):  # fmt: skip
        with pytest.raises(ToolFailed, match="no result with the handle"):
            await read(handle, run, session)
    assert await tool.probe("k") == NotDone()
    await store.close()
