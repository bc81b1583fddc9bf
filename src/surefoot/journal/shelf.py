"""The chain of records that were never encoded: computed when asked for, remembered, and compared the next time."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from surefoot.core import canonical, codec
from surefoot.core.errors import RunNotFound
from surefoot.core.events import AppEvent, Event, Record, SessionRenamed, Unknown
from surefoot.core.rows import Problem
from surefoot.journal import chain, rules
from surefoot.journal.chain import LONG, aside
from surefoot.journal.transfer import StoredEvent

__all__ = ["Link", "check", "digests", "extend", "holding", "known", "redact", "rows", "stored", "title"]


T = TypeVar("T")


class Link(NamedTuple):
    """The salt and the hash of one record."""

    salt: bytes
    hash: bytes


def stored(event: Event | AppEvent) -> tuple[str, bytes]:
    """The tag and body of an event; a redacted one's are what is left of it."""
    if type(event) is Unknown:
        return event.tag, event.body.encode()
    return codec.encode(event)


def digests(event: Event | AppEvent) -> set[str]:
    """The digests of blobs that an event may name."""
    return chain.digests(stored(event)[1])


def holding(records: Sequence[Record], texts: Sequence[tuple[str, str]], ended: Container[str]) -> Iterator[tuple[str, int]]:
    """Stream and seq of each event, of streams that have ended, that holds one of the texts (stream or "", text)."""
    wanted = [(stream, rules.escaped(text).encode()) for stream, text in texts]
    for record in records if wanted else ():
        if record.stream in ended and type(record.event) is not Unknown:
            body = stored(record.event)[1]
            if any(stream in ("", record.stream) and text in body for stream, text in wanted):
                yield record.stream, record.seq


def known(streams: Mapping[str, T], name: str) -> T:
    """The stream of this name. Raises RunNotFound."""
    found = streams.get(name)
    if found is None:
        raise RunNotFound(name)
    return found


def title(records: Iterable[Record]) -> str:
    """The last name that any of these events gives a session; empty for none."""
    titles = [(record.position, record.event.title) for record in records if isinstance(record.event, SessionRenamed)]
    return max(titles)[1] if titles else ""


def extend(stream: str, records: Sequence[Record], links: list[Link]) -> None:
    """Seal the records that have no link yet."""
    for record in records[len(links) :]:
        salt = os.urandom(chain.SALT_BYTES)
        links.append(Link(salt, _hash(stream, record, links[-1].hash if links else b"", salt)))


def check(stream: str, records: Sequence[Record], links: list[Link]) -> list[Problem]:
    """Say where a sealed record is no longer what it was, and seal the new ones."""
    previous = b""
    problems = []
    for record, link in zip(records, links, strict=False):
        if _hash(stream, record, previous, link.salt) != link.hash:
            problems.append(Problem(stream, record.seq, "the event is not the one that was written: its hash differs"))
        previous = link.hash
    if not problems:
        extend(stream, records, links)
    return problems


def rows(run: int, records: Sequence[Record], links: Sequence[Link], blobs: list[tuple[str, bytes]]) -> Iterator[StoredEvent]:
    """The records as rows of a SQLite journal; long bodies are added to ``blobs``."""
    for record, link in zip(records, links, strict=True):
        tag, body = stored(record.event)
        text = body.decode()
        if len(body) > LONG:
            blobs.append((canonical.blob_id(body), body))
            text = aside(blobs[-1][0])
        yield record.position, run, record.seq, record.epoch, record.time, tag, codec.VERSION, link.salt, text, link.hash


def redact(record: Record, records: Sequence[Record], links: list[Link]) -> Record:
    """The record without its body; its link loses the salt and keeps the hash."""
    extend(record.stream, records, links)
    link = links[record.seq - 1]
    tag, body = stored(record.event)
    links[record.seq - 1] = Link(b"", link.hash)
    return msgspec.structs.replace(record, event=Unknown(tag, chain.redacted(link.salt, body).decode()))


def _hash(stream: str, record: Record, previous: bytes, salt: bytes) -> bytes:
    tag, body = stored(record.event)
    sealed = chain.Sealed(record.seq, record.epoch, record.time, tag, codec.VERSION, salt, body)
    return chain.seal(previous, stream, sealed)
