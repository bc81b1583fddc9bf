"""What a tool returned, as what a model reads.

Text stays as it is; parts (`Text`, `Image`, `File`, and lists of them) stay parts; bytes are text where they are UTF-8
and a file where not; everything else is JSON: by the tool's return annotation where the value fits it, by its own type
where not. ``None`` is ``null``, and ``done`` for a tool that is annotated to return nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from surefoot.core.messages import File, Image, Text
from surefoot.core.tool import ToolOutput

if TYPE_CHECKING:
    from pydantic_core import SchemaSerializer

__all__ = ["encode"]

_PARTS = (Text, Image, File)
_CHUNK = 1 << 20


def encode(value: Any, serializer: SchemaSerializer | None = None, *, nothing: str = "null") -> ToolOutput:
    """The output of a tool that returned ``value``; ``nothing`` is what None reads as.

    Raises TypeError, saying what to do, for what cannot be encoded: iterators, objects without a JSON form.
    """
    match value:
        case str():
            return ToolOutput(_sound(str(value)))
        case None:
            return ToolOutput(nothing)
        case ToolOutput():
            return value
        case bytes() | bytearray() | memoryview():
            return _of_bytes(bytes(value))
        case Text() | Image() | File():
            return _of_parts([value])
        case list() | tuple() if _is_parts(value):
            return _of_parts(value)
        case Iterator() | AsyncIterator():
            raise TypeError(f"the tool returned {_article(value)}, which can be read only once; return a list instead")
        case _:
            return ToolOutput(_json(value, serializer))


def _is_parts(value: list[Any] | tuple[Any, ...]) -> bool:
    return any(isinstance(item, _PARTS) for item in value) and all(isinstance(item, (*_PARTS, str)) for item in value)


def _of_parts(items: list[Any] | tuple[Any, ...]) -> ToolOutput:
    texts = [item if isinstance(item, str) else item.text for item in items if isinstance(item, str | Text)]
    parts = tuple(item for item in items if isinstance(item, Image | File))
    # A model that cannot see a part should at least know that there is one.
    names = [getattr(part, "name", "") or part.media_type for part in parts]
    return ToolOutput(_sound("\n".join(texts)) if texts else f"attached: {', '.join(names)}", parts)


def _of_bytes(data: bytes) -> ToolOutput:
    try:
        return ToolOutput(data.decode())
    except UnicodeDecodeError:
        return _of_parts([File(data=data)])


def _sound(text: str) -> str:
    """The text, with lone surrogates written out: what cannot be UTF-8 cannot be stored. Large texts are not copied."""
    if text.isascii():
        return text
    try:
        for start in range(0, len(text), _CHUNK):
            text[start : start + _CHUNK].encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


def _json(value: Any, serializer: SchemaSerializer | None) -> str:
    if type(value) is float and not math.isfinite(value):
        return str(value)
    if serializer is not None:
        try:
            return serializer.to_json(value, by_alias=True, warnings="error", ensure_ascii=False).decode()
        except Exception:  # noqa: BLE001,S110  not what the annotation says: then as what it is
            pass
    from pydantic_core import to_json, to_jsonable_python

    try:
        return to_json(value, by_alias=True, inf_nan_mode="strings", fallback=_builtin).decode()
    except Exception as error:  # noqa: BLE001  serializers are users' code
        why = str(error)
    try:  # names of files may hold what is not UTF-8: written out, they can be told
        return json.dumps(to_jsonable_python(value, by_alias=True, inf_nan_mode="strings", fallback=_builtin))
    except Exception as error:
        why = why.removeprefix("Error serializing to JSON: ").removeprefix("TypeError: ")
        raise TypeError(
            f"the tool returned {_article(value)}, which has no JSON form ({why}); return text, numbers, "
            "lists, dicts, a dataclass or a pydantic model"
        ) from error


def _builtin(value: Any) -> Any:
    """What pydantic does not know."""
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    raise TypeError(f"no JSON form for {_article(value)}")


def _article(value: Any) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
