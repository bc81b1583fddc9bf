"""What goes wrong between Anthropic's models and their server, and what users are told."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.models.anthropic import Anthropic
from surefoot.testing.contracts.model import ask
from tests.models.wire import Answer, Wire, whole

pytestmark = pytest.mark.needs("anthropic")


async def failure(wire: Wire, answer: Answer, *, stream: bool = False, **given: Any) -> ModelError:
    wire.answers.append(answer)
    model = Anthropic("claude-opus-5", api_key="k", base_url=wire.url.removesuffix("/v1"), stream=stream)
    with pytest.raises(ModelError) as caught:
        await ask(model, "hi", **given)
    return caught.value


def error(message: str, kind: str = "invalid_request_error", **fields: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, **fields}


def regain() -> str:
    """What is said of a spent quota that comes back in two days."""
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    return f"You have reached your specified API usage limits. You will regain access on {later:%Y-%m-%d} at {later:%H:%M} UTC."


KINDS: list[tuple[int, Any, str]] = [
    (400, error("prompt is too long: 210000 tokens > 200000 maximum"), "context_overflow"),
    (400, error("input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"), "context_overflow"),
    (400, error("messages.0.content.0.text: Field required"), "invalid_request"),
    (400, error("Your credit balance is too low to access the Anthropic API."), "quota_exhausted"),
    (400, error(regain()), "quota_exhausted"),
    (400, error("Output blocked by content filtering policy"), "content_filtered"),
    (401, error("invalid x-api-key", "authentication_error"), "auth"),
    (402, error("Payment required", "billing_error"), "quota_exhausted"),
    (403, error("Your key may not", "permission_error"), "permission"),
    (404, error("model: claude-9", "not_found_error"), "not_found"),
    (413, error("Request exceeds the maximum size", "request_too_large"), "context_overflow"),
    (429, error("This request would exceed your organization's rate limit", "rate_limit_error"), "rate_limited"),
    (500, error("Internal server error", "api_error"), "server"),
    (503, "upstream connect error", "overloaded"),
    (504, error("Timed out", "timeout_error"), "timeout"),
    (529, error("Overloaded", "overloaded_error"), "overloaded"),
    (529, "", "overloaded"),
    (502, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>", "server"),
    (418, error("teapot", "teapot_error"), "invalid_request"),
]


@pytest.mark.parametrize(("status", "body", "kind"), KINDS, ids=[f"{status}-{kind}" for status, _, kind in KINDS])
@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_body_has_its_kind(wire: Wire, status: int, body: Any, kind: str, stream: bool) -> None:
    if isinstance(body, str):
        answer = Answer((body.encode(),) if body else (), status, {"request-id": "req_9"}, kind="text/html")
    else:
        answer = whole(body, status, request_id="req_9")
    caught = await failure(wire, answer, stream=stream)
    assert (caught.kind, caught.status, caught.request_id) == (kind, status, "req_9")
    assert "<" not in str(caught)
    assert f"HTTP {status}" in str(caught)
    assert len(wire.asked) == 1  # the package does not try again by itself


async def test_when_to_try_again(wire: Wire) -> None:
    caught = await failure(wire, whole(error("slow", "rate_limit_error"), 429, retry_after="7"))
    assert caught.retry_after == 7
    caught = await failure(wire, whole(error(regain()), 400))
    assert caught.retry_after == pytest.approx(2 * 86_400, abs=120)
    assert not caught.retryable
    caught = await failure(wire, whole(error("You will regain access on 2026-99-99. Usage limits: regain"), 400))
    assert caught.retry_after is None


async def test_the_request_is_named_by_the_body_too(wire: Wire) -> None:
    caught = await failure(wire, whole(error("x", request_id="req_7"), 400))
    assert caught.request_id == "req_7"


async def test_a_key_in_an_error_is_not_repeated(wire: Wire) -> None:
    caught = await failure(wire, whole(error("invalid key sk-ant-api03-abcdefghijklmnop", "authentication_error"), 401))
    assert "abcdefgh" not in str(caught)
    assert "ANTHROPIC_API_KEY" in str(caught)
