"""Structured output: any schema gets an answer that meets it, whatever a server can do."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from surefoot.core.errors import ModelError
from surefoot.core.messages import Message, Text, text_of
from surefoot.core.model import Delta, ModelReply, ModelRequest, OutputSchema
from surefoot.core.tool import ToolSpec
from surefoot.models.openai import Form, OpenAI
from surefoot.models.openai_schema import Shape
from tests.models.wire import Wire, whole

pytestmark = pytest.mark.needs("openai")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    """A part."""

    size: Annotated[int, Field(ge=0, le=9)]
    note: str = "none"


class Outer(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=20)]
    colour: Colour = Colour.RED
    day: dt.date | None = None
    count: int = 3
    parts: list[Inner] = []
    best: Inner | None = None
    either: int | Inner = 1


class Tree(BaseModel):
    label: str
    children: list[Tree] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] | None = None
    age: int = 1


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
STRICT: list[Any] = [Outer, Tree, Inner, list[Inner], int, Pet, Literal["a", "b"], bool | None, list[Pet], Colour]
LOOSE: list[Any] = [dict[str, int], tuple[int, str], Any, list[Any], dict[str, Inner]]


def in_subset(schema: Any) -> bool:
    """Whether a schema is in the strict subset, as the vendor's guide describes it."""
    if isinstance(schema, list):
        return all(in_subset(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object":
        names = set(schema["properties"])
        if schema["additionalProperties"] is not False or set(schema["required"]) != names:
            return False
    if "$ref" in schema and len(schema) > 1:
        return False
    banned = {
        "default",
        "oneOf",
        "allOf",
        "title",
        "minLength",
        "maxLength",
        "prefixItems",
        "uniqueItems",
        "discriminator",
    }
    keyed = {key: value for key, value in schema.items() if key not in ("properties", "$defs")}
    nested = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    return not banned & keyed.keys() and in_subset(list(keyed.values())) and in_subset(nested)


@pytest.mark.parametrize("kind", STRICT, ids=str)
def test_schemas_are_rewritten_into_the_strict_subset(kind: Any) -> None:
    shape = Shape(TypeAdapter(kind).json_schema(), strict=True)
    assert shape.strict
    assert shape.schema["type"] == "object"
    assert in_subset(shape.schema)


@pytest.mark.parametrize("kind", LOOSE, ids=str)
def test_what_the_subset_cannot_say_is_asked_for_loosely(kind: Any) -> None:
    shape = Shape(TypeAdapter(kind).json_schema(), strict=True)
    assert not shape.strict
    assert shape.schema["type"] == "object"


def strictly(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Write a value as a strict answer is: every property named, null where it was left out."""
    if "$ref" in schema:
        target = root if schema["$ref"] == "#" else root["$defs"][schema["$ref"].rpartition("/")[2]]
        return strictly(value, target, root)
    for option in schema.get("anyOf", ()):
        if fits(value, option, root):
            return strictly(value, option, root)
    if isinstance(value, dict):
        return {name: strictly(value.get(name), item, root) for name, item in schema["properties"].items()}
    return [strictly(item, schema["items"], root) for item in value] if isinstance(value, list) else value


def fits(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return any(fits(value, option, root) for option in schema["anyOf"])
    kinds = {dict: "object", list: "array", str: "string", int: "integer", bool: "boolean", type(None): "null"}
    if not isinstance(value, dict):
        return kinds[type(value)] == schema.get("type")
    tag = schema.get("properties", {}).get("kind", {}).get("const")
    return schema.get("type") == "object" and tag == value.get("kind") and set(value) <= set(schema["properties"])


INNER = st.builds(Inner, size=st.integers(0, 9), note=st.text(max_size=3))
VALUES = st.one_of(
    st.builds(
        Outer,
        name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=5),
        parts=st.lists(INNER, max_size=2),
        best=st.none() | INNER,
        either=st.integers() | INNER,
        day=st.none() | st.dates(),
    ),
    st.recursive(st.builds(Tree, label=st.just("x")), lambda inner: st.builds(Tree, children=st.lists(inner, max_size=2))),
)


@given(VALUES, st.booleans())
def test_a_strict_answer_is_brought_back(value: BaseModel, sparse: bool) -> None:
    shape = Shape(type(value).model_json_schema(), strict=True)
    answer = value.model_dump(mode="json", exclude_defaults=sparse)
    written = json.dumps(strictly(answer, shape.schema, shape.schema))
    assert type(value).model_validate_json(shape.restored(written)) == value


SPECIAL: dict[str, tuple[dict[str, Any], bool]] = {
    "one of allOf": ({"allOf": [{"type": "integer", "title": "N"}], "default": 1, "minimum": 2}, True),
    "two of allOf": ({"allOf": [{"type": "integer"}, {"minimum": 2}]}, False),
    "a pattern that looks around": ({"type": "string", "pattern": "^(?!a)", "format": "binary"}, True),
    "a reference to nothing": ({"type": "object", "properties": {"a": {"$ref": "#/$defs/Gone"}}}, False),
    "nothing but a reference to nothing": ({"$ref": "#/$defs/Gone"}, True),
    "several types": ({"type": ["integer", "null"]}, True),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_rarer_schemas(name: str) -> None:
    schema, strict = SPECIAL[name]
    shape = Shape(schema, strict=True)
    assert shape.strict is strict
    assert not strict or in_subset(shape.schema)
    assert "(?" not in str(shape.schema)


def test_nulls_stay_where_the_schema_wants_them() -> None:
    nullable: dict[str, Any] = {
        "a": {"type": ["string", "null"]},
        "b": {"enum": ["x", None]},
        "c": {"const": None},
        "d": {"oneOf": [{"type": "null"}, {"type": "string"}]},
        "e": {"type": "string"},
    }
    shape = Shape({"type": "object", "properties": nullable}, strict=True)
    restored = shape.restored(json.dumps(dict.fromkeys(nullable)))
    assert json.loads(restored) == dict.fromkeys("abcd")


def test_half_an_answer_is_brought_back_as_far_as_it_goes() -> None:
    shape = Shape(Outer.model_json_schema(), strict=True)
    assert json.loads(shape.restored('{"name":"x","count":null,"best":null}')) == {"name": "x", "best": None}
    assert shape.restored('{"name":"\\ud800"}') == '{"name":"\\ud800"}'


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", '{"other":1}', "[" * 100_000])
def test_an_answer_of_another_form_is_left_alone(text: str) -> None:
    assert Shape({"type": "integer"}, strict=True).restored(text) == text


# How servers are asked


def said(text: str) -> dict[str, Any]:
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}


def called(*calls: tuple[str, str]) -> dict[str, Any]:
    named = [{"id": f"c{n}", "function": {"name": name, "arguments": text}} for n, (name, text) in enumerate(calls)]
    return {"choices": [{"message": {"content": None, "tool_calls": named}, "finish_reason": "tool_calls"}]}


async def ask(model: OpenAI, output: OutputSchema, *tools: ToolSpec, emit: Any = None) -> ModelReply:
    request = ModelRequest([Message("user", (Text("hi"),))], tools=tools, output=output)
    return await model.request(request, emit or (lambda delta: None))


def refusal(message: str) -> Any:
    return whole({"error": {"message": message, "type": "invalid_request_error"}}, 400)


NUMBER = OutputSchema("a number!", {"type": "integer"}, "Which one.")


def chat(wire: Wire, output: Form | None = None) -> OpenAI:
    return OpenAI("m", base_url=wire.url, stream=False, output=output)


async def test_values_that_are_no_objects_are_wrapped_on_the_wire_only(wire: Wire) -> None:
    wire.answers.append(whole(said('{"value": 7}')))
    reply = await ask(chat(wire), NUMBER)
    assert text_of(reply.parts) == "7"
    wanted = wire.asked[0].body["response_format"]["json_schema"]
    assert (wanted["name"], wanted["strict"], wanted["description"]) == ("a_number_", True, "Which one.")
    assert wanted["schema"]["properties"] == {"value": {"type": "integer"}}


async def test_a_server_that_refuses_a_form_is_asked_by_the_next_and_remembered(wire: Wire) -> None:
    wire.answers += [
        refusal("response_format.json_schema.strict is not supported"),
        refusal("'response_format' of type 'json_schema' is not supported"),
        refusal("tool_choice 'required' is not supported"),
        whole(said('{"value": 7}')),
        whole(said('{"value": 8}')),
    ]
    model = chat(wire)
    assert text_of((await ask(model, NUMBER)).parts) == "7"
    assert text_of((await ask(model, NUMBER)).parts) == "8"
    strict, loose, tool, prompt, again = [asked.body for asked in wire.asked]
    assert strict["response_format"]["json_schema"]["strict"] is True
    assert loose["response_format"]["json_schema"]["strict"] is False
    assert (tool["tools"][0]["function"]["name"], tool["tool_choice"]) == ("final_answer", "required")
    for body in (prompt, again):
        assert "response_format" not in body
        assert '"integer"' in body["messages"][0]["content"]


async def test_other_refusals_are_not_tried_again(wire: Wire) -> None:
    wire.answers += [refusal("temperature must be below 2")]
    with pytest.raises(ModelError, match="temperature"):
        await ask(chat(wire), NUMBER)
    assert len(wire.asked) == 1


async def test_an_answer_beside_calls_comes_too_early(wire: Wire) -> None:
    wire.answers.append(whole(called(("add", "{}"), ("final_answer", '{"value": 7}'))))
    wire.answers.append(whole(called(("final_answer", '{"value": 7}'))))
    model = chat(wire, "tool")
    deltas: list[Delta] = []
    reply = await ask(model, NUMBER, ToolSpec("add"), emit=deltas.append)
    assert [call.name for call in reply.calls] == ["add"]
    assert (text_of(reply.parts), reply.finish) == ("", "tool_calls")
    reply = await ask(model, NUMBER, ToolSpec("add"), emit=deltas.append)
    assert (text_of(reply.parts), reply.calls, reply.finish) == ("7", (), "stop")
    assert [delta.text for delta in deltas if delta.kind == "call"] == ["add"]


async def test_the_prompt_keeps_the_agents_instructions(wire: Wire) -> None:
    wire.answers.append(whole(said('{"value": 7}')))
    request = ModelRequest([Message("user", (Text("hi"),))], "Be kind.", output=NUMBER)
    await chat(wire, "prompt").request(request, lambda delta: None)
    system = wire.asked[0].body["messages"][0]["content"]
    assert system.startswith("Be kind.")
    assert "JSON Schema" in system
