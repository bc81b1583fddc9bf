"""What a conversation is made of: parts, and the messages that hold them, the same for every model provider.

A message is a role and a tuple of parts. Parts are a closed, tagged union of frozen structs, so that a conversation is
stored, digested and sent to any provider from one form. Bytes never stay in a part: the application moves them to the
blob store when a run starts, and the part keeps the digest.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "LARGEST",
    "File",
    "Image",
    "Message",
    "Part",
    "Reasoning",
    "Text",
    "ToolCall",
    "ToolResult",
    "Usage",
    "text_of",
    "too_large",
]

#: Bytes that are kept of one image or file: no model takes more, and a database keeps at most a gigabyte in one piece.
LARGEST = 256 * 1024 * 1024


class Text(msgspec.Struct, frozen=True, gc=False, tag="text", tag_field="type", omit_defaults=True):
    """Plain text."""

    text: str


class Image(msgspec.Struct, frozen=True, gc=False, tag="image", tag_field="type", omit_defaults=True):
    """An image: exactly one of ``data`` (bytes), ``url`` or ``blob`` (digest in the blob store) is set."""

    data: bytes = b""
    media_type: str = "image/png"
    url: str = ""
    blob: str = ""


class File(msgspec.Struct, frozen=True, gc=False, tag="file", tag_field="type", omit_defaults=True):
    """A file: exactly one of ``data`` (bytes), ``url`` or ``blob`` (digest in the blob store) is set."""

    data: bytes = b""
    media_type: str = "application/octet-stream"
    name: str = ""
    url: str = ""
    blob: str = ""


class Reasoning(msgspec.Struct, frozen=True, gc=False, tag="reasoning", tag_field="type", omit_defaults=True):
    """What a model thought: readable ``text``, and ``opaque`` data that only the named provider can read back."""

    text: str = ""
    opaque: str = ""
    provider: str = ""


class ToolCall(msgspec.Struct, frozen=True, gc=False, tag="call", tag_field="type", omit_defaults=True):
    """A model's wish to call a tool.

    ``id`` is ours, ``{step}.{index}``; ``provider_id`` is the provider's. ``arguments`` is canonical JSON text, or, when
    ``invalid`` says why it was refused, the text as the model wrote it.
    """

    id: str
    name: str
    arguments: str = "{}"
    provider_id: str = ""
    invalid: str = ""


class ToolResult(msgspec.Struct, frozen=True, gc=False, tag="result", tag_field="type", omit_defaults=True):
    """What a model is told of one call: its result, or why there is none (``error``)."""

    call: str
    name: str
    text: str
    error: bool = False
    parts: tuple[Text | Image | File, ...] = ()
    provider_id: str = ""


Part = Text | Image | File | Reasoning | ToolCall | ToolResult

Role = Literal["user", "assistant", "tool"]


class Message(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One turn: who speaks (``user``, ``assistant`` or ``tool``), and the parts said."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return text_of(self.parts)


class Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Tokens. ``input`` includes ``cached`` and ``cache_write``; ``output`` includes ``reasoning``."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """Input plus output tokens."""
        return self.input + self.output

    def __add__(self, other: Usage) -> Usage:
        """Both, field by field."""
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
        )

    def __sub__(self, other: Usage) -> Usage:
        """What is left without the other, field by field."""
        return Usage(
            self.input - other.input,
            self.output - other.output,
            self.cached - other.cached,
            self.cache_write - other.cache_write,
            self.reasoning - other.reasoning,
        )


def too_large(part: Image | File) -> str:
    """What is wrong with a part that holds more than `LARGEST`."""
    name = getattr(part, "name", "") or part.media_type
    return f"{name} of {len(part.data):,} bytes is more than the {LARGEST:,} that are kept of one part"


def text_of(parts: tuple[Part, ...]) -> str:
    """The text parts of ``parts``, joined without a separator."""
    return "".join([part.text for part in parts if type(part) is Text])
