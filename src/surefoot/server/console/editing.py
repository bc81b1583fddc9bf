"""The form that changes a call's arguments before it is approved: one field for each, as the tool's schema says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from surefoot.core.request import Request

__all__ = ["Field", "edited", "fields_of"]

#: Text of more characters, or of several lines, gets a field of several lines.
_LONG = 60


@dataclass(frozen=True, slots=True)
class Field:
    """One argument in a form. ``value`` is its text, as JSON unless ``plain``; ``choices`` are those of the kind ``choice``."""

    name: str
    kind: Literal["line", "text", "number", "whole", "choice"]
    value: str
    plain: bool
    choices: tuple[str, ...] = ()
    about: str = ""


def fields_of(question: Request, schema: Mapping[str, Any] | None) -> list[Field]:
    """The arguments that an approval may change: those of the call, and, where the schema is known, those it left out."""
    args = question.args
    known = (schema or {}).get("properties", {})
    may = question.verdict.may_edit if question.verdict else None
    names = [*args, *[name for name in known if name not in args]]
    return [
        _field(name, args.get(name), name in args, _resolved(known.get(name, {}), schema or {}))
        for name in names
        if may is None or name in may
    ]


def edited(question: Request, fields: list[Field], form: Mapping[str, str]) -> dict[str, Any] | None:
    """The arguments that a filled-in form changes, None for none. Raises ValueError for what is no JSON."""
    changed: dict[str, Any] = {}
    for field in fields:
        text = form.get(f"edit.{field.name}")
        if text is None or text.replace("\r\n", "\n") == field.value or (not text and field.name not in question.args):
            continue
        value = text if field.plain else json.loads(text)
        if value != question.args.get(field.name):
            changed[field.name] = value
    return changed or None


def _field(name: str, value: Any, given: bool, schema: Mapping[str, Any]) -> Field:  # noqa: ANN401  any JSON value
    kinds = schema.get("type", "")
    about = str(schema.get("description", ""))
    choices = [schema["const"]] if "const" in schema else schema.get("enum", [True, False] if kinds == "boolean" else [])
    if choices:
        told = tuple(json.dumps(choice, ensure_ascii=False) for choice in choices)
        return Field(name, "choice", json.dumps(value, ensure_ascii=False) if given else "", False, told, about)
    plain = isinstance(value, str) or (kinds == "string" and not given)
    text = value if plain and given else json.dumps(value, ensure_ascii=False) if given else ""
    if kinds in ("integer", "number") and (not given or (isinstance(value, int | float) and not isinstance(value, bool))):
        return Field(name, "whole" if kinds == "integer" else "number", text, False, (), about)
    return Field(name, "text" if len(text) > _LONG or "\n" in text else "line", text, plain, (), about)


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without its reference, and without the null that makes it optional."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name:
        return {**whole.get("$defs", {}).get(name, {}), **schema}
    some = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    return {**_resolved(some[0], whole), **schema} if len(some) == 1 else schema
