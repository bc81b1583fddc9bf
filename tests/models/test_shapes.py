"""Schemas rewritten into what providers take: nothing is sent that they refuse, and answers come back whole."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from surefoot.models.forms import Beyond
from surefoot.models.shapes import Dialect, Loose, Narrow

CLOSED = Dialect(frozenset({"minItems"}), frozenset({"date", "date-time"}), open=False, const=True)
OPEN = Dialect(frozenset({"minItems", "maxItems", "minimum", "maximum"}), frozenset({"date"}), open=True, const=False)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    """A part."""

    size: Annotated[int, Field(ge=0, le=9, description="How big.")]
    note: Annotated[str, Field(pattern="^a", max_length=9)] = "a"


class Outer(BaseModel):
    name: Annotated[str, Field(min_length=1)]
    colour: Colour = Colour.RED
    day: dt.date | None = None
    path: Annotated[str | None, Field(json_schema_extra={"format": "binary"})] = None
    parts: Annotated[list[Inner], Field(min_length=1, max_length=3)] = []
    pair: Annotated[list[int], Field(min_length=2)] = []
    kind: Literal["x"] = "x"


class Tree(BaseModel):
    label: str
    children: list[Tree] = []


class Point(NamedTuple):
    x: int
    y: str


BOTH: list[Any] = [Outer, Inner, list[Inner], int, bool | None, Literal["a", "b"], Colour, list[int] | None]
OPEN_ONLY: list[Any] = [Tree, dict[str, int], dict[str, Inner], tuple[int, str], Any, list[Any], Point]
KNOWN = {"type", "enum", "anyOf", "properties", "required", "additionalProperties", "items", "description", "$ref", "$defs"}


def keywords(schema: Any) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Every keyword of a schema and of the schemas in it, with its value and where it stands."""
    for key, value in schema.items():
        yield key, value, schema
        if key in ("properties", "$defs"):
            for inner in value.values():
                yield from keywords(inner)
        elif key in ("anyOf", "prefixItems"):
            for inner in value:
                yield from keywords(inner)
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            yield from keywords(value)


@pytest.mark.parametrize("kind", BOTH, ids=str)
def test_a_closed_dialect_is_kept_to(kind: Any) -> None:
    schema = Narrow(TypeAdapter(kind).json_schema(), CLOSED).schema
    assert schema["type"] == "object"
    for key, value, around in keywords(schema):
        assert key in KNOWN | {"const", "minItems", "format"}
        assert key != "minItems" or value in (0, 1)
        assert key != "format" or value in CLOSED.formats
        assert key != "$ref" or set(around) == {"$ref"}
        assert around.get("type") != "object" or around["additionalProperties"] is False
        assert isinstance(around.get("type", ""), str)


@pytest.mark.parametrize("kind", [*BOTH, *OPEN_ONLY], ids=str)
def test_an_open_dialect_is_kept_to(kind: Any) -> None:
    schema = Narrow(TypeAdapter(kind).json_schema(), OPEN).schema
    assert schema["type"] == "object"
    for key, _value, around in keywords(schema):
        assert key in KNOWN | OPEN.kept | {"format", "prefixItems"}
        assert key != "$ref" or set(around) == {"$ref"}


@pytest.mark.parametrize("kind", OPEN_ONLY, ids=str)
def test_what_a_closed_dialect_cannot_say_is_said_to_be_beyond_it(kind: Any) -> None:
    with pytest.raises(Beyond):
        Narrow(TypeAdapter(kind).json_schema(), CLOSED)


def test_what_cannot_be_checked_is_described() -> None:
    size = Narrow(Inner.model_json_schema(), CLOSED).schema["properties"]["size"]
    assert size == {"type": "integer", "description": "How big. (maximum: 9, minimum: 0)"}
    assert Narrow(Inner.model_json_schema(), OPEN).schema["properties"]["size"]["maximum"] == 9
    note = Narrow(Inner.model_json_schema(), OPEN).schema["properties"]["note"]
    assert note["description"] == "(maxLength: 9, pattern: ^a)"


SPECIAL: dict[str, tuple[dict[str, Any], Any]] = {
    "one of allOf": ({"allOf": [{"type": "integer", "title": "N"}], "minimum": 2}, {"type": "integer", "minimum": 2}),
    "two of allOf": ({"allOf": [{"type": "integer"}, {"minimum": 2}]}, Beyond),
    "oneOf": ({"oneOf": [{"type": "integer"}, {"const": "x"}]}, {"anyOf": [{"type": "integer"}, {"enum": ["x"]}]}),
    "several types": ({"type": ["integer", "null"]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    "a list of one type": ({"type": ["integer"]}, {"type": "integer"}),
    "a reference to nothing": ({"$ref": "#/$defs/Gone"}, Beyond),
    "never": ({"type": "array", "items": {"type": "array", "prefixItems": [False]}}, Beyond),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_rarer_schemas(name: str) -> None:
    schema, wanted = SPECIAL[name]
    whole = {"type": "object", "properties": {"a": schema}}
    if wanted is Beyond:
        with pytest.raises(Beyond):
            Narrow(whole, OPEN)
    else:
        assert Narrow(whole, OPEN).schema["properties"]["a"] == wanted


def test_a_model_that_refers_to_itself_keeps_its_definition() -> None:
    schema = Narrow(Tree.model_json_schema(), OPEN).schema
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    assert schema["$defs"]["Tree"]["required"] == ["label"]


@given(st.sampled_from([int, list[int], bool | None, dict[str, int], Inner]), st.data())
def test_answers_come_back(kind: Any, data: st.DataObject) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    if kind is Inner:
        value: Any = Inner(size=data.draw(st.integers(0, 9)))
    else:
        value = data.draw(st.from_type(kind))
    plain = adapter.dump_python(value, mode="json")
    for shape in (Loose(adapter.json_schema()), Narrow(adapter.json_schema(), OPEN)):
        written = json.dumps({"value": plain} if shape.wrapped else plain)
        assert adapter.validate_json(shape.restored(written)) == value


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[1]", '{"other":1}', "[" * 100_000, '{"value": 1, "more": 2}', '{"value": NaN}']
)
def test_an_answer_of_another_form_is_left_alone(text: str) -> None:
    assert Loose({"type": "integer"}).restored(text) == text
