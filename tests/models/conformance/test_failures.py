"""What goes wrong between a model and its server: one kind, one message, whoever the vendor is."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any

import pytest

from surefoot.core.errors import ConfigurationError, ModelError
from surefoot.core.model import ModelSettings
from surefoot.core.ports import Model
from surefoot.models.real import forbid_real_models
from surefoot.testing.contracts.model import ask
from tests.models.conformance.dialects import Dialect, fails
from tests.models.wire import Answer, Wire, whole

# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_failure_has_its_kind(
    wire: Wire, dialect: Dialect, make: Callable[..., Model], stream: bool, kind: str
) -> None:
    status, body = dialect.failures[kind]
    caught = await fails(make(stream), wire, whole(body, status, **{dialect.request_id: "req9"}))
    assert (caught.kind, caught.status, caught.request_id) == (kind, status, "req9")
    assert caught.retryable == (kind in ("rate_limited", "server", "overloaded", "timeout"))
    assert "abcdefgh" not in str(caught), "a key in an error is not repeated"
    assert len(wire.asked) == 1, "the package does not try again by itself"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("upstream connect error", "upstream connect error"),
        ("<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>", "Bad Gateway"),
        ("", "HTTP 502"),
    ],
    ids=["text", "html", "empty"],
)
async def test_an_error_may_be_no_json(
    wire: Wire, dialect: Dialect, make: Callable[..., Model], stream: bool, body: str, told: str
) -> None:
    answer = Answer((body.encode(),) if body else (), 502, {dialect.request_id: "req9"}, kind="text/html")
    caught = await fails(make(stream), wire, answer)
    assert (caught.kind, caught.status) == ("server", 502)
    assert told in str(caught)
    assert "<" not in str(caught)


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_when_to_try_again_is_heeded(wire: Wire, dialect: Dialect, make: Callable[..., Model], form: str) -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=10_000)
    said = "10000" if form == "seconds" else format_datetime(later, usegmt=True)
    status, body = dialect.failures["rate_limited"]
    caught = await fails(make(), wire, whole(body, status, retry_after=said))
    assert caught.retry_after == pytest.approx(10_000, abs=200)


async def test_a_page_instead_of_an_answer_is_malformed(
    wire: Wire, dialect: Dialect, make: Callable[..., Model], stream: bool
) -> None:
    caught = await fails(make(stream), wire, Answer((b"<!doctype html><title>Sign in</title>",), kind="text/html"))
    assert caught.kind == "malformed_output"
    assert "Sign in" in str(caught)


@pytest.mark.parametrize("body", ["hello", [1, 2], 1, {}], ids=str)
async def test_json_that_is_no_answer_is_malformed(wire: Wire, dialect: Dialect, make: Callable[..., Model], body: Any) -> None:
    assert (await fails(make(), wire, whole(body))).kind == "malformed_output"


async def test_a_server_that_hangs_or_hangs_up(wire: Wire, dialect: Dialect, make: Callable[..., Model], stream: bool) -> None:
    caught = await fails(make(stream), wire, Answer(hold=True), settings=ModelSettings(timeout=0.3))
    assert caught.kind == "timeout"
    await asyncio.wait_for(wire.gone.wait(), 2)
    assert (await fails(make(stream), wire, Answer(cut=True))).kind == "connection"


async def test_nobody_listens(dialect: Dialect) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        model = dialect.model(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", stream=True)
        with pytest.raises(ModelError, match="connection to the provider failed") as caught:
            await ask(model, "hi")
    assert caught.value.kind == "connection"


@pytest.mark.parametrize("address", ["http://nowhere.invalid/v1", "no address", "ftp://127.0.0.1/v1"])
async def test_an_address_that_leads_nowhere(dialect: Dialect, address: str) -> None:
    with pytest.raises(ModelError) as caught:
        await ask(dialect.model(address, stream=False), "hi")
    assert caught.value.kind in ("connection", "invalid_request")


async def test_real_requests_can_be_forbidden(wire: Wire, make: Callable[..., Model], monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    with forbid_real_models(), pytest.raises(ConfigurationError, match="ScriptedModel"):
        await ask(model, "hi")
    monkeypatch.setenv("SUREFOOT_FORBID_MODELS", "1")
    with pytest.raises(ConfigurationError, match=model.name):
        await ask(model, "hi")
    assert wire.asked == []
