"""That an application works with other rules than before is in its journal, whole, once."""

from __future__ import annotations

from pathlib import Path

from surefoot import App
from surefoot.core import events as ev
from tests.approvals.test_application import BIG, SMALL, Shop
from tests.flows.kit import QUICK


async def test_other_rules_are_written_down_and_the_same_are_not(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'agent.db'}"
    found: list[ev.PolicyChanged] = []
    for policy, own in ((BIG, ""), (BIG, ""), (BIG, SMALL), (None, "")):
        agent = Shop("done", policy=own).agent if own else Shop("done").agent
        async with App(url, agents=[agent], settings=QUICK, policy=policy) as app:
            await app.run(agent, "go")
        async with App(url, settings=QUICK) as app:
            found = [record.event for record in await app.store.read("app") if isinstance(record.event, ev.PolicyChanged)]
    assert [change.layers for change in found] == [("policy",), ("policy", "agent clerk"), ()]
    assert [change.before for change in found] == ["", *[change.digest for change in found[:-1]]]
    assert found[0].text == f"// policy\n{BIG}"
    assert SMALL in found[1].text
    assert found[2].digest == ""


async def test_where_there_never_were_rules_nothing_is_written(tmp_path: Path) -> None:
    shop = Shop("done")
    async with App(f"sqlite:{tmp_path / 'agent.db'}", agents=[shop.agent], settings=QUICK) as app:
        await app.run(shop.agent, "go")
    async with App(f"sqlite:{tmp_path / 'agent.db'}", settings=QUICK) as app:
        assert await app.store.read(None) != []
        assert [record for record in await app.store.read(None) if record.stream == "app"] == []
