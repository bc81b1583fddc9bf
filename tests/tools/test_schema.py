"""What a model is told of a function: names, types, defaults, descriptions, and nothing it does not need."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict, Unpack

from surefoot.core.tool import ToolContext, ToolOutput
from surefoot.tools.function import FunctionTool, as_tool, tool
from tests.tools.contexts import context


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    zip: Annotated[str, Field(pattern=r"^\d{5}$", description="five digits")] = "12345"


class Node(BaseModel):
    value: int
    children: list[Node] = []


@dataclass
class Point:
    x: int
    y: list[int] = field(default_factory=list)


class Filter(TypedDict):
    field: str
    limit: NotRequired[int]


class Pair(NamedTuple):
    left: int
    right: str


class Folder(BaseModel):
    documents: list[Document]


class Document(BaseModel):
    folder: Folder | None = None


UserId = NewType("UserId", int)

INTEGER = {"type": "integer"}
ADDRESS = {
    "description": "Where somebody lives.",
    "type": "object",
    "properties": {
        "street": {"type": "string"},
        "zip": {"type": "string", "pattern": r"^\d{5}$", "description": "five digits", "default": "12345"},
    },
    "required": ["street"],
    "additionalProperties": False,
}


def schema_of(annotation: Any) -> Any:
    return taking(annotation).input_schema["properties"]["x"]


def taking(annotation: Any) -> FunctionTool[..., Any]:
    def take(x: Any) -> str:
        return type(x).__name__

    take.__annotations__["x"] = annotation
    return as_tool(take)


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, INTEGER),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (str, {"type": "string"}),
        (None, {"type": "null"}),
        (Any, {}),
        (list[int], {"type": "array", "items": INTEGER}),
        (Sequence[int], {"type": "array", "items": INTEGER}),
        (set[int], {"type": "array", "items": INTEGER, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": INTEGER}),
        (dict[str, int], {"type": "object", "additionalProperties": INTEGER}),
        (Mapping[str, int], {"type": "object", "additionalProperties": INTEGER}),
        (int | None, {"anyOf": [INTEGER, {"type": "null"}]}),
        (int | list[int], {"anyOf": [INTEGER, {"type": "array", "items": INTEGER}]}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Color, {"type": "string", "enum": ["red", "blue"]}),
        (UserId, INTEGER),
        (Annotated[int, Field(gt=0, le=9)], {"type": "integer", "exclusiveMinimum": 0, "maximum": 9}),
        (dt.date, {"type": "string", "format": "date"}),
        (dt.datetime, {"type": "string", "format": "date-time"}),
        (dt.timedelta, {"type": "string", "format": "duration"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (Path, {"type": "string", "format": "path"}),
        (bytes, {"type": "string", "format": "binary"}),
        (Address, ADDRESS),
        (list[Address], {"type": "array", "items": ADDRESS}),
    ],
)
def test_types_become_small_schemas(annotation: Any, schema: Any) -> None:
    assert schema_of(annotation) == schema


def test_decimals_are_numbers_or_text() -> None:
    assert [shape["type"] for shape in schema_of(Decimal)["anyOf"]] == ["number", "string"]


@pytest.mark.parametrize("annotation", [Point, Filter, Pair, Node, Address | Point, dict[str, list[Address | None]]])
def test_no_schema_holds_titles_or_open_objects(annotation: Any) -> None:
    text = json.dumps(taking(annotation).input_schema)
    assert '"title"' not in text
    assert text.count('"properties"') == text.count('"additionalProperties": false')


def test_a_type_that_refers_to_itself_is_defined_once() -> None:
    schema = taking(Node).input_schema
    assert schema["properties"]["x"] == {"$ref": "#/$defs/Node"}
    assert schema["$defs"]["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}


def test_a_type_used_twice_is_defined_once() -> None:
    @tool
    def move(source: Address, target: Address) -> None: ...

    assert move.input_schema["properties"] == {
        "source": {"$ref": "#/$defs/Address"},
        "target": {"$ref": "#/$defs/Address"},
    }
    assert move.input_schema["$defs"] == {"Address": ADDRESS}


def test_a_property_may_be_called_title() -> None:
    @tool
    def rename(title: str, properties: int = 3) -> None: ...

    assert rename.input_schema["properties"] == {
        "title": {"type": "string"},
        "properties": {"type": "integer", "default": 3},
    }
    assert rename.input_schema["required"] == ["title"]


def test_no_parameters_is_an_empty_object() -> None:
    @tool
    def now() -> str:
        return "noon"

    assert now.input_schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert now.validate("") == now.validate("{}") == now.validate("null") == "{}"


def test_names_that_pydantic_uses_itself_are_names_like_others() -> None:
    @tool
    def odd(copy: int, json: int, _hidden: int, model_config: int, schema: int, field: int) -> int:
        return copy + json + _hidden + model_config + schema + field

    given = {"copy": 1, "json": 2, "_hidden": 3, "model_config": 4, "schema": 5, "field": 6}
    assert sorted(odd.input_schema["required"]) == sorted(given)
    assert json.loads(odd.validate(json.dumps(given))) == given


def test_the_context_is_not_shown_to_the_model() -> None:
    @tool
    def plain(ctx: ToolContext, a: int) -> int:
        return a

    @tool
    def typed(ctx: ToolContext[dict[str, int]], a: int) -> int:
        return a

    @tool
    def by_name(a: int, /, *, b: int = 2) -> int:
        return a + b

    @tool
    def unknown(ctx: ToolContext[OnlyForTypeCheckers], a: int) -> int:  # type: ignore[name-defined]  # noqa: F821
        return a

    for made in (plain, typed, unknown):
        assert list(made.input_schema["properties"]) == ["a"]
    assert list(by_name.input_schema["properties"]) == ["a", "b"]


def test_none_as_a_default_allows_none() -> None:
    @tool
    def find(limit: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013  people write it

    assert find.input_schema["properties"]["limit"] == {"anyOf": [INTEGER, {"type": "null"}], "default": None}
    assert find.validate("{}") == '{"limit":null}'


async def test_fields_as_defaults_say_more() -> None:
    @tool
    def page(size: int = Field(10, le=100, description="rows"), after: str = Field(alias="cursor")) -> str:
        return f"{size} after {after}"

    assert page.input_schema["properties"]["size"] == {
        "type": "integer",
        "maximum": 100,
        "default": 10,
        "description": "rows",
    }
    assert page.input_schema["required"] == ["cursor"]
    assert (await page.call(page.validate('{"cursor": "c"}'), context())).text == "10 after c"


async def test_named_extras_follow_their_annotation() -> None:
    @tool
    def label(item: str, **labels: int) -> str:
        return f"{item} {sorted(labels.items())}"

    assert label.input_schema["additionalProperties"] == INTEGER
    arguments = label.validate('{"item": "a", "size": "3", "age": 4}')
    assert arguments == '{"age":4,"item":"a","size":3}'
    assert (await label.call(arguments, context())).text == "a [('age', 4), ('size', 3)]"


async def test_unpacked_extras_are_parameters() -> None:
    @tool
    def search(query: str, **options: Unpack[Filter]) -> str:
        return f"{query} {sorted(options.items())}"

    assert set(search.input_schema["properties"]) == {"query", "field", "limit"}
    assert sorted(search.input_schema["required"]) == ["field", "query"]
    arguments = search.validate('{"query": "q", "field": "f"}')
    assert (await search.call(arguments, context())).text == "q [('field', 'f')]"


async def test_types_defined_inside_a_function_are_found() -> None:
    class Inner(BaseModel):
        value: int

    @dataclass
    class Outer:
        inner: Inner
        more: list[Inner] = field(default_factory=list)

    @tool(effect="read")
    def total(outer: Outer) -> Inner:
        return Inner(value=outer.inner.value + sum(item.value for item in outer.more))

    arguments = total.validate('{"outer": {"inner": {"value": 1}, "more": [{"value": "2"}]}}')
    assert (await total.call(arguments, context())).text == '{"value":3}'
    assert total.output_schema is not None


def test_wrapped_functions_and_partials_keep_their_annotations() -> None:
    def scale(value: Color, factor: int) -> str:
        """Scale it."""
        return f"{value} {factor}"

    made = as_tool(partial(scale, factor=2))
    assert made.name == "scale"
    assert made.description == "Scale it."
    assert made.input_schema["properties"]["factor"]["default"] == 2


@pytest.mark.parametrize(
    "doc",
    [
        """Move an item.

        It waits for the belt.

        Args:
            item: what to move
            speed (int): metres a minute,
                never more than ten

        Returns:
            where it is now
        """,
        """Move an item.

        It waits for the belt.

        Parameters
        ----------
        item : str
            what to move
        speed : int
            metres a minute,
            never more than ten

        Returns
        -------
        str
            where it is now
        """,
        """Move an item.

        It waits for the belt.

        :param item: what to move
        :param speed: metres a minute,
            never more than ten
        :returns: where it is now
        """,
    ],
    ids=["google", "numpy", "sphinx"],
)
def test_docstrings_of_every_style_describe(doc: str) -> None:
    def move(item: str, speed: int = 1) -> str:
        return item * speed

    move.__doc__ = doc
    made = as_tool(move)
    assert made.description == "Move an item.\n\nIt waits for the belt.\n\nReturns: where it is now"
    told = {name: part["description"] for name, part in made.input_schema["properties"].items()}
    assert told == {"item": "what to move", "speed": "metres a minute, never more than ten"}


@pytest.mark.parametrize("doc", ["::    :", ":param", "Args:", "Returns:", "\n"])
def test_odd_docstrings_are_descriptions(doc: str) -> None:
    def move(item: str) -> None: ...

    move.__doc__ = doc
    assert as_tool(move).description in (doc.strip(), "")


def test_types_that_refer_to_each_other_are_defined_once() -> None:
    schema = taking(Folder | Document).input_schema
    assert sorted(schema["$defs"]) == ["Document", "Folder"]
    assert taking(Folder).validate('{"x": {"documents": []}}') == '{"x":{"documents":[]}}'


def test_an_authors_own_words_win_over_the_docstring() -> None:
    @tool(description="Finds.")
    def find(query: Annotated[str, Field(description="what to look for")]) -> None:
        """Find.

        Args:
            query: a query
        """

    assert find.description == find.spec.description == "Finds."
    assert find.input_schema["properties"]["query"]["description"] == "what to look for"


def test_results_have_a_schema_where_they_are_json() -> None:
    def returning(annotation: Any) -> Any:
        def give() -> Any: ...

        give.__annotations__["return"] = annotation
        return as_tool(give).output_schema

    assert returning(Address) == ADDRESS
    assert returning(dict[str, int]) == {"type": "object", "additionalProperties": INTEGER}
    assert returning(str) == {"type": "string"}
    for silent in (None, Any, bytes, ToolOutput, list[ToolOutput], asyncio.Event, "Missing"):
        assert returning(silent) is None
