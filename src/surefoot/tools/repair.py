"""JSON as models write it: read what is meant where only one thing can be meant, refuse the rest.

Repaired are white space and a byte order mark around the value, a code fence around it, trailing commas, Python's
``True``, ``False`` and ``None``, raw line breaks in strings, and a JSON string that holds the JSON. Nothing is guessed:
duplicate keys, NaN and what is cut off are refused, with a text that says where.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from surefoot.core import canonical

__all__ = ["Unreadable", "kind_of", "quoted", "read", "read_in_prose", "read_object", "unquote"]

#: Candidates tried when looking for one object in prose; a text with more is not clear anyway.
_TRIES = 64
# Possessive, hence linear: what a model writes must not be able to keep us busy.
_FENCE = re.compile(r"```[\w-]*+(.*?)```", re.DOTALL)
# A string, closed or not, is one token, so that nothing inside it is touched.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|,(?=\s*+[}\]])|\b(?:True|False|None)\b', re.DOTALL)
_PYTHON = {"True": "true", "False": "false", "None": "null", ",": ""}
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


class Unreadable(ValueError):
    """The text is no JSON value, or not clearly one; the text of this error is for the model that wrote it."""


def read(text: str) -> tuple[Any, str]:
    """The value a text means, and valid JSON text that says it: the text itself where it needed no repair.

    Raises `Unreadable`.
    """
    try:
        return _decoded(_strict, text), text
    except json.JSONDecodeError as error:
        problem = error
    clean = _repaired(text)
    try:
        value = _decoded(_loose, clean)
        return value, canonical.dumps(value)
    except json.JSONDecodeError:
        raise Unreadable(f"not valid JSON: {problem.msg} at character {problem.pos}{_near(text, problem.pos)}") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None


def read_object(text: str) -> tuple[Any, str]:
    """As `read`, but a JSON string that holds an object is read as that object."""
    value, clean = read(text)
    if isinstance(value, str):
        with suppress(Unreadable):
            inner, clean_inner = read(value)
            if isinstance(inner, dict):
                return inner, clean_inner
    return value, clean


def read_in_prose(text: str) -> tuple[Any, str]:
    """As `read_object`, but the value may stand in prose: alone in a code fence, or as the only object, or else array.

    Raises `Unreadable`.
    """
    try:
        return read_object(text)
    except Unreadable as error:
        problem = error
    fences = _FENCE.findall(text)
    if len(fences) == 1:
        try:
            return read(fences[0])
        except Unreadable:
            pass
    for opening in "{[":
        found = _candidates(text, opening)
        if len(found) == 1:
            return read(found[0])
        if found:
            raise Unreadable(f"the text holds {len(found)} JSON values; answer with one and nothing else")
    raise problem


def kind_of(value: Any) -> str:
    """What a JSON value is, in words: ``an object``, ``null``."""
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


def quoted(text: str) -> str:
    """A string as JSON shows it, with lone surrogates escaped, so that it can be told to a model."""
    return json.dumps(text, ensure_ascii=not _encodable(text))


def unquote(value: Any, places: Iterable[Sequence[str | int]]) -> Any:
    """A copy of a JSON value in which strings that hold an object or array, at these places, are what they hold.

    Models write ``{"ids": "[1, 2]"}``; where only an array can stand, that is what is meant. Raises `Unreadable` when
    there is no such string at one of the places.
    """
    root = {"": copy.deepcopy(value)}
    for place in places:
        inner: Any = root
        *way, last = ("", *place)
        for key in way:
            inner = inner[key]
        held = read(inner[last])[0] if isinstance(inner[last], str) else None
        if not isinstance(held, dict | list):
            raise Unreadable("no JSON object or array")
        inner[last] = held
    return root[""]


def _repaired(text: str) -> str:
    text = text.strip().lstrip("\ufeff")
    fence = _FENCE.fullmatch(text)
    return _TOKEN.sub(lambda match: _PYTHON.get(match[0], match[0]), fence[1] if fence else text)


def _candidates(text: str, opening: str) -> list[str]:
    """The texts of the JSON values in prose that start with ``opening``, none inside another."""
    found: list[str] = []
    start = text.find(opening)
    for _ in range(_TRIES):
        if start < 0:
            break
        try:
            _, end = _strict.raw_decode(text, start)
            found.append(text[start:end])
        except (ValueError, RecursionError):
            end = start + 1
        start = text.find(opening, end)
    return found


def _decoded(decoder: json.JSONDecoder, text: str) -> Any:
    """The value. Raises JSONDecodeError for what a repair may mend, `Unreadable` for what none can."""
    try:
        return decoder.decode(text)
    except (json.JSONDecodeError, Unreadable):
        raise
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except ValueError:  # the interpreter's limit, 4300 digits unless set otherwise
        raise Unreadable("a number has too many digits") from None


def _near(text: str, position: int) -> str:
    around = text[max(0, position - 15) : position + 15]
    return f", near {quoted(around)}" if around else ""


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"the key {quoted(twice)} appears twice in one object; give it once")
    return value


def _refuse(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON; use a finite number or null")


_strict = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
_loose = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse, strict=False)
