"""Events to bytes and back, and the hash that chains them.

A stored body is the event's JSON without its tag, which has a column of its own. `VERSION` is the version of every
form written today; a form that changed has an upcaster, a function from the old JSON object to the new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from surefoot.core.errors import JournalCorrupt
from surefoot.core.events import APP_EVENTS, RUN_EVENTS, AppEvent, Event, Unknown, tag_of

__all__ = ["VERSION", "body_hash", "chain_hash", "decode", "encode"]

VERSION = 1

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

#: (tag, version) of an old form → the function that makes it one version newer.
UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}

_encoder = msgspec.json.Encoder()
_decoders = {tag_of(kind): msgspec.json.Decoder(kind) for kind in (*RUN_EVENTS, *APP_EVENTS)}
_prefix = {kind: len(f'{{"type":"{tag_of(kind)}"') for kind in (*RUN_EVENTS, *APP_EVENTS)}
_tags = {kind: tag_of(kind) for kind in (*RUN_EVENTS, *APP_EVENTS)}


def encode(event: Event | AppEvent) -> tuple[str, bytes]:
    """The tag and the body of an event."""
    kind = type(event)
    data = _encoder.encode(event)
    rest = data[_prefix[kind] :]
    return _tags[kind], b"{" + (rest[1:] if rest[:1] == b"," else rest)


def decode(tag: str, body: bytes | str, version: int = VERSION) -> Event | AppEvent:
    """The event of a stored tag and body; an unknown tag or a redacted body gives `Unknown`.

    Raises JournalCorrupt when the body is not what the tag promises.
    """
    decoder = _decoders.get(tag)
    if decoder is None or version > VERSION or _redacted(body):
        return Unknown(tag, body if isinstance(body, str) else body.decode(errors="replace"))
    try:
        if version < VERSION:
            body = _upcast(tag, body, version)
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalCorrupt(f"an event {tag!r} cannot be read: {error}; run `surefoot doctor`") from error


def body_hash(salt: bytes, body: bytes) -> bytes:
    """H(salt, body): BLAKE2b (RFC 7693) with a 16-byte digest, keyed with the salt."""
    return hashlib.blake2b(body, digest_size=16, key=salt).digest()


def chain_hash(  # noqa: PLR0913, PLR0917  the hashed fields, in order
    previous: bytes, stream: str, seq: int, epoch: int, time: int, tag: str, version: int, body: bytes
) -> bytes:
    """The hash of one event in its stream's chain; ``body`` is its `body_hash`, ``previous`` is empty for the first."""
    head = f"{stream}|{seq}|{epoch}|{time}|{tag}|{version}|".encode()
    return hashlib.blake2b(previous + head + body, digest_size=16).digest()


def _redacted(body: bytes | str) -> bool:
    return body[:12] == (b'{"$redacted"' if isinstance(body, bytes) else '{"$redacted"')


def _upcast(tag: str, body: bytes | str, version: int) -> bytes:
    data = msgspec.json.decode(body)
    for old in range(version, VERSION):
        upcast = UPCASTERS.get((tag, old))
        data = upcast(data) if upcast else data
    return _encoder.encode(data)
