"""Arguments to Cedar: a type for every parameter that has one, and values that fit their types or are named as left out.

`forms_of` reads a tool's JSON Schema, `cedar_type` writes a form as Cedar's schema wants it, and `mapped` turns canonical
arguments into a Cedar context. Whatever does not fit exactly is left out and named, so that a policy asks instead of
deciding on half a call.

========================================  ====================================================================
boolean, string                           Bool, String (up to 64 KiB)
integer within 64 bits                    Long
number; Decimal                           decimal, where exact to four places
null                                      absent (``has``)
object with fixed keys                    record
object with free keys                     set of ``{key, value}``
array of one type                         set, and ``context.count.<argument>``
date-time (with its zone), date           datetime, where exact to the millisecond
anything else                             left out, named in ``context.unmapped``
========================================  ====================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["Form", "Mapped", "cedar_type", "forms_of", "mapped"]

#: Bytes of the longest text that a policy is shown.
TEXT_LIMIT = 64 * 1024
_DECIMAL = Decimal("0.0001")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TYPES = {"bool": "Boolean", "string": "String", "long": "Long"}
#: A union of these is what a Decimal's schema is, and what an int or float is.
_NUMBERS = frozenset({"long", "decimal"})


@dataclass(frozen=True, slots=True)
class Form:
    """How a value looks in Cedar: ``kind`` is bool, string, long, decimal, datetime, record, set or pairs.

    ``fields`` are a record's, ``item`` is what a set or the values of pairs hold. An optional one may be absent.
    """

    kind: str
    fields: Mapping[str, Form] = field(default_factory=dict)
    item: Form | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Mapped:
    """Arguments as Cedar's JSON, the sizes of lists and objects, and the names of what was left out."""

    args: dict[str, Any]
    count: dict[str, int]
    unmapped: tuple[str, ...]


def forms_of(schema: Mapping[str, Any]) -> Form:
    """The record of a tool's arguments; parameters that no Cedar type fits are not in it."""
    form = _form(schema, schema.get("$defs", {}), ())
    return form if form is not None and form.kind == "record" else Form("record")


def cedar_type(form: Form) -> dict[str, Any]:
    """A form in Cedar's JSON schema format."""
    if form.kind in _TYPES:
        return {"type": _TYPES[form.kind]}
    if form.kind in ("decimal", "datetime"):
        return {"type": "Extension", "name": form.kind}
    if form.kind == "record":
        fields = {name: {**cedar_type(part), "required": not part.optional} for name, part in form.fields.items()}
        return {"type": "Record", "attributes": fields}
    assert form.item is not None  # sets and pairs hold something
    item = cedar_type(form.item)
    if form.kind == "pairs":
        item = {"type": "Record", "attributes": {"key": {"type": "String"}, "value": item}}
    return {"type": "Set", "element": item}


def mapped(form: Form, arguments: Any) -> Mapped:  # noqa: ANN401  any JSON value
    """Canonical arguments, parsed, as a policy sees them."""
    unmapped: list[str] = []
    if not isinstance(arguments, dict):
        return Mapped({}, {}, ("arguments",))
    args = _record(form, arguments, "", unmapped)
    count = {name: len(arguments[name]) for name in args if isinstance(arguments[name], list | dict) and _counted(form, name)}
    return Mapped(args, count, tuple(unmapped))


def _counted(form: Form, name: str) -> bool:
    return form.fields[name].kind in ("set", "pairs")


# ── types ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _form(schema: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Form | None:  # noqa: ANN401  JSON Schema
    """The form of a schema; None where no Cedar type fits."""
    if not isinstance(schema, Mapping):
        return None
    reference = schema.get("$ref")
    if isinstance(reference, str):
        # A type that holds itself has no Cedar type.
        return (
            None
            if reference in inside
            else _form(definitions.get(reference.rpartition("/")[2]), definitions, (*inside, reference))
        )
    members = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(members, Sequence):
        return _union(members, definitions, inside)
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union([{**schema, "type": one} for one in kind], definitions, inside)
    kind = kind or _kind_of_values(schema)
    match kind:
        case "boolean" | "integer" | "number":
            return Form({"boolean": "bool", "integer": "long", "number": "decimal"}[kind])
        case "string":
            return Form("datetime" if schema.get("format") in ("date-time", "date") else "string")
        case "array":
            return _array(schema, definitions, inside)
        case "object":
            return _object(schema, definitions, inside)
        case _:
            return None


def _kind_of_values(schema: Mapping[str, Any]) -> str:
    """The type that all values of an enumeration have."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    names = {str: "string", bool: "boolean", int: "integer"}
    kinds = {names.get(type(value), "") for value in values}
    return kinds.pop() if len(kinds) == 1 else ""


def _union(members: Sequence[Any], definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Form | None:
    some = [member for member in members if not (isinstance(member, Mapping) and member.get("type") == "null")]
    forms = [_form(member, definitions, inside) for member in some]
    if not forms or None in forms:
        return None
    kinds = {form.kind for form in forms if form}
    if kinds <= _NUMBERS | {"string"} and kinds & {"decimal"}:
        found: Form | None = Form("decimal")
    else:
        found = forms[0] if all(form == forms[0] for form in forms) else None
    if found is None or len(some) == len(members):
        return found
    return Form(found.kind, found.fields, found.item, optional=True)


def _array(schema: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Form | None:
    parts = [*schema.get("prefixItems", ()), *([schema["items"]] if isinstance(schema.get("items"), Mapping) else ())]
    item = _union(parts, definitions, inside)
    return None if item is None or item.optional else Form("set", item=item)


def _object(schema: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Form | None:
    free = schema.get("additionalProperties")
    if "properties" not in schema and isinstance(free, Mapping):
        item = _form(free, definitions, inside)
        return None if item is None or item.optional else Form("pairs", item=item)
    if "properties" not in schema:
        return None
    fields: dict[str, Form] = {}
    for name, part in schema["properties"].items():
        form = _form(part, definitions, inside)
        if form is None or name.startswith("__"):
            continue
        # A default is filled in when arguments are validated; what has neither may be missing.
        given = name in schema.get("required", ()) or part.get("default") is not None
        fields[name] = Form(form.kind, form.fields, form.item, form.optional or not given)
    return Form("record", fields)


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Unfit(Exception):
    """A value that its type cannot hold exactly."""


def _record(form: Form, value: Mapping[str, Any], path: str, unmapped: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, item in value.items():
        if item is None:
            continue
        part = form.fields.get(name)
        if part is None:
            unmapped.append(f"{path}{name}")
        elif part.kind == "record" and isinstance(item, dict):
            out[name] = _record(part, item, f"{path}{name}.", unmapped)
        else:
            try:
                out[name] = _value(part, item)
            except _Unfit:
                unmapped.append(f"{path}{name}")
    return out


def _value(form: Form, value: Any) -> Any:  # noqa: ANN401  any JSON value
    """A value in Cedar's JSON. Raises _Unfit."""
    kind = type(value)
    match form.kind:
        case "bool" if kind is bool:
            return value
        case "long" if kind is int and -(2**63) <= value < 2**63:
            return value
        case "string" if kind is str and (len(value) <= TEXT_LIMIT // 4 or len(value.encode()) <= TEXT_LIMIT):
            return value
        case "decimal" if kind in (int, float, str):
            return _extension("decimal", _decimal(value))
        case "datetime" if kind is str:
            return _extension("datetime", _datetime(value))
        case "record" if kind is dict:
            unmapped: list[str] = []
            out = _record(form, value, "", unmapped)
            if not unmapped:
                return out
        case "set" if kind is list:
            assert form.item is not None  # a set holds something
            return [_value(form.item, item) for item in value]
        case "pairs" if kind is dict:
            return list(_pairs(form, value))
    raise _Unfit


def _pairs(form: Form, value: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    assert form.item is not None  # pairs hold something
    for key, item in value.items():
        if key.startswith("__") or len(key) > TEXT_LIMIT // 4:
            raise _Unfit
        yield {"key": key, "value": _value(form.item, item)}


def _extension(function: str, text: str) -> dict[str, Any]:
    return {"__extn": {"fn": function, "arg": text}}


def _decimal(value: float | str) -> str:
    """A number as Cedar writes it: 64 bits with four places. Raises _Unfit where that is not exact."""
    try:
        number = Decimal(value if isinstance(value, str) else repr(value))
        exact = number.quantize(_DECIMAL)
    except InvalidOperation:
        raise _Unfit from None
    if exact != number or not -(2**63) <= int(exact * 10_000) < 2**63:
        raise _Unfit
    return f"{exact + 0:f}"  # adding nothing takes the sign from a zero


def _datetime(value: str) -> str:
    """A time as Cedar writes it, in UTC. Raises _Unfit where that is not exact, and for a time without its zone."""
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value).isoformat()
        when = datetime.fromisoformat(value)
        if when.tzinfo is None or when.microsecond % 1000:
            raise _Unfit
        return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{when.microsecond // 1000:03d}Z"
    except (ValueError, OverflowError):
        raise _Unfit from None
