"""Where bytes stand in the bodies of OpenAI's two protocols, and how a file that the vendor has is named there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from surefoot.models.uploads import Inline, blocks, replaced, split

__all__ = ["inlines"]


def inlines(body: Mapping[str, Any]) -> Iterator[Inline]:
    """The bytes in a body. Images of chat completions stay in it: that protocol names none."""
    for block in blocks(body.get("input") or body.get("messages")):
        kind = block.get("type")
        if kind == "input_file":
            yield from _inline(block, "file_data", str(block.get("filename") or ""), ("file_data", "filename"))
        elif kind == "input_image":
            yield from _inline(block, "image_url", "", ("image_url",))
        elif kind == "file":
            named = block["file"]
            yield from _inline(named, "file_data", str(named.get("filename") or ""), ("file_data", "filename"))


def _inline(block: dict[str, Any], key: str, name: str, old: tuple[str, ...]) -> Iterator[Inline]:
    media, data = split(block.get(key))
    if data:
        yield Inline(data, media, name, lambda reference: replaced(block, old, {"file_id": reference}))
