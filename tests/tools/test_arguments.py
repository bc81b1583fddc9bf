"""Arguments as models write them become one canonical text, or a complaint that says what to correct."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, PlainSerializer, field_validator

from surefoot.core import canonical
from surefoot.core.errors import InvalidArguments
from surefoot.tools.function import FunctionTool, as_tool, tool
from tests.tools.contexts import context


class Line(BaseModel):
    item: str
    price: float


@dataclass
class Cat:
    kind: Literal["cat"]
    lives: int = 9


@dataclass
class Dog:
    kind: Literal["dog"]
    good: bool


@tool
def order(lines: list[Line], amount: int = 1, note: str | None = None) -> str:
    """Order things."""
    return f"{len(lines)} lines"


@tool
async def add(a: float, b: float = 2.0) -> float:
    """Add two numbers."""
    return a + b


def taking(annotation: Any) -> FunctionTool[..., Any]:
    def take(x: Any) -> Any:
        return x

    take.__annotations__["x"] = annotation
    return as_tool(take)


def complaint(made: FunctionTool[..., Any], arguments: str) -> str:
    with pytest.raises(InvalidArguments) as caught:
        made.validate(arguments)
    text = str(caught.value)
    assert text.startswith("invalid arguments: ")
    assert "pydantic" not in text
    assert text.encode()
    return text.partition(": ")[2]


def test_defaults_are_filled_in_and_keys_sorted() -> None:
    assert add.validate('{"a": 1}') == '{"a":1.0,"b":2.0}'
    assert order.validate('{"lines": []}') == '{"amount":1,"lines":[],"note":null}'


@pytest.mark.parametrize(
    ("annotation", "written", "stored"),
    [
        (int, '"3"', "3"),
        (int, "3.0", "3"),
        (int, "12345678901234567890123", "12345678901234567890123"),
        (float, '"1.50"', "1.5"),
        (float, "1E2", "100.0"),
        (bool, '"true"', "true"),
        (Decimal, '"1.10"', '"1.10"'),
        (dt.date, '"2025-03-01"', '"2025-03-01"'),
        (dt.timedelta, "90", '"PT1M30S"'),
        (set[str], '["b", "a", "b"]', '["a","b"]'),
        (dict[str, set[int]], '{"k": [2, 10, 1]}', '{"k":[1,10,2]}'),
        (list[tuple[frozenset[str], int]] | None, '[[["z", "y"], 1]]', '[[["y","z"],1]]'),
        (dict[str, int], '{"é": 1, "a": 2}', '{"a":2,"é":1}'),
        (int | str, '"3"', '"3"'),
        (Cat | Dog, '{"kind": "cat"}', '{"kind":"cat","lives":9}'),
        (bytes, '"é"', '"é"'),
        (Any, '{"b": [1, 2.0, null], "a": "\\u00e9"}', '{"a":"é","b":[1,2.0,null]}'),
    ],
)
def test_values_are_read_as_models_write_them(annotation: Any, written: str, stored: str) -> None:
    assert taking(annotation).validate(f'{{"x": {written}}}') == f'{{"x":{stored}}}'


@pytest.mark.parametrize(
    "written",
    [
        '{"a": 1, "b": 2}',
        ' \n{"a": 1, "b": 2}\t',
        '\ufeff{"a": 1, "b": 2}',
        '{"a": 1, "b": 2,}',
        '{"a": 1, "b": 2 , \n }',
        '```json\n{"a": 1, "b": 2}\n```',
        '```\n{"a": 1, "b": 2,}```',
        '"{\\"a\\": 1, \\"b\\": 2}"',
        '"```json\\n{\\"a\\": 1, \\"b\\": 2,}\\n```"',
    ],
)
def test_what_can_mean_one_thing_only_is_repaired(written: str) -> None:
    assert add.validate(written) == '{"a":1.0,"b":2.0}'


def test_python_words_are_repaired_outside_strings_only() -> None:
    written = '{"x": [True, False, None, "True, None,]", "a\\",} \\\\",],}'
    assert json.loads(taking(Any).validate(written)) == {"x": [True, False, None, "True, None,]", 'a",} \\']}


def test_line_breaks_inside_strings_are_kept() -> None:
    assert taking(str).validate('{"x": "one\ntwo\ttabs"}') == '{"x":"one\\ntwo\\ttabs"}'


@pytest.mark.parametrize(
    ("annotation", "written", "stored"),
    [
        (list[int], '"[1, 2]"', "[1,2]"),
        (list[int] | None, '"[1, 2,]"', "[1,2]"),
        (Line, '"{\\"item\\": \\"a\\", \\"price\\": 1}"', '{"item":"a","price":1.0}'),
        (list[Line], '["{\\"item\\": \\"a\\", \\"price\\": 1}"]', '[{"item":"a","price":1.0}]'),
        (dict[str, list[int]], '"{\\"a\\": \\"[1]\\"}"', '{"a":[1]}'),
        (str | list[int], '"[1]"', '"[1]"'),
        (Any, '"[1]"', '"[1]"'),
    ],
)
def test_arrays_and_objects_written_as_strings_are_read_where_no_string_may_stand(
    annotation: Any, written: str, stored: str
) -> None:
    assert taking(annotation).validate(f'{{"x": {written}}}') == f'{{"x":{stored}}}'


@pytest.mark.parametrize("written", ['"1, 2"', '"3"', '"[1"', '"[\\"a\\"]"', '"\\"[1]\\""'])
def test_strings_that_hold_something_else_are_refused(written: str) -> None:
    assert complaint(taking(list[int]), f'{{"x": {written}}}').startswith("x")


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ('{"a": 1', "not valid JSON: Expecting ',' delimiter at character 7"),
        ("{'a': 1}", "not valid JSON"),
        ("a=1", 'not valid JSON: Expecting value at character 0, near "a=1"'),
        ('{"a": 1} {"a": 2}', "Extra data"),
        ('{"a": 1, "a": 2}', 'the key "a" appears twice'),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ('{"a": 1e999}', "a: should be a finite number"),
        ('{"a": "nan"}', "a: should be a finite number"),
        ("[1, 2]", "expected a JSON object with the keys a, b, got an array"),
        ("3", "got a number"),
        ("true", "got a boolean"),
        ('"one"', "got a string"),
        ('"[1]"', "got a string"),
        ('{"a": "x"}', 'a: should be a valid number, unable to parse string as a number, got "x"'),
        ('{"a": [1]}', "a: should be a valid number, got [1]"),
        ("{}", "a: missing, and required"),
        ('{"A": 1, "zzz": 2}', 'A: is not a known name; did you mean "a"?; zzz: is not a known name; known are a, b'),
        ('{"a": "\\ud800"}', "lone surrogate"),
        ('{"a": "\ud800"}', "lone surrogate is not valid UTF-8 (in a)"),
        ('{"\ud800": 1}', "lone surrogate"),
        ('{"a": ' + "9" * 5000 + "}", "a number has too many digits"),
        ("[" * 10_000, "nested too deeply"),
        ('{"a": ' + "[" * 10_000 + "]" * 10_000 + "}", "nest"),
        ('{"x":' * 10_000 + "1" + "}" * 10_000, "nest"),
        ('{"a": "' + '\\"' * 10_000, "not valid JSON"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_what_cannot_be_meant_is_refused(written: str, word: str) -> None:
    assert word in complaint(add, written)


def test_deep_values_are_refused_where_anything_is_allowed() -> None:
    for depth in (10_000, 1_000, 250):
        text = complaint(taking(Any), '{"x": ' + "[" * depth + "]" * depth + "}")
        assert "nested too deeply" in text or "recursion limit" in text


def test_complaints_say_where_inside() -> None:
    text = complaint(order, '{"lines": [{"item": "a", "price": 1}, {"item": 3}], "amount": "many"}')
    assert "lines[1].item: should be a valid string, got 3" in text
    assert "lines[1].price: missing, and required" in text
    assert 'amount: should be a valid integer, unable to parse string as an integer, got "many"' in text


def test_complaints_about_unions_name_the_place_not_the_member() -> None:
    text = complaint(taking(Cat | Dog), '{"x": {"kind": "cow", "good": true}}')
    assert text == """x.kind: should be 'cat', got "cow" or should be 'dog', got "cow\""""


def test_complaints_are_short() -> None:
    assert "; and 992 more" in complaint(taking(list[int]), json.dumps({"x": ["word"] * 1000}))
    assert len(complaint(taking(list[int]), json.dumps({"x": ["word" * 1000] * 1000}))) < 2_000


def test_a_validators_own_words_are_shown() -> None:
    class Range(BaseModel):
        low: int

        @field_validator("low")
        @classmethod
        def check(cls, value: int) -> int:
            if value < 0:
                raise ValueError("low must not be negative, for there is nothing below zero")
            return value

    assert complaint(taking(Range), '{"x": {"low": -1}}') == ("x.low: low must not be negative, for there is nothing below zero")


def test_a_validator_that_breaks_is_a_complaint() -> None:
    def broken(value: int) -> int:
        empty: dict[int, int] = {}
        return empty[value]

    assert "KeyError: 1" in complaint(taking(Annotated[int, AfterValidator(broken)]), '{"x": 1}')


def test_a_validator_that_does_not_settle_is_refused_by_field() -> None:
    class Step(BaseModel):
        count: Annotated[int, AfterValidator(lambda value: value + 1)]

    text = complaint(taking(list[Step]), '{"x": [{"count": 1}]}')
    assert text.startswith("x[0].count: the value does not settle")
    stamped = itertools.count()
    text = complaint(taking(Annotated[int, AfterValidator(lambda _: next(stamped))]), '{"x": 1}')
    assert text.startswith("x: the value does not settle")


def test_a_form_that_is_refused_when_read_again_is_refused_at_once() -> None:
    text = complaint(taking(Annotated[int, PlainSerializer(lambda value: f"number {value}")]), '{"x": 1}')
    assert "does not settle" in text
    assert "x: should be a valid integer" in text


def test_values_that_json_cannot_say_are_refused_by_field() -> None:
    assert "(in x)" in complaint(taking(Annotated[float, PlainSerializer(lambda _: 10**5000)]), '{"x": 1}')


def test_validators_that_settle_at_once_are_fine() -> None:
    assert taking(Annotated[str, AfterValidator(str.strip)]).validate('{"x": " a "}') == '{"x":"a"}'


def test_sets_have_one_text_in_every_process() -> None:
    program = (
        "from tests.tools.test_arguments import taking\n"
        """print(taking(dict[str, set[str]]).validate('{"x": {"k": ["delta", "alpha", "charlie", "bravo"]}}'))"""
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
            env={"PYTHONHASHSEED": seed, **PATHS},
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {'{"x":{"k":["alpha","bravo","charlie","delta"]}}\n'}


PATHS = {"PYTHONPATH": ":".join(path for path in sys.path if path)}

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))
TYPED: list[tuple[Any, Callable[[], st.SearchStrategy[Any]]]] = [
    (int, st.integers),
    (float, lambda: st.floats(allow_nan=False, allow_infinity=False)),
    (str, st.text),
    (dt.datetime, st.datetimes),
    (dt.timedelta, st.timedeltas),
    (Decimal, lambda: st.decimals(allow_nan=False, allow_infinity=False)),
    (set[int], lambda: st.sets(st.integers(), max_size=5)),
    (dict[str, list[int] | None], lambda: st.dictionaries(st.text(), st.none() | st.lists(st.integers()))),
    (tuple[bool, Annotated[str, Field(max_length=9)]], lambda: st.tuples(st.booleans(), st.text(max_size=9))),
]


@given(values)
def test_canonical_text_is_a_fixed_point(value: Any) -> None:
    text = ANY.validate(json.dumps({"x": value}))
    assert text == canonical.dumps(canonical.loads(text))
    assert ANY.validate(text) == text
    assert json.loads(text) == {"x": value}


ANY = taking(Any)


@pytest.mark.parametrize(("annotation", "strategy"), TYPED, ids=[str(kind) for kind, _ in TYPED])
def test_the_body_gets_what_the_text_says(annotation: Any, strategy: Callable[[], st.SearchStrategy[Any]]) -> None:
    from pydantic import TypeAdapter

    seen: list[Any] = []

    async def keep(x: Any) -> None:
        seen.append(x)

    keep.__annotations__["x"] = annotation
    made, adapter, here = as_tool(keep), TypeAdapter[Any](annotation), context()

    @given(strategy())
    def check(value: Any) -> None:
        text = made.validate(f'{{"x": {adapter.dump_json(value).decode()}}}')
        assert made.validate(text) == text
        with pytest.raises(StopIteration):  # it never waits, so one step runs it
            made.call(text, here).send(None)
        assert seen.pop() == value

    check()


@given(st.text(alphabet=st.characters(exclude_categories=())) | st.text(alphabet='{}[]",:\\ truefalsnTFN0123456789e+-.`\n'))
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(InvalidArguments):
        assert set(json.loads(add.validate(text))) == {"a", "b"}
