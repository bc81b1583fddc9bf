"""JSON Schemas as providers take them for structured output, and answers brought back to what the schema asked for.

`Loose` leaves a schema as it is, but gives it an object at its root; `Narrow` rewrites it into a provider's `Dialect`:
what a dialect cannot check goes into the description, where the model reads it, and what would change the answer's form
raises `Beyond`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surefoot.core import canonical
from surefoot.models.forms import Beyond

__all__ = ["Dialect", "Loose", "Narrow"]

_WRAPPED = "value"
_DEEPEST = 16
#: Keywords that neither check nor describe anything, or that are written anew.
_SILENT = frozenset(
    {"title", "default", "examples", "discriminator", "deprecated", "readOnly", "writeOnly", "$schema", "$id", "$comment"}
    | {"$defs", "definitions", "description", "type", "enum", "const", "anyOf", "oneOf", "allOf", "properties", "required"}
    | {"additionalProperties", "items", "prefixItems"}
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The part of JSON Schema that a provider takes.

    Args:
        kept: keywords that are sent as they are, beside those of structure.
        formats: values of ``format`` that are sent.
        open: objects may have free keys, arrays may be tuples, values may be anything, definitions may recur.
        const: ``const`` is known; else it is written as an ``enum`` of one.
    """

    kept: frozenset[str]
    formats: frozenset[str]
    open: bool
    const: bool


class Loose:
    """A schema as it is; a root that is no object is wrapped in one, and answers are unwrapped.

    Attributes:
        schema: what to send.
        wrapped: whether its root is an object that is not the original's.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._original = schema
        self._definitions: dict[str, Any] = {**schema.get("$defs", {}), **schema.get("definitions", {})}
        self._top = self._root(schema)
        self.wrapped = self._top.get("type") != "object" or "anyOf" in self._top or "oneOf" in self._top
        self.schema = self._whole()

    def restored(self, text: str) -> str:
        """The answer as the original schema wants it; text that is no JSON, or has another form, is left alone."""
        if not self.wrapped:
            return text
        try:
            value = json.loads(text)
            if not isinstance(value, dict) or set(value) != {_WRAPPED}:
                return text
            return canonical.dumps(value[_WRAPPED])
        except (ValueError, RecursionError):
            return text

    def _root(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in range(_DEEPEST):
            target = self._definitions.get(str(schema.get("$ref", "")).rpartition("/")[2])
            if not isinstance(target, Mapping):
                break
            schema = target
        return schema

    def _whole(self) -> dict[str, Any]:
        inner = {key: value for key, value in self._top.items() if key not in ("$defs", "definitions")}
        return self._rooted(inner, self._definitions)

    def _rooted(self, inner: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
        if self.wrapped:
            inner = {
                "type": "object",
                "properties": {_WRAPPED: inner},
                "required": [_WRAPPED],
                "additionalProperties": False,
            }
        return {**inner, **({"$defs": dict(definitions)} if definitions else {})}


class Narrow(Loose):
    """A schema within a dialect. Raises Beyond where the dialect cannot say what the schema says."""

    def __init__(self, schema: Mapping[str, Any], dialect: Dialect) -> None:
        self._dialect = dialect
        super().__init__(schema)

    def _whole(self) -> dict[str, Any]:
        if not self._dialect.open and self._recurs():
            raise Beyond("definitions that recur")
        definitions = {name: self._narrow(item) for name, item in self._definitions.items()}
        return self._rooted(self._narrow(self._top), definitions)

    def _recurs(self) -> bool:
        uses = {name: _references(item) for name, item in self._definitions.items()}

        def reaches(name: str, goal: str, seen: set[str]) -> bool:
            found = uses.get(name, set()) - seen
            return goal in found or any(reaches(other, goal, seen | found) for other in found)

        return "#" in _references(self._original) or any(reaches(name, name, set()) for name in uses)

    def _narrow(self, schema: Any) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            return self._anything(schema)
        if "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
            if name not in self._definitions and name != "#":
                raise Beyond(str(schema["$ref"]))
            return {"$ref": "#" if name == "#" else f"#/$defs/{name}"}
        if "allOf" in schema:
            return self._merged(schema)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            rest = {key: value for key, value in schema.items() if key != "type"}
            schema = {"anyOf": [{**rest, "type": kind} for kind in kinds]} if len(kinds) > 1 else {**rest, "type": kinds[0]}
        options = schema.get("anyOf", schema.get("oneOf"))
        if options is not None:
            return {**self._described(schema), "anyOf": [self._narrow(option) for option in options]}
        if not any(key in schema for key in ("type", "enum", "const")):
            return self._anything(schema)
        return self._plain(schema)

    def _anything(self, schema: Any) -> dict[str, Any]:
        if not self._dialect.open or schema is False:
            raise Beyond("anything goes")
        return self._described(schema) if isinstance(schema, Mapping) else {}

    def _merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        parts = [self._root(part) for part in schema["allOf"]]
        if len(parts) != 1:
            raise Beyond("allOf")
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        return self._narrow({**parts[0], **rest})

    def _plain(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        narrow = self._described(schema)
        kind = schema.get("type")
        if kind is not None:
            narrow["type"] = kind
        if "enum" in schema:
            narrow["enum"] = list(schema["enum"])
        if "const" in schema:
            narrow |= {"const": schema["const"]} if self._dialect.const else {"enum": [schema["const"]]}
        if kind == "object":
            narrow |= self._object(schema)
        elif kind == "array":
            narrow |= self._array(schema)
        return narrow

    def _described(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The keywords that are kept, and a description that holds the others."""
        kept: dict[str, Any] = {}
        said: list[str] = []
        for key, value in schema.items():
            if key in _SILENT:
                continue
            known = value in self._dialect.formats if key == "format" and isinstance(value, str) else key in self._dialect.kept
            # The one bound on arrays that narrow dialects check is that there is something in them.
            if known and not (key == "minItems" and not self._dialect.open and value not in (0, 1)):
                kept[key] = value
            else:
                said.append(f"{key}: {value if isinstance(value, str) else json.dumps(value, default=str)}")
        words = " ".join([str(schema.get("description", "")), f"({', '.join(said)})" if said else ""]).strip()
        return {**kept, **({"description": words} if words else {})}

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        properties = schema.get("properties")
        free = schema.get("additionalProperties", properties is None)
        narrow: dict[str, Any] = {}
        if free is not False and not self._dialect.open:
            raise Beyond("an object with free keys")
        if properties is not None or free is False:
            narrow["properties"] = {name: self._narrow(item) for name, item in (properties or {}).items()}
            narrow["required"] = [name for name in schema.get("required", ()) if name in narrow["properties"]]
        narrow["additionalProperties"] = self._narrow(free) if isinstance(free, Mapping) and free else free
        return narrow

    def _array(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        narrow: dict[str, Any] = {}
        if "prefixItems" in schema:
            if not self._dialect.open:
                raise Beyond("a tuple")
            narrow["prefixItems"] = [self._narrow(item) for item in schema["prefixItems"]]
        items = schema.get("items")
        if isinstance(items, Mapping) and items:
            narrow["items"] = self._narrow(items)
        elif "prefixItems" not in schema and not self._dialect.open:
            raise Beyond("an array of anything")
        return narrow


def _references(schema: Any) -> set[str]:
    """The names of the definitions that a schema refers to."""
    if isinstance(schema, Mapping):
        found = {str(schema["$ref"]).rpartition("/")[2]} if isinstance(schema.get("$ref"), str) else set()
        return found.union(*[_references(value) for value in schema.values()])
    if isinstance(schema, list):
        return set().union(*[_references(value) for value in schema])
    return set()
