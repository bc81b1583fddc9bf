"""JSON Schemas made small, and values put into the one order a set has in canonical text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from surefoot.core import canonical

__all__ = ["sort_sets", "tidy"]

_MAPS = ("properties", "patternProperties")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLES = ("items", "additionalProperties", "not", "contains", "propertyNames")
_PREFIX = "#/$defs/"
#: Titles repeat names; a discriminator is OpenAPI's, not JSON Schema's.
_DROPPED = ("title", "discriminator", "$defs")


def tidy(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without titles; objects of fixed keys allow no others; definitions used once stand where they are used."""
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    uses = Counter(_references(schema))
    kept = {name for name in definitions if uses[name] > 1 or _reaches(name, name, definitions)}
    root = definitions.get(_name(schema), schema)  # a type that refers to itself is at the top all the same
    out: dict[str, Any] = _tidied(root, definitions, kept)
    if kept:
        out["$defs"] = {name: _tidied(definitions[name], definitions, kept) for name in definitions if name in kept}
    return out


def sort_sets(value: Any, schema: Mapping[str, Any]) -> Any:
    """A JSON value with the members of sets (``uniqueItems``) in the order of their canonical texts."""
    return _sorted(value, schema, schema.get("$defs", {}))


def _tidied(schema: Any, definitions: Mapping[str, Any], kept: set[str]) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    name = _name(schema)
    if name in definitions and name not in kept:
        schema = {**definitions[name], **{key: value for key, value in schema.items() if key != "$ref"}}
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _MAPS:
            out[key] = {name: _tidied(item, definitions, kept) for name, item in value.items()}
        elif key in _LISTS:
            out[key] = [_tidied(item, definitions, kept) for item in value]
        elif key in _SINGLES:
            out[key] = _tidied(value, definitions, kept)
        elif key not in _DROPPED:
            out[key] = value
    if "properties" in out or (out.get("type") == "object" and "additionalProperties" not in out and len(out) == 1):
        out.setdefault("properties", {})
        out.setdefault("additionalProperties", False)
    return out


def _children(schema: Any) -> Iterator[Any]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in _MAPS or key == "$defs":
                yield from value.values()
            elif key in _LISTS:
                yield from value
            elif key in _SINGLES:
                yield value


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping) and (name := _name(schema)):
        yield name
    for child in _children(schema):
        yield from _references(child)


def _reaches(start: str, goal: str, definitions: Mapping[str, Any]) -> bool:
    """Whether a definition refers, by way of others or not, to ``goal``."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        for name in _references(definitions.get(todo.pop(), {})):
            if name == goal:
                return True
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return False


def _name(schema: Mapping[str, Any]) -> str:
    reference = schema.get("$ref")
    return reference.removeprefix(_PREFIX) if isinstance(reference, str) else ""


def _sorted(value: Any, schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        shapes = [shape for shape in _shapes(schema, definitions) if shape.get("type") == "array"]
        first = shapes[0] if shapes else {}
        fixed = first.get("prefixItems", ())
        parts = [fixed[i] if i < len(fixed) else first.get("items") for i in range(len(value))]
        value = [_sorted(item, part, definitions) for item, part in zip(value, parts, strict=True)]
        # Where a union allows a list as well, order may mean something.
        if shapes and all(shape.get("uniqueItems") for shape in shapes):
            value.sort(key=canonical.dumps)
    elif isinstance(value, dict):
        return {key: _sorted(item, _part(key, value, schema, definitions), definitions) for key, item in value.items()}
    return value


def _part(key: str, value: Mapping[str, Any], schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema of one key of an object, by the first shape that knows every key."""
    shapes = [shape for shape in _shapes(schema, definitions) if shape.get("type") == "object"]
    for shape in shapes:
        known = shape.get("properties", {})
        if value.keys() <= known.keys() or isinstance(shape.get("additionalProperties"), Mapping):
            return known.get(key, shape.get("additionalProperties"))
    return None


def _shapes(schema: Any, definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if not isinstance(schema, Mapping):
        return
    if name := _name(schema):
        yield from _shapes(definitions.get(name), definitions)
    elif any(key in schema for key in ("anyOf", "oneOf")):
        for member in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            yield from _shapes(member, definitions)
    else:
        yield schema
