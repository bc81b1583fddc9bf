"""The models that ship for tests."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from surefoot.core.errors import ConfigurationError, ModelError
from surefoot.core.messages import Message, Text, ToolCall, ToolResult, Usage, text_of
from surefoot.core.model import Delta, ModelReply, ModelRequest, OutputSchema, ProposedCall
from surefoot.core.ports import Model
from surefoot.core.tool import ToolSpec
from surefoot.models.real import require_real_models
from surefoot.testing.contracts import model as contract
from surefoot.testing.contracts.model import Contract, ask
from surefoot.testing.models import CallEveryTool, FunctionModel, ScriptedModel, forbid_real_models
from surefoot.testing.samples import sample


def arranged(request: ModelRequest) -> Any:
    """Answer as the contract wants it."""
    last = request.messages[-1]
    if last.role == "tool":
        return contract.DONE
    if contract.WAIT in last.text:
        return asyncio.sleep(6, "late")  # wait: the contract asks for a model that takes its time
    return {
        contract.SAY: contract.SAID,
        contract.CALL: [("add", contract.FIRST), ("add", contract.SECOND)],
        contract.SHAPE: json.dumps(contract.SHAPED),
        contract.REFUSE: ModelError("rate_limited", "slow", retry_after=1),
    }[last.text]


class TestFunctionModel(Contract):
    test_gives_up_in_time = None  # type: ignore[assignment]  # a model for tests leaves the time to the test

    @pytest.fixture
    def model(self) -> Model:
        return FunctionModel(arranged)


class TestScriptedModel(Contract):
    test_gives_up_in_time = None  # type: ignore[assignment]  # a model for tests leaves the time to the test

    @pytest.fixture
    def model(self) -> Model:
        return ScriptedModel(*[arranged] * 20)


async def test_replies_come_in_order_and_in_every_form() -> None:
    call = ProposedCall("add", "{broken", "p1")
    model = ScriptedModel(
        "text",
        ("add", {"b": 1, "a": 2}),
        [("add", {}), call],
        call,
        ModelReply.say("whole", reasoning="hm"),
        ModelError("server", "broke"),
        lambda request: request.messages[-1].text.upper(),
        lambda request: lambda request: ("add", "not JSON"),
        usage=Usage(3, 2),
    )
    replies: list[Any] = []
    for _ in range(8):
        try:
            replies.append((await ask(model, "hi"))[0])
        except ModelError as error:
            replies.append(error.kind)
    text, one, two, given, whole, broke, made, twice = replies
    assert (text_of(text.parts), text.usage, text.finish) == ("text", Usage(3, 2), "stop")
    assert one.calls == (ProposedCall("add", '{"a":2,"b":1}'),)
    assert two.calls == (ProposedCall("add", "{}"), call)
    assert (given.calls, given.finish, given.usage) == ((call,), "tool_calls", Usage(3, 2))
    assert (text_of(whole.parts), whole.usage) == ("whole", Usage())
    assert (broke, text_of(made.parts), twice.calls[0].arguments) == ("server", "HI", "not JSON")
    model.assert_used_up()
    assert len(model.requests) == 8


async def test_running_out_and_not_being_used_up_are_errors() -> None:
    model = ScriptedModel("only one", "two")
    await ask(model, "hi")
    with pytest.raises(AssertionError, match="1 of 2"):
        model.assert_used_up()
    await ask(model, "hi")
    model.assert_used_up()
    assert "2 of 2" in repr(model)
    with pytest.raises(AssertionError, match=r"asked once more than its 2 replies.*'and now'"):
        await ask(model, "and now")


@pytest.mark.parametrize("reply", [7, None, [], [7], [("add", 7)], {"a": 1}])
def test_what_is_no_reply_is_refused_at_once(reply: Any) -> None:
    with pytest.raises(TypeError, match="is no"):
        ScriptedModel(reply)


async def test_requests_are_kept_as_they_were() -> None:
    messages = [Message("user", (Text("first"),))]
    model = ScriptedModel("a", "b")
    await model.request(ModelRequest(messages), lambda delta: None)
    messages.append(Message("user", (Text("second"),)))
    await model.request(ModelRequest(messages), lambda delta: None)
    assert [len(request.messages) for request in model.requests] == [1, 2]


async def test_text_streams_word_by_word() -> None:
    deltas: list[Delta] = []
    model = ScriptedModel(ModelReply.say("one  two\nthree", reasoning="so be it"), delay=0.001)
    await model.request(ModelRequest([]), deltas.append)
    assert [delta.text for delta in deltas] == ["so ", "be ", "it", "one  ", "two\n", "three"]


async def test_a_scripted_request_costs_next_to_nothing() -> None:
    model = ScriptedModel(*[("add", {"a": 1})] * 4_000)
    request = ModelRequest([Message("user", (Text("hi"),))] * 20)
    best = 1.0
    for _ in range(8):
        began = time.process_time()
        for _ in range(500):
            await model.request(request, lambda delta: None)
        best = min(best, (time.process_time() - began) / 500)
    assert best < 20e-6  # 2 to 3 µs on an idle machine


class Address(BaseModel):
    street: str
    number: Annotated[int, Field(gt=0, multiple_of=5)]


TOOLS = [
    ToolSpec("now", "The time."),
    ToolSpec("post", "Send.", TypeAdapter(Address).json_schema()),
]


async def test_every_tool_is_called_once_and_then_its_results_are_told() -> None:
    model = CallEveryTool()
    history = [Message("user", (Text("go"),))]
    reply = await model.request(ModelRequest(history, tools=TOOLS), lambda delta: None)
    assert [call.name for call in reply.calls] == ["now", "post"]
    Address.model_validate_json(reply.calls[1].arguments)
    calls = [ToolCall(f"0.{n}", call.name, call.arguments) for n, call in enumerate(reply.calls)]
    history += [Message("assistant", tuple(calls)), Message("tool", tuple(ToolResult(c.id, c.name, "ok") for c in calls))]
    reply = await model.request(ModelRequest(history, tools=TOOLS), lambda delta: None)
    assert reply.calls == ()
    assert json.loads(text_of(reply.parts)) == {"now": "ok", "post": "ok"}
    shaped = OutputSchema("address", TypeAdapter(Address).json_schema())
    reply = await model.request(ModelRequest(history, tools=TOOLS, output=shaped), lambda delta: None)
    Address.model_validate_json(text_of(reply.parts))
    history.append(Message("user", (Text("again"),)))
    reply = await model.request(ModelRequest(history, tools=TOOLS), lambda delta: None)
    assert len(reply.calls) == 2


async def test_real_models_can_be_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    async def inside() -> None:
        require_real_models("some:model")

    await inside()
    with forbid_real_models():
        with pytest.raises(ConfigurationError, match="some:model"):
            await asyncio.create_task(inside())
        with pytest.raises(ConfigurationError):
            await asyncio.to_thread(require_real_models, "some:model")
    await inside()
    for value, forbidden in (("1", True), ("true", True), ("0", False), ("", False)):
        monkeypatch.setenv("SUREFOOT_FORBID_MODELS", value)
        if forbidden:
            with pytest.raises(ConfigurationError, match="SUREFOOT_FORBID_MODELS"):
                await inside()
        else:
            await inside()


# Values made from schemas


class Node(BaseModel):
    children: list[Node]
    next: Node | None
    size: Annotated[float, Field(gt=0, lt=1)]
    code: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d+(x|y)[^a]\w\s?.\D$")]
    names: Annotated[set[str], Field(min_length=2)]
    colours: Annotated[set[Literal["r", "g", "b"]], Field(min_length=2)]
    pair: tuple[int, str]
    low: Annotated[int, Field(lt=-3)]
    short: Annotated[str, Field(min_length=4, max_length=6)]
    table: Annotated[dict[str, int], Field(min_length=2)]
    optional: int = 7


def test_a_sample_meets_its_schema() -> None:
    value = sample(Node.model_json_schema())
    node = Node.model_validate(value)
    assert (node.children, node.next, node.optional) == ([], None, 7)
    assert sample(Node.model_json_schema()) == value


SCHEMAS: dict[str, tuple[Any, Any]] = {
    "anything": (True, None),
    "several types": ({"type": ["integer", "null"]}, 1),
    "no type": ({"properties": {"a": {}}, "required": ["a"]}, {"a": "a"}),
    "all of": (
        {
            "$defs": {"A": {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}},
            "allOf": [{"$ref": "#/$defs/A"}, {"properties": {"b": {"type": "boolean"}}, "required": ["b"], "minProperties": 1}],
        },
        {"a": 1, "b": True},
    ),
    "one of": ({"oneOf": [{"type": "null"}, {"type": "string"}]}, None),
    "a pattern of alternatives": ({"type": "string", "pattern": "(?:x|y){2}[^abc]"}, "xxd"),
    "a broken pattern": ({"type": "string", "pattern": "(["}, "a"),
    "different texts": ({"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True}, ["a", "a1"]),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_rarer_schemas_have_samples(name: str) -> None:
    schema, value = SCHEMAS[name]
    assert sample(schema) == value


class Endless(BaseModel):
    again: Endless


def test_a_schema_that_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="no finite value"):
        sample(Endless.model_json_schema())


FORMATS = [
    "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "uuid.UUID", "decimal.Decimal",
    "ipaddress.IPv4Address", "ipaddress.IPv6Address", "pathlib.Path", "builtins.bytes",
]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_met(name: str) -> None:
    import importlib

    module, _, kind = name.rpartition(".")
    adapter: TypeAdapter[Any] = TypeAdapter(getattr(importlib.import_module(module), kind))
    adapter.validate_python(sample(adapter.json_schema()))


BOUND = st.integers(-50, 50)


@given(low=BOUND, span=st.integers(2, 60), step=st.none() | st.integers(1, 2), strict=st.booleans())
def test_numbers_are_within_their_bounds(low: int, span: int, step: int | None, strict: bool) -> None:
    field = Field(gt=low, lt=low + span + 2, multiple_of=step) if strict else Field(ge=low, le=low + span, multiple_of=step)
    adapter: TypeAdapter[int] = TypeAdapter(Annotated[int, field])
    adapter.validate_python(sample(adapter.json_schema()))
