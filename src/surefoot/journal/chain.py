"""The hash chain of a stream: how an event is sealed, and what stays of one that was redacted.

Each event's hash covers the one before it, its own place and stamp, and a salted hash of its body. Redaction keeps the
salted hash in the body's place, so the chain can still be proved, and nothing tells what the body was.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from surefoot.core import codec
from surefoot.core.errors import JournalCorrupt

__all__ = ["LONG", "SALT_BYTES", "Sealed", "aside", "digest_of", "digests", "redacted", "seal"]

#: Bodies of more bytes are kept in the blob table.
LONG = 64 * 1024
#: How the text that stands for such a body begins.
_BLOB = b'{"$blob":"'
#: Bytes of salt of one event.
SALT_BYTES = 16

_HEAD = b'{"$redacted":"'
_TAIL = b'"}'
_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class Sealed(NamedTuple):
    """The fields of one event that its hash covers, but for its stream and the hash before it."""

    seq: int
    epoch: int
    time: int
    tag: str
    version: int
    salt: bytes
    body: bytes


def seal(previous: bytes, stream: str, event: Sealed) -> bytes:
    """The hash of one event. Raises JournalCorrupt when what stands for a redacted body is damaged."""
    if event.body.startswith(_HEAD) and not event.salt:
        body = _kept(event.body)
    else:
        body = codec.body_hash(event.salt, event.body)
    return codec.chain_hash(previous, stream, event.seq, event.epoch, event.time, event.tag, event.version, body)


def aside(digest: str) -> str:
    """The text that stands for a long body, which is kept as the blob of this digest."""
    return (_BLOB + digest.encode() + _TAIL).decode()


def digest_of(text: bytes) -> str | None:
    """The digest of the blob that a stored text stands for, if it does. Raises JournalCorrupt for half of one."""
    if not text.startswith(_BLOB):
        return None
    digest = text[len(_BLOB) : -len(_TAIL)]
    if not _DIGEST.fullmatch(digest) or not text.endswith(_TAIL):
        raise JournalCorrupt("the place of a long body is damaged; run `surefoot doctor`")
    return digest.decode()


def redacted(salt: bytes, body: bytes) -> bytes:
    """What is stored in the place of a body that must go: its salted hash, as JSON."""
    return _HEAD + codec.body_hash(salt, body).hex().encode() + _TAIL


def digests(body: bytes) -> set[str]:
    """The digests of blobs that a body may name."""
    return {found.decode() for found in _DIGEST.findall(body)}


def _kept(body: bytes) -> bytes:
    kept = body[len(_HEAD) : -len(_TAIL)]
    if not re.fullmatch(rb"[0-9a-f]{32}", kept) or not body.endswith(_TAIL):
        raise JournalCorrupt("the place of a redacted event is damaged; run `surefoot doctor`")
    return bytes.fromhex(kept.decode())
