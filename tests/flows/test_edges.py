"""What does not fit is refused where it comes in, in words that say what to give; nothing of it is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from surefoot.core.agent import Agent
from surefoot.testing.models import FunctionModel
from tests.flows.kit import opened

ECHO = Agent("echo", model=FunctionModel(lambda request: request.messages[-1].text))


@pytest.mark.parametrize("age", [30, 0.5, None, "30d", timedelta(seconds=-1)], ids=repr)
async def test_runs_are_pruned_by_an_age_or_a_time_only(store: str, age: Any) -> None:
    async with opened(store) as app:
        run = await app.run(ECHO, "keep me")
        with pytest.raises(TypeError, match=r"is no age: give timedelta\(days=30\)"):
            await app.prune(age)
        assert list(await app.prune(timedelta(days=1))) == []
        assert list(await app.prune(datetime(2020, 1, 1, tzinfo=UTC))) == []
        assert list(await app.prune(timedelta(0))) == [run.id]
