"""Read a tool's JSON Schema as far as filling it from a request goes: which values are wanted, and of which kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from surefoot.core.tool import ToolSpec
from surefoot.models.local_text import masked, words

__all__ = ["Parameter", "parameters"]

Kind = Literal["number", "string", "choice", "array", "other"]

#: Words that stand before a value in a request, by what its parameter is called.
_ROLES = {
    "from": ("from", "source", "src", "origin", "start", "begin", "sender"),
    "to": ("to", "target", "dest", "destination", "end", "recipient", "receiver", "until"),
    "by": ("by", "divisor", "factor", "percent"),
    "with": ("with",),
    "at": ("at", "time"),
    "on": ("on", "date", "day"),
    "for": ("for", "duration"),
    "in": ("in", "location", "place", "where", "city", "town", "country", "region", "room"),
}
#: What may stand in a request where the parameter's own word would.
_ALSO = {"to": ("to", "into", "in"), "in": ("in", "at", "for"), "by": ("by",), "from": ("from", "off")}


@dataclass(frozen=True)
class Parameter:
    """One argument a tool takes. ``options`` are the values of a choice; ``item`` what an array holds."""

    name: str
    kind: Kind
    required: bool
    schema: Mapping[str, Any]
    description: str = ""
    options: tuple[Any, ...] = ()
    integer: bool = False
    item: Parameter | None = None
    about: str = field(default="", repr=False)

    @property
    def label(self) -> str:
        """The name as words."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name.replace("_", " ")).lower()

    @cached_property
    def cues(self) -> tuple[str, ...]:
        """Words that, standing before a value in a request, show that it is meant for this parameter.

        They come from the name ("to"), from the description's last word ("the unit to convert from"), and from the word
        before the name in the tool's description ("Subtract b from a").
        """
        own = self.label.split()
        said = words(self.description.casefold())
        before = re.search(rf"\b(\w+)\s+{re.escape(self.name)}\b", self.about)
        found: dict[str, None] = {}
        for role, names in _ROLES.items():
            if (
                role in said[-1:]
                or (role == "in" and said[:1] == ["where"])
                or (before and before[1].casefold() == role)
                or any(name in own for name in names)
            ):
                found.update(dict.fromkeys(_ALSO.get(role, (role,))))
        return tuple(found)

    def mentioned(self, text: str) -> Any:
        """The option of a choice that a text names; None when it names none, or more than one."""
        plain = masked(text).casefold()
        named = [option for option in self.options if isinstance(option, str) and _names(plain, option)]
        return named[0] if len(named) == 1 else None


def parameters(spec: ToolSpec) -> list[Parameter]:
    """A tool's parameters, in the order of its schema."""
    return _read(spec.input_schema, spec.input_schema, spec.description)


def _read(schema: Mapping[str, Any], root: Mapping[str, Any], about: str) -> list[Parameter]:
    required = schema.get("required", ())
    return [
        _parameter(name, _resolve(inner, root), name in required, root, about)
        for name, inner in schema.get("properties", {}).items()
    ]


def _parameter(name: str, schema: Mapping[str, Any], required: bool, root: Mapping[str, Any], about: str) -> Parameter:
    kind, options, item = _kind(schema), tuple(schema.get("enum", ())), None
    if "const" in schema:
        options = (schema["const"],)
    elif schema.get("type") == "boolean":
        options = (True, False)
    if kind == "array":
        item = _parameter(name, _resolve(schema.get("items", {}), root), True, root, about)
    said = str(schema.get("description", ""))
    integer = schema.get("type") == "integer"
    return Parameter(name, kind, required, schema, said, options, integer, item, about)


def _kind(schema: Mapping[str, Any]) -> Kind:
    if "enum" in schema or "const" in schema or schema.get("type") == "boolean":
        return "choice"
    match schema.get("type"):
        case "number" | "integer":
            return "number"
        case "string":
            return "string"
        case "array":
            return "array"
        case _:
            return "other"


def _resolve(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without a reference at its top, and, of several allowed, the first that is not null."""
    seen: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}
    for _ in range(8):
        reference = seen.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            found: Any = root
            for step in reference[2:].split("/"):
                found = found.get(step, {}) if isinstance(found, Mapping) else {}
            seen = {**found, **{key: value for key, value in seen.items() if key != "$ref"}}
            continue
        several = seen.get("anyOf") or seen.get("oneOf") or seen.get("allOf")
        if not several:
            break
        given = [one for one in several if isinstance(one, Mapping) and one.get("type") != "null"]
        # Of an integer and a number, the number takes both.
        chosen = next((one for one in given if one.get("type") == "number"), given[0] if given else {})
        seen = {**chosen, **{key: value for key, value in seen.items() if key not in ("anyOf", "oneOf", "allOf")}}
    kinds = seen.get("type")
    if isinstance(kinds, list):
        kind = "number" if "number" in kinds else next((one for one in kinds if one != "null"), "null")
        seen = {**seen, "type": kind}
    return seen


def _names(text: str, option: str) -> bool:
    wanted = option.casefold().replace("_", " ")
    return re.search(rf"(?<!\w){re.escape(wanted)}s?(?!\w)", text) is not None
