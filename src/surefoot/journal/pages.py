"""Reading the rows of a SQLite file without SQLite, so that a damaged one still gives what its sound pages hold.

Every page is read for itself: table leaves give rows, index pages give keys. Nothing is followed from page to page but
long payloads, so damage stays where it is. The format is that of https://sqlite.org/fileformat2.html: sections 1.6
(b-tree pages), 2.1 (records) and 4.1 (the write-ahead log, whose pages are read too, also those after a damaged one).
"""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Row", "rows"]

Value = None | int | float | str | bytes

_LEAF_INDEX, _INNER_INDEX, _INNER_TABLE = 0x0A, 0x02, 0x05
_KINDS = (_LEAF_INDEX, _INNER_INDEX, 0x0D)
_HEADER = 100
_WAL_HEADER, _FRAME_HEADER = 32, 24
_SIZES = tuple(1 << power for power in range(9, 17))
#: States of one page of the log that are read: should the last be damaged, the one before it has nearly all of it.
_STATES = 3
#: Bytes of a page that no payload ever has.
_LEAST = 35
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


@dataclass(frozen=True, slots=True)
class Row:
    """One record: with its rowid, of a table; without, of an index."""

    rowid: int | None
    values: tuple[Value, ...]


def rows(path: str) -> Iterator[Row]:
    """Every record that can be read, the file's first, then those of its write-ahead log; some may come several times."""
    data = Path(path).read_bytes()
    size = _page_size(data)
    base = {number: data[start : start + size] for number, start in enumerate(range(0, len(data), size), 1)}
    log = list(_frames(path, size))
    newest = base | dict(log)
    for number, page in [*base.items(), *log]:
        start = _HEADER if number == 1 else 0
        yield from _records(page, start, size, newest)
        if log:
            # A long payload may go on in pages that are older than the newest ones.
            yield from _records(page, start, size, base, long=True)


def _page_size(data: bytes) -> int:
    found = int.from_bytes(data[16:18], "big")
    found = 65536 if found == 1 else found
    return found if found in _SIZES else 4096


def _frames(path: str, size: int) -> Iterator[tuple[int, bytes]]:
    """The pages of the log that belong to its present generation, oldest first, of each page the last few states."""
    log = Path(f"{path}-wal")
    data = log.read_bytes() if log.exists() else b""
    salts = data[16:24]
    found: dict[int, deque[bytes]] = defaultdict(lambda: deque(maxlen=_STATES))
    for start in range(_WAL_HEADER, len(data) - size - _FRAME_HEADER + 1, size + _FRAME_HEADER):
        if data[start + 8 : start + 16] == salts:
            number, place = int.from_bytes(data[start : start + 4], "big"), start + _FRAME_HEADER
            found[number].append(data[place : place + size])
    for number, states in found.items():
        for state in states:
            yield number, state


def _records(page: bytes, start: int, size: int, source: dict[int, bytes], *, long: bool = False) -> Iterator[Row]:
    """The records of one page. A page of no known kind is taken for a leaf: its first byte may be what is damaged."""
    header = page[start : start + 8]
    if len(header) < 8 or header[0] == _INNER_TABLE:
        return
    kind, inner = header[0], 4 if header[0] == _INNER_INDEX else 0
    count, content = int.from_bytes(header[3:5], "big"), int.from_bytes(header[5:7], "big") or 65536
    first = start + 8 + inner
    if kind not in _KINDS and not first + 2 * count <= content <= size:
        # Not a page of records, but the rest of a long payload.
        return
    for place in range(first, min(first + 2 * count, size - 1), 2):
        try:
            cell = int.from_bytes(page[place : place + 2], "big") + inner
            length, cell = _varint(page, cell)
            rowid = None
            if kind not in (_LEAF_INDEX, _INNER_INDEX):
                rowid, cell = _varint(page, cell)
            if not long or length > size - _LEAST:
                payload = _payload(page, cell, length, size, source, table=rowid is not None)
                yield Row(rowid, tuple(_values(payload)))
        except (IndexError, ValueError, KeyError, struct.error):
            # This cell is damaged, the next may not be.
            continue


def _payload(page: bytes, cell: int, length: int, size: int, source: dict[int, bytes], *, table: bool) -> bytes:
    if length > size * len(source):
        raise ValueError(length)
    least = (size - 12) * 32 // 255 - 23
    most = size - _LEAST if table else (size - 12) * 64 // 255 - 23
    if length <= most:
        return page[cell : cell + length]
    local = least + (length - least) % (size - 4)
    local = local if local <= most else least
    parts, left = [page[cell : cell + local]], length - local
    following = int.from_bytes(page[cell + local : cell + local + 4], "big")
    while left > 0:
        more = source[following]
        parts.append(more[4 : 4 + min(left, size - 4)])
        left -= size - 4
        following = int.from_bytes(more[:4], "big")
    return b"".join(parts)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = data[place + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + index + 1
    return value << 8 | data[place + 8], place + 9


def _values(payload: bytes) -> Iterator[Value]:
    end, place = _varint(payload, 0)
    body = end
    while place < end:
        kind, place = _varint(payload, place)
        value, length = _value(kind, payload, body)
        if body + length > len(payload):
            raise ValueError(kind)
        body += length
        yield value


def _value(kind: int, data: bytes, place: int) -> tuple[Value, int]:
    if kind == 0:
        return None, 0
    if kind in (8, 9):
        return kind - 8, 0
    if kind in _INTEGERS:
        length = _INTEGERS[kind]
        return int.from_bytes(data[place : place + length], "big", signed=True), length
    if kind == 7:
        return struct.unpack_from(">d", data, place)[0], 8
    if kind < 12:
        raise ValueError(kind)
    length = (kind - 12) // 2
    raw = data[place : place + length]
    return (raw.decode(), length) if kind % 2 else (raw, length)
