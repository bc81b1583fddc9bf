"""Tokens: who may use the server, and as what. They are events of the stream ``app``, which hold a digest, no secret."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from surefoot.core import events as ev
from surefoot.core.errors import ConfigurationError, RunNotFound
from surefoot.core.ports import Clock, Store

__all__ = ["ROLES", "Caller", "Token", "Tokens"]

#: What each role may do.
ROLES: Mapping[str, frozenset[str]] = {
    "viewer": frozenset({"read"}),
    "operator": frozenset({"read", "run"}),
    "approver": frozenset({"read", "decide"}),
    "admin": frozenset({"read", "run", "decide", "manage"}),
}
_STREAM = "app"
_PREFIX = "sft"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose identity is known. ``how`` says how it was learned; ``tenant`` empty sees every tenant's runs."""

    user: str
    role: str
    tenant: str = ""
    how: str = "token"

    def may(self, action: str) -> bool:
        """Whether the caller's role allows an action: read, run, decide or manage."""
        return action in ROLES[self.role]


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is listed. Times are Unix microseconds, 0 is never."""

    id: str
    user: str
    role: str
    tenant: str
    digest: str
    created_at: int
    expires_at: int


class Tokens:
    """The tokens of one store; what another process changes counts from the next look on."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seq = 0
        self._known: dict[str, Token] = {}

    async def create(self, user: str, role: str, *, tenant: str = "", lasts: timedelta | None = None, by: str = "") -> str:
        """A new token's secret, which is shown this once. Raises ConfigurationError for an unknown role or no user."""
        if role not in ROLES:
            raise ConfigurationError(f"there is no role {role!r:.100}; there is {', '.join(ROLES)}")
        if not user.strip():
            raise ConfigurationError("a token belongs to somebody: give it a user")
        name, secret = self._clock.new_id()[-12:], secrets.token_urlsafe(32)
        expires = 0 if lasts is None else self._clock.now() + int(lasts.total_seconds() * 1e6)
        await self._append(ev.TokenCreated(name, user, role, _digest(secret), tenant, expires, by))
        return f"{_PREFIX}_{name}_{secret}"

    async def revoke(self, token: str, *, by: str = "") -> None:
        """Make a token good for nothing. Raises ConfigurationError when there is none of that id."""
        if token not in {known.id for known in await self.all()}:
            raise ConfigurationError(f"there is no token {token!r:.100}; `surefoot token list` lists them")
        await self._append(ev.TokenRevoked(token, by))

    async def all(self) -> list[Token]:
        """The tokens that are good now, oldest first."""
        await self._refresh()
        now = self._clock.now()
        return [token for token in self._known.values() if not token.expires_at or token.expires_at > now]

    async def identify(self, secret: str) -> Caller | None:
        """Whose secret this is; None for anybody else's, a revoked or an expired one."""
        kind, _, rest = secret.partition("_")
        name, _, key = rest.partition("_")
        token = {known.id: known for known in await self.all()}.get(name)
        if kind != _PREFIX or token is None or not secrets.compare_digest(token.digest, _digest(key)):
            return None
        return Caller(token.user, token.role, token.tenant, f"token {token.id}")

    async def _append(self, event: ev.TokenCreated | ev.TokenRevoked) -> None:
        await self._store.append(_STREAM, [event], head=None, barrier=True)

    async def _refresh(self) -> None:
        try:
            records = await self._store.read(_STREAM, self._seq)
        except RunNotFound:  # nothing was ever written to it
            return
        for record in records:
            self._seq = record.seq
            match record.event:
                case ev.TokenCreated() as made:
                    self._known[made.token] = Token(
                        made.token, made.user, made.role, made.tenant, made.digest, record.time, made.expires_at
                    )
                case ev.TokenRevoked(token=token):
                    self._known.pop(token, None)
                case _:
                    pass


def _digest(secret: str) -> str:
    # A random secret of 256 bits needs no slow hash.
    return hashlib.sha256(secret.encode()).hexdigest()
