"""Structured answers: what a model is told of the type, what it may write, and the value a run gives."""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel
from typing_extensions import TypedDict

from surefoot.core.errors import UnsupportedAnnotation
from surefoot.core.ports import Output
from surefoot.tools.output import output_of


class Invoice(BaseModel):
    """An invoice."""

    number: str
    cents: int
    due: dt.date | None = None


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


@dataclass
class Point:
    x: int
    y: int = 0


class Row(TypedDict):
    id: int


class Pair(NamedTuple):
    left: int
    right: str


class Mood(enum.Enum):
    GOOD = "good"


INVOICE = Invoice(number="7", cents=120)
STORED = '{"cents":120,"due":null,"number":"7"}'


def test_plain_text_has_no_schema() -> None:
    codec: Output = output_of(str)
    assert codec.schema is None
    assert codec.validate("  Any text, even {this.") == "  Any text, even {this."
    assert codec.load("text") == "text"


def test_an_object_is_asked_for_as_it_is() -> None:
    schema = output_of(Invoice).schema
    assert schema is not None
    assert (schema.name, schema.description) == ("Invoice", "An invoice.")
    assert schema.schema["type"] == "object"
    assert sorted(schema.schema["properties"]) == ["cents", "due", "number"]
    assert schema.schema["additionalProperties"] is False


@pytest.mark.parametrize("kind", [list[int], Invoice | Point, Literal["a", "b"], bool, int, Mood, Pair, str | None, list[Tree]])
def test_everything_else_is_asked_for_inside_an_object(kind: Any) -> None:
    schema = output_of(kind).schema
    assert schema is not None
    assert schema.schema["type"] == "object"
    assert schema.schema["required"] == list(schema.schema["properties"]) == ["value"]
    assert "$defs" not in schema.schema["properties"]["value"]
    assert schema.name.isidentifier()


def test_a_type_that_refers_to_itself_is_an_object_at_the_top() -> None:
    schema = output_of(Tree).schema
    assert schema is not None
    assert schema.schema["type"] == "object"
    codec = output_of(Tree)
    assert codec.load(codec.validate('{"value": 1, "children": [{"value": 2}]}')) == Tree(value=1, children=[Tree(value=2)])


@pytest.mark.parametrize(
    "text",
    [
        '{"number": "7", "cents": 120}',
        '{"number": "7", "cents": "120",}',
        '```json\n{"number": "7", "cents": 120}\n```',
        'Here you are:\n\n```\n{"number": "7", "cents": 120, "due": None}\n```\nAnything else?',
        'The invoice is {"number": "7", "cents": 120}. See [1].',
        '{not this} but {"number": "7", "cents": 120}',
        '```\nnothing here\n```\n{"number": "7", "cents": 120}',
        '"{\\"number\\": \\"7\\", \\"cents\\": 120}"',
    ],
)
def test_one_object_is_found_in_what_a_model_writes(text: str) -> None:
    codec = output_of(Invoice)
    assert codec.validate(text) == STORED
    assert codec.load(STORED) == INVOICE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "answer with an object with the keys number, cents, due and nothing else"),
        ("I cannot find it.", "not valid JSON: Expecting value at character 0"),
        ('{"number": "7", "cents": 1} {"number": "8", "cents": 2}', "the text holds 2 JSON values"),
        ('{"number": "7", "cents": 12', "not valid JSON"),
        ('{"number": "7"}', "cents: missing, and required"),
        ('{"number": "7", "cents": "many"}', "cents: should be a valid integer"),
        ("[1]", "should be an object"),
        ("null", "should be an object"),
        ('{"number": "\\ud800", "cents": 1}', "lone surrogate"),
        ("{" * 5_000, "not valid JSON"),
        ("```" + " " * 100_000, "not valid JSON"),
        ("```" + "a" * 100_000, "not valid JSON"),
        ("," * 100_000, "not valid JSON"),
        ("[" * 50_000, "nested too deeply"),
    ],
    ids=lambda value: value[:20],
)
def test_what_does_not_fit_is_told_to_the_model(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        output_of(Invoice).validate(text)
    assert "pydantic.dev" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "text", "stored", "value"),
    [
        (list[int], "[1, 2]", "[1,2]", [1, 2]),
        (list[int], '{"value": [1, "2"]}', "[1,2]", [1, 2]),
        (list[int], "The answer is [1, 2].", "[1,2]", [1, 2]),
        (bool, "True", "true", True),
        (int, "42", "42", 42),
        (int, '{"value": 42}', "42", 42),
        (Literal["yes", "no"], "yes", '"yes"', "yes"),
        (Literal["yes", "no"], ' "no"\n', '"no"', "no"),
        (Mood, "good", '"good"', Mood.GOOD),
        (dt.date, "2025-03-01", '"2025-03-01"', dt.date(2025, 3, 1)),
        (str | int, "just words", '"just words"', "just words"),
        (str | Point, "as [1] says", '"as [1] says"', "as [1] says"),
        (str | Point, 'it is {"x": 1}.', '{"x":1,"y":0}', Point(1)),
        (Invoice | Point, '{"x": 1}', '{"x":1,"y":0}', Point(1)),
        (Invoice | Point, '{"value": {"x": 1, "y": 2}}', '{"x":1,"y":2}', Point(1, 2)),
        (Pair, '[1, "b"]', '[1,"b"]', Pair(1, "b")),
        (Row, '{"id": 3}', '{"id":3}', {"id": 3}),
        (dict[str, int], '{"value": 3}', '{"value":3}', {"value": 3}),
        (dict[str, int] | int, '{"value": 3}', "3", 3),
        (dict[str, str] | int, '{"value": "three"}', '{"value":"three"}', {"value": "three"}),
        (None | Invoice, "null", "null", None),
        (set[str], '["b", "a"]', '["a","b"]', {"a", "b"}),
    ],
)
def test_any_type_will_do(kind: Any, text: str, stored: str, value: Any) -> None:
    codec = output_of(kind)
    assert codec.validate(text) == stored
    assert codec.validate(stored) == stored
    assert codec.load(stored) == value


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (Literal["yes", "no"], "maybe", "should be 'yes' or 'no', got \"maybe\""),
        (int, '{"value": "x"}', 'should be a valid integer, unable to parse string as an integer, got "x"'),
        (list[int], "none", "should be a valid array"),
        (list[int], "[1, 2", "not valid JSON"),
        (Invoice | Point, '{"z": 1}', "cents: missing, and required for Invoice"),
    ],
)
def test_complaints_about_other_types(kind: Any, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        output_of(kind).validate(text)


def test_an_answer_that_does_not_settle_is_refused() -> None:
    with pytest.raises(ValueError, match="does not settle"):
        output_of(Annotated[int, AfterValidator(lambda value: value + 1)]).validate("1")


def test_an_answer_of_an_older_type_is_an_error_of_value() -> None:
    with pytest.raises(ValueError, match="cents: missing"):
        output_of(Invoice).load('{"number":"7"}')


@pytest.mark.parametrize("kind", [Callable[[], int], object().__class__.__subclasses__, 3, "Missing"])
def test_what_json_cannot_say_is_refused(kind: Any) -> None:
    with pytest.raises(UnsupportedAnnotation, match="has no JSON Schema"):
        output_of(kind)


@given(st.builds(Invoice, number=st.text(), cents=st.integers(), due=st.none() | st.dates()), st.text(alphabet="ab .\n:"))
def test_every_value_survives_prose_and_storage(invoice: Invoice, prose: str) -> None:
    codec = output_of(Invoice)
    stored = codec.validate(f"{prose}{invoice.model_dump_json()}{prose}")
    assert codec.load(stored) == invoice
    assert codec.validate(stored) == stored


CODECS = [output_of(kind) for kind in (Invoice, list[int], Literal["yes"], str | Point)]


@given(
    st.text(alphabet=st.characters(exclude_categories=())) | st.text(alphabet='{}[]",:\\`json 01yes\n'),
    st.sampled_from(CODECS),
)
def test_no_text_raises_anything_but_an_error_of_value(text: str, codec: Output) -> None:
    try:
        stored = codec.validate(text)
    except ValueError:
        return
    assert codec.validate(stored) == stored
