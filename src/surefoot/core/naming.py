"""Names as providers take them: tools may be called anything, the wire allows little, and answers must find back.

`wire_names` gives every tool of a request a name that each known provider accepts: 1 to 64 of ``a-z A-Z 0-9 _ -``, a
letter or an underscore first. A name that fits already is kept; others are made to fit, and made unique.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from surefoot.core.canonical import digest
from surefoot.core.tool import ToolSpec

__all__ = ["MAX_WIRE_NAME", "WireNames", "wire_names"]

#: Characters in a tool's name on the wire, the smallest limit of all providers.
MAX_WIRE_NAME = 64

_VALID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class WireNames:
    """The names of one request's tools, both ways: ``wire`` from ours, ``ours`` from the wire's."""

    wire: Mapping[str, str]
    ours: Mapping[str, str]

    def to_wire(self, name: str) -> str:
        """The name to send; a tool that is no longer there (in old messages) gets a name that is valid all the same."""
        return self.wire.get(name) or _fitted(name)

    def from_wire(self, name: str) -> str:
        """Our name for what a model called; a name that nobody was told of comes back as it is."""
        return self.ours.get(name, name)


def wire_names(specs: Iterable[ToolSpec | str]) -> WireNames:
    """Valid and unique names for tools, given by spec or by name; the same tools get the same names in any order.

    Valid names are kept. Where two would fall together, each that had to be changed gets a suffix made of its own name.
    """
    names = sorted({spec if isinstance(spec, str) else spec.name for spec in specs})
    wire = {name: name for name in names if _VALID.fullmatch(name)}
    taken = set(wire)
    odd = {name: _fitted(name) for name in names if name not in wire}
    fitted = list(odd.values())
    for name, short in odd.items():
        unique = _marked(name, short) if fitted.count(short) > 1 else short
        while unique in taken:  # somebody chose a name that looks like ours
            unique = _marked(unique, short)
        taken.add(unique)
        wire[name] = unique
    return WireNames(wire, {sent: name for name, sent in wire.items()})


def _fitted(name: str) -> str:
    """The nearest valid name: accents dropped, the rest replaced by underscores, cut with a mark of what is lost."""
    if _VALID.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    short = _OTHER.sub("_", plain).strip("_-") if plain else ""
    if not short:
        return _marked(name, "tool")
    if not (short[0].isalpha() or short[0] == "_"):
        short = f"_{short}"
    return short if len(short) <= MAX_WIRE_NAME else _marked(name, short)


def _marked(name: str, short: str) -> str:
    mark = f"_{digest(name)[:8]}"
    return short[: MAX_WIRE_NAME - len(mark)] + mark
