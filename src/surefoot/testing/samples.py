"""Make a small value that meets a JSON Schema: the same every time, for tests that need arguments but not which."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

__all__ = ["sample"]

_Schema = Mapping[str, Any]

#: A text of each format of JSON Schema (2020-12 validation, section 7.3) and of pydantic's own.
_FORMATS: Mapping[str, str] = {
    "date": "2025-01-01",
    "date-time": "2025-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "a@example.com",
    "idn-email": "a@example.com",
    "name-email": "a <a@example.com>",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "ipvanyaddress": "127.0.0.1",
    "ipvanynetwork": "127.0.0.0/8",
    "ipvanyinterface": "127.0.0.1/8",
    "uri": "http://example.com/",
    "uri-reference": "http://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uuid1": "00000000-0000-1000-8000-000000000000",
    "uuid3": "00000000-0000-3000-8000-000000000000",
    "uuid4": "00000000-0000-4000-8000-000000000000",
    "uuid5": "00000000-0000-5000-8000-000000000000",
    "uuid7": "00000000-0000-7000-8000-000000000000",
    "json-string": "null",
    "base64url": "YQ==",
    "base64": "YQ==",
}


def sample(schema: _Schema) -> Any:  # noqa: ANN401  any JSON value
    """A JSON value that meets ``schema`` (JSON Schema 2020-12, what pydantic writes of it).

    Optional properties are left out, and patterns are met where they are simple.

    Raises:
        ValueError: only an endless value meets the schema.
    """
    value = _Maker(schema).make(schema, ())
    if value is _ENDLESS:
        raise ValueError("no finite value meets this schema: it refers to itself without a way out")
    return value


_CATEGORIES: Mapping[str, str] = {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " ", "CATEGORY_NOT_WORD": "-"}
_ENDLESS: Any = object()


class _Maker:
    def __init__(self, root: _Schema) -> None:
        self.root = root

    def make(self, schema: _Schema | bool, inside: tuple[str, ...]) -> Any:  # noqa: ANN401
        if isinstance(schema, bool):
            return None
        if "$ref" in schema:
            ref = schema["$ref"]
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            # A definition inside itself: whoever chooses between this and something else takes the other.
            return _ENDLESS if ref in inside else self.make({**self.resolve(ref), **rest}, (*inside, ref))
        for key in ("const", "enum", "default"):
            if key in schema:
                return schema[key][0] if key == "enum" else schema[key]
        if "allOf" in schema:
            return self.make(self.merged(schema), inside)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self.first(schema, key, inside)
        return self.typed(schema, inside)

    def resolve(self, ref: str) -> _Schema:
        found: Any = self.root
        for step in ref.removeprefix("#").strip("/").split("/"):
            if step:
                found = found[step.replace("~1", "/").replace("~0", "~")]
        return dict(found)

    def merged(self, schema: _Schema) -> _Schema:
        whole: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for item in schema["allOf"]:
            part = {**self.resolve(item["$ref"]), **item} if "$ref" in item else item
            for key, value in part.items():
                if key == "properties":
                    whole[key] = {**whole.get(key, {}), **value}
                elif key == "required":
                    whole[key] = [*whole.get(key, []), *value]
                elif key != "$ref":
                    whole.setdefault(key, value)
        return whole

    def first(self, schema: _Schema, key: str, inside: tuple[str, ...]) -> Any:  # noqa: ANN401
        beside = {name: value for name, value in schema.items() if name not in (key, "discriminator")}
        for option in schema[key]:
            value = self.make({**beside, **option} if isinstance(option, Mapping) else option, inside)
            if value is not _ENDLESS:
                return value
        return _ENDLESS

    def typed(self, schema: _Schema, inside: tuple[str, ...]) -> Any:  # noqa: ANN401
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = kind[0] if kind else None
        match kind or ("object" if "properties" in schema else "array" if "items" in schema else None):
            case "object":
                return self.object(schema, inside)
            case "array":
                return self.array(schema, inside)
            case "integer":
                return int(_number(schema, 1))
            case "number":
                return _number(schema, 0)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return _text(schema)

    def object(self, schema: _Schema, inside: tuple[str, ...]) -> Any:  # noqa: ANN401
        properties = schema.get("properties", {})
        value = {name: self.make(properties.get(name, {}), inside) for name in schema.get("required", ())}
        extra = schema.get("additionalProperties", {})
        for index in range(schema.get("minProperties", 0) - len(value)):
            value[f"key{index}"] = self.make(extra if isinstance(extra, Mapping) else {}, inside)
        return _ENDLESS if any(item is _ENDLESS for item in value.values()) else value

    def array(self, schema: _Schema, inside: tuple[str, ...]) -> Any:  # noqa: ANN401
        fixed = schema.get("prefixItems", ())
        value = [self.make(item, inside) for item in fixed]
        missing = range(schema.get("minItems", 0) - len(value))
        value += [self.item(schema.get("items", {}), n if schema.get("uniqueItems") else 0, inside) for n in missing]
        return _ENDLESS if any(item is _ENDLESS for item in value) else value

    def item(self, schema: _Schema | bool, index: int, inside: tuple[str, ...]) -> Any:  # noqa: ANN401
        if isinstance(schema, Mapping) and index and "enum" in schema:
            return schema["enum"][index]
        value = self.make(schema, inside)
        if index and isinstance(value, str):
            return f"{value}{index}"
        return value + index if index and type(value) in (int, float) else value


def _number(schema: _Schema, grain: float) -> float:
    """The number nearest to zero that the bounds and ``multipleOf`` allow; ``grain`` is 1 for integers."""
    step = schema.get("multipleOf", grain) or 0
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    value: float = min(max(1 if low == -math.inf and high > 1 else low, low), high)
    value = 0 if value in (-math.inf, math.inf) else value
    if step:
        value = math.ceil(value / step) * step
        value = value if value <= high else math.floor(high / step) * step
    if value == schema.get("exclusiveMinimum"):
        value += step or min(1, (high - low) / 2 if high < math.inf else 1)
    if value == schema.get("exclusiveMaximum"):
        value -= step or min(1, (high - low) / 2 if low > -math.inf else 1)
    return value


def _text(schema: Mapping[str, Any]) -> str:
    if "pattern" in schema:
        return _matching(schema["pattern"])
    text: str = _FORMATS.get(schema.get("format", ""), "a")
    text += "a" * (schema.get("minLength", 0) - len(text))
    return text[: schema.get("maxLength", len(text))]


def _matching(pattern: str) -> str:
    """A text that a simple regular expression matches: literals, classes, groups, alternatives, repeats."""
    try:
        parser = import_module("re._parser")  # the standard library's own; it has no public name
        return _all(parser.parse(pattern))
    except (re.error, ImportError, TypeError, ValueError):
        return "a"


def _all(items: Any) -> str:  # noqa: ANN401  the parser's own forms
    return "".join([_piece(op, value) for op, value in items])


def _piece(op: Any, value: Any) -> str:  # noqa: ANN401  the parser's own forms
    match str(op):
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return "b" if value == ord("a") else "a"
        case "ANY":
            return "a"
        case "IN":
            return _member(value)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _all(value[2]) * int(value[0])
        case "SUBPATTERN" | "ATOMIC_GROUP":
            return _all(value[-1] if str(op) == "SUBPATTERN" else value)
        case "BRANCH":
            return _all(value[1][0])
        case _:
            return ""


def _member(items: Any) -> str:  # noqa: ANN401  the parser's own forms
    if str(items[0][0]) == "NEGATE":
        text = "".join([_piece("IN", [item]) for item in items[1:]])
        return next(char for char in "abcdefghijklmnopqrstuvwxyz0 _-." if char not in text)
    op, value = items[0]
    match str(op):
        case "RANGE":
            return chr(value[0])
        case "CATEGORY":
            return _CATEGORIES.get(str(value), "a")
        case _:
            return chr(value)
