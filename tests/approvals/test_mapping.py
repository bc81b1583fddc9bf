"""Arguments as Cedar sees them: every row of the mapping, and everything that does not fit exactly, which none may allow."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import pytest
from typing_extensions import TypedDict

from surefoot.approvals.layers import layers_of
from surefoot.approvals.mapping import Form, cedar_type, forms_of, mapped
from surefoot.approvals.policy import CedarPolicy
from surefoot.core.judging import Judged
from surefoot.core.tool import ToolSpec
from surefoot.core.values import Verdict
from surefoot.tools.function import FunctionTool


class Color(Enum):
    red = "red"
    blue = "blue"


class Address(TypedDict):
    street: str
    zip: int | None


class Tree(TypedDict):
    children: list[Tree]


def spec_of(annotation: Any, name: str = "act") -> ToolSpec:
    """A tool with one argument ``x`` of a type."""

    def act(x: Any) -> str:
        return ""

    act.__annotations__ = {"x": annotation, "return": str}
    return FunctionTool(act, name=name).spec


def judged(spec: ToolSpec, arguments: Any, **options: Any) -> Judged:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Judged("0.0", text, spec, "clerk", **options)


def verdict(rules: str, spec: ToolSpec, arguments: Any, **options: Any) -> Verdict:
    policy = CedarPolicy(layers_of(rules, "policy"))
    policy.admit([spec])
    return policy.judge(judged(spec, arguments, **options))


def allowed(condition: str, annotation: Any, value: Any) -> str:
    """What a permit with this condition makes of a call with this value."""
    rule = f'permit(principal, action == Action::"act", resource) when {{ {condition} }};'
    return verdict(rule, spec_of(annotation), {"x": value}).verdict


@pytest.mark.parametrize(
    ("annotation", "value", "condition"),
    [
        (bool, True, "context.args.x"),
        (str, "hello", 'context.args.x == "hello"'),
        (str, 'a\n\u202e\\"', 'context.args.x like "a*"'),
        (Literal["a", "b"], "a", 'context.args.x == "a"'),
        (Color, "red", 'context.args.x == "red"'),
        (Literal[1, 2], 2, "context.args.x == 2"),
        (int, 5000, "context.args.x <= 5000"),
        (int, 2**63 - 1, "context.args.x == 9223372036854775807"),
        (int, -(2**63), "context.args.x < 0"),
        (float, 1.5, 'context.args.x == decimal("1.5")'),
        (float, -0.0, 'context.args.x == decimal("0.0")'),
        (float, 3, 'context.args.x.lessThan(decimal("3.1"))'),
        (float, 1e3, 'context.args.x == decimal("1000.0")'),
        (Decimal, "62.00", 'context.args.x == decimal("62.0")'),
        (Decimal, 62.1234, 'context.args.x == decimal("62.1234")'),
        (float | int, 7, 'context.args.x == decimal("7.0")'),
        (str | None, "a", 'context.args has x && context.args.x == "a"'),
        (str | None, None, "!(context.args has x)"),
        (
            Address,
            {"street": "High", "zip": 1},
            'context.args.x.street == "High" && context.args.x has zip && context.args.x.zip == 1',
        ),
        (Address, {"street": "High", "zip": None}, "!(context.args.x has zip)"),
        (dict[str, int], {"a": 1}, 'context.args.x.contains({"key": "a", "value": 1}) && context.count.x == 1'),
        (list[str], ["a", "b", "a"], 'context.args.x.contains("a") && context.count.x == 3'),
        (set[int], [1, 2], "context.args.x.containsAll([1, 2])"),
        (tuple[int, int], [1, 2], "context.args.x == [1, 2]"),
        (list[Address], [{"street": "High", "zip": None}], "context.count.x == 1"),
        (list[int] | None, [1], "context.count has x && context.count.x == 1"),
        (list[int] | None, None, "!(context.count has x)"),
        (datetime, "2026-01-02T03:04:05Z", 'context.args.x == datetime("2026-01-02T03:04:05Z")'),
        (datetime, "2026-01-02T03:04:05.250+02:00", 'context.args.x == datetime("2026-01-02T01:04:05.250Z")'),
        (date, "2026-01-02", 'context.args.x < datetime("2026-02-01")'),
        (timedelta, "P1D", 'context.args.x == "P1D"'),
    ],
)
def test_a_value_is_what_a_rule_can_say_of_it(annotation: Any, value: Any, condition: str) -> None:
    assert allowed(condition, annotation, value) == "allow"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 2**63),
        (int, -(2**63) - 1),
        (int, 10**400),
        (int, 1.0),
        (int, True),
        (int, "5"),
        (int, {"__entity": {"type": "Agent", "id": "clerk"}}),
        (int, {"__extn": {"fn": "decimal", "arg": "1.0"}}),
        (int, []),
        (bool, 1),
        (bool, "true"),
        (str, 5),
        (str, "é" * (32 * 1024 + 1)),
        (str, {"__entity": {"type": "Agent", "id": "clerk"}}),
        (float, 0.12345),
        (float, 1e-9),
        (float, 1e300),
        (float, 922337203685477.6),
        (float, True),
        (float, "many"),
        (float, "NaN"),
        (float, "Infinity"),
        (Decimal, "1.00001"),
        (datetime, "2026-01-02T03:04:05"),
        (datetime, "2026-01-02T03:04:05.123456Z"),
        (datetime, "0001-01-01T00:00:00+14:00"),
        (datetime, "yesterday"),
        (datetime, 5),
        (date, "2026-13-01"),
        (Address, ["High"]),
        (list[int], [1, "2"]),
        (list[int], [None]),
        (list[int], {"0": 1}),
        (list[Address], [{"street": "High", "zip": 2**70}]),
        (dict[str, int], {"a": "1"}),
        (dict[str, int], {"__entity": 1}),
        (dict[str, int], [1]),
        (dict[str, int], {"a" * (16 * 1024 + 1): 1}),
    ],
)
def test_a_value_that_does_not_fit_asks_and_is_named(annotation: Any, value: Any) -> None:
    said = verdict('permit(principal, action == Action::"act", resource) when { 1 == 1 };', spec_of(annotation), {"x": value})
    assert said.verdict == "ask"
    assert "cannot judge x" in said.reason
    assert "unmapped" in said.rules


@pytest.mark.parametrize(
    "annotation", [int | str, Any, list[int | str], tuple[int, str], Tree, dict[str, int | None], list[Any], dict[str, Any]]
)
def test_a_type_that_cedar_does_not_have_asks(annotation: Any) -> None:
    spec = spec_of(annotation)
    assert "x" not in forms_of(spec.input_schema).fields or annotation is Tree
    value: Any = {"children": [{"children": []}]} if annotation is Tree else ["a"] if annotation != int | str else 1
    said = verdict('permit(principal, action == Action::"act", resource) when { 1 == 1 };', spec, {"x": value})
    assert said.verdict == "ask"


def test_a_record_leaves_out_only_what_does_not_fit() -> None:
    spec = spec_of(Address)
    said = mapped(forms_of(spec.input_schema), {"x": {"street": "High", "zip": 2**70, "extra": 1}, "y": 2, "__entity": 3})
    assert said.args == {"x": {"street": "High"}}
    assert said.unmapped == ("x.zip", "x.extra", "y", "__entity")


@pytest.mark.parametrize("arguments", ["[1]", "5", "null", '"text"', "{broken"])
def test_arguments_that_are_no_object_ask(arguments: str) -> None:
    said = verdict('permit(principal, action == Action::"act", resource) when { 1 == 1 };', spec_of(int), arguments)
    assert said.verdict == "ask"
    assert "cannot judge arguments" in said.reason


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        ({"type": ["string", "null"]}, Form("string", optional=True)),
        ({"type": ["integer", "string"]}, None),
        ({"const": "a"}, Form("string")),
        ({"enum": [1, "a"]}, None),
        ({"enum": []}, None),
        ({"type": "null"}, None),
        ({"anyOf": []}, None),
        ({"anyOf": [{"type": "null"}]}, None),
        ({"type": "array"}, None),
        ({"type": "object"}, None),
        ({"type": "object", "additionalProperties": True}, None),
        ({"$ref": "#/$defs/Gone"}, None),
        ({"oneOf": [{"type": "string"}, {"type": "string"}]}, Form("string")),
        (True, None),
    ],
)
def test_schemas_that_others_write(schema: Any, form: Form | None) -> None:
    whole = {"type": "object", "properties": {"x": schema, "__type": {"type": "string"}}, "required": ["x"]}
    fields = forms_of(whole).fields
    assert fields.get("x") == form
    assert "__type" not in fields


def test_a_tool_without_arguments_has_an_empty_record() -> None:
    assert forms_of({}) == Form("record")
    assert cedar_type(forms_of({"type": "string"})) == {"type": "Record", "attributes": {}}


def test_what_may_be_missing_is_optional() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string", "default": "x"}}}
    assert [part.optional for part in forms_of(schema).fields.values()] == [True, False]
