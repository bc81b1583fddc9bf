"""Names of traces and spans, made from what the journal holds, so that whoever tells of a run uses the same ones.

A trace id is stored with a run's first event. A span id is the digest of the run and of what the span is, so that a
resumed run, a second exporter and a restarted one all give the same span the same id.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

__all__ = ["TraceContext", "span_id", "trace_id"]

_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")


def span_id(run: str, *what: object) -> str:
    """The id of a span of a run, 16 hex digits: of the run itself, or of ``"call", "0.1", 2``, the second try of a call."""
    text = "\0".join([run, *map(str, what)])
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def trace_id(stored: str, run: str) -> str:
    """A run's trace id, 32 hex digits; one made from the run's id where none was stored."""
    if _TRACE.fullmatch(stored):
        return stored
    return hashlib.blake2b(run.encode(errors="replace"), digest_size=16).hexdigest()


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """The trace that a run belongs to and the span in it that asks somebody else, as W3C Trace Context hands it on.

    ``trace`` is as stored; ``what`` says which span of the run it is, as `span_id` takes it; ``state`` is what whoever
    asked for the run had in ``tracestate``, and with ``dropped`` they keep no spans of this trace.
    """

    run: str
    trace: str = ""
    what: tuple[object, ...] = ()
    state: str = ""
    dropped: bool = False

    @property
    def traceparent(self) -> str:
        """The header of that name (W3C Trace Context, section 3.2)."""
        return f"00-{trace_id(self.trace, self.run)}-{span_id(self.run, *self.what)}-{'00' if self.dropped else '01'}"

    def headers(self) -> dict[str, str]:
        """The headers for a request over HTTP."""
        headers = {"traceparent": self.traceparent}
        if self.state:
            headers["tracestate"] = self.state
        return headers
