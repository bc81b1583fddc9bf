"""Links by which a question is decided: signed, for one person, one call and one answer, until a time.

A link says everything it is good for and carries its proof (HMAC-SHA256, RFC 2104), so nothing is kept of it. It is used up
with its question: deciding is compare-and-set, and a second voice of one person is refused.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Self

import msgspec

from surefoot.core.errors import MayNotDecide
from surefoot.core.request import Callback, Request

__all__ = ["Links"]

_LEAST = 16


class Links:
    """Makes and reads links under ``base``. ``seconds`` is how long one is good, never longer than its question.

    Raises ValueError for a secret under 16 bytes.
    """

    def __init__(self, base: str, secret: bytes, *, seconds: float = 86_400.0) -> None:
        if len(secret) < _LEAST:
            raise ValueError(f"the secret of links must have at least {_LEAST} bytes")
        self._base, self._secret, self._micros = base.rstrip("/"), secret, int(seconds * 1e6)

    @classmethod
    def of_server(cls, url: str, secret: bytes) -> Self:
        """The links that a server at this address answers."""
        return cls(f"{url.rstrip('/')}/decide", secret)

    def made(self, request: Request, decision: str, by: str, now: int) -> str:
        """The link with which ``by`` decides a question so."""
        until = now + self._micros
        until = min(until, request.expires_at) if request.expires_at else until
        body = msgspec.json.encode(Callback(request.id, request.digest, decision, by, until))
        return f"{self._base}/{_text(body)}.{_text(self._proof(body))}"

    def read(self, link: str, now: int) -> Callback:
        """What a link, or its last part, is good for. Raises MayNotDecide for one that is forged, cut, or too old."""
        body, _, proof = link.rpartition("/")[2].partition(".")
        try:
            data = _bytes(body)
            genuine = hmac.compare_digest(self._proof(data), _bytes(proof))
            callback = msgspec.json.decode(data, type=Callback) if genuine else None
        except (binascii.Error, ValueError, msgspec.DecodeError):
            callback = None
        if callback is None:
            raise MayNotDecide("", "the link is not one of this application's")
        if callback.until <= now:
            raise MayNotDecide(callback.request, "the link is too old; ask for a new one")
        return callback

    def _proof(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, b"surefoot.link\0" + body, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
