"""What a model did wrong, in words it can act on: where, what was expected, what it gave.

`explain` turns pydantic's errors into such a text; `difference` finds where two JSON values part.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from surefoot.tools.repair import quoted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails, ValidationError

__all__ = ["difference", "explain", "held_in_strings", "nearest", "path_text", "printable", "walk"]

_MOST = 8
#: Keys that are not expected, of models and TypedDicts, and of dataclasses.
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
#: What an object or array was wanted for.
_CONTAINERS = frozenset(
    {"list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type", "dict_type", "mapping_type", "model_type"}
    | {"model_attributes_type", "dataclass_type", "named_tuple_type"}
)
_SHOWN = 60


def explain(error: ValidationError, value: Any, known: Sequence[str]) -> str:
    """The errors of one validation, a clause for each place; ``value`` is what was read, ``known`` its valid keys."""
    told: dict[str, list[str]] = {}
    items = error.errors(include_url=False)
    # One member of a union does not know the other's keys: that says nothing where there is more to say.
    telling = [item for item in items if item["type"] not in _UNKNOWN or not walk(item["loc"], value)[2]]
    for item in telling or items:
        where, what = _clause(item, value, known)
        clauses = told.setdefault(where, [])
        if what not in clauses:
            clauses.append(what)
    lines = [f"{where}: {' or '.join(what)}" if where else " or ".join(what) for where, what in told.items()]
    if len(lines) > _MOST:
        lines[_MOST:] = [f"and {len(lines) - _MOST} more"]
    return printable("; ".join(lines))


def held_in_strings(error: ValidationError, value: Any) -> list[tuple[str | int, ...]]:
    """The places where an object or array was wanted and a string stands; empty when anything else is wrong as well."""
    items = [(walk(item["loc"], value)[0], item) for item in error.errors(include_url=False)]
    wanted = {path for path, item in items if item["type"] in _CONTAINERS and isinstance(item["input"], str)}
    # Other members of a union complain of the same string.
    return sorted(wanted, key=len) if all(path in wanted for path, _ in items) else []


def difference(left: Any, right: Any, path: tuple[str | int, ...] = ()) -> str:
    """Where two JSON values first differ, as a path; empty for the whole."""
    if type(left) is type(right):
        if isinstance(left, dict) and left.keys() == right.keys():
            pairs: Iterable[tuple[Any, Any, Any]] = ((key, left[key], right[key]) for key in left)
        elif isinstance(left, list) and len(left) == len(right):
            pairs = ((index, *both) for index, both in enumerate(zip(left, right, strict=True)))
        else:
            return path_text(path)
        for key, one, other in pairs:
            if repr(one) != repr(other):
                return difference(one, other, (*path, key))
    return path_text(path)


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing when no known name is near."""
    found = difflib.get_close_matches(name.lower(), {item.lower(): item for item in known}, n=1, cutoff=0.6)
    match = next((item for item in known if found and item.lower() == found[0]), None)
    return f"; did you mean {quoted(match)}?" if match else ""


def path_text(path: Iterable[str | int]) -> str:
    """A path as people write it: ``lines[2].price``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def printable(text: str) -> str:
    """Text that is valid UTF-8: lone surrogates are written out."""
    return text.encode(errors="backslashreplace").decode()


def walk(loc: Sequence[str | int], value: Any) -> tuple[tuple[str | int, ...], Any, str]:
    """The part of a location that is a path in ``value``, what is there, and the union's member meant, if it is one.

    pydantic mixes the names of a union's members into its locations.
    """
    path: list[str | int] = []
    member = ""
    for index, part in enumerate(loc):
        inside = part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value))
        if inside:
            value = value[part]
            path.append(part)
        elif index + 1 < len(loc) and str(part).isidentifier():
            member = str(part)
    return tuple(path), value, member


def _clause(item: ErrorDetails, value: Any, known: Sequence[str]) -> tuple[str, str]:
    path, found, member = walk(item["loc"], value)
    where = path_text(path)
    match item["type"]:
        case "missing":
            return path_text((*path, str(item["loc"][-1]))), f"missing, and required{member and f' for {member}'}"
        case kind if kind in _UNKNOWN:
            hint = nearest(str(item["loc"][-1]), known) if len(path) == 1 else ""
            names = f"; known are {', '.join(known)}" if known and len(path) == 1 and not hint else ""
            return where, f"is not a known name{hint}{names}"
        case "value_error" | "assertion_error":
            return where, item["msg"].partition(", ")[2] or item["msg"]
        case "json_invalid":
            return where, item["msg"].replace("Invalid JSON", "not valid JSON")
        case _:
            return where, f"{item['msg'].replace('Input should', 'should')}, got {_shown(found)}"


def _shown(value: Any) -> str:
    try:
        text = quoted(value) if isinstance(value, str) else json.dumps(value, default=str)
    except (ValueError, RecursionError):
        return "a value that cannot be shown"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
