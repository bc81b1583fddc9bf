"""JSON Schemas as OpenAI's structured output takes them, and answers brought back to what the schema asked for.

Its strict mode takes a subset of JSON Schema: every object names all its properties, requires each and allows no other;
the root is an object. `Shape` rewrites a schema into that subset and undoes in the answer what the rewriting added:
optional properties that became nullable, and values that were wrapped in an object. Source: the vendor's guide to
structured outputs, "supported schemas".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from surefoot.core import canonical

__all__ = ["Shape"]

_KEPT = ("type", "description", "enum", "const", "pattern", "format", "multipleOf", "minimum", "maximum")
_BOUNDS = ("exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems")
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
#: What the subset cannot say, and what would mean something else if it were left out.
_BEYOND = ("patternProperties", "prefixItems", "not", "if", "dependentSchemas", "dependentRequired", "minProperties")
_WRAPPED = "value"


class Beyond(Exception):
    """The schema says something that the strict subset cannot."""


class Shape:
    """One output schema, made ready to send.

    Args:
        schema: the schema as the agent has it.
        strict: rewrite it into the strict subset; where that is impossible, `strict` is False afterwards.

    Attributes:
        schema: what to send; its root is an object.
        strict: whether it is within the strict subset.
    """

    def __init__(self, schema: Mapping[str, Any], *, strict: bool) -> None:
        self._original = schema
        self._definitions = {**schema.get("$defs", {}), **schema.get("definitions", {})}
        self._loosened = False
        root = self._root(schema)
        self._wrapped = root.get("type") != "object" or "anyOf" in root or "oneOf" in root
        try:
            self.schema = self._strict_whole(root) if strict else self._loose_whole(schema)
            self.strict = strict
        except Beyond:
            self._loosened = False
            self.schema = self._loose_whole(schema)
            self.strict = False

    def restored(self, text: str) -> str:
        """The answer as the original schema wants it; text that is no JSON, or has another form, is left alone."""
        if not (self._wrapped or self._loosened):
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if self._wrapped:
            if not isinstance(value, dict) or set(value) != {_WRAPPED}:
                return text
            value = value[_WRAPPED]
        if self._loosened:
            self._without_nulls(value, self._original)
        try:
            return canonical.dumps(value)
        except ValueError:
            return text

    def _root(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in range(16):
            target = self._definitions.get(schema.get("$ref", "").rpartition("/")[2])
            if not isinstance(target, Mapping):
                break
            schema = target
        return schema

    def _resolved(self, ref: str) -> Mapping[str, Any]:
        found = self._definitions.get(ref.rpartition("/")[2]) if ref != "#" else self._original
        if not isinstance(found, Mapping):
            raise Beyond(ref)
        return found

    def _loose_whole(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        if not self._wrapped:
            return {**self._root(schema), **({"$defs": schema["$defs"]} if "$defs" in schema else {})}
        inner = {key: value for key, value in schema.items() if key != "$defs"}
        return self._wrap(inner, dict(schema.get("$defs", {})))

    def _strict_whole(self, root: Mapping[str, Any]) -> dict[str, Any]:
        definitions = {name: self._strict(item) for name, item in self._definitions.items()}
        whole = self._strict({key: value for key, value in root.items() if key not in ("$defs", "definitions")})
        if self._wrapped:
            return self._wrap(whole, definitions)
        return {**whole, **({"$defs": definitions} if definitions else {})}

    def _wrap(self, inner: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {_WRAPPED: inner},
            "required": [_WRAPPED],
            "additionalProperties": False,
            **({"$defs": definitions} if definitions else {}),
        }

    def _strict(self, schema: Any) -> dict[str, Any]:
        if not isinstance(schema, Mapping) or any(key in schema for key in _BEYOND):
            raise Beyond(str(schema)[:80])
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return {"$ref": "#" if schema["$ref"] == "#" else f"#/$defs/{name}"}
        if "allOf" in schema:
            return self._merged(schema)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                said = {"description": schema["description"]} if "description" in schema else {}
                return {**said, "anyOf": [self._strict(item) for item in schema[key]]}
        if not any(key in schema for key in ("type", "enum", "const")):
            raise Beyond("anything goes")
        return self._plain(schema)

    def _merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        if len(schema["allOf"]) != 1:
            raise Beyond("allOf")
        rest = {key: value for key, value in schema.items() if key not in ("allOf", "default", "title", "description")}
        return self._strict({**schema["allOf"][0], **rest})

    def _plain(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: schema[key] for key in (*_KEPT, *_BOUNDS) if key in schema}
        if kept.get("format") not in _FORMATS:
            kept.pop("format", None)
        if "(?" in str(kept.get("pattern", "")):  # look-around is not supported
            del kept["pattern"]
        kinds = schema.get("type", ())
        if "object" in ((kinds,) if isinstance(kinds, str) else kinds):
            kept |= self._object(schema)
        if "array" in ((kinds,) if isinstance(kinds, str) else kinds):
            kept["items"] = self._strict(schema.get("items"))
        return kept

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        properties = schema.get("properties")
        if schema.get("additionalProperties", False) is not False or properties is None:
            raise Beyond("an object with free keys")
        required = schema.get("required", ())
        strict = {}
        for name, item in properties.items():
            strict[name] = self._strict(item)
            if name not in required and not self._takes_null(item):
                self._loosened = True
                strict[name] = {"anyOf": [strict[name], {"type": "null"}]}
        return {"properties": strict, "required": list(strict), "additionalProperties": False}

    def _takes_null(self, schema: Any, depth: int = 0) -> bool:
        if not isinstance(schema, Mapping) or depth > 16:
            return False
        if "$ref" in schema:
            return self._takes_null(self._resolved(schema["$ref"]), depth + 1)
        kinds = schema.get("type")
        if kinds == "null" or (isinstance(kinds, list) and "null" in kinds):
            return True
        if ("const" in schema and schema["const"] is None) or None in schema.get("enum", ()):
            return True
        options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        return any(self._takes_null(item, depth + 1) for item in options)

    def _without_nulls(self, value: Any, schema: Any) -> None:
        """Remove, in place, the nulls that stand for optional properties that were left out."""
        if not isinstance(schema, Mapping) or not isinstance(value, dict | list):
            return
        if "$ref" in schema:
            self._without_nulls(value, self._resolved(schema["$ref"]))
        for item in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
            self._without_nulls(value, item)
        if isinstance(value, list):
            for item in value:
                self._without_nulls(item, schema.get("items"))
            return
        properties = schema.get("properties", {})
        # Of several alternatives the value follows the one with its keys: strict answers name every property.
        if not properties or not set(value) <= set(properties):
            return
        for name, item in properties.items():
            if name not in value:
                continue
            if value[name] is None and name not in schema.get("required", ()) and not self._takes_null(item):
                del value[name]
            else:
                self._without_nulls(value[name], item)
