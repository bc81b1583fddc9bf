"""Tokens: secrets that are shown once, kept as digests, and good until they expire or are revoked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from surefoot.clock import SystemClock
from surefoot.core.errors import ConfigurationError
from surefoot.core.ports import Store
from surefoot.journal import open_store
from surefoot.server.tokens import ROLES, Caller, Tokens
from surefoot.testing.clock import ManualClock


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'agent.db'}"
    opened = open_store(url, SystemClock())
    await opened.open()
    yield opened
    await opened.close()


async def test_a_secret_names_its_caller(store: Store) -> None:
    tokens = Tokens(store, SystemClock())
    secret = await tokens.create("dana", "approver", tenant="shop", by="root")
    (token,) = await tokens.all()
    assert await tokens.identify(secret) == Caller("dana", "approver", "shop", f"token {token.id}")
    # Another process learns of it, and of its end, from the store.
    others = Tokens(store, SystemClock())
    assert await others.identify(secret) is not None
    await tokens.revoke(token.id)
    assert await others.identify(secret) is None
    assert await others.all() == []


async def test_nothing_else_names_anybody(store: Store) -> None:
    tokens = Tokens(store, SystemClock())
    assert await tokens.identify("sft_x_y") is None
    secret = await tokens.create("dana", "viewer")
    for wrong in ("", "sft", secret[:-1], f"{secret}x", secret.replace("sft_", "abc_"), secret.rpartition("_")[0], "sft__"):
        assert await tokens.identify(wrong) is None


async def _created(path: Path) -> str:
    store = open_store(f"sqlite:{path}", SystemClock())
    await store.open()
    secret = await Tokens(store, SystemClock()).create("dana", "admin")
    await store.close()
    return secret


def test_the_store_holds_no_secret(tmp_path: Path) -> None:
    secret = asyncio.run(_created(tmp_path / "agent.db"))
    key = secret.split("_", 2)[2].encode()
    assert all(key not in file.read_bytes() for file in tmp_path.iterdir())


async def test_tokens_expire() -> None:
    clock = ManualClock()
    store = open_store("memory:", clock)
    await store.open()
    tokens = Tokens(store, clock)
    secret = await tokens.create("dana", "viewer", lasts=timedelta(hours=1))
    assert await tokens.identify(secret)
    clock.advance(3601)
    assert await tokens.identify(secret) is None
    await store.close()


async def test_what_cannot_be_is_refused(store: Store) -> None:
    tokens = Tokens(store, SystemClock())
    with pytest.raises(ConfigurationError, match="there is viewer, operator, approver, admin"):
        await tokens.create("dana", "boss")
    with pytest.raises(ConfigurationError, match="give it a user"):
        await tokens.create(" ", "admin")
    with pytest.raises(ConfigurationError, match="surefoot token list"):
        await tokens.revoke("nobody")


def test_what_roles_may_do() -> None:
    may = {role: {action for action in ("read", "run", "decide", "manage") if Caller("x", role).may(action)} for role in ROLES}
    assert may == {
        "viewer": {"read"},
        "operator": {"read", "run"},
        "approver": {"read", "decide"},
        "admin": {"read", "run", "decide", "manage"},
    }
