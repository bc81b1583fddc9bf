"""Every adapter, by its vendor's package over HTTP, against a server that was not written here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.messages import Message, Reasoning, Text, text_of
from surefoot.core.model import ModelRequest, OutputSchema
from surefoot.core.ports import Model
from surefoot.testing.contracts import model as contract
from surefoot.testing.contracts.model import Contract, ask
from tests.models.conformance.dialects import Dialect

pytestmark = pytest.mark.needs("aimock")


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gemini's package asks a newer version of the protocol than this server knows; they are alike in what is tested."""
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v1beta")


@pytest.fixture(params=[True, False], ids=["stream", "whole"])
async def model(request: pytest.FixtureRequest, aimock: str, dialect: Dialect) -> AsyncIterator[Model]:
    model: Any = dialect.model(aimock, stream=request.param)
    yield model
    await model.aclose()


class TestContract(Contract):
    @pytest.fixture
    def model(self, model: Model) -> Model:
        return model


async def test_it_tells_what_was_used_and_who_answered(model: Model, dialect: Dialect) -> None:
    reply, _ = await ask(model, contract.SAY)
    assert (reply.usage.input, reply.usage.output) == (120, 30)
    assert reply.model == ("" if dialect.name == "gemini" else model.name.partition(":")[2]), "Gemini's mock does not say"
    assert reply.request_id
    assert reply.first_token is not None
    assert reply.first_token > 0


async def test_its_thoughts_are_kept_and_go_back(model: Model) -> None:
    reply, deltas = await ask(model, "Think first.")
    assert [part.text for part in reply.parts if type(part) is Reasoning] == ["Let me see. That is easy."]
    assert "".join(delta.text for delta in deltas if delta.kind == "reasoning") == "Let me see. That is easy."
    assert text_of(reply.parts) == "Done."
    history = [Message("user", (Text("Think first."),)), Message("assistant", reply.parts)]
    again = await model.request(ModelRequest([*history, Message("user", (Text(contract.SAY),))]), lambda delta: None)
    assert text_of(again.parts) == contract.SAID


async def test_an_answer_that_was_cut_for_length_says_so(model: Model) -> None:
    reply, _ = await ask(model, "Too long.")
    assert (reply.finish, text_of(reply.parts)) == ("length", "cut off")


async def test_a_stream_cut_in_its_middle_is_a_connection_error(aimock: str, dialect: Dialect) -> None:
    with pytest.raises(ModelError) as caught:
        await ask(dialect.model(aimock, stream=True), "Stop halfway.")
    assert caught.value.kind == "connection"
    assert caught.value.retryable


FAILURES = {
    "400": ("invalid_request", 400),
    "overflow": ("context_overflow", 400),
    "401": ("auth", 401),
    "403": ("permission", 403),
    "404": ("not_found", 404),
    "408": ("timeout", 408),
    "quota": ("quota_exhausted", 429),
    "filter": ("content_filtered", 400),
    "500": ("server", 500),
    "503": ("overloaded", 503),
    "529": ("overloaded", 529),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_every_failure_has_its_kind(model: Model, failure: str) -> None:
    kind, status = FAILURES[failure]
    with pytest.raises(ModelError) as caught:
        await ask(model, f"Fail with {failure}.")
    error = caught.value
    assert (error.kind, error.status) == (kind, status)
    assert error.request_id
    assert "abcdefghijkl" not in str(error)


@pytest.mark.parametrize("form", ["schema", "tool", "prompt"])
async def test_every_way_to_ask_for_json_gives_the_same_text(aimock: str, dialect: Dialect, form: str) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer"}}}
    model = dialect.model(aimock, stream=True, output=form)
    reply, deltas = await ask(model, contract.SHAPE, output=OutputSchema("place", schema))
    assert text_of(reply.parts).replace(" ", "") == '{"city":"Bern","people":146000}'
    assert (reply.calls, reply.finish) == ((), "stop")
    assert [delta.text for delta in deltas if delta.kind == "call"] == []


def test_a_script_that_closes_nothing_ends_without_a_warning(aimock: str, dialect: Dialect) -> None:
    # Warnings are errors here, an unclosed session's included; each loop has its own connections.
    model = dialect.model(aimock, stream=True)
    for _ in range(2):
        reply, _deltas = asyncio.run(ask(model, contract.SAY))
        assert text_of(reply.parts) == contract.SAID
