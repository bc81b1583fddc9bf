"""What goes wrong between a model and its server, and what users are told."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.errors import MissingKey, ModelError
from surefoot.models.openai import OpenAI
from surefoot.testing.contracts.model import ask
from tests.models.wire import Answer, Wire, whole

pytestmark = pytest.mark.needs("openai")


async def failure(wire: Wire, answer: Answer, *, stream: bool = False, **given: Any) -> ModelError:
    wire.answers.append(answer)
    model = OpenAI("some-model", api_key="k", base_url=wire.url, stream=stream)
    with pytest.raises(ModelError) as caught:
        await ask(model, "hi", **given)
    return caught.value


def error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


KINDS: list[tuple[int, Any, str]] = [
    (400, error("prompt is too long: 210000 tokens > 200000 maximum"), "context_overflow"),
    (400, error("This model's maximum context length is 4096 tokens"), "context_overflow"),
    (400, error("the request exceeds the available context size", code=400), "context_overflow"),
    (400, error("Unknown parameter: 'foo'"), "invalid_request"),
    (400, error("x", code="content_policy_violation"), "content_filtered"),
    (400, {"object": "error", "message": "bad", "code": 40001}, "invalid_request"),
    (400, {"detail": [{"loc": ["body"], "msg": "field required"}]}, "invalid_request"),
    (401, error("bad key"), "auth"),
    (402, error("Insufficient Balance"), "quota_exhausted"),
    (403, error("Country not supported", code="unsupported_country_region_territory"), "permission"),
    (404, {"error": "model 'x' not found, try pulling it first"}, "not_found"),
    (409, error("try again"), "server"),
    (413, error("too big"), "context_overflow"),
    (422, error("no"), "invalid_request"),
    (429, error("slow", code="rate_limit_exceeded"), "rate_limited"),
    (429, error("The engine is currently overloaded, please try again later"), "overloaded"),
    (429, error("You exceeded your current quota", type="insufficient_quota"), "quota_exhausted"),
    (500, error("oops"), "server"),
    (502, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>", "server"),
    (503, "", "overloaded"),
    (504, "upstream timed out", "timeout"),
    (529, error("Overloaded", type="overloaded_error"), "overloaded"),
    (418, error("teapot"), "invalid_request"),
    (400, {"error": {"param": "x"}}, "invalid_request"),
]


@pytest.mark.parametrize(("status", "body", "kind"), KINDS, ids=[f"{status}-{kind}" for status, _, kind in KINDS])
@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_body_has_its_kind(wire: Wire, status: int, body: Any, kind: str, stream: bool) -> None:
    text = isinstance(body, str)
    answer = (
        Answer((body.encode(),) if body else (), status, kind="text/html") if text else whole(body, status, x_request_id="req9")
    )
    caught = await failure(wire, answer, stream=stream)
    assert (caught.kind, caught.status) == (kind, status)
    assert caught.request_id == ("" if text else "req9")
    assert "<" not in str(caught)
    assert f"HTTP {status}" in str(caught)


WAITS: list[tuple[dict[str, str], str, float | None]] = [
    ({"retry_after": "7"}, "slow", 7),
    ({"retry_after": "2.5"}, "slow", 2.5),
    ({"retry_after_ms": "250", "retry_after": "9"}, "slow", 0.25),
    ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "slow", 0),
    ({"retry_after": "soon"}, "slow", None),
    ({"retry_after": "-1"}, "slow", None),
    ({"retry_after": "nan"}, "slow", None),
    ({}, "Rate limit reached. Please try again in 1.5s.", 1.5),
    ({}, "Please try again in 6m0s.", 360),
    ({}, "Please try again in 20ms.", 0.02),
    ({}, "Try again in 3 seconds", 3),
    ({}, "slow", None),
]


@pytest.mark.parametrize(("headers", "message", "seconds"), WAITS)
async def test_when_to_try_again(wire: Wire, headers: dict[str, str], message: str, seconds: float | None) -> None:
    caught = await failure(wire, whole(error(message), 429, **headers))
    assert caught.retryable
    if seconds is None:
        assert caught.retry_after is None
    else:
        assert caught.retry_after == pytest.approx(seconds)


async def test_a_page_instead_of_an_answer(wire: Wire) -> None:
    page = b"<!doctype html><html><head><style>p{}</style><title>Sign in</title></head><body>x</body></html>"
    for stream in (True, False):
        caught = await failure(wire, Answer((page,), kind="text/html"), stream=stream)
        assert caught.kind == "malformed_output"
        assert "Sign in" in str(caught)
        assert "<" not in str(caught)


async def test_a_long_error_is_cut(wire: Wire) -> None:
    assert len(str(await failure(wire, whole(error("x" * 100_000), 400)))) < 1_000


def test_no_key_is_said_when_the_model_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        OpenAI("gpt-6-sol")


async def test_a_server_of_ones_own_needs_no_key(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL", wire.url)
    wire.answers.append(whole({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}))
    await ask(OpenAI("m", stream=False), "hi")
    assert wire.asked[0].path == "/v1/chat/completions"
