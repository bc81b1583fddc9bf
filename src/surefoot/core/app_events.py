"""What happens outside runs, in the one stream named ``app``: the other half of the vocabulary of `core.events`."""

from __future__ import annotations

import msgspec

__all__ = ["BreakerChanged", "PolicyChanged", "RunPruned", "TokenCreated", "TokenRevoked"]


class _AppEvent(msgspec.Struct, frozen=True, gc=False, tag_field="type", omit_defaults=True):
    pass


class RunPruned(_AppEvent, frozen=True, gc=False, tag="run.pruned"):
    """A finished run was deleted; ``head`` and ``hash`` are its last."""

    run: str
    head: int
    hash: str
    reason: str = ""


class TokenCreated(_AppEvent, frozen=True, gc=False, tag="token.created"):
    """A server's caller got a secret, of which the SHA-256 (hex) is kept; ``expires_at`` 0 is never."""

    token: str
    user: str
    role: str
    digest: str
    tenant: str = ""
    expires_at: int = 0
    by: str = ""


class TokenRevoked(_AppEvent, frozen=True, gc=False, tag="token.revoked"):
    """A token is good for nothing any more."""

    token: str
    by: str = ""


class PolicyChanged(_AppEvent, frozen=True, gc=False, tag="policy.changed"):
    """An application began to work with rules that are not those before (by their digests): their ``layers`` by name, and
    their whole ``text``.
    """

    digest: str
    before: str = ""
    layers: tuple[str, ...] = ()
    text: str = ""


class BreakerChanged(_AppEvent, frozen=True, gc=False, tag="breaker.changed"):
    """The breaker of a model (or of ``tool:name``) is now ``closed``, ``open`` or ``half_open``, for a ``reason`` (a kind of
    failure); ``until`` is when it may be asked again, ``failed`` of ``asked`` are what was seen lately.
    """

    subject: str
    state: str
    reason: str = ""
    until: int = 0
    failed: int = 0
    asked: int = 0
