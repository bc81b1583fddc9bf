"""One suite of behaviours that every adapter passes, through its vendor's package over HTTP, whole and streamed.

A test is a behaviour; the answers are written from the vendors' documentation (`dialects`). What a protocol cannot say is
in `CANNOT`, with the reason; every other pair of behaviour and adapter runs.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult, Usage, text_of
from surefoot.core.model import Delta, ModelReply, ModelRequest, OutputSchema
from surefoot.core.ports import Model
from surefoot.core.tool import ToolSpec
from surefoot.testing.contracts.model import ask
from tests.models.conformance.dialects import CANNOT, DIALECTS, KINDS, MODEL, Called, Dialect, Get, Said, base64_of, fails
from tests.models.wire import Answer, Wire, sse, whole

SAID = "Déjà vu 🛶, and on."
ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}})
PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}


def user(*parts: Any) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def kept(reply: ModelReply) -> list[Message]:
    """A reply as a run stores it, with the results of its calls."""
    calls = [ToolCall(f"0.{at}", call.name, call.arguments, call.provider_id) for at, call in enumerate(reply.calls)]
    results = [ToolResult(call.id, call.name, "1", provider_id=call.provider_id) for call in calls]
    return [Message("assistant", (*reply.parts, *calls)), *([Message("tool", tuple(results))] if results else [])]


# ── what is answered ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_text_comes_whole_and_as_it_streams(get: Get, stream: bool) -> None:
    reply, deltas = await get(Said(tuple(SAID)))
    assert text_of(reply.parts) == "".join(delta.text for delta in deltas) == SAID
    assert len(deltas) == (len(SAID) if stream else 1)
    assert (reply.calls, reply.finish, reply.model) == ((), "stop", MODEL)
    assert reply.request_id


async def test_calls_come_in_order_with_their_arguments(get: Get) -> None:
    given = tuple(Called(arguments=f'{{"a":{number},"b":"é\\n"}}', id=f"c{number}") for number in range(3))
    reply, deltas = await get(Said(("Both.",), calls=given), tools=[ADD])
    assert [(call.name, json.loads(call.arguments), call.provider_id) for call in reply.calls] == [
        ("add", {"a": number, "b": "é\n"}, f"c{number}") for number in range(3)
    ]
    assert (text_of(reply.parts), reply.finish) == ("Both.", "tool_calls")
    assert [delta for delta in deltas if delta.kind == "call"] == [Delta("call", "add")] * 3


async def test_thoughts_are_kept_and_go_back_with_what_they_led_to(
    get: Get, wire: Wire, dialect: Dialect, make: Callable[..., Model]
) -> None:
    reply, deltas = await get(Said((), ("Let me ", "see."), (Called(),)), tools=[ADD])
    assert "".join(part.text for part in reply.parts if type(part) is Reasoning) == "Let me see."
    assert "".join(delta.text for delta in deltas if delta.kind == "reasoning") == "Let me see."
    wire.answers.append(whole(dialect.whole(Said(("ok",)))))
    await make().request(ModelRequest([user("think"), *kept(reply)], tools=[ADD]), lambda delta: None)
    back = json.dumps(wire.asked[-1].body)
    assert any(sign in back for sign in ("sealed", "s1", "Let me see.")), "the thought, or the vendor's seal of it"


async def test_an_answer_in_shape_is_asked_for_by_the_vendors_schema(get: Get, wire: Wire) -> None:
    reply, _ = await get(Said(('{"city":', '"Bern"}')), output=OutputSchema("place", PLACE))
    assert json.loads(text_of(reply.parts)) == {"city": "Bern"}
    assert '"city"' in json.dumps(wire.asked[-1].body)
    assert "JSON Schema" not in json.dumps(wire.asked[-1].body), "no prompt says what the schema says"


async def test_what_is_said_to_the_model_is_one_system_text(wire: Wire, dialect: Dialect, make: Callable[..., Model]) -> None:
    wire.answers.append(whole(dialect.whole(Said(('{"city":"Bern"}',)))))
    request = ModelRequest([user("hi")], "Be kind.", output=OutputSchema("place", PLACE))
    await make(output="prompt").request(request, lambda delta: None)
    body = json.dumps(wire.asked[-1].body)
    assert body.count('"system"') <= 1
    assert "Be kind." in body
    assert "JSON Schema" in body


async def test_images_and_files_go_along(wire: Wire, dialect: Dialect, make: Callable[..., Model]) -> None:
    wire.answers.append(whole(dialect.whole(Said(("ok",)))))
    pixel, paper = b"\x89PNG-pixel", b"%PDF-paper"
    parts = ("see", Image(pixel, "image/png"), File(paper, "application/pdf", "a.pdf"))
    await make().request(ModelRequest([user(*parts)]), lambda delta: None)
    body = json.dumps(wire.asked[-1].body)
    assert base64.b64encode(pixel).decode() in body
    assert base64.b64encode(paper).decode() in body


@pytest.mark.needs("openai", "anthropic", "gemini")
async def test_an_image_that_a_model_made_is_a_part_and_is_shown_again(
    get: Get, wire: Wire, dialect: Dialect, make: Callable[..., Model]
) -> None:
    image = b"\x89PNG-made"
    reply, _ = await get(Said(("Look:",), images=(image,)))
    assert reply.parts[-1] == Image(image, "image/png")
    for other in DIALECTS:  # whoever goes on with the conversation sees it
        wire.answers.append(whole(other.whole(Said(("ok",)))))
        request = ModelRequest([user("draw"), *kept(reply), user("more")])
        await other.model(wire.url, stream=False).request(request, lambda delta: None)
        assert base64_of(image) in json.dumps(wire.asked[-1].body), other.name


# ── what it used, and why it ended ──────────────────────────────────────────────────────────────────────────────────────


async def test_usage_counts_what_was_cached_and_thought(get: Get) -> None:
    reply, _ = await get(Said(("a",), usage=(1_100, 50, 1_000, 30)))
    assert reply.usage == Usage(1_100, 50, 1_000, 0, 30)


async def test_usage_may_be_absent(get: Get) -> None:
    reply, _ = await get(Said(("a",), usage=None))
    assert (text_of(reply.parts), reply.usage) == ("a", Usage())


@pytest.mark.parametrize("end", ["stop", "length", "content_filter", "strange"])
async def test_an_end_has_its_word_and_an_unknown_one_keeps_its_own(get: Get, end: str) -> None:
    reply, _ = await get(Said(("a",), end=end))
    assert (text_of(reply.parts), reply.finish) == ("a", end)


async def test_an_answer_that_was_filtered_to_nothing_is_an_error(get: Get) -> None:
    with pytest.raises(ModelError) as caught:
        await get(Said(end="content_filter"))
    assert caught.value.kind == "content_filtered"
    assert not caught.value.retryable


# ── odd answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_answer_without_choices_is_malformed(wire: Wire, dialect: Dialect, make: Callable[..., Model]) -> None:
    body = dialect.whole(Said(("a",)))
    empties: tuple[Any, ...] = ([], None)
    for empty in empties:
        wire_body = {key: empty if key in ("choices", "candidates") else value for key, value in body.items()}
        assert (await fails(make(), wire, whole(wire_body))).kind == "malformed_output"


async def test_an_answer_may_hold_nothing(get: Get) -> None:
    reply, deltas = await get(Said())
    assert (reply.parts, reply.calls, deltas) == ((), (), [])


async def test_text_that_is_null_beside_calls_is_no_text(wire: Wire, dialect: Dialect, make: Callable[..., Model]) -> None:
    body = dialect.whole(Said(calls=(Called(),)))
    if dialect.name == "gemini":
        body["candidates"][0]["content"]["parts"].insert(0, {"text": None})
    wire.answers.append(whole(body))
    reply, _ = await ask(make(), "hi", tools=[ADD])
    assert (text_of(reply.parts), [call.name for call in reply.calls]) == ("", ["add"])
    assert [part for part in reply.parts if type(part) is Text] == []


@pytest.mark.parametrize(
    ("given", "wanted"), [("", "{}"), (None, "{}"), ({}, "{}"), ({"a": 1}, '{"a":1}'), ('{"a":1}', '{"a":1}')], ids=repr
)
async def test_arguments_may_be_empty_or_an_object_or_text(
    wire: Wire, dialect: Dialect, make: Callable[..., Model], given: Any, wanted: str
) -> None:
    wire.answers.append(whole(dialect.whole(Said(calls=(Called(arguments=given),)))))
    reply, _ = await ask(make(), "hi", tools=[ADD])
    assert [call.arguments for call in reply.calls] == [wanted]


@pytest.mark.parametrize("ids", [("same", "same"), (None, None), ("c1", None)], ids=str)
async def test_calls_whose_ids_are_missing_or_the_same_go_back_under_different_ones(
    get: Get, wire: Wire, dialect: Dialect, make: Callable[..., Model], ids: tuple[str | None, ...]
) -> None:
    reply, _ = await get(Said(calls=tuple(Called(arguments=f'{{"a":{at}}}', id=one) for at, one in enumerate(ids))), tools=[ADD])
    assert [json.loads(call.arguments) for call in reply.calls] == [{"a": 0}, {"a": 1}]
    wire.answers.append(whole(dialect.whole(Said(("ok",)))))
    await make().request(ModelRequest([user("go"), *kept(reply)], tools=[ADD]), lambda delta: None)
    sent = [found for name in ("tool_call_id", "call_id", "tool_use_id") for found in values(wire.asked[-1].body, name)]
    assert len(set(sent)) >= min(2, len(sent)), "each result belongs to one call"


def values(node: Any, name: str) -> list[Any]:
    """What stands under a name, anywhere in a document."""
    if isinstance(node, dict):
        return [*([node[name]] if name in node else []), *[one for value in node.values() for one in values(value, name)]]
    return [one for value in node for one in values(value, name)] if isinstance(node, list) else []


# ── streams ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_may_be_cut_anywhere_and_hold_comments(wire: Wire, dialect: Dialect, make: Callable[..., Model]) -> None:
    said = Said((SAID,), calls=(Called(),))
    body = ": keep-alive\r\n\r\n" + ": still here\r\n\r\n".join(event.replace("\n", "\r\n") for event in dialect.events(said))
    # One byte at a time: characters and lines are cut everywhere.
    wire.answers.append(Answer(tuple(bytes([byte]) for byte in body.encode()), kind="text/event-stream"))
    reply, deltas = await ask(make(stream=True), "hi", tools=[ADD])
    assert text_of(reply.parts) == "".join(delta.text for delta in deltas if delta.kind == "text") == SAID
    assert [(call.name, call.arguments) for call in reply.calls] == [("add", '{"a":1}')]
    assert reply.usage == Usage(9, 5, 4, 0, 2)


@pytest.mark.parametrize("how", ["cut", "ended early", "nothing at all"])
async def test_a_stream_without_its_end_is_a_connection_error(
    wire: Wire, dialect: Dialect, make: Callable[..., Model], how: str
) -> None:
    events = [event for event in dialect.events(Said(("a", "b"))) if "b" in event or '"a"' in event][:1]
    answer = sse([] if how == "nothing at all" else events, cut=how == "cut")
    caught = await fails(make(stream=True), wire, answer)
    assert caught.kind == "connection"
    assert caught.retryable


async def test_an_event_that_is_no_json_is_malformed(wire: Wire, dialect: Dialect, make: Callable[..., Model]) -> None:
    events = dialect.events(Said(("a",)))
    at = next(at for at, event in enumerate(events) if '"a"' in event)
    garbled = re.sub(r"data: .*", "data: {oops", events[at])
    caught = await fails(make(stream=True), wire, sse([*events[:at], garbled]))
    assert caught.kind == "malformed_output"


async def test_an_error_inside_a_stream_has_its_kind(wire: Wire, dialect: Dialect, make: Callable[..., Model]) -> None:
    caught = await fails(make(stream=True), wire, sse([*dialect.events(Said(("a",)))[:2], dialect.broken()]))
    assert caught.kind == "overloaded"
    assert caught.retryable


async def test_a_server_that_cannot_stream_is_read_all_the_same(wire: Wire, dialect: Dialect, make: Callable[..., Model]) -> None:
    wire.answers.append(whole(dialect.whole(Said(("plain",)))))
    reply, deltas = await ask(make(stream=True), "hi")
    assert (text_of(reply.parts), deltas) == ("plain", [Delta("text", "plain")])


@pytest.mark.parametrize("how", ["cancelled", "listener fails"])
async def test_who_listens_no_more_closes_the_stream_at_once(
    wire: Wire, dialect: Dialect, make: Callable[..., Model], how: str
) -> None:
    events = dialect.events(Said(("a",)))
    first = next(at for at, event in enumerate(events) if '"a"' in event)
    wire.answers.append(sse(events[: first + 1], hold=True))
    begun = asyncio.Event()

    def hear(delta: Delta) -> None:
        begun.set()
        if how == "listener fails":
            raise ZeroDivisionError

    task = asyncio.ensure_future(make(stream=True).request(ModelRequest([user("hi")]), hear))
    await asyncio.wait_for(begun.wait(), 5)
    if how == "cancelled":
        assert not wire.gone.is_set()
        task.cancel()
    with pytest.raises(asyncio.CancelledError if how == "cancelled" else ZeroDivisionError):
        await task
    await asyncio.wait_for(wire.gone.wait(), 2)


def test_what_cannot_be_said_is_said_of_what_there_is() -> None:
    for behaviour, name in CANNOT:
        assert behaviour in KINDS or behaviour == "test_uploads" or behaviour in globals()
        assert name in {one.name for one in DIALECTS}
    for one in DIALECTS:
        assert {kind for kind in KINDS if kind not in one.failures} == {kind for kind in KINDS if (kind, one.name) in CANNOT}
