"""What the suite is run with: every adapter that can say a behaviour, whole and streamed, at a server of the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from surefoot.core.model import Delta, ModelReply
from surefoot.core.ports import Model
from surefoot.testing.contracts.model import ask
from tests.models.conformance.dialects import CANNOT, DIALECTS, KINDS, Dialect, Get, Said
from tests.models.wire import Wire, sse, whole


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every behaviour, file of them, and kind of failure, with every adapter that can say it."""
    if "kind" in metafunc.fixturenames:
        pairs = [(one, kind) for one in DIALECTS for kind in KINDS if (kind, one.name) not in CANNOT]
        marked = [pytest.param(*pair, id=f"{pair[0].name}-{pair[1]}", marks=pytest.mark.needs(pair[0].extra)) for pair in pairs]
        metafunc.parametrize(("dialect", "kind"), marked)
    elif "dialect" in metafunc.fixturenames:
        wanted = (metafunc.function.__name__, metafunc.module.__name__.rpartition(".")[2])
        chosen = [one for one in DIALECTS if not any((name, one.name) in CANNOT for name in wanted)]
        metafunc.parametrize("dialect", [pytest.param(one, id=one.name, marks=pytest.mark.needs(one.extra)) for one in chosen])
    if "stream" in metafunc.fixturenames:
        metafunc.parametrize("stream", [True, False], ids=["stream", "whole"])


@pytest.fixture
def make(wire: Wire, dialect: Dialect) -> Callable[..., Model]:
    """Make the adapter under test, at the server of the test."""
    return lambda stream=False, **given: dialect.model(wire.url, stream=stream, **given)


@pytest.fixture
def get(wire: Wire, dialect: Dialect, stream: bool, make: Callable[..., Model]) -> Get:
    """Get the reply to an answer that the vendor writes so."""

    async def got(said: Said, text: str = "hi", **given: Any) -> tuple[ModelReply, list[Delta]]:
        wire.answers.append(sse(dialect.events(said)) if stream else whole(dialect.whole(said)))
        return await ask(make(stream), text, **given)

    return got
