"""The hash chain of a stream: how an event is sealed, and what stays of one that was redacted.

Each event's hash covers the one before it, its own place and stamp, and a salted hash of its body. Redaction keeps the
salted hash in the body's place, so the chain can still be proved, and nothing tells what the body was.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from surefoot.core import codec
from surefoot.core.errors import JournalCorrupt

__all__ = ["BLOB", "DIGEST", "LONG", "SALT_BYTES", "Sealed", "aside", "digests", "redacted", "seal"]

#: Bodies of more bytes are kept in the blob table.
LONG = 64 * 1024
#: How the text that stands for such a body begins, and where in it the digest is.
BLOB = b'{"$blob":"'
DIGEST = slice(10, 74)
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


def aside(body: bytes) -> tuple[str, str]:
    """The digest under which a long body is kept as a blob, and the text that stands for it."""
    digest = hashlib.sha256(body).hexdigest()
    return digest, f'{BLOB.decode()}{digest}"}}'


def redacted(salt: bytes, body: bytes) -> bytes:
    """What is stored in the place of a body that must go: its salted hash, as JSON."""
    return _HEAD + codec.body_hash(salt, body).hex().encode() + _TAIL


def digests(body: bytes) -> set[str]:
    """The digests of blobs that a body may name."""
    return {found.decode() for found in _DIGEST.findall(body)}


def _kept(body: bytes) -> bytes:
    try:
        return bytes.fromhex(body[len(_HEAD) : -len(_TAIL)].decode("ascii"))
    except ValueError:
        raise JournalCorrupt("the place of a redacted event is damaged; run `surefoot doctor`") from None
